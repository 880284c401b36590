"""Experts that lie in one tensor: how many, how wide."""

from __future__ import annotations

from ckptscan.late import Late
from ckptscan.structure.module_class import Around, Leaves, ModuleClass, Name, Shape, words

# gate_proj, up_proj, w1, w3, wi_0, fc1
UP = Late(r"up|gate|input|(?:^|[._])(?:w1|w3|wi|w13|fc1)(?:[._]|$)")
# down_proj, w2, wo, fc2, output_linear
DOWN = Late(r"down|output|(?:^|[._])(?:w2|wo|fc2)(?:[._]|$)")
# gate_up_proj, w13_weight: two matrices in one
FUSED = Late(r"gate_up|up_gate|w13")
# input_linear, fc1: one matrix or two
MAYBE_FUSED = Late(r"input|(?:wi|fc1)$")
ROUTERS = (("gate",), ("router",))
# a 3-D weight whose last dimension is shorter is a kernel
SHORTEST_ROW = 64


def classify_stack(name: Name, leaves: Leaves, around: Around) -> ModuleClass | None:
    """Experts with their number and, where it is decidable, the sizes of their input and output.

    Of a module that holds all the matrices of its experts: hidden and intermediate size.
    """
    stacks = {
        leaf: shape for leaf, shape in leaves.items() if len(shape) == 3 and "bias" not in leaf
    }
    counts = {shape[0] for shape in stacks.values()}
    if len(counts) != 1 or not _says_experts(name, stacks, leaves):
        return None
    (count,) = counts
    weight = stacks.get("weight")
    sizes = _sizes(stacks, _hidden(count, around))
    if weight is not None:
        sizes = _in_and_out(name, weight, around)
    return ModuleClass("Experts", ", ".join(map(str, (count, *(sizes or ())))), "inferred")


def _says_experts(name: Name, stacks: Leaves, leaves: Leaves) -> bool:
    if any(word.startswith("expert") for word in name.near):
        return True
    weight = stacks.get("weight")
    if weight is None or len(leaves.get("bias", ())) == 1:
        return False
    return weight[1] > 1 and weight[2] >= SHORTEST_ROW and name.has("linear", "proj")


def _hidden(count: int, around: Around) -> int | None:
    """The hidden size, as the router beside tells it: one row of it an expert."""
    for sibling, leaves in around.beside():
        weight = leaves.get("weight", ())
        if len(weight) == 2 and weight[0] == count and words(sibling)[-1:] in ROUTERS:
            return weight[1]
    return None


def _sizes(stacks: Leaves, hidden: int | None) -> tuple[int, int] | None:
    """Hidden and intermediate size, if but one pair agrees with all shapes."""
    agreed: set[tuple[int, int]] | None = None
    for leaf, shape in stacks.items():
        possible = _possible(leaf, shape)
        agreed = possible if agreed is None else agreed & possible
    found = [pair for pair in agreed or () if hidden in (None, pair[0])]
    return found[0] if len(found) == 1 else None


def _possible(leaf: str, shape: Shape) -> set[tuple[int, int]]:
    """Pairs of hidden and intermediate size that one stack allows."""
    _, rows, columns = shape
    pairs = {(rows, columns), (columns, rows)}
    if DOWN.search(leaf):
        return pairs
    if not UP.search(leaf):
        return set()
    halves = {(hidden, wide // 2) for hidden, wide in pairs if wide % 2 == 0}
    if FUSED.search(leaf):
        return halves
    return pairs | halves if MAYBE_FUSED.search(leaf) else pairs


def _in_and_out(name: Name, weight: Shape, around: Around) -> tuple[int, int] | None:
    """Sizes of one stack's input and output, as those beside it make plain."""
    stacks = {name.segment: weight}
    for sibling, leaves in around.beside():
        shape = leaves.get("weight", ())
        if len(shape) == 3 and shape[0] == weight[0]:
            stacks[sibling] = shape
    sizes = _sizes(stacks, _hidden(weight[0], around))
    if sizes is None:
        return None
    hidden = sizes[0]
    other = weight[1] if weight[2] == hidden else weight[2]
    return (other, hidden) if DOWN.search(name.segment) else (hidden, other)
