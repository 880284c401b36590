"""Damage to values, on a small file with real bytes: for the checks of family V (`--deep`).

The matrix of headers can't hold these: they need the bytes. `FILE` is a sound file; each damage
gives the file damaged, and the codes that have to tell.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from tests.conftest import header_text

Damaged = Callable[[bytes, random.Random], tuple[bytes, set[str]]]
_SHAPES = {f"layers.{n}.{part}.weight": ("F32", [16, 16]) for n in range(4) for part in "qkvo"}
_BYTES = 16 * 16 * 4


def sound() -> bytes:
    """A file of sixteen matrices with small values, the same each time."""
    rng = random.Random(0)
    text = header_text(_SHAPES, {"format": "pt"}).encode()
    text += b" " * (-len(text) % 8)
    values = (rng.gauss(0, 0.02) for _ in range(len(_SHAPES) * _BYTES // 4))
    data = b"".join(struct.pack("<f", value) for value in values)
    return struct.pack("<Q", len(text)) + text + data


FILE = sound()
START = len(FILE) - len(_SHAPES) * _BYTES


def _at(rng: random.Random) -> int:
    return START + 4 * rng.randrange(len(_SHAPES) * _BYTES // 4)


def _written(file: bytes, at: int, new: bytes) -> bytes:
    return file[:at] + new + file[at + len(new) :]


def not_a_number(file: bytes, rng: random.Random) -> tuple[bytes, set[str]]:
    return _written(file, _at(rng), struct.pack("<f", float("nan"))), {"V001"}


def infinite(file: bytes, rng: random.Random) -> tuple[bytes, set[str]]:
    value = rng.choice((float("inf"), float("-inf")))
    return _written(file, _at(rng), struct.pack("<f", value)), {"V001"}


def zeroed(file: bytes, rng: random.Random) -> tuple[bytes, set[str]]:
    at = START + _BYTES * rng.randrange(len(_SHAPES))
    return _written(file, at, bytes(_BYTES)), {"V002"}


def bit_flipped(file: bytes, rng: random.Random) -> tuple[bytes, set[str]]:
    """Only a digest tells: V005 against the one that was published."""
    at = rng.randrange(START, len(file))
    return _written(file, at, bytes([file[at] ^ 1 << rng.randrange(8)])), {"V005"}


VALUES: dict[str, Damaged] = {
    "NaN": not_a_number,
    "infinity": infinite,
    "zeroed tensor": zeroed,
    "flipped bit": bit_flipped,
}
