"""Adapters: low-rank updates of a base model: rank, alpha, targets, which modules they touch.

LoRA (arXiv 2106.09685): W + (alpha / r) B A, with A [r, in] and B [out, r]. PEFT names them
`lora_A`, `lora_B`, kohya `lora_down`, `lora_up`; ranks are counted from the shapes of A.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from ckptscan.config import Config
from ckptscan.late import Late
from ckptscan.names import IndexSet
from ckptscan.structure.families import Family

# base_model.model.model.layers.*.self_attn.q_proj.lora_A.default.weight -> path, lora_A
_DOWN = Late(
    r"^(?:base_model\.model\.)?(?P<path>.+?)\.(?:lora_A|lora_down|lora_embedding_A|lora\.down)"
    r"(?:\.[^.]+)?(?:\.weight)?$"
)
_UP = Late(
    r"^(?:base_model\.model\.)?(?P<path>.+?)\.(?:lora_B|lora_up|lora_embedding_B|lora\.up)"
    r"(?:\.[^.]+)?(?:\.weight)?$"
)
# lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn2_to_q -> attn2_to_q
_LAST = re.compile(r"_(?:\d+|\*)_")
_LONGEST = 512
_SAVED = Late(r"^(?:base_model\.model\.)?(?P<path>.+)\.modules_to_save\.")
_MOST_RANKS = 10_000  # entries of rank_pattern that are looked at; one for each module
LARGEST_ALPHA = 1 << 31  # real ones are twice the rank; NaN is not below it


class Target(NamedTuple):
    """Modules of the base model that share a pattern and that an adapter changes.

    `out` and `inner` are the features of the module, as the shapes of B and A give them.
    """

    path: str
    axes: tuple[IndexSet, ...]
    modules: int
    rank: int
    inner: int
    out: int | None

    @property
    def name(self) -> str:
        """The module's own name: `q_proj`; of kohya's paths what follows the last number."""
        return _LAST.split(self.path.rpartition(".")[2][-_LONGEST:])[-1]


class Adapter(NamedTuple):
    """What an adapter is: its kind, ranks by shape, alpha by config, the modules it touches.

    `problems` name what config.json declares otherwise.
    """

    kind: str
    ranks: tuple[int, ...]
    alpha: int | float | None
    base: str | None
    targets: tuple[Target, ...]
    saved: tuple[str, ...]
    problems: tuple[str, ...] = ()

    @property
    def modules(self) -> int:
        """How many modules of the base model it changes."""
        return sum(target.modules for target in self.targets)


def find_adapter(families: Iterable[Family], config: Config) -> Adapter | None:
    """The adapter that these tensors make, None where none of them is part of one."""
    families = list(families)
    ups = {
        match["path"]: family.shape[is_stack(family)]
        for family in families
        if (match := _UP.match(family.pattern)) and len(family.shape) >= 2
    }
    targets = []
    for family in families:
        match = _DOWN.match(family.pattern)
        if match and len(family.shape) >= 2:
            path = match["path"]
            rank, inner = family.shape[1:] if is_stack(family) else family.shape[:2]
            targets.append(Target(path, family.axes, family.count, rank, inner, ups.get(path)))
    if not targets:
        return None
    saved = dict.fromkeys(
        match["path"] for family in families if (match := _SAVED.match(family.pattern))
    )
    ranks = tuple(sorted({target.rank for target in targets}))
    document = config.documents.get("adapter_config.json", {})
    kind = "DoRA" if document.get("use_dora") is True else "LoRA"
    return Adapter(
        kind,
        ranks,
        _alpha(document.get("lora_alpha")),
        config.text("base_model_name_or_path", "adapter_config.json"),
        tuple(targets),
        tuple(saved),
        _problems(document.get("r"), document.get("rank_pattern"), ranks),
    )


def is_stack(family: Family) -> bool:
    """Whether a half holds those of all experts: A [experts, r, in], B [experts, out, r]."""
    return len(family.shape) == 3 and "experts" in family.pattern[-_LONGEST:]


def _alpha(declared: object) -> int | float | None:
    """A number that config declares, None for anything else, NaN and infinity included."""
    if isinstance(declared, bool) or not isinstance(declared, int | float):
        return None
    return declared if abs(declared) < LARGEST_ALPHA else None


def _problems(declared: object, pattern: object, ranks: tuple[int, ...]) -> tuple[str, ...]:
    """Ranks that config does not tell of."""
    if type(declared) is not int:
        return ()
    named = list(pattern.values())[:_MOST_RANKS] if isinstance(pattern, dict) else []
    others = [rank for rank in ranks if rank != declared and rank not in named]
    return tuple(f"adapter_config.json says r = {declared}, shapes have {rank}" for rank in others)
