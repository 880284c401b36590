"""Transformations of header sets, as tools make them: names and shapes in, names and shapes out."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ckptscan.checkpoint import load
from ckptscan.diff import BESIDE, Diff, compare
from ckptscan.sources.base import FileEntry
from ckptscan.sources.memory import MemorySource
from ckptscan.structure import Structure, describe
from tests.conftest import framed, header_text, packed

Tensors = dict[str, tuple[str, tuple[int, ...]]]
Documents = dict[str, dict[str, Any]]
Model = tuple[Tensors, Documents]

LINEAR = re.compile(r"layers\.\d+\..*(?:_proj|w[123]|fc[12])\.weight$")
LAYER = re.compile(r"^(model\.layers\.)(\d+)(\..+)$")


@lru_cache(maxsize=16)
def _held(name: str) -> Model:
    checkpoint = packed(name).checkpoint
    tensors = {row.name: (row.dtype.name, tuple(row.shape)) for row in checkpoint.table}
    config = dict(checkpoint.config.documents.get("config.json", {}))
    return tensors, {"config": config} if config else {}


def real(name: str) -> Model:
    """The tensors of a real model as one file, and its config."""
    tensors, documents = _held(name)
    return dict(tensors), copy.deepcopy(documents)


def structure(model: Model, **files: Tensors) -> Structure:
    """The structure of a model whose weights are nowhere; `files` cut it into several."""
    tensors, documents = model
    held: dict[str, bytes] = {
        f"{name}.json": json.dumps(text).encode() for name, text in documents.items()
    }
    entries = []
    for name, some in (files or {"model": tensors}).items():
        head = framed(header_text(some))
        ends = json.loads(head[8:])
        size = len(head) + max((entry["data_offsets"][1] for entry in ends.values()), default=0)
        held[f"{name}.safetensors"] = head
        entries.append(FileEntry(f"{name}.safetensors", size))
    return describe(load(MemorySource(held, entries), beside=BESIDE))


def diff_of(a: Model, b: Model) -> Diff:
    """What differs between two models."""
    return compare(structure(a), structure(b))


def told(diff: Diff) -> dict[str, int]:
    """The summary without what is 0."""
    return {kind: count for kind, count in diff.summary.items() if count}


def codes(diff: Diff) -> list[str]:
    """The codes of the verdicts."""
    return [one.code for one in diff.verdicts]


def renamed(model: Model, rename: Callable[[str], str]) -> Model:
    """The same tensors under other names."""
    tensors, documents = model
    return {rename(name): kind for name, kind in tensors.items()}, documents


def replaced(model: Model, before: str, after: str) -> Model:
    """The same tensors with a part of their names replaced, by a regular expression."""
    return renamed(model, lambda name: re.sub(before, after, name))


def cast(model: Model, dtype: str, pattern: str = "") -> Model:
    """Tensors whose names match in another dtype."""
    tensors, documents = model
    changed = {
        name: (dtype if re.search(pattern, name) else old, shape)
        for name, (old, shape) in tensors.items()
    }
    return changed, documents


def without(model: Model, pattern: str) -> Model:
    """The tensors whose names do not match."""
    tensors, documents = model
    return {name: kind for name, kind in tensors.items() if not re.search(pattern, name)}, documents


def saying(model: Model, **config: object) -> Model:
    """The same tensors beside another config.json."""
    tensors, documents = model
    return tensors, {**documents, "config": {**documents.get("config", {}), **config}}


def joined(model: Model, parts: tuple[str, ...], whole: str) -> Model:
    """Rows of several tensors in one: q_proj, k_proj and v_proj in qkv_proj."""
    tensors, documents = model
    result: Tensors = {}
    for name, (dtype, shape) in tensors.items():
        found = next((part for part in parts if f".{part}." in name), None)
        if found is None:
            result[name] = dtype, shape
            continue
        new = name.replace(f".{found}.", f".{whole}.")
        rows = result.get(new, (dtype, (0, *shape[1:])))[1][0] + shape[0]
        result[new] = dtype, (rows, *shape[1:])
    return result, documents


def transposed(model: Model, pattern: re.Pattern[str] = LINEAR) -> Model:
    """Matrices turned, as Conv1D stores them."""
    tensors, documents = model
    changed = {
        name: (dtype, shape[::-1] if pattern.search(name) else shape)
        for name, (dtype, shape) in tensors.items()
    }
    return changed, documents


def stacked(model: Model, is_turned: bool = False) -> Model:
    """The experts of each layer in one tensor."""
    tensors, documents = model
    result: Tensors = {}
    counts: dict[str, int] = {}
    for name, (dtype, shape) in tensors.items():
        match = re.fullmatch(r"(.+\.experts)\.\d+\.(\w+)\.weight", name)
        if match is None:
            result[name] = dtype, shape
            continue
        new = f"{match[1]}.{match[2]}"
        counts[new] = counts.get(new, 0) + 1
        result[new] = dtype, (counts[new], *(shape[::-1] if is_turned else shape))
    return result, documents


def resized(model: Model, rows: int, pattern: str = "embed_tokens|lm_head") -> Model:
    """Tables with another number of rows."""
    tensors, documents = model
    changed = {
        name: (dtype, (rows, *shape[1:]) if re.search(pattern, name) else shape)
        for name, (dtype, shape) in tensors.items()
    }
    return changed, documents


def numbered(model: Model, number: Callable[[int], int | None]) -> Model:
    """Layers under other numbers, those of None left out."""
    tensors, documents = model
    result: Tensors = {}
    for name, kind in tensors.items():
        match = LAYER.match(name)
        new = number(int(match[2])) if match else 0
        if new is not None:
            result[f"{match[1]}{new}{match[3]}" if match else name] = kind
    return result, documents


def with_layers(model: Model, sources: list[int]) -> Model:
    """A model whose layers are copies of these, in this order."""
    tensors, documents = model
    result = {name: kind for name, kind in tensors.items() if not LAYER.match(name)}
    for new, old in enumerate(sources):
        for name, kind in tensors.items():
            match = LAYER.match(name)
            if match and int(match[2]) == old:
                result[f"{match[1]}{new}{match[3]}"] = kind
    return result, documents


def quantized(model: Model, pack_one: Callable[[tuple[int, ...]], Mapping[str, Any]]) -> Model:
    """Linear layers stored as the tensors that `pack_one` gives for a shape (out, in)."""
    tensors, documents = model
    result: Tensors = {}
    for name, (dtype, shape) in tensors.items():
        if LINEAR.search(name) and "lora" not in name and "mlp.gate." not in name:
            module = name.removesuffix("weight")
            result |= {f"{module}{leaf}": kind for leaf, kind in pack_one(shape).items()}
        else:
            result[name] = dtype, shape
    return result, documents


def gptq(shape: tuple[int, ...]) -> Mapping[str, Any]:
    """GPTQ, 4 bits, groups of 128: words of 8 weights along in."""
    out, inner = shape
    return {
        "qweight": ("I32", (inner // 8, out)),
        "qzeros": ("I32", (inner // 128, out // 8)),
        "scales": ("F16", (inner // 128, out)),
        "g_idx": ("I32", (inner,)),
    }


def awq(shape: tuple[int, ...]) -> Mapping[str, Any]:
    """AWQ, 4 bits, groups of 128: words of 8 weights along out."""
    out, inner = shape
    return {
        "qweight": ("I32", (inner, out // 8)),
        "qzeros": ("I32", (inner // 128, out // 8)),
        "scales": ("F16", (inner // 128, out)),
    }


def nf4(shape: tuple[int, ...]) -> Mapping[str, Any]:
    """bitsandbytes, 4 bits, blocks of 64, without nesting."""
    out, inner = shape
    return {
        "weight": ("U8", (out * inner // 2, 1)),
        "weight.absmax": ("F32", (out * inner // 64,)),
        "weight.quant_map": ("F32", (16,)),
        "weight.quant_state.bitsandbytes__nf4": ("U8", (80,)),
    }


def fp8(shape: tuple[int, ...]) -> Mapping[str, Any]:
    """FP8 with one scale a tensor."""
    return {"weight": ("F8_E4M3", shape), "weight_scale": ("F32", (1,))}


def fp8_block(shape: tuple[int, ...]) -> Mapping[str, Any]:
    """FP8 with a scale a block of 128 x 128, as DeepSeek stores it."""
    out, inner = shape
    scales = (-(-out // 128), -(-inner // 128))
    return {"weight": ("F8_E4M3", shape), "weight_scale_inv": ("F32", scales)}


def packed_int4(shape: tuple[int, ...]) -> Mapping[str, Any]:
    """compressed-tensors, 4 bits, groups of 128."""
    out, inner = shape
    return {
        "weight_packed": ("I32", (out, inner // 8)),
        "weight_scale": ("BF16", (out, inner // 128)),
        "weight_shape": ("I64", (2,)),
    }


def int8_rows(shape: tuple[int, ...]) -> Mapping[str, Any]:
    """8-bit integers with a scale a row."""
    return {"weight": ("I8", shape), "weight_scale": ("F32", (shape[0], 1))}


def dequantized(model: Model) -> Model:
    """FP8 with block scales stored plainly again."""
    tensors, documents = model
    plain = {
        name: ("BF16" if dtype == "F8_E4M3" else dtype, shape)
        for name, (dtype, shape) in tensors.items()
        if not name.endswith("weight_scale_inv")
    }
    return plain, documents


META = (
    (r"^model\.", ""),
    (r"self_attn\.([qkvo])_proj", r"attention.w\1"),
    (r"mlp\.gate_proj", "feed_forward.w1"),
    (r"mlp\.down_proj", "feed_forward.w2"),
    (r"mlp\.up_proj", "feed_forward.w3"),
    (r"input_layernorm", "attention_norm"),
    (r"post_attention_layernorm", "ffn_norm"),
    (r"^embed_tokens", "tok_embeddings"),
    (r"^lm_head", "output"),
)


def in_meta_names(model: Model) -> Model:
    """A Llama under the names of Meta's own files."""
    for before, after in META:
        model = replaced(model, before, after)
    return model


GPT2 = (
    (r"^model\.layers", "transformer.h"),
    (r"self_attn", "attn"),
    (r"o_proj", "out_proj"),
    (r"up_proj", "fc_in"),
    (r"down_proj", "fc_out"),
    (r"input_layernorm", "ln_1"),
    (r"post_attention_layernorm", "ln_2"),
    (r"^model\.norm", "transformer.ln_f"),
    (r"^model\.embed_tokens", "transformer.wte"),
)


def in_gpt_names(model: Model) -> Model:
    """A Llama under names like those of GPT-J."""
    for before, after in GPT2:
        model = replaced(model, before, after)
    return model


def plain_mxfp4(model: Model) -> Model:
    """gpt-oss as transformers stores it without packing: stacks with rows and columns turned."""
    tensors, documents = model
    plain: Tensors = {}
    for name, (dtype, shape) in tensors.items():
        if name.endswith("_blocks"):
            experts, out, groups, _ = shape
            plain[name.removesuffix("_blocks")] = "BF16", (experts, groups * 32, out)
        elif not name.endswith("_scales"):
            plain[name] = dtype, shape
    return plain, documents
