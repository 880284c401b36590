"""All kinds of damage by family, each as it is done to whole checkpoints."""

from __future__ import annotations

import random

from ckptscan.checks import all_checks
from tests.checks.damages import DAMAGES
from tests.checks.damages import Damage as TensorDamage
from tests.checks.matrix.ends import ENDS, PARTS
from tests.checks.matrix.expected import EXPECTED
from tests.checks.matrix.experts import EXPERTS
from tests.checks.matrix.headers import HEADER, Damage
from tests.checks.matrix.indexes import INDEX
from tests.checks.matrix.layers import LAYERS
from tests.checks.matrix.security import SECURITY
from tests.checks.matrix.whole import Whole


def _whole(damage: TensorDamage) -> Damage:
    """A damage to tensors and configs, as one to files that are sound but for that."""

    def done(whole: Whole, rng: random.Random) -> set[str]:
        if whole.is_parallel:
            return set()
        shards = whole.shards
        named = list(whole.chosen)
        whole.shards = {path: one for path, one in shards.items() if one in named}
        tensors, documents = whole.tensors(), whole.named()
        try:
            wanted = damage(tensors, documents, rng)
        except (IndexError, KeyError, ValueError):
            return set()  # a damage of language models, and this is none
        if wanted:
            whole.take(tensors)
        whole.shards = shards
        return wanted

    return done


KINDS: dict[str, dict[str, Damage]] = {
    "headers": HEADER,
    "index": INDEX,
    "security": SECURITY,
    "structure": {
        name: _whole(damage) for name, damage in (DAMAGES | LAYERS | EXPERTS | ENDS).items()
    },
    "parts": PARTS,
}
# what only a proof against the config can find: counted as soon as there is one
if any(check.code == "C016" for check in all_checks()):
    KINDS["expected"] = {name: _whole(damage) for name, damage in EXPECTED.items()}
