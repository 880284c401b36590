"""NVFP4 weights under the kernels that may run them: how far each pads values and scales.

Two values lie in a byte, a scale stands for 16 of them. Kernels pad a weight as the engine holds
it: parts joined, cut for a rank. Which one runs depends on the card, the version and what is
installed beside it; the plan takes the likely one and shows the others as a range.

Sources: vLLM 0.11.0, 0.14.1, 0.16.0 and 0.20.2, layers/quantization/utils/nvfp4_utils.py
(swizzle_blockscale, pad_nvfp4_weight_for_cutlass), flashinfer_utils.py (align_...), marlin_utils_
fp4.py, fused_moe/oracle/nvfp4.py; SGLang 0.5.9, layers/quantization/modelopt_quant.py.
"""

from __future__ import annotations

from typing import NamedTuple

from ckptscan.plan.inventory import Leaf, Module, Shape

VALUES, SCALES = "values", "scales"
BLACKWELL = 100  # compute capability that has FP4; older cards run it through Marlin
_CONSUMER = 120  # from here on TensorRT-LLM's experts do not run


class Padding(NamedTuple):
    """What rows, and bytes of a row, are rounded up to: of values, of their scales."""

    values: tuple[int, int] = (1, 1)
    scales: tuple[int, int] = (1, 1)


_PLAIN, _TILED = Padding(), Padding(scales=(128, 4))  # tiles of CUTLASS and FlashInfer
_LINEAR = {  # vLLM pads values too from 0.15 or 0.16 on
    "marlin": _PLAIN,
    "cutlass": _TILED,
    "cutlass-aligned": _TILED._replace(values=(32, 16)),
}
# TensorRT-LLM's: the width of gate and up each to 16, the stream to 256
_GATE_UP = {"marlin": _PLAIN, "cutlass": _TILED, "trtllm": Padding((32, 128), (32, 16))}
_DOWN = {**_GATE_UP, "trtllm": Padding((256, 8), (256, 1))}


class Kernels(NamedTuple):
    """What runs linear layers and experts.

    `keeps_scales` tells whether ModelOpt's scales of linear layers stay beside the kernel's copy.
    """

    linear: str = "marlin"
    experts: str = "marlin"
    keeps_scales: bool = False


MARLIN = Kernels()
CUTLASS = Kernels("cutlass", "cutlass")


class Matrix(NamedTuple):
    """Values or scales of weights that stand together: how many, their rows, bytes of a row."""

    role: str
    part: str
    copies: int
    rows: int
    columns: int

    def padding(self, kernels: Kernels) -> tuple[int, int]:
        """Bytes that the kernel adds, and the most that any would."""
        known, kernel = _LINEAR, kernels.linear
        if self.role.startswith("expert."):
            known, kernel = _DOWN if self.role == "expert.down" else _GATE_UP, kernels.experts
        return self._added(known[kernel]), max(map(self._added, known.values()))

    def _added(self, to: Padding) -> int:
        rows, columns = to.scales if self.part == SCALES else to.values
        padded = -(-self.rows // rows) * rows * (-(-self.columns // columns) * columns)
        return self.copies * (padded - self.rows * self.columns)


def on_card(kernels: Kernels, capability: int) -> Kernels:
    """What runs on a card of an engine's kernels for Blackwell."""
    if capability < BLACKWELL:
        return MARLIN
    is_consumer = kernels.experts == "trtllm" and capability >= _CONSUMER
    return kernels._replace(experts="cutlass") if is_consumer else kernels


def is_nvfp4(module: Module) -> bool:
    """Whether a module's weight is bytes of two values with FP8 scales of 16."""
    return any(_is_scale(leaf) for leaf in module.leaves) and any(
        _is_value(leaf) for leaf in module.leaves
    )


def matrix_of(module: Module, leaf: Leaf, shape: Shape) -> Matrix | None:
    """A tensor of such a module as a rank holds it; None for what kernels leave as it is."""
    if module.is_transposed or not (_is_value(leaf) or _is_scale(leaf)):
        return None
    copies = shape[0] if len(shape) > 2 else 1
    return Matrix(module.role, SCALES if _is_scale(leaf) else VALUES, copies, *shape[-2:])


def has_own_scales(module: Module) -> bool:
    """Whether the scales are ModelOpt's, which some engines keep beside a copy for the kernel."""
    return is_nvfp4(module) and not any(leaf.name.endswith("packed") for leaf in module.leaves)


def _is_value(leaf: Leaf) -> bool:
    return leaf.dtype == "U8" and leaf.role != "quantization" and len(leaf.shape) in (2, 3)


def _is_scale(leaf: Leaf) -> bool:
    is_book = leaf.role == "quantization" and leaf.dtype == "F8_E4M3"
    return is_book and len(leaf.shape) in (2, 3)
