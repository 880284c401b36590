"""What writers of quantized weights share: what they give, streams of bits, small numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.content.making import Arrays

Matrix = NDArray[Any]

NAME = "model.layers.0.mlp.up_proj."

OUT, IN = 64, 256

E2M1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]  # OCP Microscaling 1.0, table of FP4

FP4_VALUES = np.array([*E2M1, *(-one for one in E2M1)], "f4")

E4M3 = {0x30: 0.5, 0x38: 1.0, 0x3C: 1.5, 0x40: 2.0, 0x44: 3.0, 0x08: 2.0**-6, 0x7E: 448.0}


class Written(NamedTuple):
    """Tensors of a weight, the weights as (out, in), and the quantization that config names."""

    tensors: Arrays
    weights: Matrix
    said: dict[str, object] | None = None


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def stream(codes: Iterable[int], bits: int, word: int = 32) -> list[int]:
    """Codes one after the other from the lowest bit on, cut into words."""
    total = count = 0
    for code in codes:
        total |= int(code) << (bits * count)
        count += 1
    return [total >> at & (1 << word) - 1 for at in range(0, bits * count, word)]


def named(**leaves: tuple[str, Matrix]) -> Arrays:
    return {NAME + leaf.replace("__", "."): held for leaf, held in leaves.items()}


def f16(shape: Sequence[int], seed: int = 1) -> Matrix:
    return draw(seed).uniform(0.001, 0.02, tuple(shape)).astype("<f2")


def bf16(numbers: Matrix) -> Matrix:
    return (numbers.astype("<f4").view("<u4") >> 16).astype("<u2")


def from_bf16(raw: Matrix) -> Matrix:
    return (raw.astype("<u4") << 16).view("<f4")


def without(written: Written, *leaves: str) -> Written:
    """The same without some tensors."""
    gone = {NAME + leaf for leaf in leaves}
    kept = {name: held for name, held in written.tensors.items() if name not in gone}
    return written._replace(tensors=kept)


def nibbles(codes: Matrix) -> Matrix:
    """Two codes a byte, the first in the lower half."""
    return (codes[..., ::2] | codes[..., 1::2] << 4).astype("u1")
