"""What changes amount to, as small rules; each speaks only on evidence, and says on which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from ckptscan.diff.case import Case, elements, is_book
from ckptscan.diff.presence import missing_head, missing_parts
from ckptscan.diff.repacked import cast, quantized
from ckptscan.diff.tuned import proof_of, tuned
from ckptscan.diff.values import (
    ADDED,
    BY_SAMPLES,
    HEADERS,
    IDENTICAL,
    MOVED,
    PROVED,
    REMOVED,
    RENAMED,
    RESHAPED,
    RESTRUCTURED,
    UNPROVED,
    Change,
    Diff,
    LayerChange,
    Verdict,
)

_FEW = 0.05  # of the elements of the smaller side: less in common is chance
_MOST = 0.95
_BY_LIKENESS = frozenset({"role", "shapes"})
_MANY_SIZES = 3  # ways in which sizes differ from which on another model is likelier than an edit
_SHOWN = 3  # things of a kind that are named
_LONGEST = 60  # characters of a kind of model


def verdicts(diff: Diff, are_files_equal: bool) -> tuple[Verdict, ...]:
    """All that can be said, the most telling first."""
    case = Case(diff, are_files_equal)
    for rule in _ALONE:
        found = list(rule(case))
        if found:
            return tuple(found)
    return tuple(verdict for rule in _TOGETHER for verdict in rule(case))


def _nothing(case: Case) -> Iterator[Verdict]:
    if not case.diff.changes:
        yield Verdict("empty", "nothing to compare", HEADERS)


def _identical(case: Case) -> Iterator[Verdict]:
    """All tensors are proved equal."""
    if not case.diff.changes or any(
        one.kind not in (IDENTICAL, MOVED) or one.evidence.content != IDENTICAL
        for one in case.diff.changes
    ):
        return
    if case.are_files_equal and not case.count(MOVED):
        yield Verdict("identical", "byte-identical weight files", PROVED)
    elif not case.count(MOVED) and any(one.evidence.found for one in case.diff.changes):
        text = "B is byte-identical to A: a merge or fine-tune between them did nothing"
        yield Verdict("identical", text, PROVED)
    else:
        yield Verdict("same-weights", "same weights, other files", PROVED)


def _same_structure(case: Case) -> Iterator[Verdict]:
    """Names, shapes and dtypes are the same; of the content little or nothing is known."""
    if any(one.kind not in (IDENTICAL, MOVED, UNPROVED) for one in case.diff.changes):
        return
    proved = sum(one.tensors for one in case.diff.changes if one.evidence.content == IDENTICAL)
    files = ", other files" if case.count(MOVED) else ""
    known = "content not proved"
    code = "resharded" if case.count(MOVED) else "same-structure"
    proof = proof_of(case.diff.changes)
    if proof == BY_SAMPLES:
        known = f"no difference in samples, {proved:,} tensors proved equal"
    elif proved:
        total = sum(one.tensors for one in case.diff.changes)
        known = f"content of {proved:,} of {total:,} tensors proved equal"
    yield Verdict(code, f"same names, shapes and dtypes{files}; {known}", proof)


def _adapter(case: Case) -> Iterator[Verdict]:
    """One side is an adapter for the other, or none of its tensors has a partner."""
    for one, other, name, whole in (
        (case.diff.b, case.diff.a, "B", "A"),
        (case.diff.a, case.diff.b, "A", "B"),
    ):
        adapter = one.adapter
        if adapter is None or other.adapter is not None or not adapter.targets:
            continue
        held = {segment for family in other.families for segment in family.pattern.split(".")}
        targets = list(dict.fromkeys(target.name for target in adapter.targets))
        fits = [name for name in targets if name in held]
        if len(fits) == len(targets) and case.common < _FEW * (case.total or 1):
            words = ", ".join(fits[:_SHOWN]) + (" ..." if len(fits) > _SHOWN else "")
            text = f"{name} is an adapter for {words}, which {whole} has"
            yield Verdict("adapter", text, HEADERS)
            return


def _unrelated(case: Case) -> Iterator[Verdict]:
    if case.total and case.common < _FEW * case.total:
        if case.share(RESHAPED) > _MOST and _has_names_in_common(case):
            kind = "" if case.kinds else " of the same architecture"
            yield Verdict("other-sizes", f"same names, other sizes: another model{kind}", HEADERS)
        else:
            yield Verdict("unrelated", "unrelated: next to nothing has a counterpart", HEADERS)


def _other_model(case: Case) -> Iterator[Verdict]:
    """The same parts in so many other sizes that no edit of one model explains them."""
    is_alike = case.alike > 0.5 * case.common
    if _other_sizes(case) >= _MANY_SIZES and _has_names_in_common(case) and not is_alike:
        yield Verdict("other-sizes", "another model of the same architecture, other sizes", HEADERS)


def _other_sizes(case: Case) -> int:
    """How many of these have another size: vocabulary, experts, layers, matrices of layers."""
    resized = [one for one in case.matched if one.fact(RESHAPED)]
    nouns = {one.noun for one in case.diff.layers if one.a_count != one.b_count}
    nouns |= {"expert" for one in resized if _lengths(one) is not None}
    nouns |= {"vocabulary" for _ in _vocabulary(case)}
    nouns |= {"matrix" for one in resized if _is_of_layers(one) and _lengths(one) is None}
    return len(nouns)


def _is_of_layers(change: Change) -> bool:
    """Whether these are matrices that every layer has."""
    return change.a[0].region.arity > 0 and len(change.a[0].unit.shape or ()) > 1


def _has_names_in_common(case: Case) -> bool:
    """Whether most tensors of both sides have a partner by name."""
    named = sum(one.tensors for one in case.matched if one.evidence.how == "name")
    plain = [one for one in case.diff.changes if not is_book(one)]
    sides = ([one.a for one in plain], [one.b for one in plain])
    return named > 0.5 * max(
        sum(part.tensors for parts in side for part in parts) for side in sides
    )


def _renamed(case: Case) -> Iterator[Verdict]:
    share = case.share(RENAMED)
    by_layers = all(one.evidence.how == "layers" for one in case.matched if one.fact(RENAMED))
    if share < _FEW or by_layers:
        return
    left = [one for one in case.diff.changes if not one.a or not one.b]
    if share > _MOST and not left:
        sure = all(one.evidence.is_sure for one in case.matched)
        doubt = "" if sure else ", some of them doubtful"
        proof = proof_of(case.matched)
        what = {PROVED: "same weights, other names", HEADERS: "same structure, other names"}
        text = what.get(proof, "other names, no difference in samples")
        yield Verdict("renamed", text + doubt * (proof == HEADERS), proof)
        return
    by_shape = sum(elements(one.a) for one in case.matched if one.evidence.how in _BY_LIKENESS)
    if by_shape > 0.5 * case.common and case.common < _MOST * case.total:
        text = "alike by roles and shapes alone, maybe unrelated; other names"
        yield Verdict("alike", text, HEADERS)
    else:
        most = "most" if share > 0.5 else "some"
        proof = proof_of(case.matched)
        same = "same weights, " if proof == PROVED and not left else ""
        yield Verdict("part-renamed", f"{same}{most} tensors have other names", proof)


def _kinds(case: Case) -> Iterator[Verdict]:
    """config.json names two kinds of model."""
    if case.kinds:
        one, two = (kind[:_LONGEST] for kind in case.kinds)
        text = f"config.json names other kinds of model: {one}, {two}"
        yield Verdict("other-kind", text, HEADERS)


def _restructured(case: Case) -> Iterator[Verdict]:
    """Weights are joined, split, stacked or turned."""
    ways: Counter[str] = Counter()
    for one in case.matched:
        fact = one.fact(RESTRUCTURED)
        if fact:
            ways[fact.how] += elements(one.a)
    for how, count in ways.most_common(_SHOWN):
        if count * 100 > case.common:
            some = [one for one in case.matched if any(fact.how == how for fact in one.facts)]
            yield Verdict("restructured", how, proof_of(some))


def _numbers(case: Case) -> Iterator[Verdict]:
    """Layers or experts are gone or new."""
    for one in case.diff.layers:
        noun = one.noun
        if (one.a, one.gone) in case.drafting("a") or (one.b, one.new) in case.drafting("b"):
            continue
        if one.gone and one.new:
            text = f"{len(one.gone)} {noun}s of A are gone, {len(one.new)} are new"
        else:
            count = len(one.gone) or len(one.new)
            what = "fewer" if one.gone else "more"
            plural = "s" * (count != 1)
            text = f"B has {count} {noun}{plural} {what} ({one.a_count} -> {one.b_count})"
        yield Verdict(f"{noun}s", text + _which(one), BY_SAMPLES if one.is_read else HEADERS)


def _which(one: LayerChange) -> str:
    """Which layers are gone or new, as far as that is known, and what told it."""
    if not one.is_sure:
        return "; which ones headers do not tell"
    told = ", by their norms" if one.is_read else ""
    if one.copied:
        return f": {one.new} of B repeat {one.copied} of A{told}"
    if (one.gone and one.new) or not (one.is_renumbered or one.is_read):
        return told
    return (f": {one.gone} of A cut out" if one.gone else f": {one.new} of B put in") + told


def _drafts(case: Case) -> Iterator[Verdict]:
    """One side alone has layers that draft tokens."""
    a, b = case.diff.a.mtp, case.diff.b.mtp
    if a is not None and b is None and case.count(REMOVED) >= a.tensors:
        text = f"multi-token prediction is dropped ({a.tensors:,} tensors)"
        yield Verdict("mtp-dropped", text, HEADERS)
    elif b is not None and a is None and case.count(ADDED) >= b.tensors:
        text = f"multi-token prediction is added ({b.tensors:,} tensors)"
        yield Verdict("mtp-added", text, HEADERS)


def _vocabulary(case: Case) -> Iterator[Verdict]:
    for one in case.matched:
        fact = one.fact(RESHAPED)
        if fact and fact.how == "vocabulary" and one.a[0].unit.role.name == "embedding":
            rows = [(part.unit.shape or (0,))[0] for part in (one.a[0], one.b[0])]
            yield Verdict("vocabulary", f"vocabulary resized {rows[0]} -> {rows[1]}", HEADERS)
            return


def _sizes(case: Case) -> Iterator[Verdict]:
    """Tensors are of other shapes; stacks of experts and their routers of other lengths."""
    resized = [
        one for one in case.matched if (fact := one.fact(RESHAPED)) and fact.how != "vocabulary"
    ]
    stacks: set[tuple[int, int] | None] = set()
    for one in resized:
        stacks.add(_lengths(one))
    pair = next(iter(stacks), None)
    told = {(one.a_count, one.b_count) for one in case.diff.layers if one.noun == "expert"}
    if len(stacks) == 1 and pair in told:
        return  # routers, with their experts
    if len(stacks) == 1 and pair is not None:
        text = f"{pair[0]} -> {pair[1]} experts; which ones headers do not tell"
        yield Verdict("experts", text, HEADERS)
    elif resized:
        count = sum(one.tensors for one in resized)
        yield Verdict("reshaped", f"{count:,} tensor{'s' * (count != 1)} of other shapes", HEADERS)


def _lengths(change: Change) -> tuple[int, int] | None:
    """How many experts a stack, or a router, had and has; None for anything else."""
    unit, other = change.a[0].unit, change.b[0].unit
    if not unit.role.name.startswith(("expert.", "router")) or not unit.shape or not other.shape:
        return None
    is_stack = len(unit.shape) == 3 or unit.role.name.startswith("router")
    return (
        (unit.shape[0], other.shape[0]) if is_stack and unit.shape[1:] == other.shape[1:] else None
    )


# the first that speaks has the only word
_Rule = Callable[[Case], Iterator[Verdict]]
_ALONE: tuple[_Rule, ...] = (
    _nothing,
    _identical,
    _same_structure,
    _adapter,
    _unrelated,
    _other_model,
)
_TOGETHER: tuple[_Rule, ...] = (
    quantized,
    cast,
    _renamed,
    _restructured,
    _drafts,
    _numbers,
    _vocabulary,
    _sizes,
    missing_head,
    missing_parts,
    tuned,
    _kinds,
)
