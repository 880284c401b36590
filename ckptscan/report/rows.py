"""The rows of each view, as plain values: what text, csv and markdown have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from ckptscan.names import natural_key
from ckptscan.report.options import Layout
from ckptscan.structure import End, Family, Node, Structure

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


def picked(
    rows: Iterable[T],
    layout: Layout,
    size: Callable[[T], int],
    count: Callable[[T], int] = lambda row: 1,
) -> Sequence[T]:
    """The rows in the order and number that the layout asks for; by name they keep their order."""
    keys: dict[str, Callable[[T], int]] = {"size": size, "count": count}
    key = keys.get(layout.sort)
    ordered = sorted(rows, key=lambda row: -key(row)) if key else list(rows)
    return ordered[: layout.top]


def tree_rows(root: Node, layout: Layout, joined: bool = True) -> list[TreeRow]:
    """The tree as lines, with chains of single children joined.

    Where `joined`, a module that holds tensors alone has no line: `q_proj.weight`, `q_proj.bias`.
    """
    rows: list[TreeRow] = []
    for child in _children(root, layout):
        _add(child, 0, "", layout, joined, rows)
    return rows


def _children(node: Node, layout: Layout) -> Sequence[Node]:
    return picked(node.children, layout, lambda child: child.nbytes, lambda child: child.tensors)


def _add(
    node: Node, depth: int, prefix: str, layout: Layout, joined: bool, rows: list[TreeRow]
) -> None:
    names, node = _chain(node)
    label = prefix + names
    if node.repeat is not None:
        label = f"{label}: {len(node.repeat):,} x"
    rows.extend(TreeRow(depth, label, end) for end in node.ends)
    if not node.children:
        return
    if joined and node.repeat is None and all(_is_tensor(child) for child in node.children):
        for child in _children(node, layout):
            _add(child, depth, f"{label}.", layout, joined, rows)
        return
    if not node.ends:
        rows.append(TreeRow(depth, label, node))
    if layout.depth is None or depth + 1 < layout.depth:
        for child in _children(node, layout):
            _add(child, depth + 1, "", layout, joined, rows)


def _chain(node: Node) -> tuple[str, Node]:
    """The labels of a node and of its only descendants, and the last of these."""
    labels = [node.label]
    while len(node.children) == 1 and not node.ends and node.repeat is None:
        (node,) = node.children
        labels.append(node.label)
    return ".".join(labels), node


def _is_tensor(node: Node) -> bool:
    _, last = _chain(node)
    return bool(last.ends) and not last.children


def tensor_rows(structure: Structure, layout: Layout) -> Iterator[int]:
    """The rows of the table in the order that the layout asks for."""
    table = structure.checkpoint.table
    rows: Sequence[int] = structure.rows if structure.rows is not None else range(len(table))
    if layout.sort == "size":
        sizes = [kind.nbytes for kind in table.kinds]
        ordered = sorted(rows, key=lambda row: -sizes[table.codes[row]])
    else:
        ordered = sorted(rows, key=lambda row: natural_key(table.names[row]))
    return iter(ordered[: layout.top])


def family_rows(structure: Structure, layout: Layout) -> Sequence[Family]:
    """The families in the order that the layout asks for."""
    return picked(
        structure.families, layout, lambda family: family.nbytes, lambda family: family.count
    )
