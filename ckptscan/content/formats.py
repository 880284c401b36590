"""How the bits of each dtype say a number: layouts, codes, tables.

Whole-byte floats keep sign and magnitude apart, so that integers compare them: the largest int is
the largest number, the largest uint the lowest. Layouts are those of IEEE 754, of the OCP 8-bit
and MX specifications, and of ONNX for FNUZ.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Layout(NamedTuple):
    """A float: bits of its fields, its bias, and which codes are no numbers.

    `special` is "ieee" (an exponent of ones is an infinity or NaN), "fn" (all ones is NaN, there
    is no infinity), "fnuz" (the negative zero is NaN), "none", or "scale" (no sign and no fraction;
    all ones is NaN).
    """

    exponent: int
    fraction: int
    bias: int
    special: str = "ieee"

    @property
    def bits(self) -> int:
        """Bits of one number."""
        return (self.special != "scale") + self.exponent + self.fraction

    @property
    def sign(self) -> int:
        """The bit of the sign."""
        return 1 << (self.bits - 1)

    @property
    def infinity(self) -> int:
        """The first magnitude that is no number; beyond all where there is none."""
        if self.special == "ieee":
            return ((1 << self.exponent) - 1) << self.fraction
        return self.sign - 1 if self.special == "fn" else self.sign

    def value(self, code: int) -> float:
        """The number that a code of this layout means."""
        if self.special == "scale":
            return float("nan") if code == 0xFF else 2.0 ** (code - self.bias)
        magnitude = code & (self.sign - 1)
        negative = bool(code & self.sign)
        if self.special == "fnuz" and code == self.sign:
            return float("nan")
        if magnitude >= self.infinity:
            is_infinite = self.special == "ieee" and magnitude == self.infinity
            infinite = float("-inf") if negative else float("inf")
            return infinite if is_infinite else float("nan")
        power, part = magnitude >> self.fraction, magnitude & ((1 << self.fraction) - 1)
        part += (1 << self.fraction) if power else 0
        found: float = part * 2.0 ** (max(power, 1) - self.bias - self.fraction)
        return -found if negative else found


LAYOUTS = {
    "F64": Layout(11, 52, 1023),
    "F32": Layout(8, 23, 127),
    "C64": Layout(8, 23, 127),  # two of them are one number
    "F16": Layout(5, 10, 15),
    "BF16": Layout(8, 7, 127),
    "F8_E5M2": Layout(5, 2, 15),
    "F8_E4M3": Layout(4, 3, 7, "fn"),
    "F8_E5M2FNUZ": Layout(5, 2, 16, "fnuz"),
    "F8_E4M3FNUZ": Layout(4, 3, 8, "fnuz"),
    "F8_E8M0": Layout(8, 0, 127, "scale"),
    "F6_E2M3": Layout(2, 3, 1, "none"),
    "F6_E3M2": Layout(3, 2, 3, "none"),
    "F4": Layout(2, 1, 1, "none"),
}
INTEGERS = {
    "BOOL": "u1",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
}


@lru_cache(maxsize=16)
def table(name: str) -> NDArray[np.float64]:
    """The numbers of all codes of a dtype of at most 8 bits, in the order of the codes."""
    import numpy as np

    layout = LAYOUTS[name]
    found = np.array([layout.value(code) for code in range(1 << layout.bits)], "f8")
    found.flags.writeable = False
    return found


def codes(name: str, raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The codes of a dtype of at most 8 bits, one a byte; the first lies in the lowest bits."""
    import numpy as np

    bits = LAYOUTS[name].bits
    if bits == 8:
        return raw
    if bits == 4:
        return np.stack((raw & 0xF, raw >> 4), axis=1).reshape(-1)
    triples = raw[: len(raw) // 3 * 3].reshape(-1, 3).astype("<u4")
    joined = triples[:, 0] | triples[:, 1] << 8 | triples[:, 2] << 16
    parts = [(joined >> shift & 0x3F).astype("u1") for shift in (0, 6, 12, 18)]
    return np.stack(parts, axis=1).reshape(-1)


def decode(name: str, raw: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The numbers of a block of any float dtype, as float64; C64 as its parts in turn."""
    import numpy as np

    layout = LAYOUTS[name]
    if layout.bits <= 8:
        return table(name)[codes(name, raw)]
    if name == "BF16":
        with np.errstate(invalid="ignore"):  # a signalling NaN
            return (raw.view("<u2").astype("<u4") << 16).view("<f4").astype("f8")
    with np.errstate(invalid="ignore"):
        return raw.view({16: "<f2", 32: "<f4", 64: "<f8"}[layout.bits]).astype("f8")


def halves_of(known: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each number of a table of codes how far it reaches: half of the larger gap beside it.

    The outermost codes reach twice as far, as numbers beyond them are clipped.
    """
    import numpy as np

    is_number = np.isfinite(known)
    places = np.unique(known[is_number])
    found = np.zeros(len(known))
    if not len(places):
        return found
    gaps = np.diff(places)
    reach = np.maximum(np.append(gaps, 0), np.insert(gaps, 0, 0)) / 2
    reach[[0, -1]] *= 2
    found[is_number] = reach[np.searchsorted(places, known[is_number])]
    return found
