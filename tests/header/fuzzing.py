"""A differential fuzzer: random and mutated headers, read by ckptscan and by the reference.

`python -m tests.header.fuzzing --seconds 600 --seed 7` (or `make fuzz`) runs at length and prints
each disagreement of verdict; the suite runs a bounded, seeded part of it. The generators know the
format, so that most cases differ from a sound file in one or two places only.
"""

from __future__ import annotations

import argparse
import random
import struct
import time
from collections import Counter
from collections.abc import Iterator

from safetensors import SafetensorError, deserialize

from ckptscan.dtypes import DTYPES
from ckptscan.header import parse_header, wanted

# the reference's message -> its variant; safetensors tensor.rs, impl Display for SafeTensorError
VARIANTS = (
    ("invalid UTF-8 in header", "InvalidHeader"),
    ("invalid JSON in header", "InvalidHeaderDeserialization"),
    ("header too large", "HeaderTooLarge"),
    ("header too small", "HeaderTooSmall"),
    ("invalid header length", "InvalidHeaderLength"),
    ("invalid shape, data type, or offset", "TensorInvalidInfo"),
    ("invalid offset for tensor", "InvalidOffset"),
    ("incomplete metadata, file not fully covered", "MetadataIncompleteBuffer"),
    ("overflow computing buffer size", "ValidationOverflow"),
    ("The slice is slicing for subbytes", "MisalignedSlice"),
)
NUMBERS = (
    "0 1 2 3 4 7 8 16 -0 -1 00 01 1.0 1e0 4e0 1E+2 0.0 -0.0 1e400 1e-400 1e308 1.7976931348623157e308 "
    "1.7976931348623159e308 17976931348623158e292 18446744073709551615 18446744073709551616 "
    "9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 "
    "4294967296 2305843009213693951 2305843009213693952 true false null NaN Infinity -Infinity "
    '"4" [] {} [1] +1 .5 5. 0x10 1_0 1e 1e+ - 1e99999999999 0e99999999999 1e-99999999999 '
    "184467440737095516159999.5 0." + "0" * 400 + "1 1" + "0" * 400
).split()
TEXTS = (
    "a b model.layers.0.w weight __metadata__ \\u0061 \\u00e9 \\ud83d\\ude00 \\ud83d \\ude00 \\ud83dx "
    "\\ud83d\\n \\/ \\b\\f\\n\\r\\t \\\\ \\\" \\x \\u12 \\u{61} \\' \x00 \x1f \x7f \x80 é 😀 \u2028 \ufeff dtype "
    "shape data_offsets ] } { [ , : #"
).split(" ")
SPACES = (" ", "\n", "\t", "\r", "  ", "\x0b", "\x0c", "\x00", "\xa0")
JUNK = ["{}", "[]", "null", "1e999", '"x"', "[[[1]]]", '{"a":{"b":[]}}', "-0", '"\\ud800"', "tru"]


def _entry(rng: random.Random, start: int) -> tuple[str, int]:
    dtype = rng.choice(list(DTYPES))
    shape = [rng.choice((0, 1, 2, 2, 4, 8)) for _ in range(rng.choice((0, 1, 1, 2, 2, 3)))]
    count = 1
    for dim in shape:
        count *= dim
    end = start + count * (DTYPES[dtype].bits or 0) // 8
    fields = [
        f'"dtype":"{dtype}"',
        f'"shape":{shape}'.replace(" ", ""),
        f'"data_offsets":[{start},{end}]',
    ]
    if rng.random() < 0.1:
        rng.shuffle(fields)
    if rng.random() < 0.05:
        fields.insert(rng.randrange(4), f'"{rng.choice(TEXTS)}":{rng.choice(JUNK + NUMBERS)}')
    if rng.random() < 0.04:
        fields.append(rng.choice(fields))
    if rng.random() < 0.04:
        fields.pop(rng.randrange(len(fields)))
    if rng.random() < 0.03:
        return f'["{dtype}",{shape},[{start},{end}]]', end
    if rng.random() < 0.03:
        fields[0] = f'"dtype":{{"{dtype}":{rng.choice(("null", "{}", "0", "[]"))}}}'
    return "{" + ",".join(fields) + "}", end


def _header(rng: random.Random) -> tuple[str, int]:
    pairs, end = [], 0
    for number in range(rng.choice((0, 1, 1, 2, 3, 5, 12))):
        entry, end = _entry(rng, end)
        name = rng.choice(TEXTS) if rng.random() < 0.15 else f"layers.{number}.w"
        pairs.append(f'"{name}":{entry}')
    if rng.random() < 0.4:
        value = rng.choice(('{"format":"pt"}', "{}", "null", '{"a":1}', '{"a":"b","a":"c"}', "[]"))
        pairs.insert(0 if rng.random() < 0.8 else len(pairs), f'"__metadata__":{value}')
    if rng.random() < 0.1:
        rng.shuffle(pairs)
    text = "{" + ",".join(pairs) + "}"
    return text, end


def _mutated_text(rng: random.Random, text: str) -> str:
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        place = rng.randrange(len(text) + 1)
        choice = rng.randrange(7)
        if choice == 0:
            text = text[:place] + rng.choice(SPACES) + text[place:]
        elif choice == 1:
            text = text[:place] + text[place + rng.choice((1, 1, 2, 5)) :]
        elif choice == 2:
            digits = [i for i, char in enumerate(text) if char.isdigit()]
            if digits:
                place = rng.choice(digits)
                text = text[:place] + rng.choice(NUMBERS) + text[place + 1 :]
        elif choice == 3:
            text = text[:place] + rng.choice(TEXTS) + text[place:]
        elif choice == 4:
            text = text[:place] + rng.choice('{}[]",:0-eE\\') + text[place + 1 :]
        elif choice == 5:
            other = rng.randrange(len(text) + 1)
            text = text[: min(place, other)] + text[max(place, other) :]
        else:
            text = text.replace(",", rng.choice((", ", " ,", ",\n")))
    return text


def case(rng: random.Random) -> bytes:
    """One file: mostly sound, with a few faults of any layer."""
    text, size = _header(rng)
    raw = _mutated_text(rng, text).encode("utf-8", "surrogatepass")
    if rng.random() < 0.5:
        raw += b" " * (-len(raw) % 8)
    if rng.random() < 0.05 and raw:
        place = rng.randrange(len(raw))
        raw = raw[:place] + bytes([rng.randrange(256)]) + raw[place + rng.randrange(2) :]
    if rng.random() < 0.04:
        depth = rng.choice((1, 100, 124, 125, 126, 127, 128, 200))
        deep = (
            b'{"a":' * depth + b"1" + b"}" * depth
            if rng.random() < 0.5
            else b"[" * depth + b"]" * depth
        )
        raw = raw.replace(b'"dtype"', b'"x":' + deep + b',"dtype"', 1)
    length = len(raw)
    if rng.random() < 0.04:
        length = rng.choice(
            (0, 1, length - 1, length + 1, length + 8, 10**8, 10**8 + 1, 2**63, 2**64 - 1)
        )
    size += rng.choice((0,) * 30 + (1, -1, 8))
    return struct.pack("<Q", max(0, length)) + raw + bytes(max(0, min(size, 1 << 16)))


def reference(data: bytes) -> str | None:
    """The reference's variant for these bytes; None where it opens them."""
    try:
        deserialize(data)
    except SafetensorError as error:
        for message, variant in VARIANTS:
            if message in str(error):
                return variant
        raise
    return None


def ours(data: bytes) -> str | None:
    """ckptscan's first error for these bytes."""
    header = parse_header(data[: wanted(data[:8], len(data))], len(data))
    return next((fault.error for fault in header.faults if fault.error), None)


def disagreements(seed: int, cases: int) -> Iterator[tuple[bytes, str | None, str | None]]:
    """Files on which the two verdicts differ: bytes, the reference's variant, ours."""
    rng = random.Random(seed)
    for _ in range(cases):
        data = case(rng)
        expected, actual = reference(data), ours(data)
        if (expected is None) != (actual is None) or expected != actual:
            yield data, expected, actual


def main() -> int:
    """Fuzz for a time; exit 1 if a verdict differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, seen, verdicts, variants = random.Random(options.seed), Counter(), 0, 0
    stop = time.monotonic() + options.seconds
    while time.monotonic() < stop:
        data = case(rng)
        expected, actual = reference(data), ours(data)
        seen[expected] += 1
        if (expected is None) != (actual is None):
            verdicts += 1
            print(f"VERDICT reference {expected}, ckptscan {actual}: {data!r}")
        elif expected != actual:
            variants += 1
            print(f"variant reference {expected}, ckptscan {actual}: {data!r}")
    print(f"{sum(seen.values()):,} cases, {verdicts} verdicts and {variants} variants differ")
    print(", ".join(f"{variant or 'ok'} {count:,}" for variant, count in seen.most_common()))
    return verdicts > 0


if __name__ == "__main__":
    raise SystemExit(main())
