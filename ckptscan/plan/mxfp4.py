"""MXFP4 experts under the kernels that may run them: how far each pads what it holds.

Which kernel runs depends on the card, the version and what is installed beside it; the plan takes
the likely one and shows the others as a range.
"""

from __future__ import annotations

from typing import NamedTuple

from ckptscan.plan.inventory import Module

BLOCK = 32  # values that share a scale


class Padding(NamedTuple):
    """What a kernel rounds the width of experts and the residual stream up to.

    `values` rounds the inputs of the packed values alone, as Triton's layout for Hopper does.
    """

    width: int
    hidden: int
    values: int = BLOCK


# vLLM 0.11 model_executor/layers/quantization/mxfp4.py, create_weights; 0.21 oracle/mxfp4.py.
# Triton's 256 is read off two logs: gpt-oss-120b 64.38 GiB (vllm#33155), 20b 13.47 GiB.
BACKENDS = {
    "none": Padding(1, 1),
    "marlin": Padding(128, 256),
    "triton": Padding(64, 1, 256),
    "flashinfer": Padding(256, 256),
    "flashinfer-cutlass": Padding(128, 128),
    "rocm": Padding(256, 256),
}


class Sizes(NamedTuple):
    """Experts of one layer on one rank: how many, how wide, the width of the stream."""

    experts: int
    width: int
    hidden: int


def likely_backend(capability: int) -> str:
    """The kernel that vLLM takes on a card, as far as the card decides."""
    if capability >= 100 and capability < 120:
        return "flashinfer"
    return "triton" if capability in range(90, 100) else "marlin"


def is_mxfp4(module: Module) -> bool:
    """Whether it is a stack of experts in blocks of 32 values with a scale each."""
    names = {leaf.name.rpartition("_")[2] for leaf in module.leaves if leaf.dtype == "U8"}
    return module.role.startswith("expert.") and {"blocks", "scales"} <= names


def nbytes(sizes: Sizes, side: str, backend: str) -> dict[str, int]:
    """Bytes of values, scales and biases of one side (`gate_up`, `down`) of the experts."""
    pad = BACKENDS[backend]
    width, hidden = _up(sizes.width, pad.width), _up(sizes.hidden, pad.hidden)
    out, into = (2 * width, hidden) if side == "gate_up" else (hidden, width)
    return {
        "values": sizes.experts * out * _up(into, pad.values) // 2,
        "scales": sizes.experts * out * (-(-into // BLOCK)),
        "bias": sizes.experts * out * 2,
    }


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
