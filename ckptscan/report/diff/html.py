"""A diff as one page: both sides, what changed from one to the other, settings, files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.diff import Diff
from ckptscan.diff.groups import ORDER, Group, Line, groups
from ckptscan.diff.values import IDENTICAL, UNPROVED
from ckptscan.report import words
from ckptscan.report.diff import Look, phrases
from ckptscan.report.diff.families import families
from ckptscan.report.diff.strips import strips
from ckptscan.report.html.controls import filtered
from ckptscan.report.html.markup import Child, Markup, element, joined, listed, name
from ckptscan.report.html.page import Page, Section, written
from ckptscan.report.html.pictures import bar, swatch
from ckptscan.report.html.tables import columns, definitions, long_table, size, table, tiles
from ckptscan.structure import Structure

_KINDS = (IDENTICAL, UNPROVED, *ORDER)
_FILL_OF = dict(zip(_KINDS, (7, 7, 1, 2, 3, 4, 0, 5, 6, 1, 2, 3), strict=True))
_MOST_LINES = 200  # of one group


def report(diff: Diff, look: Look) -> Iterator[str]:
    """The page of a diff; sections that are not asked for are left out."""
    titles = [words.label(side.checkpoint.origin.title) for side in (diff.a, diff.b)]
    return written(
        Page(" -> ".join(titles), "What changed", _tiles(diff), tuple(_sections(diff, look)))
    )


def _sections(diff: Diff, look: Look) -> Iterator[Section]:
    yield Section("overview", "Overview", _overview(diff, look))
    yield Section("sides", "Both checkpoints", _sides(diff))
    if look.only != "config":
        yield Section("kinds", "Kinds of change", _summary(diff))
    if look.stat:
        return
    if look.only != "config":
        found = groups(diff, look.only == "content")
        yield Section("changes", "Changes of tensors", _changes(found))
    if look.shows("structure"):
        yield Section("layers", "Layers side by side", strips(diff))
        yield Section("families", "Families side by side", families(diff))
    if look.shows("config"):
        yield Section("config", "Settings", _config(diff))
        yield Section("files", "Files", _files(diff))


def _tiles(diff: Diff) -> Markup:
    changed = sum(diff.summary[kind] for kind in ORDER)
    before, after = diff.a.nbytes, diff.b.nbytes
    held: list[tuple[str, Child, Child]] = [
        ("Tensors that changed", f"{changed:,}", f"{diff.summary[IDENTICAL]:,} proved identical"),
        ("Size of A", words.nbytes(before), f"{before:,} bytes"),
        ("Size of B", words.nbytes(after), f"{after:,} bytes"),
        ("Settings that differ", f"{len(diff.config):,}", None),
    ]
    return tiles(held)


def _overview(diff: Diff, look: Look) -> Markup:
    facts = list(phrases.facts(diff, look.shows("structure"), look.shows("content")))
    if look.shows("config"):
        facts.append(("files", phrases.weights(diff)))
    return joined([listed(phrases.verdict_lines(diff)), definitions(facts)])


def _sides(diff: Diff) -> Markup:
    """A beside B: what each is, figure by figure."""
    rows = [
        (head, *(_marked(value, a != b) for value in (a, b)))
        for head, a, b in zip(
            ("source", "files", "tensors", "bytes", "parameters", "dtypes", "commit"),
            _side(diff.a),
            _side(diff.b),
            strict=True,
        )
    ]
    return table("A and B", columns("", "A", "B"), rows)


def _marked(value: Child, is_changed: bool) -> Child:
    return element("mark", value) if is_changed else value


def _side(structure: Structure) -> tuple[Child, ...]:
    origin, logical = structure.checkpoint.origin, structure.parameters.logical
    dtypes = (
        f"{words.label(use.dtype)} {words.share(use.nbytes, structure.nbytes)}"
        for use in structure.dtypes
    )
    return (
        name(origin.title),
        f"{len(structure.checkpoint.table.shards):,}",
        f"{structure.tensors:,}",
        size(structure.nbytes),
        "unknown" if logical is None else f"{logical:,}",
        ", ".join(dtypes),
        name(origin.commit or "-"),
    )


def _summary(diff: Diff) -> Markup:
    """How many tensors changed in which way."""
    counts = {kind: diff.summary[kind] for kind in _KINDS if diff.summary[kind]}
    whole = sum(counts.values())
    rows = (
        (
            joined([swatch(_FILL_OF[kind]), f" {kind}"]),
            f"{count:,}",
            words.share(count, whole),
            bar(count, whole, _FILL_OF[kind]),
        )
        for kind, count in counts.items()
    )
    return table("Tensors by kind of change", columns("kind", "#tensors", "#share", ""), rows)


def _changes(found: Sequence[Group]) -> Markup:
    if not found:
        return element("p", "No tensor is known to differ.")
    kinds = list(dict.fromkeys(group.kind for group in found))
    items = [_kind(kind, [group for group in found if group.kind == kind]) for kind in kinds]
    return filtered("groups", items, kinds, "layers, mlp, requantized ...")


def _kind(kind: str, held: Sequence[Group]) -> Markup:
    """The changes of one kind, group by group."""
    count = words.plural(sum(group.tensors for group in held), "tensor")
    rows = [row for group in held for row in _rows(group)]
    is_told = any(row[2] for row in rows)
    heads = columns("A", "B", *(("what",) if is_told else ()), "#tensors")
    cells = rows if is_told else [(*row[:2], row[3]) for row in rows]
    return element(
        "article",
        element("h3", swatch(_FILL_OF[kind]), f" {kind}: {count}"),
        table(f"Tensors that are {kind}", heads, cells, "sides"),
        data_kind=kind,
    )


def _rows(group: Group) -> Iterator[tuple[Child, ...]]:
    """Both sides of each line of a group, and what its first line tells for all."""
    doubt = f" (doubtful: {group.doubt})" if group.doubt else ""
    told = f"{phrases.short(group.what)}{doubt}"
    for line in group.lines[:_MOST_LINES]:
        yield (*_sides_of(line, group), told, f"{line.tensors:,}")
    more = len(group.lines) - _MOST_LINES
    if more > 0:
        rest = f"and {words.plural(more, 'more pattern')}; --format json has all"
        yield rest, "", told, ""


def _sides_of(line: Line, group: Group) -> tuple[Child, Child]:
    """The patterns of both sides; what one side lacks is a dash there."""
    before, after = phrases.sides(line)
    if after:
        return name(before), name(after)
    return name(before) if group.in_a else "-", name(before) if group.in_b else "-"


def _config(diff: Diff) -> Markup | None:
    rows = [
        (
            name(one.key),
            name(one.file),
            phrases.value(one.a) if one.in_a else "-",
            phrases.value(one.b) if one.in_b else "-",
        )
        for one in diff.config
    ]
    heads = columns("key", "file", "A", "B")
    return table("Settings that differ", heads, rows) if rows else None


def _files(diff: Diff) -> Markup | None:
    rows = [
        (name(one.path), one.status, _bytes(one.a_size), _bytes(one.b_size)) for one in diff.files
    ]
    heads = columns("file", "status", "#size in A", "#size in B")
    return long_table("Files of both", heads, rows) if rows else None


def _bytes(nbytes: int | None) -> Child:
    return "-" if nbytes is None else size(nbytes)
