"""The values of dequantizing: a packed weight, lines of it, bytes that they take, one formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from ckptscan.content.formats import INTEGERS, LAYOUTS, decode
from ckptscan.structure.packing import Bundle, Packing, Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float32]
    Raw = Mapping[str, NDArray[np.uint8]]


class NoFormula(ValueError):
    """A packed weight whose values can't be told, and why."""


class Lines(NamedTuple):
    """Lines from `start` to before `stop` of one matrix of a weight.

    A line is what lies together in the file: the weights of one output, or with some schemes those
    of one input. `matrix` counts the matrices of a stack, as an expert's.
    """

    start: int
    stop: int
    matrix: int = 0


class Part(NamedTuple):
    """Bytes of one tensor of a packed weight; `leaf` is its usual name, `start` counts in it."""

    leaf: str
    start: int
    length: int


class Stored(NamedTuple):
    """A packed weight as it is stored; `said` is what config.json says of its quantization."""

    bundle: Bundle
    packing: Packing
    said: Mapping[str, object] = {}

    def shape(self, leaf: str) -> Shape:
        """The stored shape of a leaf. Raises NoFormula where it is missing."""
        found = self.bundle.shape(leaf)
        if found is None:
            raise NoFormula(f"there is no {leaf}")
        return found

    def rows(self, leaf: str, matrix: int, start: int, stop: int) -> Part:
        """The bytes of rows of one matrix of a leaf; of a leaf without rows all."""
        shape = self.shape(leaf)
        bits = self.bundle.kinds[leaf].dtype.bits or 8
        width = shape[-1] * bits // 8
        first = matrix * shape[-2] + start
        if width * 8 != shape[-1] * bits:
            raise NoFormula(f"rows of {leaf} are no whole bytes")
        return Part(leaf, first * width, (stop - start) * width)

    def whole(self, *leaves: str) -> tuple[Part, ...]:
        """All bytes of some leaves, of those that are there."""
        return tuple(
            Part(leaf, 0, self.bundle.kinds[leaf].nbytes)
            for leaf in leaves
            if leaf in self.bundle.kinds
        )

    def read(self, leaf: str, raw: Raw, *shape: int) -> NDArray[Any]:
        """The elements of a leaf that were read, folded; float32, or integers as they are.

        Raises NoFormula where the leaf is missing.
        """
        if leaf not in raw:
            raise NoFormula(f"there is no {leaf}")
        found = numbers(self.bundle.dtype(leaf), raw[leaf])
        return found.reshape(shape) if shape else found

    @property
    def logical(self) -> Shape:
        """The shape of the weight. Raises NoFormula where it is not known."""
        if self.packing.shape is None or len(self.packing.shape) < 2:
            raise NoFormula("its shape is not known")
        return self.packing.shape

    @property
    def matrices(self) -> int:
        """How many matrices the weight is a stack of."""
        return prod(self.logical[:-2])


class Formula(NamedTuple):
    """How the weights of a scheme follow from the bytes.

    `axis` is that of a line, -2 for outputs and -1 for inputs. `step` lines are stored together, so
    that lines begin and end at multiples of it. `parts` are the bytes that lines take, `values`
    turns them into numbers, a row a line.
    """

    axis: int
    parts: Callable[[Stored, Lines], Sequence[Part]]
    values: Callable[[Stored, Lines, Raw], Numbers]
    step: Callable[[Stored], int] = lambda stored: 1


def numbers(dtype: str, raw: NDArray[np.uint8]) -> NDArray[Any]:
    """Elements as float32, F64 rounded to it; integers as they are."""
    import numpy as np

    if dtype in LAYOUTS:
        with np.errstate(over="ignore"):
            return decode(dtype, raw).astype("<f4")
    return raw.view(INTEGERS.get(dtype, "u1"))


def bits_of(stored: Stored) -> int:
    """The bits of one code. Raises NoFormula where they are not known."""
    if stored.packing.bits is None:
        raise NoFormula("its bits are not known")
    return stored.packing.bits


def unpacked(raw: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.uint8]:
    """The first codes of so many bits in each row of bytes, a stream that begins at the lowest."""
    import numpy as np

    if bits == 8:
        return raw[..., :count]
    if bits == 4:
        pairs = np.stack((raw & 0xF, raw >> 4), axis=-1)
        return pairs.reshape(*raw.shape[:-1], -1)[..., :count]
    stream = np.unpackbits(raw, axis=-1, count=count * bits, bitorder="little")
    places = np.left_shift(1, np.arange(bits)).astype("u1")
    found: NDArray[np.uint8] = stream.reshape(*raw.shape[:-1], count, bits) @ places
    return found
