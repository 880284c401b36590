"""Doing damage and asking audit: what was found of what was done, as a table."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ckptscan.checkpoint import load
from ckptscan.checks import audit
from ckptscan.config import AUDITED
from tests.checks.matrix.headers import Damage
from tests.checks.matrix.whole import Whole

Told = set[tuple[str, str, object]]


class Trial(NamedTuple):
    """One damage done once; `found` tells whether one of its codes was told anew."""

    family: str
    damage: str
    model: str
    seed: int
    found: bool
    told: tuple[str, ...]


def told_of(whole: Whole, untouched: Whole | None = None) -> Told:
    """All that audit tells, by code, severity, message and place."""
    done = audit(load(whole.source(untouched), beside=AUDITED))

    assert () == done.crashed, done.crashed[0].traceback
    return {(one.code, one.message, one.where) for one in done.findings}


def trials(
    wholes: Iterable[tuple[str, Whole]],
    kinds: Mapping[str, Mapping[str, Damage]],
    seeds: Iterable[int],
    some: float = 1.0,
) -> list[Trial]:
    """Do every kind of damage to every checkpoint that it fits; or to a share of them by chance."""
    found = []
    for model, untouched in wholes:
        before: Told | None = None
        for family, damages in kinds.items():
            for name, damage in damages.items():
                for seed in seeds:
                    rng = random.Random(f"{model} {name} {seed}")
                    if rng.random() >= some:
                        continue
                    whole = untouched.copy()
                    wanted = damage(whole, rng)
                    if not wanted:
                        continue
                    before = told_of(untouched, untouched) if before is None else before
                    new = {one[0] for one in told_of(whole, untouched) - before}
                    hit = bool(wanted & new)
                    found.append(Trial(family, name, model, seed, hit, tuple(sorted(new))))
    return found


def table(found: Iterable[Trial]) -> str:
    """Found of done: by damage, by family, over all; and what was missed."""
    found = list(found)
    lines = []
    for family in dict.fromkeys(one.family for one in found):
        own = [one for one in found if one.family == family]
        lines.append(_line(family.upper(), own))
        by_name = Counter(one.damage for one in own)
        lines += [
            _line(f"  {name}", [one for one in own if one.damage == name]) for name in by_name
        ]
    lines.append(_line("over all", found))
    lines += [
        f"  missed: {one.damage} of {one.model} (seed {one.seed}); told {' '.join(one.told) or '-'}"
        for one in found
        if not one.found
    ]
    return "\n".join(lines)


def _line(name: str, own: list[Trial]) -> str:
    hits = sum(one.found for one in own)
    return f"{name:50} {hits:6} of {len(own):6} {100 * hits / max(1, len(own)):7.2f} %"


def share(found: Iterable[Trial], family: str = "") -> float:
    """The part of the damages that was found, of one family or over all."""
    own = [one for one in found if one.family == family or not family]
    return sum(one.found for one in own) / max(1, len(own))
