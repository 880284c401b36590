"""The way of the data through a model: embeddings, layers, final norm, head.

Neither names nor offsets tell it (writers sort by name or dtype), so modules are ordered by what
they are: their roles, and the words by which people name what comes before and after attention.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckptscan.late import Late
from ckptscan.names import IndexSet, natural_key
from ckptscan.structure.tree import MTP, End, Node

# the roles in the order in which data meets them
_ROLES = """
patch conv
embedding
token token_type position
time modulation
rope
norm
q_a q_b kv_a kv_b q k v qkv kv
qk_norm
attention sinks ssm linear_attention rwkv rnn
attention_gate o
router router_bias
gate up gate_up expert.gate expert.up expert.gate_up
down expert.down
shared_expert_router
shared_expert.gate shared_expert.up shared_expert.gate_up
shared_expert.down
layer_scale
projector
other
head
lm_head
mtp
"""
_FIRST = frozenset("embedding position token token_type patch time rope conv".split())
_ATTENTION = frozenset("q k v qkv o ssm".split())
_TENSORS = {"weight": 0, "bias": 1}
PROJECTOR = 7
_TOWER = Late(r"(?i)(^|_)(visual|vision|image|audio|speech)")
_RANKS = {role: rank for rank, role in enumerate(_ROLES.split())}

# ordered: the first that matches a module's name tells when it comes, among its siblings
_PHASES = tuple(
    (phase, Late(f"(?i){pattern}"))
    for phase, pattern in (
        (95, r"^(mtp|nextn)"),
        (90, r"^(lm_head|head|score|classifier|output|embed_out|cls|qa_outputs|output_layer)$"),
        (85, r"^pooler$"),
        (48, r"^pre_(feedforward|mlp|ff|moe)_?(layer_?)?norm"),
        (46, r"^post_(self_)?(attention|attn)_?(layer_?)?norm|^(attention|attn)_out.*norm"),
        (66, r"^post_(feedforward|mlp|ff|moe|ffn)_?(layer_?)?norm"),
        (48, r"^(ffn|mlp|moe|feed_forward)_?(layer_?)?norm|^layer_?norm_after$"),
        (10, r"^(input|attention|attn|self_attn|self_attention|operator|temporal|pre|mixer)"
             r"_?(pre_)?(layer_?)?norm|^(layer_?norm_before|norm1|ln_?1|layer_?norm_?1)$"),
        (30, r"^(encoder_attn|cross_?att\w*)_?(layer_?)?norm$"),
        (48, r"^(norm2|ln_?2|layer_?norm_?2|post_attention_layernorm)$"),
        (69, r"^(norm3|ln_?3|layer_?norm_?3)$"),
        (40, r"^(encoder_attn|cross_?att\w*|EncDecAttention|attn2)$"),
        (20, r"^(self_?att\w*|attn1?|attention|mixer|mamba|linear_attn|temporal_block|time_mix"
             r"|SelfAttention|short_?conv|multi_head_attention)$"),
        (60, r"^(mlp|ffn?|feed_forward|block_sparse_moe|moe|intermediate|DenseReluDense"
             r"|channel_mix)$"),
        (62, r"^(shared_(expert|mlp)|residual_mlp|output)"),
        (5, r"(^|_)(visual|vision|image|audio|speech)"),
        (PROJECTOR, r"(projector|connector|adapter|merger|resampler|aligner)"),
        (8, r"^(text_)?encoder$"),
        (12, r"^(text_)?decoder$"),
    )
)  # fmt: skip


class Step(NamedTuple):
    """Tensors at one place of the way: the name of the first, its shape, how often it stands.

    `axes` are the indices of the runs that it stands in, outermost first.
    """

    name: str
    end: End
    axes: tuple[IndexSet, ...]


def flow(root: Node) -> Iterator[Step]:
    """The tensors of a tree in the order in which data meets them, each run of layers once."""
    yield from _steps(root, "", ())


def in_order(nodes: Sequence[Node], is_layer: bool = False) -> list[Node]:
    """Siblings in the order in which data meets them; numbered ones by their numbers.

    `is_layer` says that they are the modules of one layer.
    """
    has_tower = any(_TOWER.search(node.label) for node in nodes)
    has_layers = any(child.repeat is not None for node in nodes for child in node.children)
    around = _Around(is_layer, has_tower, has_layers)
    return sorted(nodes, key=lambda node: _key(node, around))


class _Around(NamedTuple):
    """What stands beside a module: whether in a layer, beside a tower, beside layers."""

    is_layer: bool
    has_tower: bool
    has_layers: bool


def _steps(node: Node, name: str, axes: tuple[IndexSet, ...]) -> Iterator[Step]:
    for end in node.ends:
        yield Step(name, end, axes)
    for child in in_order(node.children, is_layer=bool(axes)):
        inner = (*axes, child.repeat) if child.repeat is not None else axes
        own = "" if child.path == MTP and not child.ends else _first(child)
        yield from _steps(child, ".".join(filter(None, (name, own))), inner)


def _first(node: Node) -> str:
    """The segment of the first of a run."""
    if node.repeat is None:
        return node.label
    first = next(iter(node.repeat))
    return node.label.replace(f"({node.repeat})", f"{first:0{node.repeat.width}d}", 1)


def _key(node: Node, around: _Around) -> tuple[object, ...]:
    if node.repeat is not None:
        return 50, 0.0, (), next(iter(node.repeat)), ""
    if node.ends:
        return 50, _rank(node), (_TENSORS.get(node.label, 2),), 0, node.label
    return _phase(node, around), _rank(node), (), 0, natural_key(node.label)


def _phase(node: Node, around: _Around) -> int:
    """When a module comes among its siblings; those of unknown names go by their roles."""
    if node.path == MTP:
        return 95
    for phase, pattern in _PHASES:
        if pattern.search(node.label):
            if phase == PROJECTOR:
                return phase if around.has_tower else 70
            return 60 if phase >= 85 and around.is_layer else phase
    roles = _roles(node)
    if roles <= {"norm"}:
        return 80 if around.has_layers and not around.is_layer else 44
    if roles <= _FIRST:
        return 20 if around.is_layer else 2
    if roles <= {"lm_head", "head"}:
        return 90
    if all(child.ends for child in node.children):
        return 50  # one module among those of an attention or a feed-forward: by its role
    if roles & _ATTENTION and not roles & {"down", "router", "norm"}:
        return 20
    return 60 if roles & {"router", "up", "down"} and around.is_layer else 50


def _roles(node: Node) -> frozenset[str]:
    found: set[str] = set()
    waiting = [node]
    while waiting:
        one = waiting.pop()
        found.update(end.role.name for end in one.ends)
        waiting += one.children
    return frozenset(found - {"quantization", "buffer"})


def _rank(node: Node) -> float:
    """The place of a module's first role; norms of latent attention follow what they normalize."""
    roles = _roles(node)
    if roles == {"qk_norm"}:
        for prefix in ("kv_a", "q_a"):
            if node.label.startswith(prefix):
                return _RANKS[prefix] + 0.5
    return min((_RANKS.get(role, _RANKS["other"]) for role in roles), default=_RANKS["other"])
