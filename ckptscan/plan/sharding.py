"""How a module is cut for tensor, expert and data parallelism: what each rank holds of it.

Column-parallel modules are cut along their outputs, row-parallel ones along their inputs, tables
along the vocabulary; the rest stands on every rank. Packed weights, scales, zeros and indices are
cut with the dimension that they stand for.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from ckptscan.plan.inventory import Leaf, Module, Shape

COLUMN = frozenset("q q_b kv_b gate up gate_up sinks attention_gate".split()) | frozenset(
    f"{kind}.{side}" for kind in ("expert", "shared_expert") for side in ("gate", "up", "gate_up")
)
ROW = frozenset(("o", "down", "expert.down", "shared_expert.down"))
KV_SIDE = frozenset(("k", "v", "kv"))
TABLES = frozenset(("embedding", "lm_head"))
DENSE = frozenset("gate up gate_up down lm_head".split()) | frozenset(
    f"shared_expert.{side}" for side in ("gate", "up", "gate_up", "down")
)
_LOW_RANK = ("f_a_proj", "g_a_proj")  # KDA narrows its gates first, on every rank alike
STATES = frozenset(("linear_attention", "ssm", "rwkv", "rnn", "conv"))
VOCABULARY_PADDING = 64  # vLLM's DEFAULT_VOCAB_PADDING_SIZE, SGLang's too
# leaves with inputs before outputs: GPTQ, AWQ
_TURNED = frozenset(("qweight", "qzeros", "scales"))
# values that hold no dimension of the weight
# projectors of images and sounds: the first of two layers is cut by outputs, the second by inputs
_FIRST = ("linear_1", "linear_fc1", "fc1", "per_layer_model_projection")
_SECOND = ("linear_2", "linear_fc2", "fc2")
_MERGER = "merger.mlp."
WHOLE_LEAVES = ("input_scale", "weight_scale_2", "weight_shape", "quant_map", "global_scale",
           "input_global_scale", "weight_global_scale", "quant_state", "code")  # fmt: skip


class Heads(NamedTuple):
    """Query and key heads of the layers that a module lies in; None is unknown.

    `groups` are those of a state space: how many, and the rows of each.
    """

    q: int | None = None
    kv: int | None = None
    q_width: int = 0
    k_width: int = 0
    v_width: int = 0
    groups: tuple[int, int] = (1, 0)


class Cut(NamedTuple):
    """Over how many ranks what is cut.

    `tp` for attention and tables, `dense` for other layers (0 is the same), `moe_tp` for the width
    of experts, `ep` for their number, `rank` is this one's place among the expert-parallel ranks;
    `redundant` experts stand once more for balance.
    """

    tp: int = 1
    moe_tp: int = 1
    ep: int = 1
    rank: int = 0
    dense: int = 0
    redundant: int = 0

    @property
    def dense_tp(self) -> int:
        """Ranks that cut dense layers and shared experts."""
        return self.dense or self.tp

    def ways(self, module: Module) -> int:
        """Ranks that cut a module."""
        if is_routed(module):
            return self.moe_tp
        is_dense = module.role in DENSE and module.tower == "text"
        return self.dense_tp if is_dense else self.tp


WHOLE = Cut()


def padded_vocabulary(rows: int, tp: int) -> int:
    """Rows of a table once padded to 64, or to 64 for each rank if that does not divide."""
    padded = -(-rows // VOCABULARY_PADDING) * VOCABULARY_PADDING
    if padded % tp:
        step = VOCABULARY_PADDING * tp
        padded = -(-rows // step) * step
    return padded


def kv_heads_of_rank(heads: int, tp: int) -> int:
    """Key and value heads of one rank: each stands on several where ranks outnumber them."""
    return max(1, heads // tp)


def experts_of_rank(experts: int, cut: Cut) -> int:
    """Experts of one rank; the first ranks hold one more where they do not divide."""
    base, rest = divmod(experts + cut.redundant, cut.ep)
    return base + (cut.rank < rest)


def times_of_rank(module: Module, cut: Cut) -> int:
    """How often a module with tensors of its own for each expert stands on this rank."""
    return experts_of_rank(module.times, cut) if is_routed(module) else module.times


def is_routed(module: Module) -> bool:
    """Whether it is a routed expert, or a stack of them."""
    return module.role.startswith("expert.")


def is_stack(module: Module) -> bool:
    """Whether all experts lie in one tensor."""
    return is_routed(module) and module.shape is not None and len(module.shape) == 3


def out_and_in(module: Module, hidden: int | None) -> tuple[int, int] | None:
    """The outputs and inputs of a module's weight; None where it has no such weight."""
    shape = module.shape
    if shape is None or len(shape) < 2 or (len(shape) > 2 and not is_stack(module)):
        return None
    rows, columns = shape[-2:]
    return (columns, rows) if _is_turned(module, hidden) else (rows, columns)


def _is_turned(module: Module, hidden: int | None) -> bool:
    """Whether the weight has its inputs first: Conv1D of GPT-2, stacks of Llama-4."""
    if module.is_transposed:
        return True
    if not is_stack(module) or module.shape is None or hidden is None:
        return False
    rows, columns = module.shape[-2:]
    if rows == columns:
        return False
    return columns == hidden if module.role in ROW else rows == hidden


def local_out(module: Module, out: int, heads: Heads, cut: Cut) -> int:
    """The outputs of one rank, rounded up where they do not divide."""
    tp = cut.ways(module)
    if tp == 1 and module.role not in TABLES:
        return out
    if module.role in TABLES:
        return padded_vocabulary(out, tp) // tp
    if module.role in KV_SIDE and heads.kv:
        return out // heads.kv * kv_heads_of_rank(heads.kv, tp)
    if module.role == "qkv" and heads.kv and heads.q and out == _fused(heads):
        kv = kv_heads_of_rank(heads.kv, tp)
        return -(-heads.q // tp) * heads.q_width + kv * (heads.k_width + heads.v_width)
    if is_cut_out(module):
        return -(-(out + _repeated(module, heads, tp)) // tp)
    return out


def _repeated(module: Module, heads: Heads, tp: int) -> int:
    """Rows that a module of a state space holds more often than it is stored."""
    holds_groups = module.path.rpartition(".")[2] in ("in_proj", "conv1d")
    is_space = module.role in ("ssm", "conv") and holds_groups
    return repeated_rows(heads.groups, tp) if is_space else 0


def repeated_rows(groups: tuple[int, int], tp: int) -> int:
    """Rows of Mamba-2 that ranks repeat, for each needs what steers its heads.

    vLLM's extra_groups_for_head_shards: groups that ranks do not divide become one a rank.
    """
    count, rows = groups
    return 2 * (tp - count) * rows if count % tp else 0


def is_cut_out(module: Module) -> bool:
    """Whether it is cut along its outputs."""
    if module.role in STATES:
        whole = ("norm", *_LOW_RANK)
        return not _is_state_row(module) and not module.path.endswith(whole)
    if module.role == "projector":
        return module.path.endswith(_FIRST) or _MERGER in module.path
    return module.role in COLUMN or module.role in KV_SIDE or module.role in ("qkv", *TABLES)


def is_cut_in(module: Module) -> bool:
    """Whether it is cut along its inputs."""
    if module.role == "projector":
        return module.path.endswith(_SECOND)
    return module.role in ROW or (module.role in STATES and _is_state_row(module))


def _is_state_row(module: Module) -> bool:
    return module.path.rpartition(".")[2] in ("out_proj", "o_proj", "x_proj", "output")


def _fused(heads: Heads) -> int:
    return (heads.q or 0) * heads.q_width + (heads.kv or 0) * (heads.k_width + heads.v_width)


def local_shape(
    module: Module, leaf: Leaf, heads: Heads, cut: Cut, hidden: int | None = None
) -> Shape:
    """The shape of one tensor on one rank."""
    if leaf.name.endswith(WHOLE_LEAVES) or not leaf.shape:
        return leaf.shape
    sizes = out_and_in(module, hidden)
    if sizes is None:
        return _local_vector(module, leaf, cut)
    out, into = sizes
    tp = cut.ways(module)
    new_out = local_out(module, out, heads, cut)
    new_in = -(-into // tp) if is_cut_in(module) else into
    kinds = dimension_kinds(module, leaf, out, into, hidden)
    if kinds == "*":
        share = prod((new_out, new_in)) / max(1, out * into)
        return (-(-int(leaf.numel * share) // 1), *([1] * (len(leaf.shape) - 1)))
    local = []
    for kind, size in zip(kinds, leaf.shape, strict=True):
        if kind == "o":
            size = -(-size * new_out // max(1, out))
        elif kind == "i":
            size = -(-size * new_in // max(1, into))
        elif kind == "e":
            size = experts_of_rank(size, cut)
        local.append(size)
    return tuple(local)


def _local_vector(module: Module, leaf: Leaf, cut: Cut) -> Shape:
    """A tensor without outputs and inputs: cut if its module is, along the first dimension."""
    if not is_cut_out(module) or leaf.shape[0] == 1:
        return leaf.shape
    tp = cut.ways(module)
    return (-(-leaf.shape[0] // tp), *leaf.shape[1:])


def dimension_kinds(module: Module, leaf: Leaf, out: int, into: int, hidden: int | None) -> str:
    """What each dimension of a stored tensor stands for, a letter each.

    `o` outputs, `i` inputs, `e` experts, `-` neither; `*` alone for weights stored flat.
    """
    name = leaf.name.rpartition(".")[2]
    rank = len(leaf.shape)
    lead = "e" if is_stack(module) else ""
    inner = rank - len(lead)
    if name in ("g_idx", "weight_g_idx", "perm"):
        return "i" + "-" * (rank - 1)
    if _is_flat(module, leaf):
        return "*"
    if inner <= 0:
        return lead[:rank]
    first = leaf.shape[len(lead)]
    if inner == 1:
        is_bias = name.endswith("bias") or out % max(1, first) == 0
        return lead + ("o" if first > 1 and is_bias else "-")
    turned = name in _TURNED or (leaf.role != "quantization" and _is_turned(module, hidden))
    kinds = "io" if turned else "oi"
    rows, columns = leaf.shape[len(lead) : len(lead) + 2]
    found = [kinds[0] if rows > 1 else "-", kinds[1] if columns > 1 else "-"]
    return lead + "".join(found) + "-" * (inner - 2)


def _is_flat(module: Module, leaf: Leaf) -> bool:
    """Whether it is a run of values without rows: bitsandbytes' weights and their scales."""
    if leaf.name.endswith("absmax"):
        return True
    is_column = len(leaf.shape) == 2 and leaf.shape[1] == 1 and leaf.dtype in ("U8", "I8")
    return is_column and leaf.role != "quantization" and module.is_packed
