"""A lock as text: json, a line for each kind and file, the same bytes for the same checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ckptscan.lock.values import Lock, WeightFile
from ckptscan.version import schema

SCHEMA = schema("lock")


def written(lock: Lock) -> str:
    """The document; its title names no folder above the checkpoint's own."""
    source = {"title": lock.title, "kind": lock.kind, "commit": lock.commit}
    parts = [
        f' "schema": {_line(SCHEMA)}',
        f' "source": {_line(source)}',
        f' "tensors": {lock.count}',
        _list("kinds", ([one.pattern, one.dtype, list(one.shape)] for one in lock.kinds)),
        _list("files", map(_file, lock.files)),
        _list("others", (one._asdict() for one in lock.others)),
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _list(name: str, values: Iterable[object]) -> str:
    lines = ",\n".join(f"  {_line(value)}" for value in values)
    return f' "{name}": [\n{lines}\n ]' if lines else f' "{name}": []'


def _line(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _file(file: WeightFile) -> dict[str, Any]:
    return {
        "path": file.path,
        "size": file.size,
        "header": file.header,
        "digest": file.digest,
        "tensors": list(_blocks(file)),
    }


def _blocks(file: WeightFile) -> Iterator[list[object]]:
    """Each block as the number of its kind, then its axes."""
    for block in file.blocks:
        yield [block.kind, *map(str, block.axes)]
