"""Numbers that are missing between others: layers (S004), experts (S005)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise, product
from math import gcd

from ckptscan.checks.evidence.siblings import Siblings, all_siblings, contents, indices
from ckptscan.checks.values import INFERRED, PROVED, Check, Finding, Subject, Where
from ckptscan.names import IndexSet
from ckptscan.structure import Node, Structure

_MIN_LAYERS = 5
_MOST_FAR = 2  # layers with a number far beyond the others
_MOST_LAYERS = 100_000  # containers with more children are looked at no further


def _layer_gaps(subject: Subject) -> Iterator[Finding]:
    """Numbers are missing in a row of layers.

    What it finds: A container of at least five blocks whose indices leave some out, not at regular
    steps and not more than a quarter of them.
    Why it matters: A partial upload, or a pruned or merged model that was not renumbered: loaders
    make a layer with random weights in the gap.
    Example: model.layers has 0-16 and 18-31; 17 is missing.
    What to do: Fetch the shard with that layer, or renumber the layers and change
    num_hidden_layers.
    """
    for siblings in all_siblings(subject.structure):
        if siblings.is_experts:
            continue
        held = IndexSet.of(index for kind in siblings.kinds for index in indices(kind))
        missing = _gap(held)
        if missing is None or not _are_blocks(siblings):
            continue
        own = (*map(str, siblings.outer), str(missing))
        yield GAP.finding(
            f"{siblings.path}: {missing} missing between {held}",
            Where(pattern=siblings.path, indices=own, count=len(missing)),
            confidence=PROVED,
            hint="is a shard missing? a pruned model has to be renumbered",
            expected=f"{held.ranges[0][0]}-{held.ranges[-1][1]}",
            seen=str(held),
        )


def _gap(held: IndexSet) -> IndexSet | None:
    """The numbers left out, None where the row has no gap or is none by nature."""
    if not _MIN_LAYERS <= len(held) <= _MOST_LAYERS or len(held.ranges) < 2:
        return None
    held = _without_far(held)
    first, last = held.ranges[0][0], held.ranges[-1][1]
    left_out = last - first + 1 - len(held)
    if not 0 < 4 * left_out <= last - first + 1:
        return None
    own = set(held)
    missing = [index for index in range(first, last + 1) if index not in own]
    steps = {after - before for before, after in pairwise(missing)}
    is_regular = len(missing) > 2 and len(steps) == 1 and gcd(*steps) > 1
    return None if is_regular else IndexSet.of(missing)


def _without_far(held: IndexSet) -> IndexSet:
    """The row without one or two far numbers, where as many are missing in it."""
    *body, (start, end) = held.ranges
    far = end - start + 1
    if far > _MOST_FAR or start - body[-1][1] <= len(held) or len(held) - far < _MIN_LAYERS:
        return held
    is_hole = body[-1][1] - body[0][0] + 1 - (len(held) - far) == far
    return IndexSet.of(index for index in held if index < start) if is_hole else held


def _are_blocks(siblings: Siblings) -> bool:
    """Whether the children are blocks of several modules, most of them of one or two kinds."""
    counts = sorted((len(indices(kind)) for kind in siblings.kinds), reverse=True)
    held = [contents(kind) for kind in siblings.kinds[:8]]
    most = max(map(len, held))
    is_single = all("." not in suffix for names in held for suffix in names)  # batch norms: five
    is_block = (most >= 4 and not is_single) or (most >= 2 and len(siblings.kinds) == 1)
    return is_block and 2 * sum(counts[:4]) > sum(counts)


def _expert_gaps(subject: Subject) -> Iterator[Finding]:
    """Layers do not hold all the experts that their router chooses from.

    What it finds: Experts that the rows of the layer's router, or the other layers, say should be
    there.
    Why it matters: Saved by one rank of an expert-parallel run, or cut short: the router sends
    tokens to experts that are not there (KempnerForge#202, NVIDIA/Megatron-LM#5844).
    Example: model.layers.3.mlp.experts lacks 17; its router has 128 rows, and 127 experts are
    there.
    What to do: Save the experts of all ranks, or take the missing shard again.
    """
    structure = subject.structure
    by_path: dict[str, dict[tuple[int, ...], set[int]]] = {}
    for siblings in all_siblings(structure):
        if siblings.is_experts:
            places = by_path.setdefault(siblings.path, {})
            held = [index for kind in siblings.kinds for index in indices(kind)]
            for outer in product(*siblings.outer):
                places.setdefault(outer, set()).update(held)
    routers = _router_rows(structure) if by_path else {}
    for path, places in by_path.items():
        yield from _incomplete(path, places, routers)


def _incomplete(
    path: str, places: Mapping[tuple[int, ...], set[int]], routers: Mapping[tuple[str, int], int]
) -> Iterator[Finding]:
    """A finding for each set of layers that lack the same experts."""
    usual = Counter(map(frozenset, places.values())).most_common(1)[0]
    is_rule = 2 * usual[1] > len(places) and len(places) > 2
    layers = path[: path.find("*") + 1]
    alike: dict[tuple[tuple[int, ...], str, str], list[tuple[int, ...]]] = {}
    for outer, held in places.items():
        rows = routers.get((layers, outer[0])) if outer else None
        if rows is not None and held and _may_be_routed(rows, held):
            lost = set(range(rows)) - held
            source, severity = f"{rows} rows of the router", "error"
        elif _has_hole(held):
            lost = set(range(min(held), max(held))) - held
            source, severity = "a row without a gap", "error"
        else:
            lost = set(usual[0]) - held if is_rule else set()
            source, severity = f"{len(usual[0])} experts in other layers", "warning"
        if lost:
            alike.setdefault((tuple(sorted(lost)), source, severity), []).append(outer)
    for (numbers, source, severity), outers in alike.items():
        missing = IndexSet.of(numbers)
        axes = [IndexSet.of(at) for at in zip(*outers, strict=True)]
        own = tuple(map(str, (*axes, missing)))
        held = places[outers[0]]
        yield EXPERTS.finding(
            f"{path}: experts {missing} missing" + (f" in {axes[0]}" if axes else ""),
            Where(pattern=path, indices=own, count=len(numbers) * len(outers)),
            severity=severity,
            confidence=PROVED if severity == "error" else INFERRED,
            hint="were the experts of every rank saved? is a shard missing?",
            expected=source,
            seen=f"{len(held)} experts: {IndexSet.of(held)}",
        )


def _may_be_routed(rows: int, held: set[int]) -> bool:
    """Whether the router's rows can be these experts: LongCat routes to experts without weights."""
    return max(held) < rows and (2 * len(held) > rows) and not _is_prefix(rows, held)


def _is_prefix(rows: int, held: set[int]) -> bool:
    return len(held) == max(held) + 1 and rows - len(held) > max(2, rows // 8)


def _has_hole(held: set[int]) -> bool:
    span = max(held) - min(held) + 1 if held else 0
    return len(held) > 3 and len(held) < span < 2 * len(held)


def _router_rows(structure: Structure) -> dict[tuple[str, int], int]:
    """The rows of the router in each layer, by the path of the layers and the index."""
    found: dict[tuple[str, int], int] = {}
    waiting: list[tuple[Node, str, IndexSet | None]] = [(structure.tree, "", None)]
    while waiting:
        node, layers, own = waiting.pop()
        if own is None and node.repeat is not None:
            layers, own = node.path, node.repeat
        for end in node.ends:
            shape = end.family.shape
            if own is not None and end.role.name == "router" and len(shape) == 2:
                for index in own:
                    found.setdefault((layers, index), shape[0])
        waiting += [(child, layers, own) for child in node.children]
    return found


GAP = Check("S004", "layer-gap", "error", _layer_gaps)
EXPERTS = Check("S005", "missing-expert", "error", _expert_gaps)
CHECKS: tuple[Check, ...] = (GAP, EXPERTS)
