"""The lines of the tree: what each stands for, and what lies below it, made when it is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ckptscan.browse.rows import indices_of, placed_name, rows_of
from ckptscan.report import words
from ckptscan.structure import End, Node, Structure

PAGE = 500  # lines that open at once; what holds more opens in blocks of as many


@dataclass(frozen=True)
class Entry:
    """One line of the tree: a module, tensors of a family that end in one place, or a block.

    `chain` are the nodes from the root down to it. `end` are tensors that end there, None for a
    module; `rows` are those of them that the line stands for, None for all. `nodes` are the
    children that a block of a module holds, None for all.
    """

    label: str
    chain: tuple[Node, ...]
    end: End | None = None
    rows: Sequence[int] | None = None
    nodes: Sequence[Node] | None = None

    @property
    def node(self) -> Node:
        """The node that it is, or that its tensors end at."""
        return self.chain[-1]

    @property
    def tensors(self) -> int:
        """How many tensors it stands for."""
        if self.end is not None:
            return self.end.tensors if self.rows is None else len(self.rows)
        return self.node.tensors if self.nodes is None else sum(one.tensors for one in self.nodes)

    @property
    def nbytes(self) -> int:
        """Bytes of these tensors, as stored."""
        if self.end is not None:
            return self.tensors * self.end.family.kind.nbytes
        return self.node.nbytes if self.nodes is None else sum(one.nbytes for one in self.nodes)

    @property
    def row(self) -> int | None:
        """The row of the table, where it stands for one tensor that was opened."""
        return self.rows[0] if self.rows is not None and len(self.rows) == 1 else None

    @property
    def opens(self) -> bool:
        """Whether something lies below it."""
        if self.end is not None:
            return self.tensors > 1
        return bool(self.node.children or self.node.ends)


def root_of(structure: Structure) -> Entry:
    """The line of the whole checkpoint."""
    title = words.label(structure.checkpoint.origin.title)
    return Entry(title or "(checkpoint)", (structure.tree,))


def below(structure: Structure, entry: Entry) -> list[Entry]:
    """The lines below a line, in natural order; in blocks where they are many."""
    if entry.end is not None:
        return _tensors(structure, entry, entry.end)
    if entry.nodes is None and len(entry.node.children) > PAGE:
        return [*_ends(entry.chain, "(itself)"), *_blocks(entry)]
    nodes = entry.node.children if entry.nodes is None else entry.nodes
    ends = _ends(entry.chain, "(itself)") if entry.nodes is None else ()
    return [*ends, *(one for node in nodes for one in _child(entry.chain, node))]


def _child(chain: tuple[Node, ...], node: Node) -> Iterator[Entry]:
    """The lines of one child; only children of only children stand on its line."""
    links = [node]
    while len(node.children) == 1 and not node.ends and node.repeat is None:
        (node,) = node.children
        links.append(node)
    chain = (*chain, *links)
    label = ".".join(map(_label, links))
    if node.children:
        yield Entry(label, chain)
    else:
        yield from _ends(chain, label)


def _label(node: Node) -> str:
    """A node's own label, printable; long sets of indices are abbreviated."""
    if node.repeat is None:
        return words.label(node.label)
    label = node.label.replace(str(node.repeat), words.indices(node.repeat), 1)
    times = f": {len(node.repeat):,} x" if len(node.repeat) > 1 else ""
    return words.label(label) + times


def _ends(chain: tuple[Node, ...], label: str) -> Iterator[Entry]:
    yield from (Entry(label, chain, end) for end in chain[-1].ends)


def _blocks(entry: Entry) -> Iterator[Entry]:
    """The children of a module in blocks, each named by its first and last."""
    nodes = entry.node.children
    for start in range(0, len(nodes), PAGE):
        held = nodes[start : start + PAGE]
        label = f"{_label(held[0])} ... {_label(held[-1])}"
        yield Entry(label, entry.chain, nodes=held)


def _tensors(structure: Structure, entry: Entry, end: End) -> list[Entry]:
    """The tensors of a family one by one, or in blocks where they are many."""
    table = structure.checkpoint.table
    rows = rows_of(table.names, entry.chain, end) if entry.rows is None else entry.rows
    family = end.family

    def label(row: int) -> str:
        name = placed_name(family.pattern, indices_of(family, table.names[row]))
        file = words.label(table.shards[table.shard_of(row)].path)
        return f"{name} in {file}" if family.copies > 1 or not family.axes else name

    if len(rows) <= PAGE:
        return [Entry(label(row), entry.chain, end, (row,)) for row in rows]
    pages = [rows[start : start + PAGE] for start in range(0, len(rows), PAGE)]
    return [
        Entry(f"{label(page[0])} ... {label(page[-1])}", entry.chain, end, page) for page in pages
    ]
