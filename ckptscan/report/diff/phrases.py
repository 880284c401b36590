"""Figures of a diff in words, the same in every format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ckptscan.content.pairs.values import CHANGED, CONSISTENT, SAMPLED
from ckptscan.diff import Change, Diff, Setting
from ckptscan.diff.folding import Folded
from ckptscan.diff.groups import ORDER, Line
from ckptscan.diff.values import AUXILIARY, IDENTICAL, UNPROVED, LayerChange
from ckptscan.names import split_stars
from ckptscan.report import words

# kinds in the order in which a summary tells them; what is the same comes last
_TOLD = (*ORDER, IDENTICAL, UNPROVED)
_MOST = 1000  # characters of a sentence; one with a name of a megabyte is cut
_LONGEST = 48  # characters of a setting's value


def pattern(folded: Folded) -> str:
    """A pattern with its indices: `model.layers.{0-31}.mlp.*`; printable."""
    pieces = split_stars(".".join(folded.segments).replace("/.", "/"))
    axes = ["{" + words.indices(axis) + "}" if len(axis) > 1 else str(axis) for axis in folded.axes]
    text = "".join(piece + axis for piece, axis in zip(pieces, [*axes, ""], strict=False))
    if not folded.is_whole:
        return words.label(text) or "(an empty name)"
    return words.label(f"{text}.*" if text else "*")


def sides(line: Line) -> tuple[str, str]:
    """Both sides of a line; the second is empty where the first says it all."""
    return tuple(" + ".join(map(pattern, side)) for side in (line.a, line.b))  # type: ignore[return-value]


def verdict(diff: Diff) -> str:
    """All verdicts as one sentence, and on what they rest."""
    if not diff.verdicts:
        return f"no verdict ({proof(diff)})"
    if len({one.proof for one in diff.verdicts}) > 1:
        return "; ".join(verdict_lines(diff))
    said = "; ".join(one.text for one in diff.verdicts)
    return f"{short(said)} ({proof(diff)})"


def short(text: str) -> str:
    """Text that may quote a name: printable, and cut where it is absurdly long."""
    return words.printable(text) if len(text) <= _MOST else words.label(text)


_PROOFS = {
    "proved": "proved",
    "sampled": "by samples: not proved",
    "headers": "by headers only, content is not proved",
}


def proof(diff: Diff) -> str:
    """On what the verdicts rest; "" where they rest on different things."""
    proofs = {one.proof for one in diff.verdicts}
    if proofs == {"proved"}:
        is_read = any(one.evidence.found for one in diff.changes)
        return "proved by the bytes of both" if is_read else "proved by files that are equal"
    if len(proofs) > 1:
        return "each as told"
    return _PROOFS[next(iter(proofs), "headers")]


def verdict_lines(diff: Diff) -> list[str]:
    """Each verdict, with what it rests on where that is not the same for all; and that, last."""
    proofs = {one.proof for one in diff.verdicts}
    if len(proofs) < 2:
        return [*(short(one.text) for one in diff.verdicts), proof(diff)]
    return [f"{short(one.text)} ({_PROOFS[one.proof]})" for one in diff.verdicts]


def summary(counts: Mapping[str, int], new_auxiliary: int) -> str:
    """`224 requantized, 67 cast, 672 auxiliary (new in B)`."""
    parts = [
        f"{counts[kind]:,} {kind}"
        + (" (new in B)" if kind == AUXILIARY and new_auxiliary == counts[kind] else "")
        for kind in _TOLD
        if counts[kind]
    ]
    return ", ".join(parts) or "nothing to compare"


def facts(diff: Diff, is_structure: bool, is_content: bool) -> Iterator[tuple[str, str]]:
    """The figures of both sides, a name and a sentence each."""
    if is_structure:
        yield "summary", summary(diff.summary, diff.new_auxiliary)
        yield "tensors", _between(f"{diff.a.tensors:,}", f"{diff.b.tensors:,}")
        yield "size", _sizes(diff.a.nbytes, diff.b.nbytes)
        counts = [side.parameters.logical for side in (diff.a, diff.b)]
        told = ["unknown" if count is None else f"{count:,}" for count in counts]
        yield "parameters", _between(*told)
        for layers in diff.layers:
            yield f"{layers.noun}s", numbers(layers)
    if diff.chosen != (diff.a.tensors, diff.b.tensors):
        counts_a, counts_b = diff.chosen
        yield (
            "chosen",
            f"{counts_a:,} of {diff.a.tensors:,} tensors of A, {counts_b:,} of "
            f"{diff.b.tensors:,} of B; all but sizes and config speaks of these",
        )
    if is_content:
        yield "content", content(diff)
    for side, structure in (("A", diff.a), ("B", diff.b)):
        if structure.checkpoint.incomplete:
            yield "warning", f"{side} is incomplete: {', '.join(structure.checkpoint.gaps)}"
    if diff.matching.is_by_names_alone:
        yield "odd", "more families than any model has; matched by names alone"


def _between(before: str, after: str) -> str:
    return f"{before} in both" if before == after else f"{before} -> {after}"


def _sizes(before: int, after: int) -> str:
    shown = _between(words.nbytes(before), words.nbytes(after))
    if before == after or not before:
        return shown
    change = (after - before) * 1000 // before
    sign = "-" if change < 0 else "+"
    return f"{shown} ({sign}{abs(change) // 10}.{abs(change) % 10} %)"


def numbers(one: LayerChange) -> str:
    """`model.layers 32 -> 28: 28-31 gone; which ones headers do not tell`."""
    where = (
        words.label(one.a) if one.a == one.b else f"{words.label(one.a)} -> {words.label(one.b)}"
    )
    parts = [
        f"{words.indices(held)} {what}"
        for held, what in ((one.gone, "of A gone"), (one.new, "of B new"))
        if len(held)
    ]
    moved = ", the others renumbered" if one.is_renumbered else ""
    doubt = "" if one.is_sure else "; alike ones may be meant"
    return f"{where} {one.a_count} -> {one.b_count}: {', '.join(parts)}{moved}{doubt}"


def content(diff: Diff) -> str:
    """How much of the content is proved equal, and how much is open."""
    compared = [one for one in diff.changes if one.evidence.content]
    total = sum(one.tensors for one in compared)
    if not total:
        return "nothing that both have"
    if diff.bytes_read is not None:
        return _read(diff, compared, total)
    proved = sum(one.tensors for one in compared if one.evidence.content == IDENTICAL)
    if proved == total:
        return f"all {total:,} tensors proved equal by equal files; no tensor was read"
    if not proved:
        return f"not compared: headers alone do not tell it ({total:,} tensors)"
    return f"{proved:,} of {total:,} tensors proved equal by equal files; the others not compared"


def _read(diff: Diff, compared: Sequence[Change], total: int) -> str:
    """What reading told: of how many tensors which, and why others are open."""
    counts: dict[str, int] = {}
    for one in compared:
        found = one.evidence.found
        state = _WAYS.get(one.evidence.content, "not compared")
        if one.evidence.content == IDENTICAL:
            state = f"{state} by {found.proof if found else 'equal files'}"
        elif one.evidence.content == UNPROVED and found is not None and found.reason:
            state = f"not compared, {found.reason}"
        counts[state] = counts.get(state, 0) + one.tensors
    parts = [f"{count:,} {state}" for state, count in counts.items()]
    told = f"{'; '.join(parts)} (of {total:,}); {words.nbytes(diff.bytes_read or 0)} read"
    if diff.bytes_wanted:
        told += f", {words.nbytes(diff.bytes_wanted)} would settle the rest"
    return told


_WAYS = {
    IDENTICAL: "proved equal",
    CHANGED: "changed",
    SAMPLED: "without difference in samples",
    CONSISTENT: "as quantization of the other side leaves them",
}


def setting(one: Setting) -> str:
    """`bfloat16 -> float16`, `(none) -> 4`."""
    before = value(one.a) if one.in_a else "(none)"
    return f"{before} -> {value(one.b) if one.in_b else '(none)'}"


def value(found: object) -> str:
    """A value of a config on one line, printable and not too long."""
    import json

    try:
        text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = "(nested too deep)"
    cut = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return words.printable(cut)


def weights(diff: Diff) -> str:
    """What became of the weight files: `4 -> 2 weight files, resharded`."""
    before, after = len(diff.a.checkpoint.table.shards), len(diff.b.checkpoint.table.shards)
    told = "resharded" if is_cut_anew(diff) else _counted(diff)
    if before != after:
        return f"{before:,} -> {words.plural(after, 'weight file')}, {told}"
    return f"{words.plural(before, 'weight file')} in both{f', {told}' if told else ''}"


def is_cut_anew(diff: Diff) -> bool:
    """Whether tensors lie in other files than before."""
    sides = (diff.a.checkpoint.table.shards, diff.b.checkpoint.table.shards)
    return diff.summary["moved"] > 0 or len(sides[0]) != len(sides[1])


def _counted(diff: Diff) -> str:
    held = [one for one in diff.files if one.is_weights]
    parts = []
    for status in ("changed", "added", "removed", "same", "unknown"):
        count = sum(one.status == status for one in held)
        if count:
            parts.append(f"{count:,} {status if status != 'unknown' else 'not compared'}")
    return ", ".join(parts)
