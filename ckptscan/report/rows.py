"""The rows of each view, as plain values: what text, csv and markdown have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from ckptscan.names import natural_key
from ckptscan.report.options import Layout
from ckptscan.structure import DTypeUse, End, Family, FileUse, Layers, Node, Structure

T = TypeVar("T")


class TreeRow(NamedTuple):
    """One line of the tree: a module, a run of modules, or tensors that end there."""

    depth: int
    label: str
    shown: Node | End

    @property
    def family(self) -> Family | None:
        """The family of tensors, None for a module."""
        return self.shown.family if isinstance(self.shown, End) else None


@dataclass(frozen=True)
class Picked(Generic[T]):
    """Rows in the order and number that a layout asks for, and those that its `top` cuts off."""

    shown: Sequence[T]
    rest: Sequence[T]


def picked(
    rows: Iterable[T],
    layout: Layout,
    size: Callable[[T], int],
    count: Callable[[T], int] = lambda row: 1,
) -> Picked[T]:
    """The rows as a layout asks for them; by name they keep their order."""
    keys: dict[str, Callable[[T], int]] = {"size": size, "count": count}
    key = keys.get(layout.sort)
    ordered = sorted(rows, key=lambda row: -key(row)) if key else list(rows)
    cut = len(ordered) if layout.top is None else layout.top
    return Picked(ordered[:cut], ordered[cut:])


def tree_rows(
    root: Node,
    layout: Layout,
    joined: bool = True,
    label: Callable[[Node], str] = lambda node: node.label,
) -> list[TreeRow]:
    """The tree as lines, with chains of single children joined; `label` gives a node's own label.

    Where `joined`, a module that holds tensors alone has no line: `q_proj.weight`, `q_proj.bias`.
    What `top` cuts from a module has one line with its totals.
    """
    walk = _Walk(layout, joined, label, [])
    walk.add_children(root, 0, 1, "")
    return walk.rows


class _Walk(NamedTuple):
    """One way through a tree. `level` counts as `--depth` does, `indent` as the lines show it."""

    layout: Layout
    joined: bool
    label: Callable[[Node], str]
    rows: list[TreeRow]

    def add(self, node: Node, indent: int, level: int, prefix: str) -> None:
        chain = _chain(node)
        node = chain[-1]
        label = prefix + ".".join(map(self.label, chain))
        if node.repeat is not None and len(node.repeat) > 1:
            label = f"{label}: {len(node.repeat):,} x"
        inner = inner_level(node, level)
        if node.children and is_cut(inner, self.layout):
            self.rows.append(TreeRow(indent, label, node))
            return
        self.rows.extend(TreeRow(indent, label, end) for end in node.ends)
        if not node.children:
            return
        if self.joined and inner == level:
            self.add_children(node, indent, inner, f"{label}.")
            return
        if not node.ends:
            self.rows.append(TreeRow(indent, label, node))
        self.add_children(node, indent + 1, inner, "")

    def add_children(self, node: Node, indent: int, level: int, prefix: str) -> None:
        children = shown_children(node, self.layout)
        for child in children.shown:
            self.add(child, indent, level, prefix)
        if children.rest:
            label = f"{prefix}... {len(children.rest):,} more"
            self.rows.append(TreeRow(indent, label, Node.of(label, children.rest)))


def shown_children(node: Node, layout: Layout) -> Picked[Node]:
    """The children of a node that the layout shows."""
    return picked(node.children, layout, lambda child: child.nbytes, lambda child: child.tensors)


def inner_level(node: Node, level: int) -> int:
    """The level of a node's children: an only child, and tensors alone, open no new one."""
    is_link = len(node.children) == 1 and not node.ends
    is_plain = is_link or all(map(_is_tensor, node.children))
    return level if node.repeat is None and is_plain else level + 1


def is_cut(level: int, layout: Layout) -> bool:
    """Whether `--depth` shows nothing of this level; that of the root's children is 1."""
    return layout.depth is not None and level > layout.depth


def _chain(node: Node) -> list[Node]:
    """A node and its only descendants."""
    chain = [node]
    while len(node.children) == 1 and not node.ends and node.repeat is None:
        (node,) = node.children
        chain.append(node)
    return chain


def _is_tensor(node: Node) -> bool:
    last = _chain(node)[-1]
    return bool(last.ends) and not last.children


def tensor_rows(structure: Structure, layout: Layout) -> Picked[int]:
    """The rows of the table in the order that the layout asks for."""
    table = structure.checkpoint.table
    rows: Sequence[int] = structure.rows if structure.rows is not None else range(len(table))
    if layout.sort != "size":
        rows = sorted(rows, key=lambda row: natural_key(table.names[row]))
    sizes = [kind.nbytes for kind in table.kinds]
    return picked(rows, layout, lambda row: sizes[table.codes[row]])


def family_rows(structure: Structure, layout: Layout) -> Picked[Family]:
    """The families in the order that the layout asks for."""
    return picked(
        structure.families, layout, lambda family: family.nbytes, lambda family: family.count
    )


def layers_rows(structure: Structure, layout: Layout) -> Picked[Layers]:
    """The containers of layers in the order that the layout asks for."""
    return picked(structure.layers, layout, lambda one: one.nbytes, lambda one: one.count)


def dtype_rows(structure: Structure, layout: Layout) -> Picked[DTypeUse]:
    """The dtypes in the order that the layout asks for."""
    return picked(structure.dtypes, layout, lambda use: use.nbytes, lambda use: use.tensors)


def file_rows(structure: Structure, layout: Layout) -> Picked[FileUse]:
    """The files in the order that the layout asks for."""
    return picked(structure.files, layout, lambda one: one.size, lambda one: one.tensors)
