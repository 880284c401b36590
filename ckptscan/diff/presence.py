"""Verdicts on tensors that one side alone has: towers, heads, biases, scales, adapters."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.diff.case import Case, is_head
from ckptscan.diff.values import ADDED, HEADERS, REMOVED, Verdict
from ckptscan.structure.match import Part

_MOST = 0.95  # of the elements of the smaller side
_SHOWN = 3  # modules that are named


def missing_parts(case: Case) -> Iterator[Verdict]:
    """Tensors are gone or new that no other rule speaks of."""
    left = {kind: case.unexplained(kind) for kind in (REMOVED, ADDED)}
    plain = {
        kind: [part for part in parts if not _is_small(part) and not _is_adapter(part)]
        for kind, parts in left.items()
    }
    small = {kind: [part for part in parts if _is_small(part)] for kind, parts in left.items()}
    gone, new = plain[REMOVED], plain[ADDED]
    is_kept = case.common >= _MOST * case.total and not any(case.diff.layers)
    is_kept = is_kept and not any(small.values())
    if gone and not new and is_kept and case.modules(gone, REMOVED):
        yield Verdict("part", f"B is a part of A: {_named(case, gone, REMOVED)} gone", HEADERS)
    elif new and not gone and is_kept and case.modules(new, ADDED):
        yield Verdict("whole", f"A is a part of B: {_named(case, new, ADDED)} new", HEADERS)
    else:
        for kind, word in ((REMOVED, "gone"), (ADDED, "new")):
            if plain[kind]:
                yield Verdict(kind, f"{_named(case, plain[kind], kind)} {word}", HEADERS)
    for kind, word in ((REMOVED, "gone"), (ADDED, "new")):
        if small[kind] and not gone and not new:
            yield Verdict(f"{kind}-books", f"{_counted(small[kind])} {word}", HEADERS)
        lora = [part for part in left[kind] if _is_adapter(part)]
        if lora:
            count = sum(part.tensors for part in lora)
            text = f"an adapter beside the weights is {word} ({count:,} tensors)"
            yield Verdict(f"{kind}-adapter", text, HEADERS)


def _is_adapter(part: Part) -> bool:
    """Whether it belongs to an adapter that is kept beside its base."""
    return part.unit.role.name.startswith("lora.")


def _is_small(part: Part) -> bool:
    """Whether it is no parameter of the model: a buffer, a scale."""
    return part.unit.is_book or part.unit.role.name in ("buffer", "rope")


def _counted(parts: list[Part]) -> str:
    """`64 scales are`, `12 buffers and scales are`."""
    count = sum(part.tensors for part in parts)
    books = {part.unit.is_book for part in parts}
    noun = "buffers and scales" if len(books) > 1 else "scales" if books == {True} else "buffers"
    return (
        f"{count:,} {noun if count > 1 else noun.removesuffix('s')} {'are' if count > 1 else 'is'}"
    )


def _named(case: Case, parts: list[Part], kind: str) -> str:
    """The modules that are gone or new, by name where they are few."""
    wholes = case.modules(parts, kind)
    names = [".".join(one.segments) for one in wholes[:_SHOWN]]
    rest = sum(part.tensors for part in parts) - sum(one.tensors for one in wholes[:_SHOWN])
    noun = "bias" if all(map(_is_bias, parts)) else "tensor"
    ending = "es" if noun == "bias" else "s"
    more = f"{rest:,} {'other ' * bool(names)}{noun}{ending * (rest != 1)}"
    listed = [*names, *([more] if rest else [])]
    verb = "is" if len(listed) == 1 and (names or rest == 1) else "are"
    return f"{' and '.join(filter(None, (', '.join(listed[:-1]), listed[-1])))} {verb}"


def _is_bias(part: Part) -> bool:
    return part.unit.leaf == "bias"


def missing_head(case: Case) -> Iterator[Verdict]:
    """The output table shares the input table's storage on one side alone."""
    for kind, other, words in (
        (REMOVED, case.diff.b, "lm_head is dropped: tied to the embedding"),
        (ADDED, case.diff.a, "lm_head is untied from the embedding"),
    ):
        heads = [
            part
            for one in case.diff.changes
            if one.kind == kind
            for part in one.a or one.b
            if is_head(part)
        ]
        if heads and other.parameters.tied is True:
            yield Verdict("tied" if kind == REMOVED else "untied", words, HEADERS)
