"""Damage to single weight files: their length, their headers' bytes, what entries say."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from typing import Any

from tests.checks.matrix.whole import Entry, Shard, Whole

Damage = Callable[[Whole, random.Random], set[str]]


def a_shard(whole: Whole, rng: random.Random, least: int = 1) -> Shard:
    """A weight file of at least so many tensors, whose header is still that of a writer."""
    chosen = whole.chosen
    return rng.choice([one for one in chosen if len(one.entries) >= least] or chosen)


def an_entry(shard: Shard, rng: random.Random) -> Entry:
    """An entry with elements."""
    return shard.entries[rng.choice(list(shard.entries))]


def replaced(start: bytes, size: int | None = None) -> Damage:
    """A file that holds something else from its first byte on."""

    def damage(whole: Whole, rng: random.Random) -> set[str]:
        shard = a_shard(whole, rng)
        shard.raw = start
        shard.size = len(start) if size is None else size
        return {"H001"}

    return damage


def truncate(whole: Whole, rng: random.Random) -> set[str]:
    shard = a_shard(whole, rng)
    shard.more = -rng.randint(1, max(1, shard.data_size() - 1))
    return {"H002"}


def truncate_by_one(whole: Whole, rng: random.Random) -> set[str]:
    a_shard(whole, rng).more = -1
    return {"H002"}


def empty_file(whole: Whole, rng: random.Random) -> set[str]:
    shard = a_shard(whole, rng)
    shard.raw, shard.size = b"", 0
    return {"H002", "H001"}


def append(whole: Whole, rng: random.Random) -> set[str]:
    a_shard(whole, rng).more = rng.choice((1, 8, 511, 4096, 10**9))
    return {"H003"}


def _length(change: Callable[[int, random.Random], int], *codes: str) -> Damage:
    """A file whose stated header length is another."""

    def damage(whole: Whole, rng: random.Random) -> set[str]:
        shard = a_shard(whole, rng)
        head = shard.head()
        size = shard.file_size(head)
        length = change(len(head) - 8, rng)
        # bytes of the data follow the header, here as zeros
        shard.raw = (struct.pack("<Q", length) + head[8:] + bytes(64))[:size]
        shard.size = size
        return set(codes)

    return damage


def cut_header(whole: Whole, rng: random.Random) -> set[str]:
    shard = a_shard(whole, rng)
    head = shard.head()
    shard.raw = head[: rng.randint(9, len(head) - 2)]
    shard.size = len(shard.raw)
    return {"H002", "H004"}


def overwrite(what: bytes) -> Damage:
    """Bytes in the middle of the header that are others."""

    def damage(whole: Whole, rng: random.Random) -> set[str]:
        shard = a_shard(whole, rng)
        head = bytearray(shard.head())
        size = shard.file_size(bytes(head))
        keys = [at for at in range(9, len(head) - 64) if head[at : at + 8] == b'"dtype":']
        at = rng.choice(keys)
        head[at : at + len(what)] = what
        shard.raw, shard.size = bytes(head), size
        return {"H005", "H010"}

    return damage


def duplicate_key(whole: Whole, rng: random.Random) -> set[str]:
    shard = a_shard(whole, rng)
    name = rng.choice(list(shard.entries))
    again = f",{json.dumps(name)}:{json.dumps(shard.entries[name])}}}".encode()
    text = shard.head()[8:].rstrip()[:-1] + again
    text += b" " * (-len(text) % 8)
    head = struct.pack("<Q", len(text)) + text
    shard.size = len(head) + shard.data_size()
    shard.raw = head
    return {"H006"}


def overlap(whole: Whole, rng: random.Random) -> set[str]:
    shard = a_shard(whole, rng, 3)
    entries = sorted(shard.entries.values(), key=lambda entry: entry["data_offsets"])
    later = [one for one in entries if one["data_offsets"][0] > 0]
    if not later:
        return set()
    shard.data = shard.data_size()
    chosen = rng.choice(later)
    start, end = chosen["data_offsets"]
    step = min(start, max(1, (end - start) // 2))
    chosen["data_offsets"] = [start - step, end - step]
    return {"H007"}


def alias(whole: Whole, rng: random.Random) -> set[str]:
    shard = a_shard(whole, rng)
    name = rng.choice(list(shard.entries))
    shard.entries[f"{name}_copy"] = dict(shard.entries[name])
    return {"H007"}


def hole(whole: Whole, rng: random.Random) -> set[str]:
    shard = a_shard(whole, rng, 2)
    at, wide = rng.randrange(len(shard.entries)), rng.choice((1, 8, 64, 4096))
    entries = sorted(shard.entries.values(), key=lambda entry: entry["data_offsets"])
    for entry in entries[at:]:
        entry["data_offsets"] = [offset + wide for offset in entry["data_offsets"]]
    return {"H008"}


def hole_of_a_tensor(whole: Whole, rng: random.Random) -> set[str]:
    """A tensor whose entry is gone, while its bytes are there."""
    shard = a_shard(whole, rng, 3)
    ordered = sorted(shard.entries, key=lambda name: shard.entries[name]["data_offsets"])
    inner = [name for name in ordered[:-1] if shard.entries[name]["data_offsets"][1] > 0]
    if not inner:
        return set()
    gone = shard.entries[rng.choice(inner)]["data_offsets"]
    if gone[0] == gone[1]:
        return set()
    shard.data = shard.data_size()
    shard.entries = {n: e for n, e in shard.entries.items() if e["data_offsets"] != gone}
    return {"H008"}


def wrong_span(whole: Whole, rng: random.Random) -> set[str]:
    entry = an_entry(a_shard(whole, rng), rng)
    if not entry["shape"]:
        return set()
    axis = rng.randrange(len(entry["shape"]))
    entry["shape"][axis] += 1
    return {"H009"}


def wrong_dtype_span(whole: Whole, rng: random.Random) -> set[str]:
    entry = an_entry(a_shard(whole, rng), rng)
    entry["dtype"] = "F64" if entry["dtype"] != "F64" else "F32"
    return {"H009"}


def _shape(*dims: Any) -> Damage:
    def damage(whole: Whole, rng: random.Random) -> set[str]:
        entry = an_entry(a_shard(whole, rng), rng)
        shape = entry["shape"] or [1]
        entry["shape"] = [*shape[1:], rng.choice(dims)]
        return {"H010"}

    return damage


def overflow(whole: Whole, rng: random.Random) -> set[str]:
    an_entry(a_shard(whole, rng), rng)["shape"] = [2**32, 2**32, rng.choice((2, 4))]
    return {"H010"}


def _offsets(*pairs: list[Any]) -> Damage:
    def damage(whole: Whole, rng: random.Random) -> set[str]:
        shard = a_shard(whole, rng)
        shard.data = shard.data_size()
        an_entry(shard, rng)["data_offsets"] = list(rng.choice(pairs))
        return {"H010"}

    return damage


def reversed_offsets(whole: Whole, rng: random.Random) -> set[str]:
    shard = a_shard(whole, rng)
    shard.data = shard.data_size()
    entry = an_entry(shard, rng)
    if entry["data_offsets"][0] == entry["data_offsets"][1]:
        return set()
    entry["data_offsets"] = entry["data_offsets"][::-1]
    return {"H010"}


def lost_field(whole: Whole, rng: random.Random) -> set[str]:
    shard = a_shard(whole, rng)
    size = shard.data_size()
    entry = an_entry(shard, rng)
    del entry[rng.choice(("dtype", "shape", "data_offsets"))]
    text = json.dumps({"__metadata__": shard.metadata or {}, **shard.entries}).encode()
    shard.raw = struct.pack("<Q", len(text)) + text
    shard.size = len(shard.raw) + size
    return {"H010"}


def unknown_dtype(whole: Whole, rng: random.Random) -> set[str]:
    an_entry(a_shard(whole, rng), rng)["dtype"] = rng.choice(("F8_E4M3FN", "BF17", "int4", "float"))
    return {"H011"}


def emptied(whole: Whole, rng: random.Random) -> set[str]:
    """Tensors of ZeRO-3 that were not gathered, in the middle of the files."""
    shard = a_shard(whole, rng, 4)
    for name in rng.sample(list(shard.entries), max(1, len(shard.entries) // 3)):
        shard.entries[name]["shape"] = [0]
    shard.lay()
    whole.reindex()
    return {"H012"}


def no_format(whole: Whole, rng: random.Random) -> set[str]:
    shard = a_shard(whole, rng)
    if not shard.metadata or "format" not in shard.metadata:
        return set()
    shard.metadata = rng.choice((None, {}, {"formt": "pt"}))
    return {"H013"}


def metadata_numbers(whole: Whole, rng: random.Random) -> set[str]:
    shard = a_shard(whole, rng)
    shard.metadata = {**(shard.metadata or {}), "step": rng.choice((1, None, ["x"]))}  # type: ignore[dict-item]
    return {"H013"}


def misaligned(whole: Whole, rng: random.Random) -> set[str]:
    shard = a_shard(whole, rng)
    text = shard.head()[8:].rstrip()
    text += b" " * (-len(text) % 8 + 1)
    size = shard.data_size()
    shard.raw = struct.pack("<Q", len(text)) + text
    shard.size = len(shard.raw) + size
    return {"E001"}


LFS = (
    b"version https://git-lfs.github.com/spec/v1\noid sha256:"
    + b"4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 4976698672\n"
)
HEADER: dict[str, Damage] = {
    "pointer file instead of a shard": replaced(LFS),
    "HTML instead of a shard": replaced(b"<!DOCTYPE html>\n<html><body>404</body></html>"),
    "JSON error instead of a shard": replaced(b'{"error":"Repository not found"}'),
    "pickle instead of a shard": replaced(b"PK\x03\x04" + bytes(504), 4_976_698_672),
    "GGUF instead of a shard": replaced(b"GGUF\x03\0\0\0" + bytes(504), 4_976_698_672),
    "zeros instead of a shard": replaced(bytes(512), 4_976_698_672),
    "shard truncated": truncate,
    "shard one byte short": truncate_by_one,
    "shard of no bytes": empty_file,
    "bytes appended": append,
    "header length 0": _length(lambda n, _: 0, "H004"),
    "header length huge": _length(lambda n, rng: rng.choice((2**63, 10**8 + 1, 2**40)), "H004"),
    "header length one more": _length(lambda n, _: n + 1, "H005"),
    "header length one less": _length(lambda n, _: n - 1, "H005", "H003", "E001"),
    "header length in the middle": _length(lambda n, rng: rng.randint(9, n // 2), "H005"),
    "file cut within the header": cut_header,
    "NUL bytes in the header": overwrite(b"\0\0\0\0"),
    "garbage in the header": overwrite(b"\xff\xfe\x9c\x01"),
    "quote lost in the header": overwrite(b"_"),
    "duplicate key": duplicate_key,
    "overlap": overlap,
    "alias": alias,
    "hole": hole,
    "hole where a tensor was": hole_of_a_tensor,
    "span that is not the shape's": wrong_span,
    "span that is not the dtype's": wrong_dtype_span,
    "negative dimension": _shape(-1, -(2**31)),
    "fractional dimension": _shape(1.5, 4096.25, 1e25),
    "dimension that is no number": _shape("4096", None, [1]),
    "dimension above 64 bits": _shape(2**64, 2**70),
    "product of dimensions overflows": overflow,
    "offsets that are none": _offsets([-8, 0], [0.0, 8.0], [0], ["0", "8"], [0, 2**64]),
    "offsets reversed": reversed_offsets,
    "field of an entry lost": lost_field,
    "unknown dtype": unknown_dtype,
    "tensors empty (ZeRO-3)": emptied,
    "metadata without format": no_format,
    "metadata that are no strings": metadata_numbers,
    "data misaligned": misaligned,
}
