"""Families: the tensors that share a pattern, a dtype and a shape.

91,991 tensors of DeepSeek-V3 are 43 families, and people read families. Names are grouped by their
skeletons, the name with every digit written as 0: names with one skeleton are equally long and
have their indices at the same places, where C-level slicing finds them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product, repeat
from math import prod
from operator import itemgetter
from typing import NamedTuple

from ckptscan.dtypes import DType
from ckptscan.header import Kind
from ckptscan.names import IndexSet, escape, is_index, natural_key, split_stars
from ckptscan.structure.numbered import collapse_numbered
from ckptscan.table import TensorTable

MAX_INDICES = 8  # of one name; further ones are part of it. Real names have up to 4

_TO_ZERO = str.maketrans("123456789", "000000000")


@dataclass(frozen=True, slots=True)
class Family:
    """Tensors of one component that share pattern, dtype, shape and size.

    `axes` gives one IndexSet for each star of the pattern. Where the tensors are not the full
    product of the axes, `instances` lists the index tuples that exist, in order; else it is None.
    `copies` is how often each name stands in the files (tensor-parallel parts), 1 as a rule.
    `rows` are the rows of the table.
    """

    pattern: str
    kind: Kind
    rows: Sequence[int]
    axes: tuple[IndexSet, ...]
    instances: tuple[tuple[int, ...], ...] | None = None
    copies: int = 1
    component: str = ""

    @property
    def dtype(self) -> DType:
        """The element type of every tensor of the family."""
        return self.kind.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of every tensor of the family."""
        return self.kind.shape

    @property
    def count(self) -> int:
        """How many tensors there are."""
        return len(self.rows)

    @property
    def numel(self) -> int:
        """Elements of all tensors together."""
        return self.count * self.kind.numel

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors together."""
        return self.count * self.kind.nbytes

    def indices(self) -> Iterator[tuple[int, ...]]:
        """The index tuples that exist, in order."""
        return iter(self.instances) if self.instances is not None else product(*self.axes)


class _Block(NamedTuple):
    """Rows of one pattern; for each star the slice of the names that holds its index.

    A star that stands for a number inside a segment (`expert_7`) has the number as text instead,
    the same for all rows.
    """

    rows: Sequence[int]
    stars: tuple[slice | str, ...]

    def column(self, star: int, names: Sequence[str]) -> Iterable[str]:
        """The index texts of one star, row by row; `names` are those of the rows."""
        where = self.stars[star]
        return (
            repeat(where, len(names)) if isinstance(where, str) else map(itemgetter(where), names)
        )


_Groups = dict[tuple[str, int], list[_Block]]


def find_families(table: TensorTable, rows: Sequence[int] | None = None) -> list[Family]:
    """The families of a table, or of some of its rows, in natural order of their patterns.

    Components of a pipeline have families of their own, in the order of the shards.
    """
    families: list[Family] = []
    for component, members in _components(table, rows).items():
        is_whole = len(members) == len(table)
        names = table.names if is_whole else [table.names[row] for row in members]
        codes = table.codes if is_whole else [table.codes[row] for row in members]
        found: list[Family] = []
        for (pattern, code), blocks in _groups(names, codes).items():
            has_repeats = component in table.repeating
            found += _split(pattern, table.kinds[code], blocks, names, has_repeats)
        if not is_whole or component:
            found = [
                replace(one, rows=[members[row] for row in one.rows], component=component)
                for one in found
            ]
        families += sorted(found, key=_order)
    return families


def _components(table: TensorTable, rows: Sequence[int] | None) -> dict[str, Sequence[int]]:
    """The rows of each component, in the order of the shards."""
    components = dict.fromkeys(shard.component for shard in table.shards)
    if rows is None and len(components) < 2:
        return dict.fromkeys(components, range(len(table)))
    members: dict[str, list[int]] = {component: [] for component in components}
    wanted = None if rows is None else set(rows)
    for shard in table.shards:
        kept = shard.rows if wanted is None else [row for row in shard.rows if row in wanted]
        members[shard.component].extend(kept)
    return dict(members)


def _groups(names: Sequence[str], codes: Sequence[int]) -> _Groups:
    """Rows grouped by pattern and kind."""
    joined = "\n".join(names)
    skeletons = joined.translate(_TO_ZERO).split("\n")
    if len(skeletons) != len(names):  # a name holds a line break
        skeletons = [name.translate(_TO_ZERO) for name in names]
    alike: dict[tuple[str, int], list[int]] = defaultdict(list)
    for row, key in enumerate(zip(skeletons, codes, strict=True)):
        alike[key].append(row)
    groups: _Groups = defaultdict(list)
    for (skeleton, code), rows in alike.items():
        for pattern, block in _blocks(skeleton, rows, names):
            groups[pattern, code].append(block)
    return _with_numbered(groups)


def _with_numbered(groups: _Groups) -> _Groups:
    """The groups with `expert_0`, `expert_1` ... as one pattern, where the guard allows it."""
    renamed = collapse_numbered({pattern for pattern, _ in groups})
    if not renamed:
        return groups
    merged: _Groups = defaultdict(list)
    for (pattern, code), blocks in groups.items():
        new, numbers = renamed.get(pattern, (pattern, ()))
        for block in blocks:
            stars = list(block.stars)
            for place, number in numbers:
                stars.insert(place, number)
            merged[new, code].append(_Block(block.rows, tuple(stars)))
    return merged


def _blocks(skeleton: str, rows: list[int], names: Sequence[str]) -> Iterator[tuple[str, _Block]]:
    """The rows of one skeleton, by pattern: names may differ in digits that are no indices."""
    indices: list[slice] = []
    literal: list[slice] = []
    start = 0
    for segment in skeleton.split("."):
        place = slice(start, start + len(segment))
        if is_index(segment) and len(indices) < MAX_INDICES:
            indices.append(place)
        elif "0" in segment:
            literal.append(place)
        start += len(segment) + 1
    stars = tuple(indices)
    if not literal:
        yield _pattern(names[rows[0]], stars), _Block(rows, stars)
        return
    told_apart = itemgetter(*literal)
    by_text: dict[object, list[int]] = defaultdict(list)
    for row in rows:
        by_text[told_apart(names[row])].append(row)
    for same in by_text.values():
        yield _pattern(names[same[0]], stars), _Block(same, stars)


def _pattern(name: str, stars: Iterable[slice]) -> str:
    pieces, reached = [], 0
    for star in stars:
        pieces.append(escape(name[reached : star.start]))
        reached = star.stop
    return "*".join([*pieces, escape(name[reached:])])


def _split(
    pattern: str, kind: Kind, blocks: list[_Block], names: Sequence[str], has_repeats: bool
) -> Iterator[Family]:
    """The families of one pattern and kind: one, but for oddly zero-padded indices."""
    texts: list[set[str]] = [set() for _ in blocks[0].stars]
    for block in blocks:
        held = [names[row] for row in block.rows]
        for star, seen in enumerate(texts):
            seen.update(block.column(star, held))
    widths = [_width(seen) for seen in texts]
    if -1 in widths:
        for text_pattern, apart in _without_star(pattern, blocks, names, widths.index(-1)):
            yield from _split(text_pattern, kind, apart, names, has_repeats)
        return
    rows = list(chain.from_iterable(block.rows for block in blocks))
    axes = tuple(
        IndexSet.of(map(int, seen), width) for seen, width in zip(texts, widths, strict=True)
    )
    if len(rows) == prod(map(len, axes)) and not has_repeats:
        yield Family(pattern, kind, rows, axes)
        return
    instances = _instances(blocks, names)
    if not has_repeats:
        yield Family(pattern, kind, rows, axes, tuple(instances))
        return
    distinct = tuple(dict.fromkeys(instances))
    copies = len(instances) // len(distinct)
    if instances != [instance for instance in distinct for _ in range(copies)]:
        yield Family(pattern, kind, rows, axes, tuple(instances))
    elif len(distinct) == prod(map(len, axes)):
        yield Family(pattern, kind, rows, axes, None, copies)
    else:
        yield Family(pattern, kind, rows, axes, distinct, copies)


def _instances(blocks: Iterable[_Block], names: Sequence[str]) -> list[tuple[int, ...]]:
    """The index tuples of all rows, in order, with repeats."""
    found: list[tuple[int, ...]] = []
    for block in blocks:
        held = [names[row] for row in block.rows]
        columns = [map(int, block.column(star, held)) for star in range(len(block.stars))]
        found += zip(*columns, strict=True) if columns else [()] * len(held)
    return sorted(found)


def _width(texts: Iterable[str]) -> int:
    """The zero padding of these indices: 0 for none, -1 where some are padded and some not."""
    if not any(text[0] == "0" and len(text) > 1 for text in texts):
        return 0
    lengths = {len(text) for text in texts}
    return lengths.pop() if len(lengths) == 1 else -1


def _without_star(
    pattern: str, blocks: Iterable[_Block], names: Sequence[str], star: int
) -> Iterator[tuple[str, list[_Block]]]:
    """The blocks again, with a star that holds both `7` and `07` written out where padded."""
    pieces = split_stars(pattern)
    apart: dict[str, list[_Block]] = defaultdict(list)
    for block in blocks:
        held = [names[row] for row in block.rows]
        by_text: dict[str, list[int]] = defaultdict(list)
        for row, text in zip(block.rows, block.column(star, held), strict=True):
            by_text[text if text[0] == "0" and len(text) > 1 else "*"].append(row)
        for text, rows in by_text.items():
            stars = block.stars if text == "*" else block.stars[:star] + block.stars[star + 1 :]
            apart[text].append(_Block(rows, stars))
    for text, kept in apart.items():
        before, after = "*".join(pieces[: star + 1]), "*".join(pieces[star + 1 :])
        yield f"{before}{text}{after}", kept


def _order(family: Family) -> tuple[object, ...]:
    return natural_key(family.pattern), next(family.indices()), family.shape
