"""A checkpoint as a GGUF file: the tensors that the converter writes, the type and size of each.

Sources: convert_hf_to_gguf.py (what is joined, split, dropped or kept in 32 bits), ggml-cuda.cu
(rows of packed types are padded to 512 values on the card).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

from ckptscan.late import Late
from ckptscan.plan import ggml, mxfp4
from ckptscan.plan.ggml import Place, Traits
from ckptscan.plan.inventory import Leaf, Module
from ckptscan.plan.loading import group_of
from ckptscan.plan.model import Model
from ckptscan.plan.sharding import is_stack, out_and_in

INPUT, OUTPUT = -1, 1 << 30  # places of what stands before and after the layers
CARD_ROW = 512  # MATRIX_ROW_PADDING
_70B_LAYERS = 80
_CATEGORIES = {
    "embedding": "embedding", "lm_head": "output", "q": "q", "k": "k", "v": "v", "qkv": "qkv",
    "o": "o", "down": "down", "expert.down": "down", "shared_expert.down": "down",
}  # fmt: skip
_KEPT = frozenset(
    "router router_bias shared_expert_router position token_type norm qk_norm".split()
)
# names of GGUF that llama-quantize leaves as the converter wrote them
_SMALL = Late(r"altup|laurel|per_layer_model_proj")
_FUSED_STATE = Late(r"in_proj_qkv$")


class Tensor(NamedTuple):
    """One tensor of a GGUF file: the layer that it stands in, its type, its bytes.

    `padding` is what a card takes beside them.
    """

    layer: int
    group: str
    kind: str
    nbytes: int
    padding: int = 0


class File(NamedTuple):
    """The tensors of a GGUF file, and bytes of the checkpoint that are in none, by reason."""

    mix: str
    tensors: tuple[Tensor, ...]
    left_out: tuple[tuple[str, int], ...]
    elements: int

    @property
    def nbytes(self) -> int:
        """What llama.cpp prints as `file size`: bytes of all tensors."""
        return sum(tensor.nbytes for tensor in self.tensors)


def gguf_of(model: Model, mix: str) -> File:
    """The GGUF file of a model in one mix of types; it is made once."""
    if mix not in model.files:
        model.files[mix] = _made_of(model, mix)
    return model.files[mix]


def _made_of(model: Model, mix: str) -> File:
    traits = _traits(model)
    tensors: list[Tensor] = []
    left: dict[str, int] = {}
    values = 0
    for place, index in enumerate(model.indices):
        has_values = False
        for module in model.inventory.modules_of(index):
            category = _category(module)
            has_values = has_values or category in ("v", "qkv")
            where = Place(category, place, values, is_stack(module) or module.times > 1)
            tensors += _tensors(model, module, mix, traits, where)
        values += has_values
    for module in model.inventory.outside:
        if module.tower != "text":
            said = f"{module.tower} tower, in a file of its own (mmproj)"
            left[said] = left.get(said, 0) - module.nbytes
        elif module.role == "lm_head" and traits.is_tied:
            left["head that shares the embedding's table"] = -module.nbytes
        else:
            tensors += _tensors(model, module, mix, traits, _outer(module))
    if model.facts.rope_type == "llama3" and model.heads.q_width:
        tensors.append(Tensor(OUTPUT, "other", "f32", model.heads.q_width // 2 * 4))  # rope_freqs
    return File(mix, tuple(tensors), tuple(left.items()), _elements(model, traits))


def _traits(model: Model) -> Traits:
    kinds = model.inventory.kinds
    values = sum(
        len(kind.indices)
        for kind in kinds
        if any(_category(module) in ("v", "qkv") for module in kind.modules)
    )
    layers, family = len(model.indices), model.facts.config.model_type or ""
    ratio = max((one.ratio or 1 for one in model.attention), default=1)
    heads = bool(model.inventory.of_role("lm_head"))
    return Traits(
        layers,
        values,
        model.experts,
        ratio,
        model.facts.is_tied or not heads,
        "falcon" in family and "h1" not in family,
        layers == _70B_LAYERS and ratio > 1 and family in ("llama", "qwen2"),
    )


def _elements(model: Model, traits: Traits) -> int:
    return sum(
        prod(module.shape or ()) * times
        for module, times in model.inventory.everything()
        if module.tower == "text" and not (module.role == "lm_head" and traits.is_tied)
    )


def _category(module: Module) -> str:
    if module.role == "linear_attention" and _FUSED_STATE.search(module.path):
        return "qkv"
    return _CATEGORIES.get(module.role, "other")


def _outer(module: Module) -> Place:
    is_input = module.role in ("embedding", "position", "token_type")
    return Place(_category(module), INPUT if is_input else OUTPUT, 0, is_stack=False)


def _tensors(
    model: Model, module: Module, mix: str, traits: Traits, where: Place
) -> Iterator[Tensor]:
    """What a module becomes: its weight in the type of the mix, the rest in 32 bits."""
    group, layer = group_of(module), where.layer
    sizes = out_and_in(module, model.facts.hidden)
    weight = _weight(module) if sizes is not None else None
    for leaf in module.leaves:
        if leaf.role in ("quantization", "buffer", "rope") or leaf is weight:
            continue
        nbytes = leaf.numel * module.times * 4
        yield Tensor(layer, group, "f32", nbytes)
    if sizes is None or weight is None:
        return
    lead = module.times * (prod((module.shape or ())[:-2]) if is_stack(module) else 1)
    if module.role == "kv_b" and (heads := _latent_parts(model, sizes)):
        for rows, columns in heads:  # attn_k_b, attn_v_b
            yield _made(module, mix, traits, where, (lead * rows, columns))
        return
    yield _made(module, mix, traits, where, (lead * sizes[0], sizes[1]))


def _latent_parts(model: Model, sizes: tuple[int, int]) -> Sequence[tuple[int, int]]:
    """kv_b_proj as the two tensors that it is split into, that of keys turned."""
    one = next((one for one in model.attention if one.latent is not None and one.heads), None)
    if one is None or one.latent is None or one.heads is None:
        return ()
    latent, heads = one.latent, one.heads
    if sizes != (heads * (latent.nope + latent.v), latent.kv_rank):
        return ()
    return (heads * latent.kv_rank, latent.nope), (heads * latent.v, latent.kv_rank)


def _made(module: Module, mix: str, traits: Traits, where: Place, size: tuple[int, int]) -> Tensor:
    rows, columns = size
    if module.role in _KEPT or rows * columns == 0:
        kind = "f32"
    elif mxfp4.is_mxfp4(module):
        kind = "mxfp4"  # the converter takes the blocks as they are
    elif _SMALL.search(module.path):
        kind = "f16"
    else:
        kind = ggml.type_of(mix, where, columns, traits)
    padding = 0
    if ggml.TYPES[kind].values > 1 and columns % CARD_ROW:
        padding = ggml.row_bytes(kind, CARD_ROW - columns % CARD_ROW)
    nbytes = rows * ggml.row_bytes(kind, columns)
    return Tensor(where.layer, group_of(module), kind, nbytes, padding)


def _weight(module: Module) -> Leaf | None:
    """The tensor that a module's shape is of: the largest that is no book and no bias."""
    own = [
        leaf
        for leaf in module.leaves
        if leaf.role not in ("quantization", "buffer", "rope") and not leaf.name.endswith("bias")
    ]
    return max(own, key=lambda leaf: leaf.nbytes, default=None)
