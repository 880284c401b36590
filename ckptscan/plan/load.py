"""How a checkpoint comes onto the cards: bytes of each rank from each file, copies, seconds.

A rank needs of a tensor what its cut leaves. What lies along the inputs is a piece of every row,
so that whole pages are read for it. Engines map files into memory: what several ranks of a host
read comes from the disk once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from math import prod
from typing import NamedTuple

from ckptscan.names import IndexSet
from ckptscan.plan.inventory import Leaf, Module
from ckptscan.plan.load_parts import from_parts, layer_of
from ckptscan.plan.model import Model
from ckptscan.plan.sharding import Cut, experts_of_rank, is_cut_in, local_shape
from ckptscan.plan.values import LoadAsk, MemoryPlan, Rank, Row, Section
from ckptscan.structure import Family
from ckptscan.structure.counting import ends as tree_ends
from ckptscan.structure.summary import FamilyKey, key_of
from ckptscan.structure.tree import End
from ckptscan.table import TensorTable

PAGE = 4096


class Share(NamedTuple):
    """What a rank needs of one tensor: bytes, and bytes of the pages that they lie in."""

    nbytes: int
    pages: int


class Read(NamedTuple):
    """What a rank reads: bytes by the number of the file, bytes with whole pages."""

    files: Mapping[int, int]
    pages: int

    @property
    def nbytes(self) -> int:
        """Bytes of all files."""
        return sum(self.files.values())


def load_plan(model: Model, made: MemoryPlan, asked: LoadAsk) -> Section:
    """What loading takes; seconds where a rate is stated."""
    table = model.structure.checkpoint.table
    ends = model.structure.meanings
    ranks = made.ranks
    if any(family.copies > 1 for family in model.structure.families):
        ranks = tuple(one for rank in made.ranks for one in _apart(rank))
    reads = [(rank, _read(model, made, rank, ends)) for rank in ranks]
    rows = (
        *_rank_rows(reads),
        *_host_rows(model, table, made),
        *_seconds(table, reads, asked),
        *_file_rows(table, reads),
    )
    return Section("load", "loading", rows, tuple(_notes(made, asked)))


def _apart(rank: Rank) -> Iterator[Rank]:
    """Ranks that hold the same one by one: of parts they read different ones."""
    for number in rank.alike:
        yield replace(rank, rank=number, alike=IndexSet.of([number]))


def _read(model: Model, made: MemoryPlan, rank: Rank, ends: Mapping[FamilyKey, End]) -> Read:
    """What one rank needs of every file."""
    table, files, pages = model.structure.checkpoint.table, Counter[int](), 0
    cut = _cut(made)
    modules = {
        f"{module.path}.{leaf.name}": (module, leaf)
        for module, _ in model.inventory.everything()
        for leaf in module.leaves
    }
    kept = {key_of(end.family) for end in tree_ends(model.structure.main)}
    for family in model.structure.families:
        if key_of(family) not in kept:
            continue  # drafts tokens
        end = ends.get(key_of(family))
        module, leaf = _holder(family, end, modules)
        alike = _share(family, module, leaf, model, cut)
        parts = _parts(family, (module, leaf), model, (rank, cut)) if family.copies > 1 else {}
        for row in _rows(family, end, model, (rank, made), cut):
            number = table.shard_of(row)
            share = parts.get(number, alike)
            if share.nbytes:
                files[number] += share.nbytes
                pages += share.pages
    return Read(files, pages)


def _parts(
    family: Family, held: tuple[Module, Leaf], model: Model, by: tuple[Rank, Cut]
) -> dict[int, Share]:
    """What a rank needs of a tensor that is stored in parts, by the number of the file."""
    table, (module, leaf), (rank, cut) = model.structure.checkpoint.table, held, by
    numbers = sorted({table.shard_of(row) for row in family.rows})
    sizes = from_parts(family, module, leaf, model, (rank.rank, cut))
    return {number: Share(size, _paged(family, module, size))
            for number, size in zip(numbers, sizes, strict=False)}  # fmt: skip


def _cut(made: MemoryPlan) -> Cut:
    """How the first rank cuts what it reads."""
    parallel = made.ask.parallel
    shared = max(1, made.cards // max(1, parallel.pp))
    if parallel.ep > 1:
        return Cut(parallel.tp, 1, parallel.ep, 0, 0, made.ask.redundant_experts)
    return Cut(parallel.tp, shared)


def _holder(
    family: Family, end: End | None, modules: Mapping[str, tuple[Module, Leaf]]
) -> tuple[Module, Leaf]:
    """The module that a tensor lies in, and the tensor as the module knows it."""
    plain = Leaf("weight", "", family.dtype.name, family.shape, family.kind.nbytes)
    role = end.role.name if end is not None else "other"
    alone = Module(family.pattern.rpartition(".")[0], role, end.shape if end else None, (plain,))
    return modules.get(family.pattern, (alone, plain))


def _share(family: Family, module: Module, leaf: Leaf, model: Model, cut: Cut) -> Share:
    """What a rank needs of one tensor of a family."""
    whole = family.kind.nbytes
    if not family.shape or not whole or leaf.shape != family.shape:
        return Share(whole, whole)
    shape = local_shape(module, leaf, model.heads, cut, model.facts.hidden)
    numel = min(prod(shape), prod(family.shape))
    needed = whole * numel // max(1, prod(family.shape))
    return Share(needed, _paged(family, module, needed))


def _paged(family: Family, module: Module, needed: int) -> int:
    """Bytes of the pages that so many bytes of a tensor lie in: pieces of rows, or one run."""
    whole = family.kind.nbytes
    if not is_cut_in(module) or needed in (0, whole) or len(family.shape) < 2:
        return needed
    lines = prod(family.shape[:-1])
    piece = -(-needed // max(1, lines))
    return min(whole, lines * (-(-piece // PAGE) + 1) * PAGE)


def _rows(
    family: Family, end: End | None, model: Model, held: tuple[Rank, MemoryPlan], cut: Cut
) -> Iterable[int]:
    """The rows of a family that lie on a rank."""
    rank, made = held
    place = f".{family.pattern}".find(f".{model.inventory.container}.*")
    if place < 0 or not model.inventory.container:
        return family.rows if _is_here(end, model, rank, made) else ()
    stars = family.pattern[:place].count("*")
    routed = end is not None and end.role.name.startswith("expert.")
    mine = range(1 << 62)
    if routed and cut.ep > 1 and len(family.axes) > stars + 1:
        mine = range(experts_of_rank(len(family.axes[stars + 1]), cut))
    layers = frozenset(rank.layers)
    if family.copies > 1:  # rows go by files, not by layers
        names = model.structure.checkpoint.table.names
        return [row for row in family.rows if layer_of(family.pattern, names[row], stars) in layers]
    tuples = family.instances if family.instances is not None else product(*family.axes)
    if len(family.axes) <= stars:
        return family.rows
    return [
        row
        for row, at in zip(family.rows, tuples, strict=False)
        if at[stars] in layers and (len(at) <= stars + 1 or at[stars + 1] in mine)
    ]


def _is_here(end: End | None, model: Model, rank: Rank, made: MemoryPlan) -> bool:
    """Whether a tensor outside of the layers is read on a rank's stage."""
    role = end.role.name if end is not None else ""
    is_last = rank.stage == made.ask.parallel.pp - 1
    if role in ("norm", "lm_head"):
        return is_last and not (role == "lm_head" and model.facts.is_tied)
    return rank.stage == 0 or (role == "embedding" and model.facts.is_tied and is_last)


def _rank_rows(reads: list[tuple[Rank, Read]]) -> Iterator[Row]:
    for rank, read in reads:
        who = f"ranks {rank.alike}" if len(rank.alike) > 1 else f"rank {rank.rank}"
        count = len([size for size in read.files.values() if size])
        how = f"what its cut leaves of each tensor, in {count:,} files"
        yield Row(f"{who}: must read", read.nbytes, "B", how, "engine")
        if read.pages != read.nbytes:
            how = f"pieces of rows in whole pages of {PAGE:,} B"
            yield Row(f"{who}: with whole pages", read.pages, "B", how, "estimated")


def _host_rows(model: Model, table: TensorTable, made: MemoryPlan) -> Iterator[Row]:
    """Memory of the host, and tensors that can't be used where they lie."""
    largest = max((kind.nbytes for kind in table.kinds), default=0)
    how = f"{largest:,} B of the largest tensor on each of {made.cards} ranks, files mapped"
    yield Row("host memory peak", largest * made.cards, "B", how, "estimated")
    total = sum(shard.file_size for shard in table.shards)
    yield Row("page cache", total, "B", "all files, where it is to be read once", "exact")
    count = nbytes = 0
    for shard in table.shards:
        start = 8 + shard.header_size
        for row in shard.rows:
            kind = table.kinds[table.codes[row]]
            width = (kind.dtype.bits or 8) // 8
            if width > 1 and (start + table.starts[row]) % width:
                count += 1
                nbytes += kind.nbytes
    yield Row("unaligned tensors", count, "", "not at a multiple of their element's size", "exact")
    if count:
        yield Row("copied for alignment", nbytes, "B", "their bytes, once on each rank", "exact")


def _seconds(table: TensorTable, reads: list[tuple[Rank, Read]], asked: LoadAsk) -> Iterator[Row]:
    if not asked.rate:
        return
    total = sum(shard.file_size for shard in table.shards)
    rate = f"{asked.rate:,} B/s"
    how = f"{total:,} B / {rate}: all ranks on one host, each byte read once"
    yield Row("one disk for all ranks", total / asked.rate, "s", how)
    most = max((read.nbytes for _, read in reads), default=0)
    how = f"{most:,} B / {rate}: what the busiest rank must read"
    yield Row("a link for each rank", most / asked.rate, "s", how)
    how = f"{total:,} B / {rate}: a rank that reads every tensor whole, as engines do by default"
    yield Row("a link for each rank, whole tensors", total / asked.rate, "s", how)


def _file_rows(table: TensorTable, reads: list[tuple[Rank, Read]]) -> Iterator[Row]:
    for rank, read in reads:
        for number, nbytes in sorted(read.files.items()):
            shard = table.shards[number]
            how = f"of {shard.data_size:,} B"
            yield Row(f"rank {rank.rank} from {shard.path}", nbytes, "B", how, "engine")


def _notes(made: MemoryPlan, asked: LoadAsk) -> Iterator[str]:
    if not asked.rate:
        yield "no rate is given; --load-rate 2GB/s says how long it takes"
    if made.ask.parallel.ep > 1:
        yield "ranks that hold other experts read as much, from other files"
