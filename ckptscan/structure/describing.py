"""Checkpoint -> Structure: families, tree, what each tensor means, the layers and their sums."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ckptscan.checkpoint import Checkpoint, no_collection
from ckptscan.config import Config
from ckptscan.names import fill
from ckptscan.structure.added_bias import mark_added_biases
from ckptscan.structure.attention import find_attention
from ckptscan.structure.classes import ModuleClass
from ckptscan.structure.counting import count, ends
from ckptscan.structure.families import Family, find_families
from ckptscan.structure.feed_forward import find_feed_forward
from ckptscan.structure.layers import Layers, find_layers
from ckptscan.structure.modules import Annotator, Packed
from ckptscan.structure.mtp import move_mtp
from ckptscan.structure.naming import name_classes
from ckptscan.structure.quantization import least_sure, summarize
from ckptscan.structure.scene import Scene, quantization_of
from ckptscan.structure.summary import DTypeUse, FamilyKey, FileUse, Structure, key_of, without
from ckptscan.structure.tree import MTP, End, Node, build_tree
from ckptscan.structure.wrappers import Wrapper, unwrap
from ckptscan.table import TensorTable

# what tensors mean is told up to here, 0.2 ms each; no known model has more than 400
MAX_FAMILIES = 20_000
# where families stand in the tree: 61 layers of 256 experts, each of another form, are 50,000
MAX_PLACES = 100_000
_Peeked = Mapping[str, Mapping[str, object]]


def describe(
    checkpoint: Checkpoint,
    matches: Callable[[str], bool] | None = None,
    peeked: Mapping[str, Mapping[str, object]] | None = None,
) -> Structure:
    """The structure of a checkpoint, or of the tensors whose names match.

    What tensors mean is told from all of them also where few match. `peeked` are values read from
    tensors, by component and name (see `checkpoint.peek`).
    """
    with no_collection():
        table, title = checkpoint.table, checkpoint.origin.title
        families = tuple(find_families(table))
        shown, wrappers = unwrap(families)
        tree = build_tree(families, title, shown)
        places = sum(1 for _ in ends(tree))
        if len(families) > MAX_FAMILIES:
            whole = _unexplained(tree, f"{len(families):,} families")
        elif places > MAX_PLACES:
            whole = _unexplained(tree, f"{places:,} places of tensors")
        else:
            whole = _annotated(checkpoint, tree, _unwrapped(peeked or {}, families, shown))
        rows = None
        if matches is not None:
            rows = tuple(row for row, name in enumerate(table.names) if matches(name))
            families = tuple(find_families(table, rows))
            whole = whole.narrowed(build_tree(families, title, shown))
        return _structure(checkpoint, rows, families, wrappers, whole)


def describe_like(checkpoint: Checkpoint, other: Structure) -> Structure:
    """The structure of a checkpoint; where it says the same as one that is described, at once.

    Names, dtypes, shapes and config decide; where the tensors lie in which files does not.
    """
    if other.rows is not None or not _says_the_same(checkpoint, other.checkpoint):
        return describe(checkpoint)
    return replace(
        other,
        checkpoint=checkpoint,
        tree=replace(other.tree, label=checkpoint.origin.title),
        files=tuple(_files(checkpoint.table, None)),
    )


def _says_the_same(one: Checkpoint, two: Checkpoint) -> bool:
    """Whether all is equal that a structure is told from."""
    ours, theirs = one.table, two.table
    try:
        is_said_alike = _said(one) == _said(two)
    except RecursionError:  # nested deeper than can be written
        return False
    return is_said_alike and (
        (ours.kinds, ours.repeating, one.parts) == (theirs.kinds, theirs.repeating, two.parts)
        and ours.codes == theirs.codes
        and ours.names == theirs.names
        and _components(ours) == _components(theirs)
    )


def _components(table: TensorTable) -> dict[str, list[range]]:
    """The rows of each component of a pipeline, file by file where there are several."""
    found: dict[str, list[range]] = {}
    for shard in table.shards:
        found.setdefault(shard.component, []).append(shard.rows)
    return found if len(found) > 1 else {name: [] for name in found}


def _said(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    """What the configs say, as text: 1, 1.0 and true are equal values, and mean other things."""
    configs = {"": checkpoint.config, **checkpoint.configs}
    return [(name, repr(config.documents)) for name, config in configs.items()]


def _structure(
    checkpoint: Checkpoint,
    rows: tuple[int, ...] | None,
    families: tuple[Family, ...],
    wrappers: tuple[Wrapper, ...],
    whole: _Annotated,
) -> Structure:
    """Everything that follows from an annotated tree."""

    def config_of(path: str) -> Config:
        return checkpoint.config_of(path.partition("/")[0])

    config = checkpoint.config
    layers = tuple(find_layers(whole.main))
    drafting = tuple(_within_mtp(whole.mtp)) if whole.mtp else ()
    attention, against = find_attention(layers, config_of)
    of_mtp = [one._replace(is_mtp=True) for one in find_attention(drafting, config_of)[0]]
    known = () if whole.is_explained else ("assumed",)
    label = least_sure((*known, *(one.packing.numel_label for one in whole.packed)))
    parameters = count(whole.tree, whole.mtp, config, label)
    method = quantization_of(config, "").get("quant_method")
    declared = method if isinstance(method, str) else None
    return Structure(
        checkpoint,
        rows,
        families,
        whole.tree,
        (*layers, *drafting),
        _dtypes(families),
        tuple(_files(checkpoint.table, rows)),
        whole.mtp,
        wrappers,
        whole.meanings,
        parameters,
        summarize(whole.packed, declared, whole.problems),
        (*attention, *of_mtp),
        find_feed_forward(layers, config_of),
        (*whole.problems, *against, *parameters.problems),
        {key_of(one.family): one.packing for one in whole.packed},
    )


def _within_mtp(mtp: Node) -> Iterator[Layers]:
    """The containers of what drafts tokens, told apart from the model's own."""
    for one in find_layers(Node.of("", [mtp])):
        yield replace(one, within=", ".join(filter(None, (MTP, one.within))))


class _Annotated(NamedTuple):
    """An annotated tree and what was found on the way."""

    tree: Node
    mtp: Node | None
    packed: Sequence[Packed]
    problems: Sequence[str]
    meanings: Mapping[FamilyKey, End]
    is_explained: bool = True

    @property
    def main(self) -> Node:
        """The tree without what drafts tokens."""
        return without(self.tree, self.mtp)

    def narrowed(self, tree: Node) -> _Annotated:
        """What was found, for a tree of some of the families."""
        kinds: dict[str, ModuleClass | None] = {}
        waiting = [self.tree]
        while waiting:
            node = waiting.pop()
            kinds[node.path] = node.kind if kinds.get(node.path, node.kind) == node.kind else None
            waiting += node.children
        paths = {path for path, kind in kinds.items() if kind is not None}
        tree = _reapplied(tree, self.meanings, {path: kinds[path] for path in paths})
        packed = list(_narrowed(self.packed, ends(tree)))
        tree, mtp = move_mtp(tree)
        return self._replace(tree=tree, mtp=mtp, packed=packed)


def _narrowed(packed: Iterable[Packed], shown: Iterable[End]) -> Iterator[Packed]:
    """The packed weights that are shown, as often as they are."""
    counts: Counter[FamilyKey] = Counter()
    for end in shown:
        counts[key_of(end.family)] += end.instances
    for one in packed:
        times = counts.pop(key_of(one.family), 0)
        if times:
            yield one._replace(times=times)


def _reapplied(
    node: Node, meanings: Mapping[FamilyKey, End], kinds: Mapping[str, ModuleClass | None]
) -> Node:
    """A tree with what is known of its families and paths from a larger one."""
    children = [_reapplied(child, meanings, kinds) for child in node.children]
    own = []
    for end in node.ends:
        known = meanings.get(key_of(end.family), end)
        own.append(end._replace(role=known.role, shape=known.shape, each=known.each))
    kind = kinds.get(node.path) if node.path else None
    return Node.of(node.label, children, own, node.path, node.repeat, kind)


def _unwrapped(
    peeked: _Peeked, families: Iterable[Family], shown: Mapping[tuple[str, str], Sequence[str]]
) -> _Peeked:
    """Values by the names under which tensors stand in the tree."""
    found = {component: dict(values) for component, values in peeked.items()}
    for family in families if found else ():
        values = found.get(family.component, {})
        pattern = ".".join(shown[family.component, family.pattern])
        for indices in family.indices() if values and pattern != family.pattern else ():
            stored = fill(family.pattern, indices, family.axes)
            if stored in values:
                values[fill(pattern, indices, family.axes)] = values.pop(stored)
    return found


def _unexplained(tree: Node, too_many: str) -> _Annotated:
    """The tree of a checkpoint that is like no model: every element is taken for a parameter."""
    tree = _taken(tree)
    problem = f"{too_many}, more than any model has; not told what tensors are for"
    return _Annotated(tree, None, (), (problem,), _meanings(tree), is_explained=False)


def _taken(node: Node) -> Node:
    children = [_taken(child) for child in node.children]
    own = [end._replace(shape=end.family.shape, each=end.family.kind.numel) for end in node.ends]
    return node.holding(children, own)


def _annotated(checkpoint: Checkpoint, tree: Node, peeked: _Peeked) -> _Annotated:
    """The tree with classes, roles and counts; each component of a pipeline by its own config."""
    annotator = Annotator()
    if checkpoint.configs:
        children = []
        for child in tree.children:
            config = checkpoint.config_of(child.path)
            annotator.peeked = peeked.get(child.path, {})
            annotated = annotator.annotate(child, Scene(config))
            children.append(name_classes(mark_added_biases(annotated, config), config))
        tree = tree.holding(children)
    else:
        config = checkpoint.config
        annotator.peeked = peeked.get("", {})
        tree = annotator.annotate(tree, Scene(config))
        tree = name_classes(mark_added_biases(tree, config), config)
    tree, mtp = move_mtp(tree)
    return _Annotated(tree, mtp, annotator.packed, annotator.problems, _meanings(tree))


def _meanings(tree: Node) -> dict[FamilyKey, End]:
    """What each family means; shape and count are unknown where its places do not agree."""
    found: dict[FamilyKey, End] = {}
    for end in ends(tree):
        before = found.setdefault(key_of(end.family), end)
        if (before.shape, before.each) != (end.shape, end.each):
            found[key_of(end.family)] = before._replace(shape=None, each=None)
    return found


def _files(table: TensorTable, rows: Sequence[int] | None) -> Iterator[FileUse]:
    """The files of a table; of some of its rows, those that hold one."""
    for shard in table.shards:
        tensors, nbytes = len(shard.rows), shard.data_size
        if rows is not None:
            first, last = (bisect_left(rows, end) for end in (shard.rows.start, shard.rows.stop))
            tensors = last - first
            nbytes = sum(table.kinds[table.codes[row]].nbytes for row in rows[first:last])
        if tensors or rows is None:
            yield FileUse(
                shard.path,
                shard.file_size,
                shard.header_size,
                tensors,
                nbytes,
                shard.digest,
                shard.metadata,
            )


def _dtypes(families: tuple[Family, ...]) -> tuple[DTypeUse, ...]:
    """Use of each dtype, the one with most bytes first."""
    used: dict[str, DTypeUse] = {}
    for family in families:
        name = family.dtype.name
        before = used.get(name, DTypeUse(name, 0, 0, 0))
        used[name] = DTypeUse(
            name,
            before.tensors + family.count,
            before.numel + family.numel,
            before.nbytes + family.nbytes,
        )
    return tuple(sorted(used.values(), key=lambda use: (-use.nbytes, use.dtype)))
