"""The shape that a config's figures give a tensor, by its role: (out, in), with the formula.

A template has the candidates of each dimension. A firm one also disproves: a tensor of that role
with another shape is not what the config promises. The others only prove, as they are guesses
among several figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ckptscan.late import Late
from ckptscan.structure.expected import keys
from ckptscan.structure.expected.figures import Dim, Dims, Figures, one, plus, scaled, times
from ckptscan.structure.expected.mixers import of_mixers

Shape = tuple[int, ...]
Matrix = tuple[Dims, Dims]

# attention to what another module gives
_CROSS = Late(r"(?i)cross|enc_?dec|encoder_attn|attn2|multihead_attn|_img|image|vision")
# norms that stand in the residual stream, whatever the model calls them
_RESIDUAL_NORM = Late(
    r"(?i)^(?:(?:input|post_attention|pre_feedforward|post_feedforward|post_self_attn|post_mlp"
    r"|pre_mlp|self_attn|final|encoder_attn|final_layer)_?layer_?norm|attention_norm|ffn_norm"
    r"|(?:ln|norm|layer_?norm)_?[12f]?|ln_attn|ln_mlp|operator_norm"
    r"|layernorm_(?:before|after)|final_norm|norm_f)$"
)
_LATENT_NORM = Late(r"(?i)^(?:q|kv)_(?:a_)?(?:layer_?)?norm$")
_BLOCK = Late(r"(?i)mamba|ssm|mixer|linear_attn|delta|conv|rwkv|recurrent|temporal_block")


class Template(NamedTuple):
    """The candidates of each dimension, in order."""

    dims: tuple[Dims, ...]

    @property
    def is_whole(self) -> bool:
        """Whether each dimension has a candidate."""
        return all(self.dims)

    def fits(self, shape: Shape) -> bool:
        """Whether a shape is among what the candidates give."""
        return len(shape) == len(self.dims) and all(
            length in {dim.value for dim in dims}
            for length, dims in zip(shape, self.dims, strict=True)
        )

    def words(self) -> str:
        """The first candidate of each dimension as a formula."""
        return ", ".join(_told(dims[0]) for dims in self.dims if dims)

    @property
    def shape(self) -> Shape:
        """The first candidate of each dimension."""
        return tuple(dims[0].value for dims in self.dims if dims)


def _told(dim: Dim) -> str:
    is_sum = any(sign in dim.words for sign in (" x ", " + ", " / "))
    return f"{dim.words} = {dim.value:,}" if is_sum else dim.words


class Place(NamedTuple):
    """What a template needs to know of a tensor: its role, names, and shape.

    `module` is the segment that speaks for it, `path` its whole name, `experts` how many the
    router of its layers may choose from.
    """

    role: str
    module: str
    path: str
    is_bias: bool
    is_turned: bool
    shape: Shape
    is_in_layer: bool = True


class Rule(NamedTuple):
    """What a tensor may look like; `is_firm` where anything else is wrong."""

    templates: tuple[Template, ...]
    is_firm: bool


NO_RULE = Rule((), False)


def rule_of(place: Place, figures: Figures) -> Rule:
    """What the figures say of a tensor's shape; without templates where they say nothing."""
    is_book = place.role in ("quantization", "buffer", "rope", "other")
    if is_book:
        return NO_RULE
    matrix = _matrix(place, figures)
    if matrix is not None:
        templates = tuple(_placed(place, matrix, figures))
        is_firm = place.role in FIRM and not _CROSS.search(place.path)
        return Rule(_whole(templates), is_firm and place.is_in_layer)
    found = _vectors(place, figures)
    return found._replace(templates=_whole(found.templates))


def _whole(templates: tuple[Template, ...]) -> tuple[Template, ...]:
    return tuple(template for template in templates if template.is_whole)


def _matrix(place: Place, figures: Figures) -> Matrix | None:
    """Out and in of a weight that is a matrix, None for what is none."""
    make = _LATENT.get(place.role) if figures.is_latent else None
    make = make or _MATRICES.get(place.role)
    if make is None:
        return None
    outs, ins = make(figures)
    if _CROSS.search(place.path) and place.role in ("k", "v", "kv", "qkv"):
        ins = figures.all_hidden
    return outs, ins


def _placed(place: Place, matrix: Matrix, figures: Figures) -> Iterator[Template]:
    """The matrix as it may be stored: turned, stacked for all experts, its bias alone."""
    outs, ins = matrix
    size = len(place.shape)
    is_of_experts = place.role.startswith("expert.")
    if place.is_bias:
        if size == 1:
            yield Template((outs,))
        elif size == 2 and is_of_experts:
            yield Template((figures.experts, outs))
    elif size == 2:
        yield Template((ins, outs) if place.is_turned else (outs, ins))
    elif size == 3 and is_of_experts:
        yield Template((figures.experts, outs, ins))
        yield Template((figures.experts, ins, outs))
    elif size > 2 and not is_of_experts and set(place.shape[2:]) == {1}:
        yield Template((outs, ins, *(one(1, "kernel") for _ in place.shape[2:])))


def _fused(figures: Figures) -> Dims:
    """Rows of query, key and value together; twice the queries where they are gated."""
    apart = plus(figures.queries, figures.keys, figures.values)
    return (*apart, *plus(scaled(2, figures.queries), figures.keys, figures.values))


def _gated(figures: Figures) -> Dims:
    return (*figures.queries, *scaled(2, figures.queries))


_MATRICES: Mapping[str, Callable[[Figures], Matrix]] = {
    "q": lambda f: (_gated(f), f.hidden),
    "k": lambda f: (f.keys, f.hidden),
    "v": lambda f: (f.values, f.hidden),
    "o": lambda f: (f.hidden, times(f.heads, f.value_dim)),
    "qkv": lambda f: (_fused(f), f.hidden),
    "kv": lambda f: (plus(f.keys, f.values), f.hidden),
    "gate": lambda f: (f.widths, f.hidden),
    "up": lambda f: (f.widths, f.hidden),
    "gate_up": lambda f: (scaled(2, f.widths), f.hidden),
    "down": lambda f: (f.hidden, f.widths),
    "expert.gate": lambda f: (f.expert_widths, f.hidden),
    "expert.up": lambda f: (f.expert_widths, f.hidden),
    "expert.gate_up": lambda f: (scaled(2, f.expert_widths), f.hidden),
    "expert.down": lambda f: (f.hidden, f.expert_widths),
    "shared_expert.gate": lambda f: (f.shared_widths, f.hidden),
    "shared_expert.up": lambda f: (f.shared_widths, f.hidden),
    "shared_expert.gate_up": lambda f: (scaled(2, f.shared_widths), f.hidden),
    "shared_expert.down": lambda f: (f.hidden, f.shared_widths),
    "router": lambda f: (f.experts, f.hidden),
    "shared_expert_router": lambda f: (one(1, "gate"), f.hidden),
    "attention_gate": lambda f: ((*f.queries, *f.heads, *f.hidden), f.hidden),
}


def _key_width(figures: Figures) -> Dims:
    return plus(figures.first("qk_nope_head_dim"), figures.first("qk_rope_head_dim"))


_LATENT: Mapping[str, Callable[[Figures], Matrix]] = {
    "q": lambda f: (times(f.heads, _key_width(f)), f.hidden),
    "q_a": lambda f: (f.first("q_lora_rank"), f.hidden),
    "q_b": lambda f: (times(f.heads, _key_width(f)), f.first("q_lora_rank")),
    "kv_a": lambda f: (plus(f.first("kv_lora_rank"), f.first("qk_rope_head_dim")), f.hidden),
    "kv_b": lambda f: (
        times(f.heads, plus(f.first("qk_nope_head_dim"), f.first("v_head_dim"))),
        f.first("kv_lora_rank"),
    ),
    "o": lambda f: (f.hidden, times(f.heads, f.first("v_head_dim"))),
}
# roles whose shape the figures settle
FIRM = frozenset({*_MATRICES, *_LATENT}) - {"attention_gate", "shared_expert_router"}


def _vectors(place: Place, figures: Figures) -> Rule:
    """What is no matrix of a layer: norms, sinks, tables, heads, mixers that keep a state."""
    make = _VECTORS.get(place.role)
    return NO_RULE if make is None else make(place, figures)


def _norm(place: Place, figures: Figures) -> Rule:
    shape, hidden = place.shape, figures.hidden
    if place.is_in_layer and _BLOCK.search(place.path.rpartition(".")[0]):
        known = of_mixers(place.path, shape, figures)
        return Rule((*map(Template, known), Template((hidden,))), False)
    if _LATENT_NORM.search(place.module) and figures.is_latent:
        rank = figures.first("q_lora_rank" if place.module[0] == "q" else "kv_lora_rank")
        return Rule((Template((rank,)),), True)
    is_sure = _RESIDUAL_NORM.search(place.module) is not None and not _CROSS.search(place.path)
    if is_sure and place.is_in_layer:
        return Rule((Template((hidden,)),), len(shape) == 1)
    others = (*figures.all_hidden, *figures.head_dim, *figures.queries, *figures.widths)
    return Rule((Template((hidden,)), Template((others,))), False)


def _qk_norm(place: Place, figures: Figures) -> Rule:
    heads = (*figures.heads, *figures.kv_heads)
    whole = (*figures.head_dim, *figures.queries, *figures.keys, *figures.hidden)
    apart = Template((heads, figures.head_dim))
    return Rule((Template((whole,)), apart), len(place.shape) == 1)


def _sinks(place: Place, figures: Figures) -> Rule:
    return Rule((Template((figures.heads,)),), True)


def _router_bias(place: Place, figures: Figures) -> Rule:
    return Rule((Template((figures.experts,)),), len(place.shape) == 1)


def _rows(place: Place, figures: Figures) -> Dims:
    """Rows of a table of tokens: as many as declared, or padded."""
    said, rows = figures.vocabulary, place.shape[0] if place.shape else 0
    if said and said[0].value < rows <= said[0].value + keys.PADDING and rows % 8 == 0:
        return (*said, Dim(rows, f"{said[0].words}, padded to {rows:,}"))
    return said


_TABLE_WIDTH = Late(r"(?:embed|embedding)\w*_(?:dim|size)$")


def _table(place: Place, figures: Figures) -> Rule:
    if len(place.shape) == 1:  # the bias of a head
        return Rule((Template((_rows(place, figures),)),), False)
    rows = _rows(place, figures)
    plain = Template((rows, figures.hidden))
    if plain.fits(place.shape) or not plain.is_whole:
        return Rule((plain,), True)
    others = figures.every(_TABLE_WIDTH)
    is_firm = not others and rows[0].value == place.shape[0]
    return Rule((plain, Template((rows, (*others, *figures.hidden)))), is_firm)


_POSITIONS = Late(r"(?:max_\w*positions?\w*|n_positions|max_seq\w*|n_ctx|seq_len\w*|context_length)$")
_TYPES = Late(r"type_vocab_size$")
_CLASSES = Late(r"^num_labels$|^num_classes$")


def _position(place: Place, figures: Figures) -> Rule:
    """Tables of positions; a few rows may be set apart (OPT and BART have 2)."""
    said = figures.every(_POSITIONS)
    rows = tuple(
        Dim(dim.value + more, dim.words if not more else f"{dim.words} + {more}")
        for dim in said
        for more in (0, 1, 2)
    )
    patches = _patches(figures)
    buckets = figures.first("relative_attention_num_buckets")
    return Rule(
        (
            Template((rows, figures.hidden)),
            Template((one(1, ""), patches, figures.hidden)),
            Template((patches, figures.hidden)),
            Template((buckets, figures.heads)),
        ),
        False,
    )


def _patches(figures: Figures) -> Dims:
    """How many patches an image has, with and without a token beside them."""
    image, patch = figures.config.number("image_size"), figures.config.number("patch_size")
    if image is None or patch is None or image < patch:
        return ()
    count = (image // patch) ** 2
    words = f"(image_size {image} / patch_size {patch}) squared"
    return (Dim(count + 1, f"{words} + 1"), Dim(count, words), Dim(count + 2, f"{words} + 2"))


def _patch(place: Place, figures: Figures) -> Rule:
    """A convolution that cuts patches."""
    patch = figures.first("patch_size")
    colours = figures.first("num_channels", "in_channels", "in_chans") or one(3, "colours")
    steps = figures.first("temporal_patch_size", "tubelet_size")
    flat = times(colours, patch, patch, *([steps] if steps else []))
    return Rule(
        (
            Template((figures.hidden,)),
            Template((figures.hidden, colours, patch, patch)),
            Template((figures.hidden, colours, steps, patch, patch)),
            Template((figures.hidden, flat)),
        ),
        False,
    )


def _token(place: Place, figures: Figures) -> Rule:
    ones = [one(1, "")] * (len(place.shape) - 1)
    return Rule((Template((*ones, figures.hidden)),), False)


def _token_type(place: Place, figures: Figures) -> Rule:
    return Rule((Template((figures.every(_TYPES), figures.hidden)),), False)


def _head(place: Place, figures: Figures) -> Rule:
    """Poolers and classifiers: from hidden to hidden, to the labels, to the vocabulary."""
    labels = figures.config.said("id2label")
    count = one(len(labels), "labels") if isinstance(labels, dict) else ()
    outs = (*figures.hidden, *count, *figures.every(_CLASSES), *figures.vocabulary)
    return Rule((Template((outs,)), Template((outs, figures.hidden))), False)


def _mtp(place: Place, figures: Figures) -> Rule:
    """The joints of what drafts tokens: two norms, and a projection of both together."""
    return Rule(
        (Template((figures.hidden,)), Template((figures.hidden, scaled(2, figures.hidden)))), False
    )


def _scale(place: Place, figures: Figures) -> Rule:
    return Rule((Template((figures.hidden,)), Template((one(1, "scalar"),))), False)


def _mixer(place: Place, figures: Figures) -> Rule:
    known = tuple(map(Template, of_mixers(place.path, place.shape, figures)))
    return Rule(known, False)


_VECTORS: Mapping[str, Callable[[Place, Figures], Rule]] = {
    "norm": _norm,
    "qk_norm": _qk_norm,
    "sinks": _sinks,
    "router_bias": _router_bias,
    "embedding": _table,
    "lm_head": _table,
    "position": _position,
    "token_type": _token_type,
    "token": _token,
    "patch": _patch,
    "head": _head,
    "mtp": _mtp,
    "layer_scale": _scale,
    "linear_attention": _mixer,
    "ssm": _mixer,
    "conv": _mixer,
}
