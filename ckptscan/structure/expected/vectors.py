"""The shapes of what is no matrix of a layer: norms, tables, tokens, heads, mixers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ckptscan.late import Late
from ckptscan.structure.expected import keys
from ckptscan.structure.expected.figures import Dim, Dims, Figures, one, scaled, times
from ckptscan.structure.expected.mixers import of_mixers
from ckptscan.structure.expected.templates import CROSS, Place, Rule, firm, guess

# norms that stand in the residual stream, whatever the model calls them
_RESIDUAL_NORM = Late(
    r"(?i)^(?:(?:input|post_attention|pre_feedforward|post_feedforward|post_self_attn|post_mlp"
    r"|pre_mlp|self_attn|final|encoder_attn|final_layer)_?layer_?norm|attention_norm|ffn_norm"
    r"|(?:ln|norm|layer_?norm)_?[12f]?|ln_attn|ln_mlp|operator_norm"
    r"|layernorm_(?:before|after)|final_norm|norm_f)$"
)
_LATENT_NORM = Late(r"(?i)^(?:q|kv)_(?:a_)?(?:layer_?)?norm$")
_BLOCK = Late(r"(?i)mamba|ssm|mixer|linear_attn|delta|conv|rwkv|recurrent|temporal_block")


def _norm(place: Place, figures: Figures) -> Rule:
    shape, hidden = place.shape, figures.hidden
    if place.is_in_layer and _BLOCK.search(place.path.rpartition(".")[0]):
        return guess(*of_mixers(place.path, figures), (hidden,))
    if _LATENT_NORM.search(place.module) and figures.is_latent:
        rank = figures.first("q_lora_rank" if place.module[0] == "q" else "kv_lora_rank")
        return firm((rank,))
    is_known = _RESIDUAL_NORM.search(place.module) is not None and not CROSS.search(place.path)
    if is_known and place.is_in_layer and len(shape) == 1:
        return firm((hidden,))
    others = (*figures.all_hidden, *figures.head_dim, *figures.queries, *figures.widths)
    return guess((hidden,), (others,))


def _qk_norm(place: Place, figures: Figures) -> Rule:
    heads = (*figures.heads, *figures.kv_heads)
    whole = (*figures.head_dim, *figures.queries, *figures.keys, *figures.hidden)
    made = ((whole,), (heads, figures.head_dim))
    return firm(*made) if len(place.shape) == 1 and place.is_in_layer else guess(*made)


def _sinks(place: Place, figures: Figures) -> Rule:
    return firm((figures.heads,)) if len(place.shape) == 1 else guess((figures.heads,))


def _router_bias(place: Place, figures: Figures) -> Rule:
    return firm((figures.experts,)) if len(place.shape) == 1 else guess((figures.experts,))


def _rows(place: Place, figures: Figures) -> Dims:
    """Rows of a table of tokens: as many as declared, or padded."""
    said, rows = figures.vocabulary, place.shape[0] if place.shape else 0
    if said and said[0].value < rows <= said[0].value + keys.PADDING and rows % 8 == 0:
        return (*said, Dim(rows, f"{said[0].words}, padded to {rows:,}"))
    return said


# the names of the tables of a language model itself
_KNOWN_TABLE = Late(
    r"^(?:embed_tokens|tok_embeddings|word_embeddings|wte|embed_in|shared|lm_head|output|embed_out)$"
)
_TABLE_WIDTH = Late(r"(?:embed|embedding)\w*_(?:dim|size)$")


def _table(place: Place, figures: Figures) -> Rule:
    """A table of tokens, or the head over them; its rows are the vocabulary check's affair."""
    rows = _rows(place, figures)
    if len(place.shape) == 1:  # the bias of a head
        return guess((rows,))
    others = figures.every(_TABLE_WIDTH)
    is_known = _KNOWN_TABLE.search(place.module) is not None
    if others or not is_known or not rows or rows[0].value != place.shape[0]:
        return guess((rows, (*figures.hidden, *others)))
    return firm((rows, figures.hidden))


_POSITIONS = Late(
    r"(?:max_\w*positions?\w*|n_positions|max_seq\w*|n_ctx|seq_len\w*|context_length)$"
)
_TYPES = Late(r"type_vocab_size$")
_CLASSES = Late(r"^num_labels$|^num_classes$")
_ONE = one(1, "")


def _position(place: Place, figures: Figures) -> Rule:
    """Tables of positions; a few rows may be set apart (OPT and BART have 2)."""
    rows = tuple(
        Dim(dim.value + more, f"{dim.words} + {more}" if more else dim.words)
        for dim in figures.every(_POSITIONS)
        for more in (0, 1, 2)
    )
    patches = _patches(figures)
    buckets = figures.first("relative_attention_num_buckets")
    return guess(
        (rows, figures.hidden),
        (_ONE, patches, figures.hidden),
        (patches, figures.hidden),
        (buckets, figures.heads),
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
    return guess(
        (figures.hidden,),
        (figures.hidden, colours, patch, patch),
        (figures.hidden, colours, steps, patch, patch),
        (figures.hidden, flat),
    )


def _token(place: Place, figures: Figures) -> Rule:
    return guess((*(_ONE for _ in place.shape[1:]), figures.hidden))


def _token_type(place: Place, figures: Figures) -> Rule:
    return guess((figures.every(_TYPES), figures.hidden))


def _head(place: Place, figures: Figures) -> Rule:
    """Poolers and classifiers: from hidden to hidden, to the labels, to the vocabulary."""
    labels = figures.config.said("id2label")
    count = one(len(labels), "labels") if isinstance(labels, dict) else ()
    outs = (*figures.hidden, *count, *figures.every(_CLASSES), *figures.vocabulary)
    if "seq_relationship" in place.path:
        outs = one(2, "next sentence or not")
    return guess((outs,), (outs, figures.hidden))


def _mtp(place: Place, figures: Figures) -> Rule:
    """The joints of what drafts tokens: two norms, and a projection of both together."""
    return guess((figures.hidden,), (figures.hidden, scaled(2, figures.hidden)))


def _scale(place: Place, figures: Figures) -> Rule:
    return guess((figures.hidden,), (_ONE,))


def _projector(place: Place, figures: Figures) -> Rule:
    """What leads from a tower's width, of one patch or of a square of them, to the model's."""
    merge = figures.first("spatial_merge_size")
    widths = (*figures.all_hidden, *times(figures.all_hidden, merge, merge))
    return guess((widths,), (widths, widths))


def _buffer(place: Place, figures: Figures) -> Rule:
    """Masks, numbers of positions, frequencies: what follows from the lengths alone."""
    length = figures.every(_POSITIONS)
    half = tuple(
        Dim(dim.value // 2, f"{dim.words} / 2")
        for dim in (*figures.head_dim, *figures.first("qk_rope_head_dim", "rotary_dim"))
    )
    return guess((half,), (length,), (_ONE, length), (_ONE, _ONE, length, length), ())


def of_mixer(place: Place, figures: Figures) -> Rule:
    """What keeps a state, or chooses what to look at."""
    return guess(*of_mixers(place.path, figures))


VECTORS: Mapping[str, Callable[[Place, Figures], Rule]] = {
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
    "linear_attention": of_mixer,
    "ssm": of_mixer,
    "conv": of_mixer,
    "rnn": of_mixer,
    "attention": of_mixer,
    "buffer": _buffer,
    "rope": _buffer,
    "projector": _projector,
}
