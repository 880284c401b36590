"""The modules as `print(model)` writes them, with a remark where headers alone do not tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ckptscan.report import words
from ckptscan.report.options import Layout
from ckptscan.report.sums import EXACT
from ckptscan.structure import Node, Structure
from ckptscan.structure.config_lines import activation, rotary
from ckptscan.structure.flow import in_order

_UNKNOWN = "Module"


class Row(NamedTuple):
    """One module, or one parameter that stands in none of torch's own classes.

    `repeat` is how many modules of one parent the row stands for, `times` how often it stands in
    the model; `label` where its class is from: exact, config, inferred; `parameters` counts what
    is below it, repeats included.
    """

    depth: int
    name: str
    kind: str
    arguments: str
    label: str
    times: int
    parameters: int
    is_open: bool = False
    repeat: int = 1


def report(structure: Structure, layout: Layout) -> Iterator[str]:
    """The lines of the view."""
    rows = list(module_rows(structure, layout))
    for place, row in enumerate(rows):
        yield _line(row)
        deeper = rows[place + 1].depth if place + 1 < len(rows) else 0
        first = row.depth if row.is_open else row.depth - 1
        yield from (f"{'  ' * depth})" for depth in range(first, deeper - 1, -1))


def module_rows(structure: Structure, layout: Layout) -> Iterator[Row]:
    """The modules in the order of the data; `depth` of the layout cuts those further in."""
    root = structure.tree
    kind = root.kind
    title = words.label(kind.name if kind else root.label) or _UNKNOWN
    yield Row(0, "", title, "", kind.label if kind else "", 1, root.parameters, is_open=True)
    yield from _below(structure, root, 1, 1, layout)


def _below(
    structure: Structure, node: Node, depth: int, times: int, layout: Layout
) -> Iterator[Row]:
    if layout.depth is not None and depth > layout.depth:
        return
    inner = in_order(node.children, is_layer=node.repeat is not None)
    yield from (row for child in inner for row in _of(structure, child, depth, times, layout))
    for name, kind in (*activation(structure, node), *rotary(structure, node)):
        yield Row(depth, name, kind, "", "config", times, 0)


def _of(structure: Structure, node: Node, depth: int, outer: int, layout: Layout) -> Iterator[Row]:
    repeat = len(node.repeat) if node.repeat is not None else 1
    times = outer * repeat
    name, kind = words.label(_name(node)), node.kind
    if node.ends:
        yield from _tensor(node, name, depth)
        return
    modules = [child for child in node.children if not child.ends and child.label != "weight"]
    if kind is not None and not modules:
        yield Row(
            depth,
            name,
            kind.name,
            kind.arguments,
            kind.label,
            times,
            node.parameters,
            repeat=repeat,
        )
        return
    yield Row(
        depth,
        name,
        kind.name if kind else _UNKNOWN,
        kind.arguments if kind else "",
        kind.label if kind else "",
        times,
        node.parameters,
        is_open=True,
        repeat=repeat,
    )
    yield from _below(structure, node, depth + 1, times, layout)


def _name(node: Node) -> str:
    """A node's name: `q_proj`, `0-27` for a run."""
    return str(node.repeat) if node.label == f"({node.repeat})" else node.label


def _tensor(node: Node, name: str, depth: int) -> Iterator[Row]:
    """A tensor that stands by itself: a parameter, a buffer or book-keeping."""
    for end in node.ends:
        kind = "Parameter" if end.each or end.each is None else "Buffer"
        if end.role.name == "quantization":
            continue
        shape = words.shape(end.shape or ())[1:-1]
        yield Row(depth, name, kind, shape, "exact", end.instances, end.parameters)


def _line(row: Row) -> str:
    """`  (0-27): 28 x Qwen2MoeDecoderLayer(`, and `# config` after it."""
    name = f"({row.name}): " if row.name else ""
    repeated = f"{row.repeat:,} x " if row.repeat > 1 else ""
    head = f"{'  ' * row.depth}{name}{repeated}{words.label(row.kind)}("
    said = [] if row.label in (EXACT, "") else [row.label]
    said += [row.arguments] if row.is_open and row.arguments else []
    remark = f"  # {'; '.join(said)}" if said else ""
    return f"{head}{'' if row.is_open else row.arguments + ')'}{remark}"
