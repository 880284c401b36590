"""The way of the data through a model: embeddings, layers, final norm, head.

Neither names nor offsets tell it (writers sort by name or dtype), so modules are ordered by what
they are: their roles, and the words by which people name what comes before and after attention.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, product
from typing import NamedTuple

from ckptscan.late import Late
from ckptscan.names import IndexSet, fill, natural_key, split_stars
from ckptscan.structure.families import Family
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
_LATENT = (("kv", "kv_a"), ("q", "q_a"))
_INNER = frozenset("q k v qkv o".split())
_TENSORS = {"weight": 0, "bias": 1}
# the parts of a state-space mixer (Mamba-2, arXiv 2405.21060, figure 6), and of linear attention
_MIXER = (
    "in_proj",
    "in_proj_qkvz",
    "in_proj_qkv",
    "in_proj_z",
    "in_proj_ba",
    "conv1d",
    "x_proj",
    "dt_proj",
    "dt_bias",
    "A_log",
    "D",
    "norm",
    "out_proj",
)
PROJECTOR = 7
_TOWER = Late(r"(?i)(^|_)(visual|vision|image|audio|speech)")
_RANKS = {role: rank for rank, role in enumerate(_ROLES.split())}

# ordered: the first that matches a module's name tells when it comes, among its siblings
_PHASES = tuple(
    (phase, Late(f"(?i){pattern}"))
    for phase, pattern in (
        (95, r"^(mtp|nextn)"),
        (90, r"^(lm_head|head|score|classifier|output|embed_out|cls|qa_outputs|output_layer)$"),
        (91, r"^(conv_out|proj_out|final_layer)$"),
        (86, r"^(conv_norm_out|norm_out)$"),
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
    """Tensors at one place of the way: the name of the first, what it is, how often it stands.

    `name` is as stored, after `component/` in a pipeline. `axes` are the indices of the runs that
    it stands in, outermost first, and `run` is the path of the outermost. `stars` are the indices
    that the path leaves to each star of the family's pattern, None for any.
    """

    name: str
    end: End
    axes: tuple[IndexSet, ...]
    run: str
    stars: tuple[IndexSet | None, ...]

    def names(self) -> Iterator[str]:
        """The names of all tensors of the step, in order."""
        return _names(self.end.family, self.stars)

    def names_at(self, index: int) -> Iterator[str]:
        """The names of those in one layer of the outermost run."""
        outer = next(place for place, star in enumerate(self.stars) if star is not None)
        only = IndexSet.of([index])
        return _names(self.end.family, (*self.stars[:outer], only, *self.stars[outer + 1 :]))


def flow(root: Node) -> Iterator[Step]:
    """The tensors of a tree in the order in which data meets them, each run of layers once."""
    yield from _steps(root, "", (), ())


def expanded(root: Node) -> Iterator[tuple[str, Step]]:
    """The names of all tensors in that order, one layer after the other; each with its step."""
    for (_, runs), group in groupby(flow(root), key=lambda step: (step.run, step.axes[:1])):
        steps = list(group)
        if runs:
            for index in runs[0]:
                yield from ((name, step) for step in steps for name in step.names_at(index))
        else:
            yield from ((name, step) for step in steps for name in step.names())


def in_order(nodes: Sequence[Node], is_layer: bool = False) -> list[Node]:
    """Siblings in the order in which data meets them; numbered ones by their numbers.

    `is_layer` says that they are the modules of one layer.
    """
    if len(nodes) < 2:
        return list(nodes)
    has_tower = any(_TOWER.search(node.label) for node in nodes)
    has_layers = any(child.repeat is not None for node in nodes for child in node.children)
    labels = [node.label for node in nodes]
    has_mixer = "out_proj" in labels and any(label.startswith("in_proj") for label in labels)
    around = _Around(is_layer, has_tower, has_layers, has_mixer)
    return sorted(nodes, key=lambda node: _key(node, around))


class _Around(NamedTuple):
    """What stands beside a module: whether in a layer, beside a tower, beside layers.

    `has_mixer` says that it is part of a state-space model or of its kin.
    """

    is_layer: bool
    has_tower: bool
    has_layers: bool
    has_mixer: bool = False


def _steps(
    node: Node, run: str, axes: tuple[IndexSet, ...], stars: tuple[IndexSet | None, ...]
) -> Iterator[Step]:
    for end in node.ends:
        own = stars[len(stars) - len(end.family.axes) :]  # a component's own stars come before
        yield Step(next(_names(end.family, own)), end, axes, run, own)
    for child in in_order(node.children, is_layer=bool(axes)):
        count = len(split_stars(child.path)) - 1
        if child.repeat is None:
            yield from _steps(child, run, axes, _padded(stars, count))
        else:
            inner = (*_padded(stars, count - 1), child.repeat)
            yield from _steps(child, run or child.path, (*axes, child.repeat), inner)


def _padded(stars: tuple[IndexSet | None, ...], count: int) -> tuple[IndexSet | None, ...]:
    """With None for the stars of a segment of several numbers, which are not told apart."""
    return stars + (None,) * (count - len(stars))


def _names(family: Family, stars: Sequence[IndexSet | None]) -> Iterator[str]:
    """The names of a family's tensors whose indices are among these, in order."""
    prefix = f"{family.component}/" if family.component else ""
    for indices in _indices(family, stars):
        yield prefix + fill(family.pattern, indices, family.axes)


def _indices(family: Family, stars: Sequence[IndexSet | None]) -> Iterator[tuple[int, ...]]:
    if family.instances is None:
        choices = zip(stars, family.axes, strict=True)
        return product(*(axis if star is None else star for star, axis in choices))
    found: Iterable[tuple[int, ...]] = family.instances
    if stars[0] is not None:  # they are in order: what one layer holds stands together
        found = chain.from_iterable(_at(family.instances, index) for index in stars[0])
    return (
        indices
        for indices in found
        if all(star is None or index in star for index, star in zip(indices, stars, strict=True))
    )


def _at(instances: Sequence[tuple[int, ...]], index: int) -> Sequence[tuple[int, ...]]:
    """The index tuples that begin with this index."""
    return instances[bisect_left(instances, (index,)) : bisect_left(instances, (index + 1,))]


def _key(node: Node, around: _Around) -> tuple[object, ...]:
    if around.has_mixer and node.label in _MIXER:
        return 50, _RANKS["ssm"] + _MIXER.index(node.label) / 100, (), 0, natural_key("")
    if node.repeat is not None:
        return 50, 0.0, (), next(iter(node.repeat)), natural_key("")
    if node.ends:
        return 50, _rank(node), (_TENSORS.get(node.label, 2),), 0, natural_key(node.label)
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
    if roles <= {"norm"} and _normalized(node, roles) is None:
        return 80 if around.has_layers and not around.is_layer else 44
    if roles <= _FIRST:
        return 20 if around.is_layer else 2
    if roles <= {"lm_head", "head"}:
        return 90
    if all(child.ends for child in node.children) or (len(roles) == 1 and roles <= _INNER):
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


def _normalized(node: Node, roles: frozenset[str]) -> str | None:
    """The projection before a norm of latent attention: q_a_layernorm, kv_norm."""
    if roles != {"norm"}:
        return None
    return next((role for prefix, role in _LATENT if node.label.startswith(prefix)), None)


def _rank(node: Node) -> float:
    """The place of a module's first role; norms of latent attention follow what they normalize."""
    roles = _roles(node)
    before = _normalized(node, roles)
    if before is not None:
        return _RANKS[before] + 0.5
    return min((_RANKS.get(role, _RANKS["other"]) for role in roles), default=_RANKS["other"])
