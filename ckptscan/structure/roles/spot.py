"""Where a tensor stands: the name that speaks for it, the segments above, its area.

A `weight` or `bias` is called by its module, any other tensor by its own name. Segments are
written in one way (`SelfAttention`, `self_attn`), and the nearest one that names an area wins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, islice

from ckptscan.late import Late
from ckptscan.structure.roles.tables import NORM
from ckptscan.structure.roles.values import Shape, Surroundings

# a longer segment is no name that we know; the longest real one has 46 characters
MAX_SEGMENT = 128
# segments looked at, from the end; the deepest real name has 22
MAX_DEPTH = 32
# neighbours looked at; the fullest real module that isn't a list has 40
MAX_NEIGHBOURS = 64

# SelfAttention -> Self_Attention, but not Wqkv, A_log, DINOv2
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])|(?<=[a-z]{2})(?=[A-Z])")
# experts.gate_up_proj_bias, in_proj_weight, mlp.gate.weight_1, experts.w13_weight
_KIND = re.compile(r"_(?:weights?|bias(?:es)?|blocks|qdata|packed|qweight)$")
# the leaves that speak for their module: conv.weight_g, parametrizations.weight.original0
_PLAIN = Late(
    r"(?:.*\.)?(?:q?weights?(?:_[gv0-9]|_orig|_u|_packed)?|bias|original[01]|\*|\d+|\([^()]*\))"
)
# the leaves that do so in norms: LayerNorm.gamma, query_norm.scale
_PLAIN_IN_NORM = Late(r"gamma|beta|scale|offset|gain|g|b")
# segments that say nothing: q_proj.linear, lora's base_layer, modules_to_save.default
_WRAPPER = Late(r"linear|lin|base_layer|original_module|modules_to_save|default|inner|weights")

# self_attn, crossattention, longformer_self_attn, rel_attn, attn1, SelfAttention, mixer_attn
_ATTENTION = Late(r"(?:^|_)(?:\w+attention|(?:attn|attentions?|att|mha|msa)\d*)(?:_|$)")
_AREAS = (
    # linear_attn, gated_delta_net, mlstm_layer
    (
        "linear_attention",
        Late(r"linear_att|delta_?net|gated_delta|lightning|^kda$|^mlstm|^gla$|retention"),
    ),
    # mamba, mamba_mixer, ssm
    ("ssm", Late(r"(?:^|_)(?:mamba\d?|ssm|s6|s4d?)(?:_(?:mixer|block|layer))?$")),
    # temporal_block.rg_lru, lstm, gru
    ("rnn", Late(r"^(?:bi)?(?:lstm|gru|rnn)s?\d?$|^rg_lru$|_(?:lstm|gru)$")),
    # rotary_emb, rope, rope_embedder
    ("rope", Late(r"^rope(?:_|$)|^rotary|_rope$|_rotary_emb(?:edding)?$")),
    # conv, conv_module, lconv1d, short_conv: convolution blocks between attentions
    (
        "conv",
        Late(
            r"^l?conv(?:1d)?$|conv_module$|short_?conv|^convolution$|"
            r"conv_proj|convolution_proj|subsampling$"
        ),
    ),
    # pos_embed, continuous_position_bias_mlp, rel_bias_module
    ("position", Late(r"(?:^|_)(?:pos|position|positional|rpb|rel_bias)(?:_|$)")),
    # adaLN_modulation, img_mod, norm1.linear
    ("modulation", Late(r"ada_?ln|(?:^|_)(?:modulation|mod|film|ada)(?:_|$)")),
    # time_text_embed, timestep_embedder, guidance_in, vector_in, label_emb
    (
        "time",
        Late(
            r"(?:^|_)(?:time(?:step)?s?|guidance|noise)_(?:\w+_)?"
            r"(?:in|emb|embed|embedder|embedding|mlp|proj|linear)s?(?:_|$)|"
            r"^(?:vector|time|guidance)_in$|^[ty]_embedder$|^label_emb$|^add_embedding$"
        ),
    ),
    # patch_embed, patch_embeddings, patch_merging, x_embedder
    (
        "patch",
        Late(r"(?:^|_)patch(?:ify|ifier|es)?(?:_|$)(?!merger)|^x_embedder$|^img_in$|^reduction$"),
    ),
    # multi_modal_projector, merger, connector, aligner, mm_projector, embed_vision
    (
        "projector",
        Late(
            r"projectors?(?:_|$)|"
            r"(?:^|_)(?:mergers?|connector|aligner|resampler\w*|abstractor|bridge|"
            r"adapter|adapters|projections?)(?:_list)?$|^mlp1$|^mm_proj|modality_projection|"
            r"^embed_(?:vision|audio|image)$|(?:visual|vision|text|audio|image|language)_proj|"
            r"^caption_projection$|^context_embedder$|^txt_in$|^mlp_ar$|^linear_proj$"
        ),
    ),
    # lm_head, classifier, cls.predictions, bbox_embed, output_hypernetworks_mlps
    (
        "head",
        Late(
            r"(?<!multi)(?<!multi_)(?:^|_)heads?\d*(?:_|$)|classifier|^cls$|^pool(?:er|ing)|"
            r"_pooler$|^scores?(?:_|$)|predictions?(?:_|$)|predictor$|hypernetworks|"
            r"(?:bbox|class|box)_embed$|"
            r"^qa_outputs$|^final_layer$|regress(?:or|ion)|(?:^|_)logits?(?:_|$)"
        ),
    ),
)
# mlp, ffn, feed_forward1, DenseReluDense, block_sparse_moe, residual_mlp, ffw_layer_start
_MLP = Late(
    r"(?:^|_)(?:mlps?|ffns?|ff|ffw|feed_?forward|moe|dense_relu_dense|swiglu|glu_mlp)\d*(?:_|$)"
)
# experts, local_experts, expert_7, expert_*, switch_mlp
_EXPERT = Late(
    r"(?:(?:local|routed|moe|chunk|sparse|text|vision|language|mlp)_)?experts"
    r"|expert_?(?:\d+|\*|\([^()]*\))|switch_mlp"
)
# shared_expert, shared_experts, share_expert, shared_mlp
_SHARED = Late(r"shared?_(?:experts?|mlp)(?:_\w+)?|sharedexperts?")
_CLAIMS = frozenset({"projector", "head", "time", "patch", "position", "modulation"})


def snake(segment: str) -> str:
    """A segment in lower case with underscores; of one that is too long, nothing."""
    return _snake(segment) if len(segment) <= MAX_SEGMENT else ""


@lru_cache(maxsize=8192)
def _snake(segment: str) -> str:
    return _HUMP.sub("_", segment).lower().replace("-", "_")


@lru_cache(maxsize=8192)
def area_of(segment: str) -> str:
    """The area that a segment names, if any: `attention`, `mlp`, `ssm`, `projector` ..."""
    if NORM.search(segment) or segment.startswith("hc_"):
        return ""
    for area, pattern in _AREAS:
        if pattern.search(segment):
            return area
    if _ATTENTION.search(segment):
        return "attention"
    is_mlp = _MLP.search(segment) or _EXPERT.fullmatch(segment) or _SHARED.fullmatch(segment)
    return "mlp" if is_mlp else ""


@dataclass(frozen=True)
class Neighbours:
    """What stands beside the tensors of one module, in its own names and its siblings'."""

    leaves: Mapping[str, Shape]
    around: Surroundings

    @cached_property
    def leaf_shapes(self) -> Mapping[str, Shape]:
        """The module's own tensors by name."""
        own = islice(self.leaves.items(), MAX_NEIGHBOURS)
        return {_KIND.sub("", snake(leaf)): shape for leaf, shape in own}

    @cached_property
    def module_shapes(self) -> Mapping[str, Shape]:
        """The weights of sibling modules by the module's name."""
        beside = islice(self.around.siblings.items(), MAX_NEIGHBOURS)
        return {
            snake(name): leaves["weight"] if "weight" in leaves else next(iter(leaves.values()), ())
            for name, leaves in beside
        }

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of sibling modules and of bare tensors, here and in the parent."""
        leaves = islice(chain(self.leaves, self.around.owner), 2 * MAX_NEIGHBOURS)
        return frozenset((*self.leaf_shapes, *self.module_shapes, *map(snake, leaves)))


@dataclass(frozen=True)
class Spot:
    """A tensor to be named: who speaks for it, the segments above (nearest first), its shape.

    `shape` is that of the module's weight where the leaf only goes with it.
    """

    name: str
    above: tuple[str, ...]
    leaf: str
    shape: Shape
    neighbours: Neighbours
    is_bare: bool = False

    @property
    def leaves(self) -> Mapping[str, Shape]:
        """All tensors of its module."""
        return self.neighbours.leaves

    @property
    def around(self) -> Surroundings:
        """What is known around its module."""
        return self.neighbours.around

    @cached_property
    def parent(self) -> str:
        """The nearest segment above that is no index."""
        return next((segment for segment in self.above if segment != "*"), "")

    @cached_property
    def is_in_layer(self) -> bool:
        """Whether it lies under an index."""
        return "*" in self.above

    @cached_property
    def area(self) -> str:
        """The nearest area; a bare MLP belongs to the head or projector that it is part of."""
        for place, segment in enumerate(self.above):
            area = area_of(segment)
            if area == "attention" and "*" in self.above[:place] and self._has_attention():
                return ""
            if area == "mlp":
                return _claim(self.above[place + 1 :]) or area
            if area:
                return area
        return ""

    def _has_attention(self) -> bool:
        """Whether an attention stands beside it: then it is a layer's part, not attention's."""
        return any(_ATTENTION.search(name) for name in self.company)

    @cached_property
    def expert(self) -> str:
        """`expert.` or `shared_expert.` under such a module, else nothing."""
        for place, segment in enumerate(self.above):
            if _SHARED.fullmatch(segment):
                return "" if self._is_dense(segment, place) else "shared_expert."
            if _EXPERT.fullmatch(segment):
                return "expert."
            if segment == "*" and self.above[place + 1 : place + 2] == ("moe",):
                return "expert."
        return "shared_expert." if self.is_bare and self.name.startswith("shared_") else ""

    def _is_dense(self, segment: str, place: int) -> bool:
        """Whether a `shared_mlp` stands where no experts are known: Granite's dense models."""
        outer = self.above[place + 1] if place + 1 < len(self.above) else ""
        return segment == "shared_mlp" and area_of(outer) != "mlp" and not self.around.experts

    @property
    def beside(self) -> Mapping[str, Shape]:
        """What stands beside it by name: sibling modules' weights, or the other bare leaves."""
        return self.neighbours.leaf_shapes if self.is_bare else self.neighbours.module_shapes

    @property
    def company(self) -> frozenset[str]:
        """Names beside it, of modules and of bare tensors."""
        return self.neighbours.names


def _claim(above: Sequence[str]) -> str:
    """The area of the head, projector ... that holds an MLP with no index between."""
    for segment in above:
        if segment == "*":
            return ""
        area = area_of(segment)
        if area in _CLAIMS:
            return area
    return ""


def spots(
    path: Sequence[str], leaves: Mapping[str, Shape], around: Surroundings
) -> dict[str, Spot]:
    """Where each leaf of a module stands."""
    above = tuple(map(snake, reversed(path[-MAX_DEPTH:])))
    name, over = _speaker(above)
    weight = next((leaves[leaf] for leaf in _WEIGHTS if leaf in leaves), None)
    beside = Neighbours(leaves, around)
    found: dict[str, Spot] = {}
    for leaf, shape in leaves.items():
        if len(leaf) <= MAX_SEGMENT and _speaks_for_module(leaf, name):
            whole = shape if weight is None else weight
            found[leaf] = Spot(name, over, snake(leaf), whole, beside)
        else:
            own = snake(leaf.rpartition(".")[2])
            bare = _KIND.sub("", own)
            found[leaf] = Spot(bare, above, own, shape, beside, is_bare=True)
    return found


def _speaks_for_module(leaf: str, module: str) -> bool:
    """Whether a leaf has no name of its own, but goes with its module."""
    if _PLAIN.fullmatch(leaf):
        return True
    return bool(_PLAIN_IN_NORM.fullmatch(leaf) and NORM.search(module))


_WEIGHTS = ("weight", "weight_v", "parametrizations.weight.original1")


def _speaker(above: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The nearest segment that says something, and those above it."""
    place = 0
    while place < len(above) and above[place] == "*":
        place += 1
    while _is_wrapper(above, place):
        place += 1
    return (above[place], above[place + 1 :]) if place < len(above) else ("", ())


def _is_wrapper(above: tuple[str, ...], place: int) -> bool:
    """Whether a segment only wraps the one above it, which is neither an index nor an area."""
    if place + 1 >= len(above) or not _WRAPPER.fullmatch(above[place]):
        return False
    outer = above[place + 1]
    return outer != "*" and area_of(outer) not in ("attention", "mlp", "ssm", "linear_attention")
