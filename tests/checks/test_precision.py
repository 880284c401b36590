"""Precision: of sound models only what is true is told, and nothing of it is an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ckptscan.checkpoint import load
from ckptscan.checks import Finding, audit
from ckptscan.config import AUDITED
from fixtures.models import rows, unpacked
from tests.checks import true_findings
from tests.checks.matrix.whole import Tensors, single
from tests.conftest import PACKS, pack

MODELS = sorted(path.stem for path in PACKS.glob("*.ckptpack"))


def grave(source: object) -> list[Finding]:
    """What audit finds above a remark; no check crashes."""
    done = audit(load(source, beside=AUDITED))  # type: ignore[arg-type]

    assert () == done.crashed
    return [one for one in done.findings if one.severity != "info"]


def types(some: slice) -> Iterator[tuple[str, dict[str, Any], Tensors]]:
    """Some of the model types: names, configs, and tensors, as stored and as loaded."""
    held = [
        (name, config | {"architectures": [class_]}, tensors)
        for name, class_, config, *both in rows()
        for tensors in filter(None, both)
    ]
    for name, config, tensors in held[some]:
        shapes = unpacked(tensors).items()
        yield name, config, {one: ("BF16", tuple(shape)) for one, shape in shapes}


def expected(name: str) -> set[str]:
    """The codes that the golden list has for a model type."""
    lists = (true_findings.TYPES, true_findings.FALSE)
    return {code for one in lists for code, (_, names) in one.items() if name in names.split()}


@pytest.mark.parametrize("model", MODELS)
def test_of_packs_only_what_is_true_is_told(model: str) -> None:
    found = grave(pack(model))

    assert true_findings.PACKS.get(model, {}).keys() == {one.code for one in found}
    assert not [one for one in found if one.severity == "error"]


def check(some: slice, with_config: bool) -> None:
    """Hold some of the types against the golden list."""
    told: dict[str, set[str]] = {}
    errors = []
    for name, config, tensors in types(some):
        files = {"config": config} if with_config else {}
        found = grave(single(tensors, **files).source())
        errors += [f"{name}: {one.code} {one.message}" for one in found if one.severity == "error"]
        told.setdefault(name, set()).update(one.code for one in found)

    assert [] == errors
    for name, codes in told.items():
        wanted = expected(name) if with_config else expected(name) - {"C001", "C002", "C008"}
        assert codes <= wanted, (name, codes - wanted)


@pytest.mark.parametrize("part", range(2))
def test_of_some_model_types_only_what_is_true_is_told(part: int) -> None:
    check(slice(part, None, 40), with_config=True)


@pytest.mark.slow
def test_of_all_model_types_only_what_is_true_is_told() -> None:
    check(slice(None), with_config=True)


@pytest.mark.slow
def test_of_all_model_types_without_a_config_only_what_is_true_is_told() -> None:
    check(slice(None), with_config=False)


def test_every_entry_of_the_golden_list_is_of_a_fixture() -> None:
    known = {name for name, *_ in rows()}
    listed = {
        name
        for one in (true_findings.TYPES, true_findings.FALSE)
        for _, names in one.values()
        for name in names.split()
    }

    assert listed <= known
    assert true_findings.PACKS.keys() <= set(MODELS)
