"""The modules that a config lists as not quantized, in the dialects of the quantizers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice, product
from typing import NamedTuple

from ckptscan.checks.evidence.expressions import Expression, expression
from ckptscan.config import Config
from ckptscan.names import IndexSet, is_index, split_stars, unescape

_KEYS = ("modules_to_not_convert", "ignore", "exclude_modules", "llm_int8_skip_modules", "exclude")
_MOST_NAMES = 10_000
_MOST_EXPRESSIONS = 64
_MOST_TRIED = 512  # instances of one module that an expression is tried on
_LONGEST = 512


class Entry(NamedTuple):
    """One entry of a list: `text` as it is written; what it names by segments or an expression.

    `is_exact` is whether the segments are a module's whole path, not a part of it.
    """

    text: str
    segments: tuple[str, ...] = ()
    expression: Expression | None = None
    is_exact: bool = False

    def names(self, path: str, axes: Sequence[IndexSet]) -> bool:
        """Whether it names the module of this path, at any of these indices."""
        if self.expression is not None:
            return any(map(self.expression.matches, _instances(path, axes)))
        own = path[:_LONGEST].split(".")
        stars = _columns(own, axes)
        size = len(self.segments)
        starts = [0] if self.is_exact else range(len(own) - size + 1)
        if size > len(own) or (self.is_exact and size != len(own)):
            return False
        return any(
            all(
                part == segment or _is_among(part, stars.get(start + at))
                for at, (part, segment) in enumerate(
                    zip(self.segments, own[start : start + size], strict=True)
                )
            )
            for start in starts
        )


class Lists(NamedTuple):
    """What all lists of a config name; `is_complete` is whether every entry was understood."""

    entries: tuple[Entry, ...]
    is_complete: bool


def find_lists(config: Config) -> Lists:
    """The entries of all lists of a config."""
    entries: list[Entry] = []
    is_complete = True
    for entry in islice(_entries(config), _MOST_NAMES):
        if entry is None:
            is_complete = False
        else:
            entries.append(entry)
    held = [entry for entry in entries if entry.expression is not None]
    if len(held) > _MOST_EXPRESSIONS:
        plain = tuple(entry for entry in entries if entry.expression is None)
        return Lists(plain, is_complete=False)
    return Lists(tuple(entries), is_complete)


def _entries(config: Config) -> Iterator[Entry | None]:
    said = config.quantization
    method = said.get("quant_method")
    for key in _KEYS:
        names = said.get(key)
        for name in names[:_MOST_NAMES] if isinstance(names, list) else ():
            yield _entry(name, key, method) if isinstance(name, str) else None
    dynamic = said.get("dynamic")  # GPTQModel: "-:" leaves out, "+:" has other figures
    for key in dynamic if isinstance(dynamic, dict) else ():
        if isinstance(key, str) and key[:2] == "-:":
            yield _expressed(key, key[2:])
    for key, value in said.items() if method is None else ():  # MLX: a module's own entry is false
        if value is False and isinstance(key, str) and "." in key:
            yield Entry(key[:_LONGEST], tuple(key[:_LONGEST].split(".")), is_exact=True)
    if method in ("gptq", "awq") and said.get("lm_head") is not True:
        yield Entry("lm_head", ("lm_head",), is_exact=True)  # packed only where it is asked for


def _entry(name: str, key: str, method: object) -> Entry | None:
    if not 0 < len(name) < _LONGEST:
        return None
    if name[:3] == "re:":
        return _expressed(name, name[3:])
    if "*" in name:
        beginning = "(\\..*)?" if key == "modules_to_not_convert" else ""
        parts = (re.escape(part).replace("\\_", "_") for part in name.split("*"))
        return _expressed(name, ".*".join(parts) + beginning + "$")
    return Entry(name, tuple(name.split(".")), is_exact=method == "compressed-tensors")


def _expressed(text: str, written: str) -> Entry | None:
    found = expression(written)
    return Entry(text, expression=found) if found is not None else None


def _columns(own: Sequence[str], axes: Sequence[IndexSet]) -> dict[int, IndexSet]:
    """The indices of the segments that are stars, by their place in the path."""
    places = [place for place, segment in enumerate(own) if segment == "*"]
    return dict(zip(places, axes, strict=False))


def _is_among(part: str, axis: IndexSet | None) -> bool:
    return axis is not None and is_index(part) and int(part) in axis


def _instances(path: str, axes: Sequence[IndexSet]) -> Iterator[str]:
    """Names that a path stands for: all of the first axis, the ends of the others."""
    pieces = [unescape(piece) for piece in split_stars(path[:_LONGEST])]
    first = [list(islice(axis, _MOST_TRIED)) for axis in axes[:1]]
    others = [sorted({axis.ranges[0][0], axis.ranges[-1][1]}) for axis in axes[1:]]
    if len(pieces) != len(axes) + 1:  # a path that was cut
        return
    for indices in islice(product(*first, *others), 4 * _MOST_TRIED):
        names = (*map(str, indices), "")
        yield "".join(piece + index for piece, index in zip(pieces, names, strict=True))
