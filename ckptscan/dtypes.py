"""What a dtype is: its name, its width in bits and its kind.

The 22 dtypes of the safetensors format, and unknown ones as values too, so that a report can name
what a newer writer stored. Nothing here knows about shapes.
"""

from __future__ import annotations

from typing import NamedTuple


class DType(NamedTuple):
    """One element type; `bits` is None where the name is not one of the format's."""

    name: str
    bits: int | None
    kind: str

    @property
    def alignment(self) -> int:
        """Bytes to which a reader wants an element aligned; 1 for sub-byte and unknown ones."""
        return max(1, (self.bits or 8) // 8)


def _table() -> dict[str, DType]:
    # safetensors 0.8.0, tensor.rs, enum Dtype and Dtype::bitsize
    rows = """
    bool   8   BOOL
    float  4   F4
    float  6   F6_E2M3 F6_E3M2
    uint   8   U8
    int    8   I8
    float  8   F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ
    int    16  I16
    uint   16  U16
    float  16  F16 BF16
    int    32  I32
    uint   32  U32
    float  32  F32
    complex 64 C64
    float  64  F64
    int    64  I64
    uint   64  U64
    """
    table = {}
    for line in rows.split("\n"):
        kind, bits, *names = line.split() or ("", "")
        table.update({name: DType(name, int(bits), kind) for name in names})
    return table


DTYPES = _table()


def dtype(name: str) -> DType:
    """The dtype of that name; one of kind "unknown", without a width, for a strange name."""
    return DTYPES.get(name) or DType(name, None, "unknown")
