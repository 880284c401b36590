"""What odd children have otherwise than their siblings, and how sure it is that this is a fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ckptscan.checks.evidence.outliers import Odd, find_odd
from ckptscan.checks.evidence.siblings import (
    DTYPE,
    ENTRY_NORM,
    EXPERTS,
    EXTRA,
    MISSING,
    SHAPE,
    Difference,
    Held,
    Siblings,
    all_siblings,
    contents,
    differences,
    indices,
)
from ckptscan.checks.values import INFERRED, PROVED
from ckptscan.late import Late
from ckptscan.names import IndexSet
from ckptscan.structure import Node, Structure

# leaves that keep the books of a packed weight, or hold one: the Q checks speak of them
BOOKS = frozenset(
    "scales qzeros g_idx zeros weight_scale weight_scale_inv weight_scale_2 scale_weight "
    "weight_scales weight_zero_point weight_g_idx weight_shape weight_global_scale input_scale "
    "input_global_scale absmax quant_map nested_absmax nested_quant_map SCB weight_format "
    "bitsandbytes__nf4 bitsandbytes__fp4 k_scale v_scale kv_scale q_scale scale_input "
    "activation_scale output_scale input_zero_point scale_inv biases".split()
)
_PACKED = frozenset("qweight weight_packed W_q codes weight_qdata".split())
# the projections of one block: with two of them there, the others are not optional
_SETS = tuple(
    frozenset(line.split())
    for line in (
        "q k v o",
        "gate up down",
        "gate_up down",
        "qkv o",
        "q_a q_b kv_a kv_b o",
        "q kv_a kv_b o",
        "shared_expert.gate shared_expert.up shared_expert.down",
        "expert.gate expert.up expert.down",
    )
)
_PROJECTIONS = frozenset().union(*_SETS, ("expert.gate_up", "shared_expert.gate_up"))
# embeddings.norm, embeddings.LayerNorm, word_embeddings_layernorm
_EMBEDDING_NORM = Late(r"(?i)(?:^|[._])embed[^*]*norm[^*]*$")
_SINGLE = 2  # names of one module: weight and bias
_MOST_CHANGES = 3  # names that an odd child may have otherwise where its layout proves little


class Judged(NamedTuple):
    """Differences of one odd kind of child; `own` are its indices in `siblings`."""

    siblings: Siblings
    own: IndexSet
    differences: tuple[Difference, ...]
    severity: str
    confidence: str


def judged(structure: Structure) -> Iterator[Judged]:
    """All that odd children have otherwise, but for the books of packed weights."""
    is_normed = any(_EMBEDDING_NORM.search(family.pattern) for family in structure.families)
    for siblings in all_siblings(structure):
        if len(siblings.kinds) < 2:
            continue
        found = _of_experts(siblings) if siblings.is_experts else _of_layers(siblings)
        for one in found:
            kept = tuple(_without_books(one.differences))
            if one.own and not siblings.is_experts and one.own.ranges[0][0] == 0:
                kept = tuple(each for each in kept if not _is_of_the_first(each, is_normed))
            if kept:
                yield one._replace(differences=kept)


def _is_of_the_first(one: Difference, is_normed: bool) -> bool:
    """Whether first layers lack this by design.

    A norm at their entry, where the embedding has a norm of its own (ModernBERT); a vector that
    weighs what the layer before has left behind (Zaya), which is no weight and no bias.
    """
    if one.what != MISSING:
        return False
    leaf, shape = leaf_of(one.suffix), one.end.family.shape
    if one.role == "norm":
        return is_normed and ENTRY_NORM.search(module_of(one.suffix)) is not None
    is_vector = len(shape) < 2 and leaf not in ("weight", "bias")
    return is_vector and one.role in _PROJECTIONS | {"router", "other"}


def _of_experts(siblings: Siblings) -> Iterator[Judged]:
    """Experts of one layer are all alike; the kind of more than half of them is the rule."""
    most = max(siblings.kinds, key=lambda kind: len(indices(kind)))
    total = sum(len(indices(kind)) for kind in siblings.kinds)
    if 2 * len(indices(most)) <= total or total < 4:
        return
    for kind in siblings.kinds:
        if kind is not most:
            found = tuple(differences(kind, most))
            yield Judged(siblings, indices(kind), found, "error", PROVED)


def _of_layers(siblings: Siblings) -> Iterator[Judged]:
    placed = siblings.placed
    held = [contents(kind) for kind in siblings.kinds[:32]]
    is_transformer = any(_has_projections(one) for one in held)
    if not is_transformer and (len(placed) < 8 or min(map(len, held)) < 4):
        return  # a Sequential of single modules: their shapes differ by nature
    seen: set[int] = set()
    nearest: dict[tuple[int, bool], tuple[int, Judged]] = {}
    for odd in find_odd([number for _, number in placed]):
        for number in dict.fromkeys(placed[spot][1] for spot in odd.places):
            own = [placed[spot][0] for spot in odd.places if placed[spot][1] == number]
            distance, found = _judge(siblings, odd, siblings.kinds[number], own)
            if found is None:
                continue
            if odd.is_simple and not odd.is_end and not odd.is_repeated:
                seen.add(number)
                yield found
                continue
            if not is_transformer:
                continue  # stages of convolutions grow from one to the next
            key = number, odd.is_end
            if key not in nearest or distance < nearest[key][0]:
                nearest[key] = distance, found
    for (number, _), (_, found) in nearest.items():
        if number not in seen:
            seen.add(number)
            yield found


def _has_projections(names: Mapping[str, Sequence[Held]]) -> bool:
    """Whether a child holds what layers of transformers hold."""
    roles = {one.end.role.name for held in names.values() for one in held}
    return len(roles & _PROJECTIONS) > 1


def _judge(
    siblings: Siblings, odd: Odd, node: Node, own: Sequence[int]
) -> tuple[int, Judged | None]:
    """The differences of one odd kind, None where it is rather a layer of another sort.

    With them goes in how many names the two differ, those included that prove nothing.
    """
    like = siblings.kinds[odd.like]
    names, theirs = contents(node), contents(like)
    found = [one for one in differences(node, like) if not _is_of_experts(one)]
    distance = len({one.suffix for one in found})
    at = IndexSet.of(own, indices(node).width)
    if odd.is_end:
        found = list(_in_shared_blocks(found, names, theirs))
    absent = {one.suffix for one in found if one.what == MISSING and one.whole}
    added = {one.suffix for one in found if one.what == EXTRA and one.whole}
    if 2 * len(absent) > len(theirs) or 2 * len(added) > len(names):
        is_lost = odd.is_simple and not odd.is_end and not odd.is_repeated and len(own) == 1
        if is_lost and all(one.what == MISSING for one in found) and len(names) > 1:
            return distance, Judged(siblings, at, tuple(found), "warning", INFERRED)
        return distance, None
    if odd.is_simple and not odd.is_end and not odd.is_repeated:
        return distance, Judged(siblings, at, tuple(found), "error", PROVED)
    if len({one.suffix for one in found}) > _MOST_CHANGES:
        return distance, None
    if odd.is_end:
        return distance, _judge_end(siblings, at, found, names)
    # a tensor more may be meant; one in place of another is not
    is_told = any(one.what != EXTRA for one in found)
    return distance, Judged(siblings, at, tuple(found), "warning", INFERRED) if is_told else None


def _judge_end(
    siblings: Siblings, at: IndexSet, found: Sequence[Difference], names: Mapping[str, object]
) -> Judged | None:
    """The first or last child: sure only where what is left of it contradicts itself."""
    kept = [one for one in found if one.what in (MISSING, SHAPE, DTYPE) and not _takes_in_more(one)]
    if not found:
        return Judged(siblings, at, (), "warning", INFERRED)  # like these, but for whole blocks
    if not kept:
        return None
    held = contents_roles(names)
    sure = all(_is_needed(one, kept, held) or _contradicts(one, kept, names) for one in kept)
    if sure:
        return Judged(siblings, at, tuple(kept), "error", INFERRED)
    return Judged(siblings, at, tuple(kept), "warning", INFERRED)


def _in_shared_blocks(
    found: Sequence[Difference], mine: Mapping[str, object], theirs: Mapping[str, object]
) -> Iterator[Difference]:
    """Differences in blocks that both have: a dense layer's `mlp` is not compared with a mixture's.

    A block is the first segment below the child; both have it where they share half of its names.
    """
    has_experts = any("experts" in name for name in mine)
    for one in found:
        if one.role in ("router", "router_bias") and not has_experts:
            continue  # a dense layer before the mixtures
        block = one.suffix.partition(".")[0] + "."
        own = {name for name in mine if name.startswith(block)}
        other = {name for name in theirs if name.startswith(block)}
        if 2 * len(own & other) >= len(own | other) or len(own | other) <= _SINGLE:
            yield one


def contents_roles(names: Mapping[str, object]) -> dict[str, set[str]]:
    """The roles below a child, by the path of the block that they stand in."""
    found: dict[str, set[str]] = {}
    for suffix, held in names.items():
        block = suffix.rpartition(".")[0].rpartition(".")[0]
        if isinstance(held, list) and not suffix.endswith("bias"):
            found.setdefault(block, set()).update(one.end.role.name for one in held)
    return found


def _is_needed(one: Difference, all_: Sequence[Difference], held: Mapping[str, set[str]]) -> bool:
    """Whether a missing projection leaves an incomplete set behind."""
    if one.what != MISSING or one.suffix.endswith("bias"):
        return False
    absent = {other.role for other in all_ if other.what == MISSING}
    if {"k", "v"} <= absent:
        return False  # keys and values of another layer are used: Gemma-3n
    block = one.suffix.rpartition(".")[0].rpartition(".")[0]
    roles = held.get(block, set())
    return any(one.role in group and len(group & roles) >= 2 for group in _SETS)


def _takes_in_more(one: Difference) -> bool:
    """Whether a matrix is that of its siblings but for more columns: what a skip leads past."""
    if one.what != SHAPE or one.expected is None or one.seen is None:
        return False
    usual, own = one.expected.family.shape, one.seen.family.shape
    return len(usual) == len(own) == 2 and usual[0] == own[0] and usual[1] < own[1]


def _contradicts(one: Difference, all_: Sequence[Difference], names: Mapping[str, object]) -> bool:
    """Whether the size that a tensor has lost still stands in the child's other tensors."""
    if one.what != SHAPE or one.expected is None or one.seen is None:
        return False
    before, after = one.expected.family.shape, one.seen.family.shape
    changed = {other.suffix for other in all_}
    lost = set(before) - set(after)
    others = {
        size
        for suffix, held in names.items()
        if suffix not in changed and isinstance(held, list)
        for size in held[0].end.family.shape
    }
    return bool(lost & others)


def _is_of_experts(one: Difference) -> bool:
    """Whether it concerns some of a layer's experts only; those are looked at by themselves."""
    star = one.suffix.find("*")
    return star > 0 and not one.whole and EXPERTS.search(one.suffix[: star + 1][-64:]) is not None


def _without_books(found: Sequence[Difference]) -> Iterator[Difference]:
    repacked = {
        module_of(one.suffix)
        for one in found
        if one.what in (MISSING, EXTRA) and leaf_of(one.suffix) in _PACKED
        if any(
            other.what != one.what and module_of(other.suffix) == module_of(one.suffix)
            for other in found
            if other.what in (MISSING, EXTRA)
        )
    }
    for one in found:
        if (is_book(one) and one.what != DTYPE) or module_of(one.suffix) in repacked:
            continue
        if one.what == SHAPE and one.expected and one.seen:
            logical = one.expected.shape
            if logical is not None and logical == one.seen.shape:
                continue  # packed in another way
        yield one


def is_book(one: Difference) -> bool:
    """Whether a tensor keeps the books of a packed weight."""
    roles = {end.role.name for end in (one.expected, one.seen) if end is not None}
    return "quantization" in roles or (
        one.what != EXTRA and leaf_of(one.suffix) in BOOKS - {"biases"}
    )


def leaf_of(suffix: str) -> str:
    """The last segment of a name."""
    return suffix.rpartition(".")[2]


def module_of(suffix: str) -> str:
    """A name without its last segment."""
    return suffix.rpartition(".")[0]
