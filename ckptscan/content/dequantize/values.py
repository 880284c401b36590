"""The values of dequantizing: a packed weight, lines of it, bytes that they take, one formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import gcd, prod
from typing import TYPE_CHECKING, Any, NamedTuple

from ckptscan.content.formats import INTEGERS, LAYOUTS, codes, decode, halves_of, table
from ckptscan.structure.packing import Bundle, Packing, Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float32]
    Raw = Mapping[str, NDArray[np.uint8]]


_WORD = 32  # bits to which rows of codes are filled up


class NoFormula(ValueError):
    """A packed weight whose values can't be told, and why."""


class Lines(NamedTuple):
    """Lines from `start` to before `stop` of one matrix of a weight.

    A line is what lies together in the file: the weights of one output, or with some schemes those
    of one input. `matrix` counts the matrices of a stack, as an expert's. `span` is the part of
    each line that is wanted, None for all of it.
    """

    start: int
    stop: int
    matrix: int = 0
    span: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """How many lines."""
        return self.stop - self.start

    @property
    def whole(self) -> Lines:
        """The same lines, all of each."""
        return self._replace(span=None)

    def within(self, wide: int) -> tuple[int, int]:
        """The first weight of each line and the one after the last, of so many in a line."""
        return self.span or (0, wide)

    def bits(self, each: int, wide: int) -> Bits:
        """The part of each line in bits, of so many weights of so many bits."""
        left, right = self.within(wide)
        return Bits(left * each, right * each, wide * each)


class Bits(NamedTuple):
    """Bits of a row of a tensor, from the first to before the last, of so many in all."""

    first: int
    last: int
    total: int


class Part(NamedTuple):
    """Bytes of one tensor of a packed weight; `leaf` is its usual name, `start` counts in it.

    They are as many `times` runs of `length` bytes, `pitch` apart; one for whole lines.
    """

    leaf: str
    start: int
    length: int
    times: int = 1
    pitch: int = 0

    @property
    def stop(self) -> int:
        """The byte after the last one."""
        return self.start + (self.times - 1) * self.pitch + self.length

    @property
    def nbytes(self) -> int:
        """Bytes of all runs."""
        return self.times * self.length

    @property
    def runs(self) -> Iterator[tuple[int, int]]:
        """Where each run begins, and how long it is."""
        return ((self.start + number * self.pitch, self.length) for number in range(self.times))


def part_of(leaf: str, first: int, times: int, pitch: int, bits: Bits | None = None) -> Part:
    """So many rows of `pitch` bytes from the first one on; of each these bits, all where None.

    Raises NoFormula where rows do not end with the word that their last bit is in.
    """
    if bits is not None and not bits.total <= 8 * pitch < bits.total + _WORD:
        raise NoFormula(f"rows of {leaf} are not as long as those of the weight")
    if bits is None or bits.last - bits.first == bits.total:
        return Part(leaf, first * pitch, times * pitch)
    begin, end = bits.first // 8, -(-bits.last // 8)
    return Part(leaf, first * pitch + begin, end - begin, times, pitch)


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

    def bits(self, leaf: str) -> int:
        """The bits of an element of a leaf."""
        return self.bundle.kinds[leaf].dtype.bits or 8

    def rows(self, leaf: str, matrix: int, start: int, stop: int, of: Bits | None = None) -> Part:
        """The bytes of rows of one matrix of a leaf, of each these bits, all where None."""
        shape = self.shape(leaf)
        bits = self.bits(leaf)
        width = shape[-1] * bits // 8
        first = matrix * shape[-2] + start
        if width * 8 != shape[-1] * bits:
            raise NoFormula(f"rows of {leaf} are no whole bytes")
        return part_of(leaf, first, stop - start, width, of)

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

    def elements(self, leaf: str, raw: Raw) -> tuple[NDArray[np.uint8], Numbers]:
        """The codes of a leaf that were read, one an element, and what number each code is.

        Raises NoFormula for a dtype of more than 8 bits.
        """
        import numpy as np

        dtype = self.bundle.dtype(leaf)
        if dtype in LAYOUTS and LAYOUTS[dtype].bits <= 8:
            known: Numbers = table(dtype).astype("<f4")
            return codes(dtype, raw[leaf]), known
        if self.bits(leaf) != 8:
            raise NoFormula(f"its elements are {dtype}, not codes")
        return raw[leaf], np.arange(256, dtype="u1").view(INTEGERS.get(dtype, "u1")).astype("<f4")

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


class Coded(NamedTuple):
    """Weights as codes: (the number that `known` gives a code - zero) x scale + bias, a row a line.

    `slack` is how far a scale may lie from what it stands for, where it is a code itself.
    """

    codes: NDArray[np.uint8]
    known: Numbers
    scale: Numbers
    zero: Numbers | float = 0.0
    bias: Numbers | float = 0.0
    slack: Numbers | None = None

    @property
    def values(self) -> Numbers:
        """The weights."""
        found: Numbers = (self.known[self.codes] - self.zero) * self.scale + self.bias
        return found

    @property
    def halves(self) -> Numbers:
        """How far each weight may lie from what it stands for: half a step, see `halves_of`."""
        import numpy as np

        reach: Numbers = halves_of(self.known.astype("f8")).astype("<f4")
        found: Numbers = reach[self.codes] * np.abs(self.scale)
        if self.slack is not None:
            found += np.abs(self.known[self.codes]) * self.slack
        return found


class Summed(NamedTuple):
    """Weights that are sums of entries of several books."""

    values: Numbers

    @property
    def halves(self) -> Numbers:
        """Raises NoFormula: no entry alone says how far a weight reaches."""
        raise NoFormula("how far its codes reach is not known")


class Formula(NamedTuple):
    """How the weights of a scheme follow from the bytes.

    `axis` is that of a line, -2 for outputs and -1 for inputs. `step` lines are stored together, so
    that lines begin and end at multiples of it. `parts` are the bytes that lines take, `decoded`
    says what they mean. `tile` weights of a line are stored together, so that spans begin at
    multiples of it and end at one or with the line; None where only whole lines are read.
    """

    axis: int
    parts: Callable[[Stored, Lines], Sequence[Part]]
    decoded: Callable[[Stored, Lines, Raw], Coded | Summed]
    step: Callable[[Stored], int] = lambda stored: 1
    tile: Callable[[Stored], int] | None = None


@lru_cache(maxsize=8)
def integers(bits: int) -> Numbers:
    """What codes of so many bits are as they stand: 0, 1, 2, ..."""
    import numpy as np

    found = np.arange(1 << bits, dtype="<f4")
    found.flags.writeable = False
    return found


def whole_bytes(bits: int) -> int:
    """How many codes of so many bits end with a byte."""
    return 8 // gcd(8, bits)


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
