"""JSON values exactly as serde_json reads them, on the C scanner of the standard library.

Python's json accepts more than serde_json does: NaN, numbers that overflow, lone surrogates,
deeper nesting, and it reads `-0` as an integer. `Scanner` reads one value at a time and says what
serde_json would have refused in it. Objects come back as tuples of pairs, so that no key is lost;
arrays as lists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

MAX_INT = 2**64 - 1
MIN_INT = -(2**63)
# serde_json de.rs: remaining_depth starts at 128 and must stay above 0
MAX_DEPTH = 127

Value = object
Pairs = tuple[tuple[str, Value], ...]

SPACE = " \t\n\r"
_skip_space = re.compile(f"[{SPACE}]*").match
_SURROGATE = re.compile("[\ud800-\udfff]")
_NUMBER = re.compile(r"-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?", re.ASCII)


class BrokenJson(Exception):
    """The text stops being JSON at `position` (characters)."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


class Scanner:
    """Reads values out of one text; `refusals` collects what serde_json would not take."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.refusals: list[str] = []
        # lone surrogates can only come from such escapes: UTF-8 has none
        self._has_surrogates = "\\ud" in text or "\\uD" in text
        decoder: Any = json.JSONDecoder(
            object_pairs_hook=tuple,
            parse_int=self._integer,
            parse_float=self._float,
            parse_constant=self._constant,
        )
        self._scan_once = decoder.scan_once

    def value(self, position: int) -> tuple[Value, int]:
        """The value that starts at `position`, and where it ends; raises BrokenJson."""
        try:
            value, end = self._scan_once(self.text, position)
        except StopIteration as stop:
            raise BrokenJson("a value is missing", stop.value) from stop
        except json.JSONDecodeError as error:
            raise BrokenJson(error.msg, error.pos) from error
        except RecursionError as error:
            raise BrokenJson(f"nested deeper than {MAX_DEPTH} levels", position) from error
        if self._has_surrogates and any(map(_SURROGATE.search, strings(value))):
            self.refusals.append("a lone surrogate")
        return value, end

    def string(self, position: int) -> tuple[str, int]:
        """The string whose opening quote is at `position`; raises BrokenJson."""
        if self.text[position : position + 1] != '"':
            raise BrokenJson("a name in double quotes is missing", position)
        try:
            value, end = scanstring(self.text, position + 1)
        except json.JSONDecodeError as error:
            raise BrokenJson(error.msg, error.pos) from error
        if self._has_surrogates and _SURROGATE.search(value):
            self.refusals.append("a lone surrogate")
        return value, end

    def punctuation(self, position: int, wanted: str) -> tuple[str, int]:
        """The next character after white space, one of `wanted`, and where the text goes on."""
        position = self._after_space(position)
        char = self.text[position : position + 1]
        if not char or char not in wanted:
            raise BrokenJson(f"{' or '.join(wanted)} is missing", position)
        return char, self._after_space(position + 1)

    def _after_space(self, position: int) -> int:
        match = _skip_space(self.text, position)
        return match.end() if match else position

    def _integer(self, literal: str) -> int | float:
        if len(literal) < 19 and literal != "-0":
            return int(literal)
        if len(literal) <= 20:
            value = int(literal)
            if MIN_INT <= value <= MAX_INT and literal != "-0":
                return value
        return self._float(literal)

    def _float(self, literal: str) -> float:
        if overflows(literal):
            self.refusals.append(f"the number {literal[:20]}, which overflows 64 bits")
        return 0.0

    def _constant(self, literal: str) -> float:
        self.refusals.append(f"{literal}, which is not JSON")
        return 0.0


def strings(value: Value) -> Iterator[str]:
    """All strings inside a value, keys too; works without recursion."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list | tuple):
            stack.extend(item)


def depth(value: Value) -> int:
    """How deep a value nests: 0 for a scalar, 1 for a flat array or object."""
    levels, layer = 0, [value]
    while layer := [item for item in layer if isinstance(item, list | tuple)]:
        levels += 1
        layer = [child[1] if isinstance(item, tuple) else child for item in layer for child in item]
    return levels


def overflows(literal: str) -> bool:
    """Whether serde_json says "number out of range" for this JSON number.

    Follows its arithmetic (serde_json 1.0 de.rs, parse_decimal to f64_from_parts, without the
    feature float_roundtrip): the digits that fit 64 bits, then multiplications by powers of ten.
    """
    whole, fraction, exponent_text = _NUMBER.fullmatch(literal).groups()  # type: ignore[union-attr]
    fraction = fraction or ""
    zeros = 0 if whole.strip("0") else len(fraction) - len(fraction.lstrip("0"))
    significand, exponent = 0, -zeros
    for digits, is_whole in ((whole.lstrip("0"), True), (fraction[zeros:], False)):
        for position, digit in enumerate(digits):
            grown = significand * 10 + int(digit)
            if grown > MAX_INT:
                exponent += len(digits) - position if is_whole else 0
                break
            significand, exponent = grown, exponent - (not is_whole)
    stated = exponent_text or ""
    power = stated.lstrip("+-").lstrip("0") or "0"
    is_negative = stated.startswith("-")
    if len(power) > 9:
        return significand != 0 and not is_negative
    return _scaled_is_infinite(
        float(significand), exponent + (-int(power) if is_negative else int(power))
    )


def _scaled_is_infinite(value: float, exponent: int) -> bool:
    while abs(exponent) > 308:
        if value == 0.0:
            return False
        if exponent > 0:
            return True
        value, exponent = value / 1e308, exponent + 308
    return exponent > 0 and value * float(f"1e{exponent}") == float("inf")
