"""Documents as the lines of indented JSON, written while they are drawn.

The text is that of `json.dumps(document, indent=2)`, which leaves the C encoder, hands each piece
through as many generators as it is nested deep, and needs the whole document at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from json.encoder import encode_basestring_ascii as quoted
from types import GeneratorType

_STEP = "  "
_OPENED = (dict, GeneratorType)
_LISTS = (list, tuple)


def json_lines(document: Mapping[str, object]) -> Iterator[str]:
    """The document in whole lines; a generator in it is an array, drawn as it is written.

    Generators stand in objects and in generators; what a list or tuple holds is plain.
    """
    text, margin = "{", "\n" + _STEP
    waiting = [(_members(document), "}")]
    while waiting:
        members, closing = waiting[-1]
        for key, value in members:
            comma = "" if text[-1] in "{[" else ","
            if isinstance(value, _OPENED):
                is_object = isinstance(value, dict)
                text += f"{comma}{margin}{key}{'{' if is_object else '['}"
                waiting.append((_members(value), "}" if is_object else "]"))
                margin += _STEP
                break
            text += f"{comma}{margin}{key}{_plain(value, margin)}"
        else:
            waiting.pop()
            margin = margin[: -len(_STEP)]
            text += closing if text[-1] in "{[" else margin + closing
            whole, newline, last = text.rpartition("\n")
            if newline:
                yield whole
                text = last
    yield text


def _members(value: Mapping[str, object] | Iterable[object]) -> Iterator[tuple[str, object]]:
    """What an object or array holds, each behind its key as it is written."""
    if isinstance(value, Mapping):
        return ((f"{quoted(key)}: ", held) for key, held in value.items())
    return (("", held) for held in value)


def _plain(value: object, margin: str) -> str:
    """The text of a value that holds no generator, behind this margin."""
    kind = type(value)
    if kind is str:
        return quoted(str(value))
    if kind is int:
        return repr(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    inner = margin + _STEP
    if isinstance(value, _LISTS) and value:
        return f"[{inner}{f',{inner}'.join([_plain(one, inner) for one in value])}{margin}]"
    if isinstance(value, dict) and value:
        members = [f"{quoted(key)}: {_plain(held, inner)}" for key, held in value.items()]
        return f"{{{inner}{f',{inner}'.join(members)}{margin}}}"
    return json.dumps(value)
