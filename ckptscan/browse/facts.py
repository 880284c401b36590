"""What is known of a line of the tree, as names and values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ckptscan.browse.entries import Entry
from ckptscan.browse.rows import rows_of
from ckptscan.checkpoint import Checkpoint
from ckptscan.report import words
from ckptscan.structure import End, Family, Node, Structure

_SHOWN_DTYPES = 6


class Fact(NamedTuple):
    """One line of the facts."""

    name: str
    value: str


class Held(NamedTuple):
    """Tensors of one family below a line; `chain` leads to the first of them."""

    chain: tuple[Node, ...]
    end: End
    tensors: int

    @property
    def family(self) -> Family:
        """The family that they belong to."""
        return self.end.family

    @property
    def nbytes(self) -> int:
        """Bytes of these tensors."""
        return self.tensors * self.family.kind.nbytes


def families_of(entry: Entry) -> list[Held]:
    """The families below a line, in the order of the tree, each once."""
    if entry.end is not None:
        return [Held(entry.chain, entry.end, entry.tensors)]
    found: dict[int, Held] = {}
    starts = entry.nodes or (entry.node,)
    waiting = [(*entry.chain, node) if entry.nodes else entry.chain for node in reversed(starts)]
    while waiting:
        chain = waiting.pop()
        for end in chain[-1].ends:
            held = found.get(id(end.family))
            tensors = held.tensors + end.tensors if held else end.tensors
            first = held or Held(chain, end, 0)
            found[id(end.family)] = first._replace(tensors=tensors)
        waiting += [(*chain, child) for child in reversed(chain[-1].children)]
    return list(found.values())


def facts(structure: Structure, entry: Entry, families: list[Held]) -> Iterator[Fact]:
    """What is known of a line; `families` are those below it."""
    if entry.end is not None:
        yield from _of_tensors(structure, entry, entry.end)
    else:
        yield from _of_module(structure, entry, families)


def _of_module(structure: Structure, entry: Entry, families: list[Held]) -> Iterator[Fact]:
    node = entry.node
    if node.path:
        yield Fact("path", words.label(node.path))
    if node.repeat is not None:
        yield Fact("indices", f"{node.repeat} ({len(node.repeat):,})")
    if node.kind is not None and entry.nodes is None:
        label = f" [{node.kind.label}]" if node.kind.label else ""
        arguments = f"({node.kind.arguments})" if node.kind.arguments else ""
        called = f"{node.kind.name}{arguments}"
        yield Fact("class", words.label(called) + label)
    yield Fact("tensors", f"{entry.tensors:,} in {words.plural(len(families), 'family')}")
    yield Fact("elements", _count(sum(one.tensors * one.family.kind.numel for one in families)))
    if entry.nodes is None:
        unknown = " at least" if node.unknown else ""
        yield Fact("parameters", _count(node.parameters) + unknown)
    yield _bytes(structure, entry)
    yield Fact("dtypes", _dtypes(families, entry.nbytes))


def _of_tensors(structure: Structure, entry: Entry, end: End) -> Iterator[Fact]:
    checkpoint, family = structure.checkpoint, end.family
    row = _only_row(checkpoint, entry, end)
    if row is not None:
        yield Fact("name", words.label(checkpoint.table.names[row]))
    else:
        yield Fact("pattern", words.label(family.pattern))
        yield Fact("tensors", f"{entry.tensors:,} alike")
    yield Fact("shape", words.shape(family.shape))
    if end.shape is not None and end.shape != family.shape:
        yield Fact("unpacked", words.shape(end.shape))
    yield Fact("dtype", words.label(family.dtype.name))
    each = (
        "" if entry.tensors == 1 else f" each, {_count(entry.tensors * family.kind.numel)} in all"
    )
    yield Fact("elements", _count(family.kind.numel) + each)
    if entry.tensors > 1:
        yield Fact("bytes each", _size(family.kind.nbytes))
    yield _bytes(structure, entry)
    yield Fact("role", f"{end.role.name} [{words.label(end.role.evidence)}]")
    yield from _of_file(checkpoint, entry, end, row)


def _only_row(checkpoint: Checkpoint, entry: Entry, end: End) -> int | None:
    """The row of a line that stands for one tensor."""
    if entry.tensors != 1:
        return None
    return (
        entry.row if entry.row is not None else rows_of(checkpoint.table.names, entry.chain, end)[0]
    )


def _of_file(checkpoint: Checkpoint, entry: Entry, end: End, row: int | None) -> Iterator[Fact]:
    """The file and the bytes of one tensor; of several the number of their files."""
    table = checkpoint.table
    if row is None:
        rows = entry.rows or rows_of(table.names, entry.chain, end)
        files = {table.shard_of(one) for one in rows}
        first = words.label(table.shards[min(files)].path)
        yield Fact("files", f"{len(files):,}, the first {first}" if len(files) > 1 else first)
        return
    tensor = table[row]
    shard = table.shards[tensor.shard]
    begin = 8 + shard.header_size
    yield Fact("file", words.label(shard.path))
    yield Fact("in file", f"bytes {begin + tensor.start:,} to {begin + tensor.end:,}")


def _bytes(structure: Structure, entry: Entry) -> Fact:
    share = words.share(entry.nbytes, structure.nbytes)
    return Fact("bytes", f"{_size(entry.nbytes)}, {share} of all")


def _size(nbytes: int) -> str:
    return f"{words.nbytes(nbytes)} ({nbytes:,})" if nbytes >= 1024 else words.nbytes(nbytes)


def _count(count: int) -> str:
    return f"{count:,} ({words.short_count(count)})" if count >= 10**6 else f"{count:,}"


def _dtypes(families: list[Held], whole: int) -> str:
    held: dict[str, int] = {}
    for one in families:
        name = words.label(one.family.dtype.name)
        held[name] = held.get(name, 0) + one.nbytes
    largest = sorted(held.items(), key=lambda pair: -pair[1])
    told = [f"{name} {words.share(nbytes, whole)}" for name, nbytes in largest[:_SHOWN_DTYPES]]
    more = len(largest) - len(told)
    return ", ".join([*told, f"{more} more"] if more else told)
