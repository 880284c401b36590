"""The published schemas say of each contract all that is written, and no more."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ckptscan.checks import SEVERITIES
from ckptscan.diff.values import KINDS
from ckptscan.plan.values import LABELS
from ckptscan.report.options import SORTS, VIEWS
from ckptscan.version import SCHEMAS
from tests.conftest import HERE
from tests.schemas.documents import GROUPS, Document
from tests.schemas.published import faults, fields, name_of, parts, schemas

SHARED = ("code", "kind_of_place", "label", "severity", "shape", "source")
ROOT = HERE.parent


def keys_of(value: Any) -> Iterable[str]:
    """Every key of every object in a document."""
    if isinstance(value, dict):
        yield from value
        for held in value.values():
            yield from keys_of(held)
    elif isinstance(value, list):
        for held in value:
            yield from keys_of(held)


@pytest.mark.parametrize("group", GROUPS)
def test_schemas_speak_of_just_what_is_written(
    group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CKPTSCAN_CACHE", str(tmp_path / "kept"))
    seen: dict[str, set[str]] = defaultdict(set)
    least: dict[str, tuple[int, Document]] = {}
    wrong: list[str] = []
    for document in GROUPS[group](tmp_path):
        name, keys = name_of(document), [*keys_of(document)]
        seen[name].update(keys)
        if name not in least or len(keys) < least[name][0]:
            least[name] = len(keys), document
        wrong += faults(document)

    assert [] == wrong[:20]
    assert {name: set() for name in seen} == {name: fields(name) - seen[name] for name in seen}
    for _, document in least.values():
        assert faults({**document, "surprise": 1})
        for field in schemas()[name_of(document)]["required"]:
            assert field == "schema" or faults({**document, field: {"surprise": 0.5}})
            assert field == "schema" or faults({k: v for k, v in document.items() if k != field})


@pytest.mark.parametrize("name", schemas())
def test_a_schema_is_one_and_closed(name: str) -> None:
    schema = schemas()[name]
    Draft202012Validator.check_schema(schema)
    told = [part for part in parts(schema) if "properties" in part]

    assert told
    assert schema.get("unevaluatedProperties") is False or all(
        part["additionalProperties"] is False and set(part["required"]) <= set(part["properties"])
        for part in told
    )


def test_definitions_of_one_name_are_one() -> None:
    found: dict[str, list[Any]] = defaultdict(list)
    for schema in schemas().values():
        for name, one in schema.get("$defs", {}).items():
            if name in SHARED and one not in found[name]:
                found[name].append(one)

    assert dict.fromkeys(SHARED, 1) == {name: len(ones) for name, ones in found.items()}


def test_choices_are_those_of_the_code() -> None:
    inspect = schemas()["inspect-1"]["$defs"]
    layout = inspect["layout"]["properties"]

    assert set(LABELS) == set(inspect["label"]["enum"])
    assert set(SEVERITIES) == set(schemas()["audit-1"]["$defs"]["severity"]["enum"])
    assert set(KINDS) == set(schemas()["diff-1"]["$defs"]["change_kind"]["enum"])
    assert [*VIEWS] == layout["view"]["enum"]
    assert [*SORTS] == layout["sort"]["enum"]


def test_every_contract_has_a_schema() -> None:
    assert {f"{name}-{number}" for name, number in SCHEMAS.items()} == set(schemas())


def test_what_golden_tests_expect_is_as_the_schemas_say() -> None:
    found = []
    for path in sorted((HERE / "golden").glob("*json*.txt")):
        document = json.loads(path.read_text(encoding="utf-8"))
        found.append(name_of(document))

        assert [] == faults(document), path.name
    assert {"inspect-1", "audit-1", "diff-1", "plan-1", "verify-1"} <= set(found)
