"""Adapters by themselves: ranks, pairs, coverage, scale (A001, A002, A005, A007)."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import NamedTuple

from ckptscan.checks.evidence.contents import groups
from ckptscan.checks.places import by_pattern
from ckptscan.checks.values import INFERRED, PROVED, Check, Finding, Subject, Where
from ckptscan.late import Late
from ckptscan.names import IndexSet, split_stars
from ckptscan.structure import Family, Structure
from ckptscan.structure.adapters import is_stack

_HALVES = Late(
    r"^(?P<path>.+?)\.(?P<half>lora_A|lora_B|lora_down|lora_up|lora_embedding_A|lora_embedding_B|"
    r"lora\.down|lora\.up)(?:\.[^.]+)?(?:\.weight)?$"
)
_DOWN = frozenset({"lora_A", "lora_down", "lora_embedding_A", "lora.down"})
_MOST_ALPHA = 64  # alpha / r above which an update drowns the weight it is added to
_LONGEST = 2048


class _Half(NamedTuple):
    family: Family
    rank: int


def _ranks(subject: Subject) -> Iterator[Finding]:
    """Ranks in the tensors are not those of adapter_config.json.

    What it finds: Rows of lora_A that are neither r nor a rank of rank_pattern.
    Why it matters: The adapter does not load, or is scaled wrongly (control-lora-v3#12,
    Chinese-LLaMA-Alpaca#302).
    Example: r is 8, lora_A has 16 rows.
    What to do: Take the adapter_config.json that was saved with the adapter.
    """
    adapter = subject.structure.adapter
    document = subject.checkpoint.config.documents.get("adapter_config.json", {})
    said, pattern = document.get("r"), document.get("rank_pattern")
    kind = document.get("peft_type")
    if adapter is None or type(said) is not int or kind not in (None, "LORA"):
        return  # AdaLoRA begins with init_r, and ends with any
    named = pattern.values() if isinstance(pattern, dict) else ()
    allowed = {said, *(one for one in named if type(one) is int)}
    stacked = document.get("target_parameters")
    wrong = [
        one
        for one in adapter.targets
        if one.rank not in allowed and not (stacked and _is_stack(one.rank, allowed))
    ]
    if wrong:
        ranks = sorted({one.rank for one in wrong})
        yield RANK.finding(
            f"adapter_config.json says r = {said}, lora_A has {', '.join(map(str, ranks))} rows",
            *(Where(pattern=one.path, indices=tuple(map(str, one.axes)), count=one.modules)
              for one in wrong[:8]),
            confidence=INFERRED,
            hint="take the adapter_config.json that was saved with the adapter",
            expected=said,
            seen=ranks,
        )  # fmt: skip


def _is_stack(rows: int, ranks: set[int]) -> bool:
    """Whether these are the rows of all experts of a stack, each with one of these ranks."""
    return any(rank > 0 and rows % rank == 0 for rank in ranks)


def _pairs(subject: Subject) -> Iterator[Finding]:
    """One half of a low-rank update is missing, or the halves do not fit.

    What it finds: lora_A without lora_B and the reverse, and pairs of different ranks.
    Why it matters: The update of that module is lost, or the loader stops.
    Example: model.layers.3.self_attn.q_proj has lora_A (16, 4096) and no lora_B.
    What to do: Save the adapter again.
    """
    if subject.structure.adapter is None:
        return
    for path, (downs, ups) in _modules(subject.structure).items():
        for missing, own, there in (("lora_B", downs, ups), ("lora_A", ups, downs)):
            lost = sorted(own.keys() - there.keys())
            if lost:
                yield PAIR.finding(
                    f"{path}: no {missing} for {len(lost)} of {len(own)} modules",
                    _at(own[lost[0]].family, lost),
                    confidence=PROVED,
                    hint="save the adapter again",
                    expected=missing,
                    seen="absent",
                )
        unlike = sorted(i for i in downs.keys() & ups.keys() if downs[i].rank != ups[i].rank)
        if unlike:
            first = unlike[0]
            yield PAIR.finding(
                f"{path}: lora_A has rank {downs[first].rank}, lora_B {ups[first].rank}",
                _at(downs[first].family, unlike),
                confidence=PROVED,
                hint="save the adapter again",
                expected=downs[first].rank,
                seen=ups[first].rank,
            )


def _modules(
    structure: Structure,
) -> dict[str, tuple[dict[tuple[int, ...], _Half], dict[tuple[int, ...], _Half]]]:
    found: dict[str, tuple[dict[tuple[int, ...], _Half], dict[tuple[int, ...], _Half]]] = {}
    for family in structure.families:
        match = _HALVES.search(family.pattern[:_LONGEST])
        if match is None or len(family.shape) < 2:
            continue
        is_down = match["half"] in _DOWN
        downs, ups = found.setdefault(match["path"], ({}, {}))
        rank = family.shape[is_stack(family) + (not is_down)]
        held = downs if is_down else ups
        held.update((index, _Half(family, rank)) for index in family.indices())
    return found


def _at(family: Family, indices: list[tuple[int, ...]]) -> Where:
    axes = tuple(str(IndexSet.of(axis)) for axis in zip(*indices, strict=True))
    return Where(pattern=family.pattern, indices=axes, count=len(indices))


def _coverage(subject: Subject) -> Iterator[Finding]:
    """Some layers are updated only in part.

    What it finds: A module that the adapter changes in most layers and not in all.
    Why it matters: Modules named otherwise in some layers are skipped in silence; layers that are
    chosen on purpose (layers_to_transform) are no fault.
    Example: q_proj is changed in 31 of the 32 layers that the adapter touches.
    What to do: See target_modules, and whether the layers differ.
    """
    adapter = subject.structure.adapter
    document = subject.checkpoint.config.documents.get("adapter_config.json", {})
    if adapter is None or document.get("layers_to_transform") is not None:
        return
    touched: dict[str, set[int]] = {}
    own: dict[tuple[str, str], set[int]] = {}
    for path, (downs, ups) in _modules(subject.structure).items():
        layers, *below = split_stars(path)
        for index in downs.keys() | ups.keys() if below else ():
            touched.setdefault(layers, set()).add(index[0])
            own.setdefault((layers, path), set()).add(index[0])
    for (layers, path), held in own.items():
        if len(held) < len(touched[layers]) < 2 * len(held):  # by size: linear in time
            missing = IndexSet.of(touched[layers] - held)
            yield COVERAGE.finding(
                f"{path}: not in {missing}, in {len(held)} of {len(touched[layers])} layers",
                Where(pattern=path, indices=(str(missing),), count=len(missing)),
                confidence=INFERRED,
                hint="see target_modules, and whether the layers differ",
                expected=f"{len(touched[layers])} layers",
                seen=str(IndexSet.of(held)),
            )


def _scale(subject: Subject) -> Iterator[Finding]:
    """How strongly the adapter is applied.

    What it finds: lora_alpha / r, or lora_alpha / sqrt(r) with rsLoRA; and whether it is DoRA; with
    `--peek` or `--deep` also a lora_B that is zero everywhere, as it is before training.
    Why it matters: Merging tools that ignore alpha or rsLoRA apply it too weakly or too strongly.
    Example: alpha 32 / r 16 = 2.
    What to do: Compare with what your engine logs.
    """
    adapter = subject.structure.adapter
    document = subject.checkpoint.config.documents.get("adapter_config.json", {})
    if adapter is None or adapter.alpha is None or not adapter.ranks or not adapter.ranks[-1]:
        return
    rank = adapter.ranks[-1]
    is_rs = document.get("use_rslora") is True
    scale = adapter.alpha / (sqrt(rank) if is_rs else rank)
    yield SCALE.finding(
        f"{adapter.kind}: alpha {adapter.alpha} / {'sqrt ' if is_rs else ''}r {rank} = {scale:.4g}",
        severity="warning" if not 0 < scale <= _MOST_ALPHA else "",
        confidence=INFERRED,
        alpha=adapter.alpha,
        rank=rank,
        scale=f"{scale:.4g}",
    )
    yield from _untrained(subject)


def _untrained(subject: Subject) -> Iterator[Finding]:
    """That the half which begins as zero is zero everywhere, as far as it was read."""
    ups = [
        one
        for group in groups(subject, subject.given.peeked)
        if group.role == "lora.b"
        for one in group.tensors
    ]
    if ups and all(one.found.is_zero for one in ups):
        yield SCALE.finding(
            f"lora_B is zero in all {len(ups):,} modules that were read: nothing is changed",
            *by_pattern(one.name for one in ups),
            confidence=INFERRED,
            hint="it was saved before it was trained",
            tensors=len(ups),
        )


RANK = Check("A001", "rank-mismatch", "error", _ranks)
PAIR = Check("A002", "incomplete-pair", "error", _pairs)
COVERAGE = Check("A005", "partial-coverage", "warning", _coverage)
SCALE = Check("A007", "adapter-scale", "info", _scale)
CHECKS: tuple[Check, ...] = (RANK, PAIR, COVERAGE, SCALE)
