"""Codes in words of 32 bits, with scales and zero points: GPTQ, AWQ, compressed-tensors, MLX."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckptscan.content.matrices.values import Cells, Field, Take, Window, uniform, unpacked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WORD = 32
# AutoAWQ utils/packing_utils.py, AWQ_ORDER: the nibble of a word that holds each of its outputs
_AWQ_NIBBLES = (0, 4, 1, 5, 2, 6, 3, 7)


class Gptq(NamedTuple):
    """GPTQ: words along in, a row of scales a group of inputs, which `order` gives where it is set.

    Zero points are stored less `offset`: 1 in the first format, 0 in the second (AutoGPTQ
    qlinear, GPTQModel `checkpoint_format`).
    """

    shape: tuple[int, int]
    bits: int
    group: int
    groups: int
    weight: Field
    scales: Field
    zeros: Field | None
    order: Field | None
    offset: int = 1
    is_wide: bool = False
    dtype: str = ""

    @property
    def tile(self) -> tuple[int, int]:
        """Whole words of zero points, whole words of codes."""
        return _WORD, _WORD

    def cells(self, window: Window, take: Take) -> Cells:
        """The numbers of a window."""
        import numpy as np

        top, bottom, left, right = window
        ins, outs = right - left, bottom - top
        words = self.weight.words(_stream(left, right, top, bottom, self.bits), take)
        found = unpacked(words.T, ins, self.bits)  # a row an output
        group_of = np.arange(left, right) // self.group
        first, last = left // self.group, (right - 1) // self.group + 1
        if self.order is not None:
            first, last = 0, self.groups
            group_of = self.order.numbers(Window(0, 1, left, right), take)[0].astype("i8")
        every = Window(first, last, top, bottom)
        group_of = np.clip(group_of, first, last - 1) - first
        scales = self.scales.numbers(every, take)
        zeros = np.full((last - first, outs), 1 << (self.bits - 1))
        if self.zeros is not None:
            held = self.zeros.words(_beside(every, self.bits), take)
            zeros = unpacked(held, outs, self.bits) + self.offset
        steps = scales[group_of].T
        values = steps * (found - zeros[group_of].T)
        return Cells(values, np.abs(steps) * uniform(found, self.bits))


class Awq(NamedTuple):
    """AWQ, GEMM layout: eight outputs of 4 bits a word, in an order of its own."""

    shape: tuple[int, int]
    group: int
    weight: Field
    scales: Field
    zeros: Field | None
    is_wide: bool = False
    dtype: str = ""

    @property
    def tile(self) -> tuple[int, int]:
        """Whole words of outputs."""
        return 8, 1

    def cells(self, window: Window, take: Take) -> Cells:
        """The numbers of a window."""
        import numpy as np

        top, bottom, left, right = window
        words = self.weight.words(Window(left, right, top // 8, -(-bottom // 8)), take)
        found = _nibbles(words)[:, : bottom - top]
        first, last = left // self.group, (right - 1) // self.group + 1
        scales = self.scales.numbers(Window(first, last, top, bottom), take)
        group_of = np.arange(left, right) // self.group - first
        zeros = np.full(scales.shape, 8)
        if self.zeros is not None:
            held = self.zeros.words(Window(first, last, top // 8, -(-bottom // 8)), take)
            zeros = _nibbles(held)[:, : bottom - top]
        steps = scales[group_of]
        values = steps * (found - zeros[group_of])
        return Cells(values.T, (np.abs(steps) * uniform(found, 4)).T)


class Rows(NamedTuple):
    """Words along in, a row an output: v = scale x (code - zero), or scale x code + bias.

    compressed-tensors has `zeros` packed along out and codes less half of their range; MLX has
    `biases`.
    """

    shape: tuple[int, int]
    bits: int
    group: int
    weight: Field
    scales: Field
    zeros: Field | None = None
    biases: Field | None = None
    order: Field | None = None
    is_wide: bool = True
    dtype: str = ""

    @property
    def tile(self) -> tuple[int, int]:
        """Whole words of zero points and of codes."""
        return (1 if self.zeros is None else _WORD), _WORD

    def cells(self, window: Window, take: Take) -> Cells:
        """The numbers of a window."""
        import numpy as np

        top, bottom, left, right = window
        ends = left * self.bits // _WORD, -(-right * self.bits // _WORD)
        words = self.weight.words(Window(top, bottom, *ends), take)
        found = unpacked(words, right - left, self.bits)
        every = Window(top, bottom, 0, self.scales.columns)
        group_of = np.arange(left, right) // self.group
        if self.order is not None:
            group_of = self.order.numbers(Window(0, 1, left, right), take)[0].astype("i8")
        group_of = np.clip(group_of, 0, self.scales.columns - 1)
        steps = self.scales.numbers(every, take)[:, group_of]
        halves = np.abs(steps) * uniform(found, self.bits)
        if self.biases is not None:
            return Cells(steps * found + self.biases.numbers(every, take)[:, group_of], halves)
        zeros = np.array(1 << (self.bits - 1))
        if self.zeros is not None:
            held = self.zeros.words(_stream(top, bottom, 0, self.scales.columns, self.bits), take)
            zeros = unpacked(held.T, bottom - top, self.bits).T[:, group_of]
        return Cells(steps * (found - zeros), halves)


def _stream(first: int, last: int, left: int, right: int, bits: int) -> Window:
    """Where words lie whose rows are a stream of codes, from `first` to `last`."""
    return Window(first * bits // _WORD, -(-last * bits // _WORD), left, right)


def _beside(window: Window, bits: int) -> Window:
    """Where words lie whose columns are a stream of codes."""
    left, right = window.left * bits // _WORD, -(-window.right * bits // _WORD)
    return window._replace(left=left, right=right)


def _nibbles(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The codes of words in AWQ's order."""
    import numpy as np

    shifts = np.array([4 * place for place in _AWQ_NIBBLES], "u8")
    found: NDArray[np.int64] = (words[:, :, None] >> shifts & 0xF).astype("i8")
    return found.reshape(len(words), -1)
