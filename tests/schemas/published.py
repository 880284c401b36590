"""The schemas in docs/schemas as values, and what they say of a document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.conftest import HERE

FOLDER = HERE.parent / "docs" / "schemas"


@cache
def schemas() -> Mapping[str, Any]:
    """Each schema by the name of its file: `inspect-1`."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(FOLDER.glob("*.json"))
    }


@cache
def _registry() -> Registry[Any]:
    resources = {f"{name}.json": Resource.from_contents(one) for name, one in schemas().items()}
    return Registry().with_resources(resources.items())


def name_of(document: Mapping[str, Any]) -> str:
    """The schema that a document names: `ckptscan.inspect/1` is `inspect-1`."""
    return str(document["schema"]).removeprefix("ckptscan.").replace("/", "-")


def faults(document: Mapping[str, Any]) -> list[str]:
    """Where a document is not what its schema says."""
    checked = Draft202012Validator(schemas()[name_of(document)], registry=_registry())
    return [f"{one.json_path}: {one.message[:200]}" for one in checked.iter_errors(document)]


def parts(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Every schema within a schema, itself included."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from parts(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from parts(value)


def fields(name: str) -> set[str]:
    """The fields that a schema speaks of."""
    return {field for part in parts(schemas()[name]) for field in part.get("properties", ())}
