"""Plain decoders and statistics, one number at a time, to hold ours against."""

from __future__ import annotations

import math
import struct

BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "C64": 64}
FIELDS = {  # exponent bits, fraction bits, bias
    "F4": (2, 1, 1),
    "F6_E2M3": (2, 3, 1),
    "F6_E3M2": (3, 2, 3),
    "F8_E4M3": (4, 3, 7),
    "F8_E5M2": (5, 2, 15),
    "F8_E4M3FNUZ": (4, 3, 8),
    "F8_E5M2FNUZ": (5, 2, 16),
}
PLAIN = {
    "BOOL": "B",
    "U8": "B",
    "I8": "b",
    "U16": "H",
    "I16": "h",
    "U32": "I",
    "I32": "i",
    "U64": "Q",
    "I64": "q",
    "F16": "e",
    "F32": "f",
    "F64": "d",
    "C64": "f",
}


def numbers(dtype: str, raw: bytes) -> list[float]:
    """All numbers of these bytes."""
    if dtype in PLAIN:
        kind = PLAIN[dtype]
        return list(struct.unpack(f"<{len(raw) // struct.calcsize(kind)}{kind}", raw))
    if dtype == "BF16":
        halves = struct.unpack(f"<{len(raw) // 2}H", raw)
        return [struct.unpack("<f", struct.pack("<I", half << 16))[0] for half in halves]
    if dtype == "F8_E8M0":
        return [math.nan if code == 255 else 2.0 ** (code - 127) for code in raw]
    bits = sum(FIELDS[dtype][:2]) + 1
    stream = int.from_bytes(raw, "little")
    mask = (1 << bits) - 1
    return [small(dtype, stream >> at & mask) for at in range(0, len(raw) * 8 // bits * bits, bits)]


def small(dtype: str, code: int) -> float:
    """The number of one code of at most eight bits."""
    exponent, fraction, bias = FIELDS[dtype]
    bits = exponent + fraction
    sign = -1.0 if code >> bits else 1.0
    power, part = code >> fraction & (1 << exponent) - 1, code & (1 << fraction) - 1
    if dtype.endswith("FNUZ") and code == 0x80:
        return math.nan
    if dtype == "F8_E4M3" and code & 0x7F == 0x7F:
        return math.nan
    if dtype == "F8_E5M2" and power == 31:
        return math.nan if part else sign * math.inf
    if power == 0:
        return sign * part * 2.0 ** (1 - bias - fraction)
    return sign * (1 + part / 2**fraction) * 2.0 ** (power - bias)
