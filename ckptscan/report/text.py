"""A structure as text for a terminal; plain when it is piped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ckptscan.checkpoint import Checkpoint, FileFault
from ckptscan.names import natural_key
from ckptscan.report import words
from ckptscan.report.options import Layout
from ckptscan.report.rows import TreeRow, family_rows, picked, tensor_rows, tree_rows
from ckptscan.report.table import Line, aligned, fits, tabulated
from ckptscan.structure import Layers, Structure

PIPED_WIDTH = 200
PACK_NOTE = "a header pack: what its writer claims; no weights were seen"
_SHOWN_FAULTS = 20
_SHOWN_SETS = 6
_SHOWN_CONTAINERS = 4
_SHAPE_AND_DTYPE = frozenset({0, 1})
_COUNTS = ("tensors", "elements", "bytes")


def report(structure: Structure, layout: Layout) -> Iterator[str]:
    """The lines of the report that the layout asks for."""
    if layout.view != "tree":
        yield from VIEWS[layout.view](structure, layout)
        return
    yield from _headline(structure)
    if structure.tensors:
        yield ""
        yield from _tree(structure, layout)
    yield from _faults(structure.checkpoint.faults)


def _headline(structure: Structure) -> Iterator[str]:
    """What the checkpoint is, in a few lines."""
    checkpoint, count = structure.checkpoint, structure.numel
    files = words.plural(len(checkpoint.table.shards), "file")
    facts = [
        ("class", words.label(checkpoint.config.architecture or "")),
        ("elements", f"{count:,} ({words.short_count(count)})"),
        ("tensors", f"{structure.tensors:,} in {files}"),
        ("size", f"{words.nbytes(structure.nbytes)} ({structure.nbytes:,} bytes)"),
        ("dtypes", _dtype_shares(structure)),
        ("layers", _layers_line(structure)),
        ("parts", _parts_line(checkpoint)),
        ("sets", _sets_line(checkpoint)),
        ("commit", checkpoint.origin.commit or ""),
        ("pack", PACK_NOTE if checkpoint.origin.packed else ""),
        ("matched", _matched_line(structure)),
        ("warning", _incomplete_line(checkpoint)),
    ]
    yield words.label(checkpoint.origin.title)
    yield from (f"  {name:<9}{value}" for name, value in facts if value)


def _dtype_shares(structure: Structure) -> str:
    whole = structure.nbytes
    return ", ".join(
        f"{words.label(use.dtype)} {words.share(use.nbytes, whole)}" for use in structure.dtypes
    )


def _layers_line(structure: Structure) -> str:
    """The outer containers of several children that hold most, each with its pattern."""
    outer = [one for one in structure.layers if one.count > 1 and not one.within]
    largest = sorted(outer, key=lambda one: -_layers_size(one))[:_SHOWN_CONTAINERS]
    more = f"; {len(outer) - len(largest)} more" if len(outer) > len(largest) else ""
    return "; ".join(_layers_words(one) for one in outer if one in largest) + more


def _layers_words(layers: Layers) -> str:
    """`model.layers 0-2 | 3-60` where the kinds are runs, else `model.layers (A A B) x 12`."""
    if all(len(kind.indices.ranges) == 1 for kind in layers.kinds):
        pattern = " | ".join(str(kind.indices) for kind in layers.kinds)
    else:
        pattern = ", ".join(map(str, layers.layout))
    return f"{words.label(layers.container)} {words.label(pattern)}"


def _parts_line(checkpoint: Checkpoint) -> str:
    return "; ".join(
        f"{count} tensor-parallel parts{f' of {name}' if name else ''} hold the same names; "
        "shapes are those of one part"
        for name, count in checkpoint.parts.items()
    )


def _sets_line(checkpoint: Checkpoint) -> str:
    chosen = [one.name for one in checkpoint.sets if one.chosen]
    others = [one.name for one in checkpoint.sets if not one.chosen]
    if not others and len(chosen) == 1:
        return ""
    shown = ", ".join(map(words.label, chosen[:_SHOWN_SETS]))
    line = f"{shown} ({checkpoint.choice})"
    if others:
        more = f" and {len(others) - _SHOWN_SETS:,} more" * (len(others) > _SHOWN_SETS)
        names = ", ".join(map(words.label, others[:_SHOWN_SETS]))
        line += f"; not shown: {names}{more} (--set NAME, --all)"
    return line


def _matched_line(structure: Structure) -> str:
    if structure.rows is None:
        return ""
    return f"{len(structure.rows):,} of {len(structure.checkpoint.table):,} tensors"


def _incomplete_line(checkpoint: Checkpoint) -> str:
    if not checkpoint.incomplete:
        return ""
    why = "a header can't be read in full"
    if checkpoint.missing:
        why = f"{words.plural(len(checkpoint.missing), 'file')} missing"
    return f"incomplete ({why}): the totals count what is there"


def _tree(structure: Structure, layout: Layout) -> Iterator[str]:
    """The tree in the most generous form that fits: exact, shortened, or tight on more lines."""
    width = layout.width or PIPED_WIDTH
    rows = tree_rows(structure.tree, layout)
    lines = _tree_lines(structure, rows, digits=4)
    if not fits(lines, width):
        lines = _tree_lines(structure, rows, digits=3)
    if fits(lines, width):
        return aligned(lines, _SHAPE_AND_DTYPE, width)
    rows = tree_rows(structure.tree, layout, joined=False)
    return aligned(_tree_lines(structure, rows, digits=3), _SHAPE_AND_DTYPE, width, step=1)


def _tree_lines(structure: Structure, rows: Sequence[TreeRow], digits: int) -> list[Line]:
    """The tree's lines with counts exact, or with three digits where room is short."""
    is_exact = digits > 3
    lines = [Line(0, "", ("shape", "dtype", "tensors", "elements", "bytes", "share"))]
    for row in rows:
        shown, family = row.shown, row.family
        shape = words.shape(family.shape) if family else ""
        share = words.share(shown.nbytes, structure.nbytes)
        cells = (
            shape if is_exact else shape.replace(", ", ","),
            words.label(family.dtype.name) if family else "",
            f"{shown.tensors:,}",
            f"{shown.numel:,}" if is_exact else words.short_count(shown.numel, digits),
            words.nbytes(shown.nbytes, digits),
            share if is_exact else share.replace(" %", "%"),
        )
        lines.append(Line(row.depth, words.label(row.label), cells))
    return lines


def _tensors(structure: Structure, layout: Layout) -> Iterator[str]:
    """One tensor a line, made as it is printed."""
    table = structure.checkpoint.table
    kinds = [
        (
            words.shape(kind.shape),
            words.label(kind.dtype.name),
            f"{kind.numel:,}",
            words.nbytes(kind.nbytes),
        )
        for kind in table.kinds
    ]
    wide = [max((len(kind[place]) for kind in kinds), default=0) for place in range(4)]
    cells = [
        f"{kind[0]:<{wide[0]}} {kind[1]:<{wide[1]}} {kind[2]:>{wide[2]}} {kind[3]:>{wide[3]}}"
        for kind in kinds
    ]
    room = min(max(map(len, table.names), default=0), words.LONGEST)
    if layout.width:
        room = max(12, min(room, layout.width - sum(wide) - len(wide)))
    for row in tensor_rows(structure, layout):
        yield f"{words.label(table.names[row]):<{room}} {cells[table.codes[row]]}"


def _families(structure: Structure, layout: Layout) -> Iterator[str]:
    rows = []
    for family in family_rows(structure, layout):
        prefix = f"{family.component}: " if family.component else ""
        indices = " x ".join(map(str, family.axes))
        rows.append(
            (
                *_counts(family.count, family.numel, family.nbytes),
                words.label(family.dtype.name),
                words.shape(family.shape),
                words.label(indices) + " (in part)" * (family.instances is not None),
                words.label(prefix + family.pattern),
            )
        )
    return tabulated(rows, (*_COUNTS, "dtype", "shape", "indices", "pattern"))


def _layers(structure: Structure, layout: Layout) -> Iterator[str]:
    rows = []
    for layers in picked(structure.layers, layout, _layers_size, lambda layers: layers.count):
        container = words.label(layers.container)
        runs = ", ".join(map(str, layers.layout))
        rows.append((f"{layers.count:,}", runs, "", "", "", _within(container, layers.within)))
        for kind in layers.kinds:
            counts = _counts(kind.node.tensors, kind.node.numel, kind.node.nbytes)
            rows.append(
                (
                    f"{len(kind.indices):,}",
                    f"  {kind.name}",
                    *counts,
                    words.label(f"  {kind.indices}"),
                )
            )
    return tabulated(rows, ("count", "layout", *_COUNTS, "container"))


def _within(container: str, within: str) -> str:
    return f"{container} of {within}" if within else container


def _layers_size(layers: Layers) -> int:
    return sum(kind.node.nbytes for kind in layers.kinds)


def _dtypes(structure: Structure, layout: Layout) -> Iterator[str]:
    uses = picked(structure.dtypes, layout, lambda use: use.nbytes, lambda use: use.tensors)
    rows = [
        (
            *_counts(use.tensors, use.numel, use.nbytes),
            words.share(use.nbytes, structure.nbytes),
            words.label(use.dtype),
        )
        for use in uses
    ]
    return tabulated(rows, (*_COUNTS, "share", "dtype"))


def _files(structure: Structure, layout: Layout) -> Iterator[str]:
    shards = structure.checkpoint.table.shards
    rows = [
        (
            f"{len(shard.rows):,}",
            f"{shard.header_size:,}",
            f"{shard.data_size:,}",
            f"{shard.file_size:,}",
            words.label(shard.path),
        )
        for shard in picked(shards, layout, lambda one: one.file_size, lambda one: len(one.rows))
    ]
    return tabulated(rows, ("tensors", "header bytes", "data bytes", "file bytes", "file"))


def _counts(tensors: int, numel: int, nbytes: int) -> tuple[str, str, str]:
    return f"{tensors:,}", f"{numel:,}", words.nbytes(nbytes)


def _metadata(structure: Structure, layout: Layout) -> Iterator[str]:
    """What the headers say of themselves; files that say the same stand together."""
    alike: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for shard in structure.checkpoint.table.shards[: layout.top]:
        key = tuple(sorted(shard.metadata.items(), key=lambda pair: natural_key(pair[0])))
        alike.setdefault(key, []).append(shard.path)
    for pairs, paths in alike.items():
        more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
        yield f"{words.label(paths[0])}{more}"
        if not pairs:
            yield "  (none)"
        for key_, value in pairs:
            yield f"  {words.label(key_)}: {words.label(value)}"


def _faults(faults: Sequence[FileFault]) -> Iterator[str]:
    """Errors and warnings one a line, notes one a kind."""
    grave = [one for one in faults if one.fault.severity != "note"]
    kinds: dict[str, list[FileFault]] = {}
    for one in faults:
        if one.fault.severity == "note":
            kinds.setdefault(one.fault.kind, []).append(one)
    if faults:
        yield ""
    for file, fault in sorted(grave, key=lambda one: one.fault.severity)[:_SHOWN_FAULTS]:
        variant = f"{fault.error}: " if fault.error else ""
        yield f"{fault.severity}: {words.label(file)}: {variant}{words.printable(fault.message)}"
    if len(grave) > _SHOWN_FAULTS:
        yield f"... and {len(grave) - _SHOWN_FAULTS:,} more; --format json lists all"
    for same in kinds.values():
        file, fault = same[0]
        more = f" and {words.plural(len(same) - 1, 'more file')}" if len(same) > 1 else ""
        yield f"note: {words.label(file)}{more}: {words.printable(fault.message)}"


VIEWS: dict[str, Callable[[Structure, Layout], Iterator[str]]] = {
    "tree": _tree,
    "tensors": _tensors,
    "families": _families,
    "layers": _layers,
    "dtypes": _dtypes,
    "files": _files,
    "metadata": _metadata,
}
