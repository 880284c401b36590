"""Kinds of damage done to the header sets of real models, and the codes that must tell of it."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Iterable
from typing import Any

from tests.conftest import packed

Tensors = dict[str, tuple[str, tuple[int, ...]]]
Documents = dict[str, dict[str, Any]]
Damage = Callable[[Tensors, Documents, random.Random], set[str]]

LAYER = re.compile(r"^(.*?(?:layers|layer|h|blocks?)\.)(\d+)\.(.+)$")
EXPERT = re.compile(r"^(.*\.experts\.)(\d+)\.(.+)$")
BOOK = re.compile(
    r"(?:weight_scale(?:_inv)?|input_scale|scales|qzeros|g_idx|absmax|quant_map|_scales|bitsandbytes__nf4)$"
)
PACKED = re.compile(r"(?:\.qweight|_blocks)$")


def held(model: str) -> tuple[Tensors, Documents]:
    """The tensors of a pack as one file, and its config."""
    checkpoint = packed(model).checkpoint
    tensors = {row.name: (row.dtype.name, tuple(row.shape)) for row in checkpoint.table}
    documents = {
        name.removesuffix(".json"): copy.deepcopy(dict(document))
        for name, document in checkpoint.config.documents.items()
    }
    return tensors, documents


def layers(tensors: Tensors, documents: Documents) -> tuple[str, list[int]]:
    """The prefix of the largest stack, and its indices, without what drafts tokens."""
    found: dict[str, dict[int, int]] = {}
    for name in tensors:
        match = LAYER.match(name)
        if match:
            places = found.setdefault(match[1], {})
            places[int(match[2])] = places.get(int(match[2]), 0) + 1
    prefix = max(found, key=lambda one: sum(found[one].values()))
    config = documents.get("config", {})
    count = config.get("num_hidden_layers", config.get("n_layer", 10**6))
    return prefix, sorted(index for index in found[prefix] if index < count)


def of_layer(tensors: Tensors, prefix: str, index: int) -> list[str]:
    return [name for name in tensors if name.startswith(f"{prefix}{index}.")]


def plain(names: Iterable[str]) -> list[str]:
    """Tensors that are no books and no experts'."""
    return [name for name in names if not BOOK.search(name) and not EXPERT.match(name)]


def _drop_at(place: int | None) -> Damage:
    def drop(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
        prefix, indices = layers(tensors, documents)
        index = rng.choice(indices[1:-1]) if place is None else indices[place]
        names = plain(of_layer(tensors, prefix, index))
        names = [name for name in names if "inv_freq" not in name]
        del tensors[rng.choice(names)]
        return {"S001", "A005", "A002"}

    return drop


def drop_layer(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    prefix, indices = layers(tensors, documents)
    for name in of_layer(tensors, prefix, rng.choice(indices[1:-1])):
        del tensors[name]
    return {"S004"}


def drop_last_layer(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    prefix, indices = layers(tensors, documents)
    if "config" not in documents:
        return set()
    for name in of_layer(tensors, prefix, indices[-1]):
        del tensors[name]
    return {"C001", "S004"}


def _an_expert(tensors: Tensors, rng: random.Random) -> str:
    names = [name for name in tensors if EXPERT.match(name)]
    return rng.choice(names) if names else ""


def drop_expert(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    match = EXPERT.match(_an_expert(tensors, rng))
    if not match:
        return set()
    for name in [name for name in tensors if name.startswith(f"{match[1]}{match[2]}.")]:
        del tensors[name]
    return {"S005"}


def drop_projection(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    match = EXPERT.match(_an_expert(tensors, rng))
    if not match:
        return set()
    module = f"{match[1]}{match[2]}.{match[3].partition('.')[0]}."
    for name in [name for name in tensors if name.startswith(module)]:
        del tensors[name]
    return {"S006"}


def drop_expert_scale(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    names = [name for name in tensors if EXPERT.match(name) and BOOK.search(name)]
    if not names:
        return set()
    del tensors[rng.choice(names)]
    return {"Q001", "Q003", "Q004"}


def drop_book(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    names = [name for name in tensors if BOOK.search(name)]
    if not names:
        return set()
    del tensors[rng.choice(names)]
    return {"Q001", "Q003", "Q004"}


def orphan(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    names = [
        name for name in tensors if re.search(r"(?:weight_scale|weight_scale_inv|qzeros)$", name)
    ]
    if not names:
        return set()
    module = rng.choice(names).rpartition(".")[0]
    for leaf in ("weight", "qweight"):
        tensors.pop(f"{module}.{leaf}", None)
    return {"Q002"}


def halve_scale(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    names = [
        name
        for name, (_, shape) in tensors.items()
        if BOOK.search(name) and "map" not in name and "__" not in name and max(shape) > 3
    ]
    if not names:
        return set()
    name = rng.choice(names)
    dtype, shape = tensors[name]
    largest = shape.index(max(shape))
    tensors[name] = dtype, tuple(s // 2 if at == largest else s for at, s in enumerate(shape))
    return {"Q005", "Q001"}


def _reshape_at(place: int | None) -> Damage:
    def reshape(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
        prefix, indices = layers(tensors, documents)
        index = rng.choice(indices[1:-1]) if place is None else indices[place]
        names = [
            name for name in plain(of_layer(tensors, prefix, index)) if name.endswith("weight")
        ]
        names = [name for name in names if tensors[name][0] != "U8" and max(tensors[name][1]) > 3]
        if not names:
            return set()
        name = rng.choice(names)
        dtype, shape = tensors[name]
        axis = rng.randrange(len(shape))
        if shape[axis] < 2:
            axis = shape.index(max(shape))
        tensors[name] = dtype, tuple(s // 2 if at == axis else s for at, s in enumerate(shape))
        return {"S002", "Q005", "A002", "A001"}

    return reshape


def reshape_expert(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    names = [n for n in tensors if EXPERT.match(n) and n.endswith(".weight")]
    if not names:
        return set()
    name = rng.choice(names)
    dtype, (rows, columns) = tensors[name]
    tensors[name] = dtype, (rows // 2, columns)
    return {"S002"}


def recast(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    prefix, indices = layers(tensors, documents)
    names = plain(of_layer(tensors, prefix, rng.choice(indices[1:-1])))
    names = [name for name in names if tensors[name][0] in ("BF16", "F16", "F32", "F8_E4M3")]
    name = rng.choice(names)
    dtype, shape = tensors[name]
    tensors[name] = "F32" if dtype != "F32" else "BF16", shape
    return {"S003"}


def _set(codes: str, *keys: str, change: Callable[[int], int]) -> Damage:
    def damage(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
        document = documents.get("config") or documents.get("params") or {}
        key = next((key for key in keys if type(document.get(key)) is int), None)
        if key is None or document[key] < 2:
            return set()
        if key == "num_hidden_layers" and "encoder_layers" in document:
            return set()  # sides are declared by other keys
        if key == "num_key_value_heads" and "kv_lora_rank" in document:
            return set()  # latent attention has none
        document[key] = change(document[key])
        return set(codes.split())

    return damage


def tie(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    config = documents.get("config", {})
    if not isinstance(config.get("tie_word_embeddings"), bool):
        return set()
    config["tie_word_embeddings"] = not config["tie_word_embeddings"]
    return {"C008", "C009"}


def drop_head(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    config = documents.get("config", {})
    if config.get("tie_word_embeddings") is not False or "lm_head.weight" not in tensors:
        return set()
    for name in [name for name in tensors if name.startswith("lm_head.")]:
        del tensors[name]
    return {"C009"}


def _drop_named(pattern: str) -> Damage:
    def drop(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
        names = [name for name in tensors if re.search(pattern, name)]
        if not names or "config" not in documents:
            return set()
        for name in names:
            del tensors[name]
        return {"S009"}

    return drop


def no_quantization(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    if "quantize_config" in documents or "hf_quant_config" in documents:
        return set()  # another file still says it
    found = documents.get("config", {}).pop("quantization_config", None)
    return set() if found is None else {"C014"}


def other_quantization(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    said = documents.get("config", {}).get("quantization_config")
    if not isinstance(said, dict) or "quant_method" not in said:
        return set()
    others = [one for one in ("gptq", "awq", "bitsandbytes", "fp8") if one != said["quant_method"]]
    if said["quant_method"] == "compressed-tensors":
        others.remove("fp8")
    said["quant_method"] = rng.choice(others)
    return {"Q007"}


def other_bits(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    said = documents.get("config", {}).get("quantization_config", {})
    key = next((key for key in ("bits", "group_size") if key in said), None)
    if key is not None:
        said[key] *= 2
    elif "weight_block_size" in said:
        said["weight_block_size"] = [64, 64]
    else:
        return set()
    return {"Q007"}


def new_quantization(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    config = documents.get("config", {})
    if "model_type" not in config or "quantization_config" in config:
        return set()
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    return {"C014"}


def uneven(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    """All of one projection unpacked, the others of its group packed."""
    names = [n for n in tensors if n.endswith(("k_proj.weight", "k_proj.qweight"))]
    names = [n for n in names if tensors[n][0] in ("F8_E4M3", "I32", "U8")]
    if not names:
        return set()
    for name in names:
        module = name.rpartition(".")[0]
        for leaf in [one for one in tensors if one.startswith(f"{module}.")]:
            del tensors[leaf]
        tensors[f"{module}.weight"] = "BF16", (1024, 4096)
    return {"Q008"}


DAMAGES: dict[str, Damage] = {
    "tensor of a middle layer dropped": _drop_at(None),
    "tensor of the first layer dropped": _drop_at(0),
    "tensor of the last layer dropped": _drop_at(-1),
    "middle layer dropped": drop_layer,
    "last layer dropped": drop_last_layer,
    "expert dropped": drop_expert,
    "projection of an expert dropped": drop_projection,
    "scale of an expert dropped": drop_expert_scale,
    "scale, zeros or g_idx dropped": drop_book,
    "weight beside a scale dropped": orphan,
    "scale of half the size": halve_scale,
    "shape changed in a middle layer": _reshape_at(None),
    "shape changed in the first layer": _reshape_at(0),
    "shape changed in the last layer": _reshape_at(-1),
    "shape changed in an expert": reshape_expert,
    "dtype changed in a middle layer": recast,
    "config: layers": _set(
        "C001", "num_hidden_layers", "n_layer", "n_layers", "num_layers", change=lambda n: n + 2
    ),
    "config: hidden size": _set(
        "C005", "hidden_size", "d_model", "n_embd", "dim", change=lambda n: n + 128
    ),
    "config: feed-forward width": _set(
        "C005", "moe_intermediate_size", "intermediate_size", "d_ff", change=lambda n: n + 64
    ),
    "config: heads": _set(
        "C005", "num_attention_heads", "n_head", "n_heads", change=lambda n: n + 1
    ),
    "config: KV heads": _set("C005", "num_key_value_heads", "n_kv_heads", change=lambda n: n * 2),
    "config: experts": _set(
        "C006", "num_experts", "n_routed_experts", "num_local_experts", change=lambda n: n * 2
    ),
    "config: experts a token": _set("C007", "num_experts_per_tok", change=lambda n: n * 100),
    "config: vocabulary": _set("C003", "vocab_size", change=lambda n: n + 7),
    "config: smaller vocabulary": _set("C003", "vocab_size", change=lambda n: n - 1999),
    "config: tie flag": tie,
    "head dropped": drop_head,
    "embedding dropped": _drop_named(r"(?:embed_tokens|wte|word_embeddings)\.weight$"),
    "final norm dropped": _drop_named(r"^(?:model|transformer)\.(?:norm|ln_f)\.weight$"),
    "config: quantization removed": no_quantization,
    "config: other quantization": other_quantization,
    "config: bits, group or block": other_bits,
    "config: quantization added": new_quantization,
    "k quantized unlike q and v": uneven,
}
