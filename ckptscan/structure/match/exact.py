"""Tensors of the same name, packed or not; the names of wrappers do not count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from ckptscan.structure.match.regions import Indices, Region
from ckptscan.structure.match.values import LAYERS, NAME, Match, Part, Side, Unit

# pairs of families of one name that are tried one by one; more are found tuple by tuple
_MOST_PAIRS = 64

Segments = tuple[str, ...]


def match_names(a: Side, b: Side) -> Iterator[Match]:
    """Matches of tensors that have one name and one number, after layers were renumbered."""
    for one, two in same_named(a, b, list(a.open()), list(b.open()), lambda found: found):
        is_sure = has_rank_of(one.unit, two.unit)
        for mine, other, how in by_number(one, two):
            yield Match((mine,), (other,), how, is_sure=is_sure)


def by_number(one: Part, two: Part) -> Iterator[tuple[Part, Part, str]]:
    """Equally named parts, those apart whose layers have another number in B."""
    numbers = two.unit.numbers
    if not numbers or not one.region.arity:
        yield one, two, NAME
        return
    held = one.region.axes[0]
    kept = frozenset(number for number in held if numbers.get(number, number) == number)
    for some, how in ((kept, NAME), (held - kept, LAYERS)):
        if some:
            region = one.region.narrowed(0, some)
            yield one._replace(region=region), two._replace(region=region), how


def same_named(
    a: Side,
    b: Side,
    ours: Sequence[Unit],
    theirs: Iterable[Unit],
    rename: Callable[[Segments], Segments],
) -> Iterator[tuple[Part, Part]]:
    """Parts of A and B that have one name once A's is renamed; takes them from both sides."""
    by_name: dict[Segments, list[Unit]] = defaultdict(list)
    for unit in theirs:
        by_name[unit.segments].append(unit)
    together: dict[Segments, list[Unit]] = defaultdict(list)
    for unit in ours:
        renamed = rename(unit.segments)
        if renamed in by_name:
            together[renamed].append(unit)
    for name, some in together.items():
        others = by_name[name]
        if len(some) * len(others) > _MOST_PAIRS:
            yield from _by_tuple(a, b, some, others)
            continue
        for one in some:
            for two in others:
                common = a.left(one).meet(b.left(two))
                if len(common) and not is_other_thing(one, two):
                    yield a.take(one, common), b.take(two, common)


def _by_tuple(
    a: Side, b: Side, some: Iterable[Unit], others: Iterable[Unit]
) -> Iterator[tuple[Part, Part]]:
    """The same for very many families of one name, each with few tensors."""
    holder: dict[Indices, Unit] = {}
    for two in others:
        holder.update(dict.fromkeys(b.left(two), two))
    for one in some:
        met: dict[int, tuple[Unit, list[Indices]]] = {}
        for indices in a.left(one):
            two_ = holder.get(indices)
            if two_ is not None and not is_other_thing(one, two_):
                met.setdefault(id(two_), (two_, []))[1].append(indices)
        for two, held in met.values():
            common = Region.of(held, one.region.arity).meet(b.left(two))
            if len(common):
                yield a.take(one, common), b.take(two, common)


def is_other_thing(one: Unit, two: Unit) -> bool:
    """Whether two tensors of one name are for different things: a buffer and a bias."""
    return one.role.name != two.role.name and not has_rank_of(one, two)


def has_rank_of(one: Unit, two: Unit) -> bool:
    """Whether both have as many dimensions, as far as that is known."""
    return one.shape is None or two.shape is None or len(one.shape) == len(two.shape)
