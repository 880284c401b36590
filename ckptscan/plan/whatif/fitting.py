"""The cheapest mix that fits: which groups to store in which format, fewest bits lost first.

Every mix of formats over the groups is put in order of the bits that its weights lose; what a mix
saves is added up from plans of its parts, and the first that should fit is planned to prove it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from math import prod

from ckptscan.errors import UsageError
from ckptscan.hardware import Card
from ckptscan.plan.loading import group_of
from ckptscan.plan.model import Model
from ckptscan.plan.values import Ask, MemoryPlan, Row, Section
from ckptscan.plan.whatif.formats import format_named
from ckptscan.plan.whatif.recipe import GROUPS, KEEP, Place, parse_recipe

_FIRST_FP8 = 80  # compute capability from which FP8 runs, through Marlin below 8.9
_NEVER = ("embeddings",)  # a table is looked up in, which few engines do in a packed one
SLACK = 0.98  # of what is needed: estimates may be this much short before a mix is left out
MOST_PLANS, MOST_FORMATS, SHOWN = 40, 4, 3


@dataclass(frozen=True)
class Part:
    """One group in one format: bits that its weights lose, bytes that each rank saves."""

    group: str
    format: str
    lost: int
    saved: tuple[int, ...]


Planned = Callable[[Ask], MemoryPlan]


def fitted(model: Model, ask: Ask, planned: Planned) -> MemoryPlan:
    """The plan of the cheapest mix that fits; that of what is stored where none does."""
    if ask.what_if.quantize is not None:
        raise UsageError("--quantize says the formats that --fit-quantize looks for",
                         "give one of them")  # fmt: skip
    names = tuple(format_named(name).name for name in ask.what_if.fit_formats)
    if len(names) > MOST_FORMATS:
        raise UsageError(
            f"{len(names)} formats make too many mixes", f"name {MOST_FORMATS} or fewer"
        )
    ask = replace(ask, what_if=ask.what_if._replace(fits=False, fit_formats=()))
    plain = planned(ask)
    weights = _weights(model)
    if plain.fits:
        return _with(plain, (), weights, "fits as it is stored")
    names = names or default_formats(plain.ask.devices.card if plain.ask.devices else None)
    parts = [*_parts(weights, names, plain, ask, planned)]
    found = [*islice(_fitting(parts, plain, ask, planned), SHOWN)]
    if not found:
        note = f"no mix of {', '.join(names)} fits; see why_not"
        return _with(plain, (), weights, note)
    rows = tuple(_row(mix, weights) for mix, _ in found)
    return _with(found[0][1], rows, weights, "")


def default_formats(card: Card | None) -> tuple[str, ...]:
    """The formats that are tried on a card: one of 8 bits, one of 4."""
    has_fp8 = card is None or card.capability == 0 or card.capability >= _FIRST_FP8
    return ("fp8" if has_fp8 else "int8", "int4-g128")


def _weights(model: Model) -> Mapping[str, tuple[int, int]]:
    """Weights of each group that may be quantized, and bits that they are stored in."""
    linear = parse_recipe(",".join(f"{name}=fp8" for name in GROUPS))
    count, bits = Counter[str](), Counter[str]()
    for module, times in model.inventory.everything():
        if linear.format_of(module, Place(), model.facts.hidden) is None or module.shape is None:
            continue
        if module.role == "lm_head" and model.facts.is_tied:
            continue
        own = [leaf for leaf in module.leaves
               if leaf.role == module.role and not leaf.name.endswith("bias")]  # fmt: skip
        count[group_of(module)] += times * prod(module.shape)
        bits[group_of(module)] += 8 * times * sum(leaf.nbytes for leaf in own)
    return {
        group: (count[group], bits[group])
        for group in GROUPS.values()
        if count[group] and group not in _NEVER
    }


def _parts(
    weights: Mapping[str, tuple[int, int]],
    names: Sequence[str],
    plain: MemoryPlan,
    ask: Ask,
    planned: Planned,
) -> Iterator[Part]:
    """Each group in each format that is narrower than it is stored in."""
    for group, (count, bits) in weights.items():
        for name in names:
            lost = bits - int(count * format_named(name).bits)
            if lost <= 0:
                continue
            made = planned(_asking(ask, {group: name}))
            pairs = zip(plain.ranks, made.ranks, strict=True)
            saved = tuple(before.fixed - after.fixed for before, after in pairs)
            yield Part(group, format_named(name).name, lost, saved)


def _asking(ask: Ask, mix: Mapping[str, str]) -> Ask:
    return replace(ask, what_if=ask.what_if._replace(quantize=recipe_of(mix)))


def recipe_of(mix: Mapping[str, str]) -> str:
    """The mix as `--quantize` takes it."""
    said = {group: name for name, group in GROUPS.items()}
    return ",".join(f"{said[group]}={mix.get(group, KEEP)}" for group in mix)


def _fitting(
    parts: Sequence[Part], plain: MemoryPlan, ask: Ask, planned: Planned
) -> Iterator[tuple[tuple[Part, ...], MemoryPlan]]:
    """The mixes that fit, with their plans, fewest bits lost first."""
    by_group: dict[str, list[Part | None]] = {}
    for part in parts:
        by_group.setdefault(part.group, [None]).append(part)
    mixes = [tuple(part for part in mix if part is not None) for mix in product(*by_group.values())]
    mixes.sort(key=lambda mix: (sum(p.lost for p in mix), -sum(p.saved[0] for p in mix)))
    wanted = int(plain.kv.needed * (plain.ask.requests or 1) * SLACK)
    tried = 0
    for mix in mixes:
        if not mix or not _may_fit(mix, plain, wanted):
            continue
        tried += 1
        if tried > MOST_PLANS:
            return
        made = planned(_asking(ask, {part.group: part.format for part in mix}))
        if made.fits:
            yield mix, made


def _may_fit(mix: Sequence[Part], plain: MemoryPlan, wanted: int) -> bool:
    """Whether what the mix saves should be enough on every rank."""
    return all(
        rank.left + sum(part.saved[place] for part in mix) >= wanted
        for place, rank in enumerate(plain.ranks)
    )


def _row(mix: Sequence[Part], weights: Mapping[str, tuple[int, int]]) -> Row:
    """One mix: bits that are left to a weight on average, scales not counted."""
    recipe = recipe_of({part.group: part.format for part in mix})
    count = sum(number for number, _ in weights.values())
    bits = sum(stored for _, stored in weights.values())
    lost = sum(part.lost for part in mix)
    how = f"({bits:,} bits - {lost:,} lost) / {count:,} weights; {_saved(mix)}"
    return Row(f"--quantize {recipe}", (bits - lost) / max(1, count), "bits a weight", how,
               "assumed")  # fmt: skip


def _saved(mix: Sequence[Part]) -> str:
    return f"{sum(part.saved[0] for part in mix):,} B less on rank 0, scales counted"


def _with(
    made: MemoryPlan, rows: tuple[Row, ...], weights: Mapping[str, tuple[int, int]], note: str
) -> MemoryPlan:
    """The plan with the section that tells of the mixes; what is planned is the first."""
    found = ", ".join(weights)
    notes = [note] if note else [f"fewest bits lost first, over {found}; the first is planned"]
    title = "cheapest mixes that fit" if rows else "mixes of formats"
    section = Section("fit_quantize", title, rows, tuple(notes))
    return replace(made, sections=(section, *made.sections))
