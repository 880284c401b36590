"""The rules of roles in their order: the first one that knows a tensor names it.

A rule takes a `Spot` and gives a role or nothing. Shapes confirm what names say; only for what no
name tells do they decide alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ckptscan.structure.roles import attention, feed_forward, tables
from ckptscan.structure.roles.spot import Spot, area_of, spots
from ckptscan.structure.roles.values import UNKNOWN, Role, Shape, Surroundings

Rule = Callable[[Spot], Role | None]

# an output head without a known vocabulary needs this many rows for each column
HEAD_ROWS = 8
# a kernel over the three colours that is this wide cuts patches; ResNet's first has 7
PIXEL = 3
MIN_PATCH = 8


def roles_of(
    path: Sequence[str], leaves: Mapping[str, Shape], around: Surroundings | None = None
) -> dict[str, Role]:
    """The role of each tensor of a module, by its name in `leaves`.

    `path` has `*` for indices; shapes are logical, and wrapper prefixes are gone.
    """
    found = spots(path, leaves, around or Surroundings())
    return {leaf: _role(spot) for leaf, spot in found.items()}


def _role(spot: Spot) -> Role:
    for rule in RULES:
        role = rule(spot)
        if role is not None:
            return role
    return UNKNOWN


def _bookkeeping(spot: Spot) -> Role | None:
    """What no training moves: quantization's own, buffers, masks, tables of frequencies."""
    leaf = spot.leaf
    if spot.is_bare and tables.ROPE.fullmatch(leaf):
        return Role("rope", "name")
    if tables.BUFFER.fullmatch(leaf) or (leaf == "step" and not spot.shape):
        return Role("buffer", "name")
    if leaf == "bias" and len(spot.shape) == 4 and area_of(spot.name) == "attention":
        return Role("buffer", "name and shape")
    if leaf == "shift" and tables.NORM.search(spot.parent):
        return Role("buffer", "path")
    if spot.is_bare and leaf == "embed" and {"cluster_size", "embed_avg", "inited"} & spot.company:
        return Role("buffer", "siblings")
    if leaf == "positional_embedding" and len(spot.shape) == 2 and spot.shape[0] == 2:
        return Role("buffer", "name and shape")
    if leaf == "pe" and spot.is_bare and len(spot.shape) == 3 and 1 in spot.shape[:2]:
        return Role("buffer", "name and shape")  # waves that PyTorch's tutorial calls so
    is_scale = leaf == "scales" and area_of(spot.name) in ("patch", "position")
    if spot.is_bare and not is_scale and tables.QUANTIZATION.fullmatch(leaf):
        return Role("quantization", "name")
    return None


def _lora(spot: Spot) -> Role | None:
    """Adapters, by their own segment wherever it stands in the last ones."""
    near = (spot.name, spot.leaf, *spot.above[:2])
    for role, pattern in (
        ("lora.magnitude", tables.LORA_MAGNITUDE),
        ("lora.a", tables.LORA_A),
        ("lora.b", tables.LORA_B),
    ):
        if any(map(pattern.fullmatch, near)):
            return Role(role, "name")
    if spot.is_bare and spot.leaf == "alpha" and _is_adapter(spot):
        return Role("lora.alpha", "name")
    return None


def _is_adapter(spot: Spot) -> bool:
    """Whether an `alpha` belongs to an adapter: kohya's names, or lora beside it."""
    if any(segment.startswith("lora_") for segment in spot.above):
        return True
    return any(name.startswith(("lora_", "lokr_", "hada_")) for name in spot.company)


def _mtp(spot: Spot) -> Role | None:
    """The joints of a multi-token prediction module; its layers keep their own roles."""
    if tables.MTP_ANYWHERE.fullmatch(spot.name):
        return Role("mtp", "name")
    if not tables.MTP_PART.fullmatch(spot.name):
        return None
    return Role("mtp", "path") if any(map(tables.MTP.fullmatch, spot.above[:3])) else None


def _norm(spot: Spot) -> Role | None:
    """Norms of all kinds; a matrix inside one is its modulation."""
    is_counted = "running_mean" in spot.leaves
    if not is_counted and not tables.NORM.search(spot.name):
        return None
    if is_counted or _is_vector(spot.shape):
        is_qk = tables.QK_NORM.fullmatch(spot.name) and not _is_latent(spot)
        return Role("qk_norm" if is_qk else "norm", "name and shape")
    if tables.QK_NORM.fullmatch(spot.name):
        return Role("qk_norm", "name")
    if spot.leaves.get("weight") == spot.leaves.get("bias"):
        return Role("norm", "name and shape")
    is_wide = len(spot.shape) == 2 and spot.shape[0] % max(1, spot.shape[1]) == 0
    return Role("modulation", "name and shape") if is_wide and not spot.is_bare else None


def _is_vector(shape: Shape) -> bool:
    """Whether at most one dimension is more than 1."""
    return sum(length != 1 for length in shape) <= 1


def _is_latent(spot: Spot) -> bool:
    """Whether a `q_norm` is that of MLA's latent: it stands beside `q_a`."""
    return any(map(tables.MLA_SIGN.fullmatch, spot.company))


def _layer_scale(spot: Spot) -> Role | None:
    if len(spot.shape) > 1 and not _is_vector(spot.shape):
        return None
    names = (spot.name, spot.leaf)
    is_scale = any(map(tables.LAYER_SCALE.fullmatch, names)) or spot.name == "scale"
    if spot.is_bare and (is_scale or tables.RESIDUAL_GATE.fullmatch(spot.name)):
        return Role("layer_scale", "name and shape")
    is_inside = tables.LAYER_SCALE_PARENT.fullmatch(spot.parent if spot.is_bare else spot.name)
    return Role("layer_scale", "path") if is_inside else None


def _language_head(spot: Spot) -> Role | None:
    """The output head over a vocabulary."""
    if tables.LM_HEAD.fullmatch(spot.name):
        is_other = len(spot.shape) > 2
        return Role("head" if is_other else "lm_head", "name")
    is_inner = any(map(tables.LM_HEAD.fullmatch, spot.above[:1])) or spot.parent == "predictions"
    if is_inner and spot.name in ("decoder", "bias", "proj", "out_proj", "out"):
        return Role("lm_head", "path")
    if spot.parent == "shared_head" and spot.name in ("head", "output"):
        return Role("lm_head", "path")
    is_mtp = any(map(tables.MTP.fullmatch, spot.above))
    if (spot.is_in_layer and not is_mtp) or spot.area not in ("", "head"):
        return None
    rows = spot.shape[0] if spot.shape else 0
    vocabulary = spot.around.vocabulary
    is_matrix = len(spot.shape) == 2 or spot.name == "predictions"
    if not is_matrix or not tables.MAYBE_LM_HEAD.fullmatch(spot.name):
        return None
    if vocabulary is not None:
        is_cut = spot.name.startswith("output") and rows > 0 and vocabulary % rows == 0
        return Role("lm_head", "name and shape") if rows == vocabulary or is_cut else None
    is_tall = rows >= HEAD_ROWS * max((1, *spot.shape[-1:]))
    return Role("lm_head", "name and shape") if is_tall or spot.name == "output" else None


# tokens that attention itself holds, to pool by
_POOLED = frozenset({"latent", "latents", "probe", "cls_token", "query_tokens"})


def _position(spot: Spot) -> Role | None:
    """Tables of positions, of token types, and single learned tokens."""
    if spot.area == "head" and not spot.is_bare:
        return None
    if tables.TOKEN_TYPE.fullmatch(spot.name):
        return Role("token_type", "name")
    is_apart = spot.area != "attention" or (spot.is_bare and spot.name in _POOLED)
    if is_apart and tables.TOKEN.fullmatch(spot.name) and _is_table(spot):
        return Role("token", "name")
    is_rel_pos = spot.name in ("rel_pos_h", "rel_pos_w") or spot.name.endswith("_proj")
    if is_rel_pos or not any(map(tables.POSITION.fullmatch, (spot.name, spot.leaf))):
        return None
    is_layer = not spot.is_bare and ("bias" in spot.leaves or "conv" in spot.name)
    return None if is_layer else Role("position", "name")


def _is_table(spot: Spot) -> bool:
    """Whether it may be looked up: a bare tensor, or a matrix without bias, in no layer."""
    if spot.is_bare:
        return True
    return len(spot.shape) == 2 and "bias" not in spot.leaves and not spot.is_in_layer


_NO_TABLES = frozenset({"attention", "mlp", "patch", "time", "projector"})


def _embedding(spot: Spot) -> Role | None:
    """Tables that rows are looked up in."""
    is_inner = spot.is_bare and not tables.EMBEDDING.fullmatch(spot.parent)
    if is_inner or {spot.area, area_of(spot.name)} & _NO_TABLES:
        return None
    if len(spot.shape) not in (0, 2) or "bias" in spot.leaves:
        return None
    if tables.EMBEDDING.fullmatch(spot.name) and not tables.NO_EMBEDDING.search(spot.name):
        return Role("embedding", "name and shape")
    is_tall = len(spot.shape) == 2 and spot.shape[0] >= HEAD_ROWS * max(1, spot.shape[1])
    is_top = not spot.is_in_layer and len(spot.above) < 2 and spot.name == "encoder"
    return Role("embedding", "name and shape") if is_tall and is_top else None


def _by_area(spot: Spot) -> Role | None:
    """What only its place tells: parts of a head, a projector, a time embedding ..."""
    if tables.MODULATION.fullmatch(spot.name):
        return Role("modulation", "name")
    own = area_of(spot.name)
    area = own if own in _PLACES else spot.area
    if len(spot.shape) > 2 and not spot.is_bare and not _keeps_kernels(spot, area, own):
        return None
    norm = _vector_norm(spot)
    if norm is not None or area not in _PLACES:
        return norm
    return Role(_PLACES[area], "name" if own == area else "path")


def _keeps_kernels(spot: Spot, area: str, own: str) -> bool:
    """Whether a convolution takes the role of its place: in patches, connectors and as a head."""
    if area in ("head", "position"):
        return own == "head"
    return area != "projector" or any(map(tables.CONNECTOR.search, (spot.name, *spot.above)))


_PLACES = {
    "patch": "patch",
    "modulation": "modulation",
    "time": "time",
    "projector": "projector",
    "head": "head",
    "rope": "rope",
    "rnn": "rnn",
    "position": "position",
    "ssm": "ssm",
    "conv": "conv",
    "linear_attention": "linear_attention",
}


def _by_shape(spot: Spot) -> Role | None:
    """What no name tells: kernels are convolutions, vectors called weight are norms."""
    if tables.LOGIT.fullmatch(spot.name):
        return Role("head", "name")
    if spot.is_bare:
        return None
    if len(spot.shape) >= 3:
        return Role("conv", "shape")
    return _vector_norm(spot)


def _vector_norm(spot: Spot) -> Role | None:
    """A norm, where a `weight` has one dimension."""
    if spot.is_bare or len(spot.shape) != 1 or spot.shape[0] < 2 or "weight" not in spot.leaves:
        return None
    return Role("qk_norm" if spot.name in ("q", "k") else "norm", "shape")


def _joint(spot: Spot) -> Role | None:
    """A matrix outside of all layers that leads from one width to another."""
    is_odd = spot.is_bare and spot.name not in ("proj", "text_projection")
    if is_odd or spot.is_in_layer or len(spot.shape) not in (0, 2):
        return None
    if len(spot.above) == 0 and spot.name in ("fc", "dense", "proj_out", "output_proj"):
        return Role("head", "name")
    return Role("projector", "name") if tables.JOINT.search(spot.name) else None


def _patch_first(spot: Spot) -> Role | None:
    """Patch embeddings, that call their convolution `proj` like attention does."""
    if spot.is_bare:
        return None
    if spot.area == "patch" or area_of(spot.name) == "patch":
        return Role("patch", "name")
    if len(spot.shape) == 4 and (spot.parent, spot.name) == ("pos_embed", "proj"):
        return Role("patch", "name and shape")  # diffusers: pos_embed.proj cuts the patches
    is_pixels = len(spot.shape) in (4, 5) and spot.shape[1] == PIXEL
    return Role("patch", "shape") if is_pixels and spot.shape[-1] >= MIN_PATCH else None


RULES: tuple[Rule, ...] = (
    _bookkeeping,
    _lora,
    _mtp,
    attention.recurrent,
    _norm,
    feed_forward.routing,
    _layer_scale,
    _language_head,
    _position,
    _patch_first,
    attention.attention,
    feed_forward.feed_forward,
    _embedding,
    attention.leftover,
    _by_area,
    _by_shape,
    _joint,
)
