"""Small checkpoints with numbers in them, and what tools make of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckptscan.content.pairs.values import Wish
from ckptscan.diff import Diff
from ckptscan.diff.contents import compare_tensors
from ckptscan.sources.memory import MemorySource
from tests.conftest import Tensors
from tests.content.making import Arrays, raw_file, source_of, stored, structure_of, weights

FULL = Wish(full=True)
WIDTH, HEAD, LAYERS = 256, 32, 4
Array = NDArray[Any]


def tensors() -> Tensors:
    """A Llama of four layers."""
    found: Tensors = {
        "model.embed_tokens.weight": ("BF16", [1000, WIDTH]),
        "model.norm.weight": ("BF16", [WIDTH]),
        "lm_head.weight": ("BF16", [1000, WIDTH]),
    }
    shapes = {
        "self_attn.q_proj": [WIDTH, WIDTH],
        "self_attn.k_proj": [WIDTH // 2, WIDTH],
        "self_attn.v_proj": [WIDTH // 2, WIDTH],
        "self_attn.o_proj": [WIDTH, WIDTH],
        "mlp.gate_proj": [512, WIDTH],
        "mlp.up_proj": [512, WIDTH],
        "mlp.down_proj": [WIDTH, 512],
        "input_layernorm": [WIDTH],
        "post_attention_layernorm": [WIDTH],
    }
    for layer in range(LAYERS):
        for name, shape in shapes.items():
            found[f"model.layers.{layer}.{name}.weight"] = "BF16", shape
    return found


@cache
def _trained() -> Arrays:
    found = weights(tensors())
    draw = np.random.default_rng(7)
    for name, (dtype, array) in found.items():
        if array.ndim == 1:
            norms = 1 + 0.1 * draw.standard_normal(array.shape)
            found[name] = dtype, stored("BF16", norms)
    return found


def model() -> Arrays:
    """The same with numbers; norms are trained, each is another."""
    return dict(_trained())


def floats(array: Array) -> Array:
    """The numbers of BF16."""
    return (array.astype("<u4") << 16).view("<f4")


def nearest(numbers: Array) -> Array:
    """Numbers rounded to BF16, ties to even."""
    bits = numbers.astype("<f4").view("<u4").astype("<u8")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")


CONFIG = {
    "model_type": "llama",
    "hidden_size": WIDTH,
    "num_attention_heads": WIDTH // HEAD,
    "num_key_value_heads": WIDTH // HEAD // 2,
    "head_dim": HEAD,
}


def source(arrays: Arrays) -> MemorySource:
    """A source of these."""
    return source_of(raw_file(arrays), config=CONFIG)


def diff_of(a: MemorySource, b: MemorySource, wish: Wish | None = None) -> Diff:
    """What differs; the sources' ranges are those of tensors alone."""
    one, two = structure_of(a), structure_of(b)
    a.ranges.clear()
    b.ranges.clear()
    return compare_tensors((a, one), (b, two), wish=wish)


def edited(arrays: Arrays, pattern: str, change: Callable[[Array], Array]) -> Arrays:
    """Tensors whose names match with other bits of the same dtype."""
    return {
        name: (dtype, change(array.copy()) if re.search(pattern, name) else array)
        for name, (dtype, array) in arrays.items()
    }


def renamed(arrays: Arrays, pattern: str, to: str) -> Arrays:
    """The same under other names."""
    return {re.sub(pattern, to, name): one for name, one in arrays.items()}


def cast(arrays: Arrays, dtype: str) -> Arrays:
    """All of BF16 in another dtype."""
    return {name: (dtype, stored(dtype, floats(array))) for name, (_, array) in arrays.items()}


def noisy(array: Array) -> Array:
    """Every element a little off."""
    draw = np.random.default_rng(3)
    return stored("BF16", floats(array) + 0.002 * draw.standard_normal(array.shape))


def merged(array: Array) -> Array:
    """A matrix with an adapter of rank 4 added."""
    draw = np.random.default_rng(array.shape[0])
    rows, columns = array.shape
    delta = draw.standard_normal((rows, 4)) @ draw.standard_normal((4, columns))
    return nearest(floats(array) + 0.001 * delta)


def permuted(array: Array) -> Array:
    """Rows of each head as Meta's layout of rotary embeddings has them."""
    heads = array.shape[0] // HEAD
    halves = array.reshape(heads, 2, HEAD // 2, array.shape[1])
    return np.ascontiguousarray(halves.transpose(0, 2, 1, 3).reshape(array.shape))


def turned(array: Array) -> Array:
    """Rows as columns."""
    return np.ascontiguousarray(array.T)


def fused(arrays: Arrays, parts: tuple[str, ...], whole: str) -> Arrays:
    """Several matrices of a module as one."""
    found: Arrays = {}
    for name, (dtype, array) in arrays.items():
        part = next((one for one in parts if f".{one}." in name), None)
        if part is None:
            found[name] = dtype, array
        elif part == parts[0]:
            held = [arrays[name.replace(part, one)][1] for one in parts]
            found[name.replace(part, whole)] = dtype, np.concatenate(held)
    return found


def without_layer(arrays: Arrays, gone: int) -> Arrays:
    """A layer cut out, those after it renumbered."""
    found: Arrays = {}
    for name, one in arrays.items():
        match = re.search(r"layers\.(\d+)\.", name)
        number = int(match[1]) if match else -1
        if number != gone:
            new = f"layers.{number - (number > gone)}."
            found[name.replace(f"layers.{number}.", new)] = one
    return found


def states(diff: Diff) -> dict[str, int]:
    """Tensors by what is known of their content."""
    found: dict[str, int] = {}
    for one in diff.changes:
        if one.evidence.content:
            found[one.evidence.content] = found.get(one.evidence.content, 0) + one.tensors
    return found


def mixture() -> Arrays:
    """A model whose layers are mixtures of four experts."""
    found = {name: one for name, one in model().items() if ".mlp." not in name}
    more: Tensors = {}
    for layer in range(LAYERS):
        module = f"model.layers.{layer}.mlp"
        more[f"{module}.gate.weight"] = "BF16", [4, WIDTH]
        for expert in range(4):
            for name, shape in (("gate", [64, WIDTH]), ("up", [64, WIDTH]), ("down", [WIDTH, 64])):
                more[f"{module}.experts.{expert}.{name}_proj.weight"] = "BF16", shape
    return {**found, **weights(more, seed=5)}


def stacked(arrays: Arrays) -> Arrays:
    """The experts of each layer in one tensor, gate and up joined."""
    found: Arrays = {}
    for name, (dtype, array) in arrays.items():
        match = re.fullmatch(r"(.+\.experts)\.0\.(gate|down)_proj\.weight", name)
        if match:
            parts = ("gate", "up") if match[2] == "gate" else ("down",)
            whole = "gate_up_proj" if match[2] == "gate" else "down_proj"
            found[f"{match[1]}.{whole}"] = (
                dtype,
                np.stack(
                    [
                        np.concatenate(
                            [arrays[f"{match[1]}.{e}.{part}_proj.weight"][1] for part in parts]
                        )
                        for e in range(4)
                    ]
                ),
            )
        elif ".experts." not in name:
            found[name] = dtype, array
    return found
