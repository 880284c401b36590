"""Bytes -> a lock, or why they are none; every field of its type, every count within bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeGuard, cast

from ckptscan.errors import UsageError
from ckptscan.lock.values import Block, Kind, Lock, SideFile, WeightFile
from ckptscan.lock.writing import SCHEMA
from ckptscan.names import IndexSet, split_stars

MAX_LOCK = 64 << 20  # bytes; that of DeepSeek-V3 has 80,000
MAX_TENSORS = 2_000_000  # the largest real checkpoint has 1.3 million
_LARGEST = 1 << 64
_LONGEST = 1 << 20  # characters of a name
_MOST_DIMS = 64


class _Broken(Exception):
    """The lock breaks a rule; the message says which."""


def read_lock(data: bytes, name: str) -> Lock:
    """The lock in a file of this name; raises UsageError with the reason."""
    try:
        document = json.loads(data.decode("utf-8"))
        return _lock(_object(document, "the whole"))
    except _Broken as error:
        reason = str(error)
    except (RecursionError, ValueError):
        reason = "not JSON"
    raise UsageError(f"{name}: no lock: {reason}", "write it again with ckptscan lock")


def _lock(document: Mapping[str, object]) -> Lock:
    if document.get("schema") != SCHEMA:
        raise _Broken(f"its schema is not {SCHEMA}")
    source = _object(document.get("source"), "source")
    kinds = tuple(_kind(one) for one in _list(document.get("kinds"), "kinds"))
    files = tuple(_file(one, kinds) for one in _list(document.get("files"), "files"))
    others = tuple(_other(one) for one in _list(document.get("others"), "others"))
    for found in (files, others):
        if len({one.path for one in found}) != len(found):
            raise _Broken("it names a file twice")
    lock = Lock(
        _text(source.get("title"), "title"),
        _text(source.get("kind"), "kind"),
        _text_or_none(source.get("commit"), "commit"),
        kinds,
        files,
        others,
    )
    if lock.count > MAX_TENSORS:
        raise _Broken(f"it holds more than {MAX_TENSORS:,} tensors")
    if lock.count != document.get("tensors"):
        raise _Broken(f"it holds {lock.count:,} tensors, and says otherwise")
    return lock


def _kind(value: object) -> Kind:
    fields = _list(value, "a kind")
    if len(fields) != 3:
        raise _Broken("a kind is a pattern, a dtype and a shape")
    shape = _list(fields[2], "a shape")
    if len(shape) > _MOST_DIMS:
        raise _Broken("a shape of too many dimensions")
    dims = tuple(_count(dim, "a dimension") for dim in shape)
    return Kind(_text(fields[0], "a pattern"), _text(fields[1], "a dtype"), dims)


def _file(value: object, kinds: tuple[Kind, ...]) -> WeightFile:
    fields = _object(value, "a file")
    return WeightFile(
        _text(fields.get("path"), "a path"),
        _count(fields.get("size"), "a size"),
        _text(fields.get("header"), "a header's sha256"),
        _text_or_none(fields.get("digest"), "a digest"),
        tuple(_block(one, kinds) for one in _list(fields.get("tensors"), "tensors of a file")),
    )


def _block(value: object, kinds: tuple[Kind, ...]) -> Block:
    number, *written = _list(value, "tensors of a kind") or [None]
    if not _is_count(number) or number >= len(kinds):
        raise _Broken("tensors of a kind that it does not name")
    axes = tuple(_axis(axis) for axis in written)
    if len(axes) != len(split_stars(kinds[number].pattern)) - 1:
        raise _Broken("a pattern that has not one star for each axis")
    return Block(number, axes)


def _axis(value: object) -> IndexSet:
    """A set of indices whose ranges ascend."""
    try:
        axis = IndexSet.parse(_text(value, "an axis"))
    except ValueError:
        raise _Broken("an axis that is no set of indices") from None
    reached = -1
    for first, last in axis.ranges:
        if not reached < first <= last:
            raise _Broken("an axis whose ranges do not ascend")
        reached = last
    return axis


def _other(value: object) -> SideFile:
    fields = _object(value, "another file")
    return SideFile(
        _text(fields.get("path"), "a path"),
        _count(fields.get("size"), "a size"),
        _text_or_none(fields.get("sha256"), "a sha256"),
    )


def _object(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _Broken(f"{what} is no object")
    return cast("Mapping[str, object]", value)


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise _Broken(f"{what}: no list")
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise _Broken(f"{what}: no text")
    return value


def _text_or_none(value: object, what: str) -> str | None:
    return None if value is None else _text(value, what)


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < _LARGEST


def _count(value: object, what: str) -> int:
    if not _is_count(value):
        raise _Broken(f"{what}: no count")
    return value
