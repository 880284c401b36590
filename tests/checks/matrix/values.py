"""Damage to values, on small files with real bytes: for the checks that read tensors.

The matrix of headers can't hold these: they need the bytes. `FILES` are sound files of several
dtypes; each damage gives the file damaged, and the codes that have to tell.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from hashlib import sha256
from typing import NamedTuple

from ckptscan.checkpoint import load
from ckptscan.checks import Audit, Given, audit
from ckptscan.content import Wish, read_content
from ckptscan.sources.base import FileEntry
from ckptscan.sources.memory import MemorySource
from ckptscan.structure import describe
from tests.checks.matrix.running import Told, Trial
from tests.conftest import header_text

NAME = "model.safetensors"
_SIDE = 16
_NAMES = [
    f"model.layers.{layer}.self_attn.{part}_proj.weight" for layer in range(4) for part in "qkvo"
]
_SIZES = {"F32": 4, "BF16": 2, "F16": 2}


class Held(NamedTuple):
    """A weight file: its bytes, where its data begins, and the dtype of all its tensors."""

    raw: bytes
    start: int
    dtype: str

    @property
    def each(self) -> int:
        """Bytes of one tensor."""
        return _SIDE * _SIDE * _SIZES[self.dtype]

    def written(self, at: int, new: bytes) -> bytes:
        """The file with other bytes from here on."""
        return self.raw[:at] + new + self.raw[at + len(new) :]


Damaged = Callable[[Held, random.Random], tuple[bytes, set[str]]]


def encoded(dtype: str, value: float) -> bytes:
    """A number as a file of this dtype holds it."""
    if dtype == "F16":
        return struct.pack("<e", value)
    return struct.pack("<f", value)[-_SIZES[dtype] :]  # BF16 is the upper half


def sound(dtype: str) -> Held:
    """A file of sixteen matrices with small values, the same each time."""
    rng = random.Random(0)
    text = header_text(dict.fromkeys(_NAMES, (dtype, [_SIDE, _SIDE])), {"format": "pt"}).encode()
    text += b" " * (-len(text) % 8)
    count = len(_NAMES) * _SIDE * _SIDE
    data = b"".join(encoded(dtype, rng.gauss(0, 0.02)) for _ in range(count))
    head = struct.pack("<Q", len(text)) + text
    return Held(head + data, len(head), dtype)


FILES = {dtype: sound(dtype) for dtype in _SIZES}


def planted(values: tuple[float, ...], held: Held, rng: random.Random) -> tuple[bytes, set[str]]:
    """One of these numbers in the place of any one."""
    size = _SIZES[held.dtype]
    at = rng.randrange(held.start, len(held.raw), size)
    return held.written(at, encoded(held.dtype, rng.choice(values))), {"V001"}


def zeroed(held: Held, rng: random.Random) -> tuple[bytes, set[str]]:
    """A tensor of which nothing came."""
    return held.written(rng.randrange(held.start, len(held.raw), held.each), bytes(held.each)), {
        "V002"
    }


def bit_flipped(held: Held, rng: random.Random) -> tuple[bytes, set[str]]:
    """Only a digest tells: V005 against the one that was published."""
    at = rng.randrange(held.start, len(held.raw))
    return held.written(at, bytes([held.raw[at] ^ 1 << rng.randrange(8)])), {"V005"}


VALUES: dict[str, Damaged] = {
    "NaN": partial(planted, (float("nan"),)),
    "infinity": partial(planted, (float("inf"), float("-inf"))),
    "zeroed tensor": zeroed,
    "flipped bit": bit_flipped,
}


def audit_of(raw: bytes, published: bytes) -> Audit:
    """The audit with all bytes read, and held against the sha256 of what was published."""
    entry = FileEntry(NAME, len(raw), sha256(published).hexdigest())
    source = MemorySource({NAME: raw}, [entry])
    structure = describe(load(source))
    content = read_content(source, structure, Wish(hashes=True), resume=False)
    given = Given(content=content, peeked=content, digests=content.hashes)
    return audit(structure, given=given)


def told_of(raw: bytes, published: bytes) -> Told:
    """All that audit tells, by code, message and place."""
    done = audit_of(raw, published)

    assert () == done.crashed, done.crashed[0].traceback
    return {(one.code, one.message, one.where) for one in done.findings}


def value_trials(seeds: Iterable[int]) -> Iterator[Trial]:
    """Do every damage to every file; `found` where one of its codes is told anew."""
    seeds = list(seeds)
    for dtype, held in FILES.items():
        before = told_of(held.raw, held.raw)
        for name, damage in VALUES.items():
            for seed in seeds:
                raw, wanted = damage(held, random.Random(f"{dtype} {name} {seed}"))
                new = {one[0] for one in told_of(raw, held.raw) - before}
                yield Trial("values", name, dtype, seed, bool(wanted & new), tuple(sorted(new)))
