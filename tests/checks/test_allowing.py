"""Findings that are allowed: all of their places, or none."""

from __future__ import annotations

import pytest

from ckptscan.checks import Audit, Finding, Where
from ckptscan.checks.allowing import Allow, allow_of, apply_allows, parse_allow, stale
from ckptscan.checks.globs import is_within, plain_source, source_matches
from ckptscan.checks.running import all_checks
from ckptscan.sources.base import Origin
from ckptscan.structure import describe
from tests.checks.making import ONE
from tests.conftest import checkpoint_of

UP = "model.layers.*.mlp.up_proj.weight"


def found(*where: Where, code: str = "S001") -> Finding:
    return Finding(code, "x", "error", "proved", "message", where)


def audit_of(*findings: Finding, spec: str = "models/zaya") -> Audit:
    from dataclasses import replace

    checkpoint = checkpoint_of({"model.safetensors": ONE})
    checkpoint = replace(checkpoint, origin=Origin(spec, "directory", "zaya"))
    run = tuple(check.code for check in all_checks())
    return Audit(describe(checkpoint), findings, run)


@pytest.mark.parametrize(
    ("where", "glob", "expected"),
    [
        (Where(tensor="model.layers.0.a"), "model.layers.0.*", True),
        (Where(tensor="model.layers.10.a"), "model.layers.0.*", False),
        (Where(pattern=UP, indices=("0",)), "model.layers.0.*", True),
        (Where(pattern=UP, indices=("0,3",)), "model.layers.0.*", False),
        (Where(pattern=UP, indices=("0-99",)), "model.layers.*.up_proj.*", True),
        (Where(pattern=UP, indices=("0-9",)), "model.layers.?.*", True),
        (Where(pattern=UP, indices=("0-10",)), "model.layers.?.*", False),
        (Where(pattern=UP, indices=("3-5",)), "model.layers.[345].*", True),
        (Where(pattern=UP, indices=("0-99999999",)), "model.layers.0.*", False),
        (Where(pattern=UP, indices=("x",)), "model.layers.0.*", False),
        (Where(pattern=UP, indices=()), "model.layers.0.*", False),
        (Where(file="a"), "*", False),
        (Where(tensor="x" * 5000), "x*", False),
    ],
)
def test_a_place_lies_within_a_glob(where: Where, glob: str, *, expected: bool) -> None:
    assert expected is is_within(where, glob)


@pytest.mark.parametrize(
    ("source", "glob", "expected"),
    [
        ("./models/zaya/", "models/zaya*", True),
        ("models/zaya", "./models/*", True),
        ("org/name", "org/*", True),
        ("other/name", "org/*", False),
    ],
)
def test_a_source_is_matched_as_it_was_named(source: str, glob: str, *, expected: bool) -> None:
    assert expected is source_matches(source, glob)
    assert "/" == plain_source("/")


LAYER0 = Where(pattern=UP, indices=("0",))
LAYER3 = Where(pattern=UP, indices=("3",))


@pytest.mark.parametrize(
    ("allow", "where", "expected"),
    [
        pytest.param("S001 because x", [LAYER0], 1, id="any place"),
        pytest.param("S because x", [], 1, id="by family, without a place"),
        pytest.param("S002 because x", [LAYER0], 0, id="another check"),
        pytest.param("S001 tensor model.layers.0.* because x", [LAYER0], 1, id="its tensor"),
        pytest.param("S001 tensor model.layers.0.* because x", [LAYER0, LAYER3], 0, id="and more"),
        pytest.param("S001 tensor model.layers.0.* because x", [], 0, id="no tensor"),
        pytest.param("S001 path models/zaya because x", [LAYER0], 1, id="its source"),
        pytest.param("S001 path zaya because x", [LAYER0], 1, id="its title"),
        pytest.param("S001 path models/o* because x", [LAYER0], 0, id="another source"),
        pytest.param("S001 path a.bin because x", [Where("a.bin")], 1, id="a file"),
        pytest.param("S001 path models/zaya/a.* because x", [Where("a.bin")], 1, id="a file in it"),
        pytest.param("S001 path a.bin because x", [Where("b.bin")], 0, id="another file"),
    ],
)
def test_a_finding_is_allowed(allow: str, where: list[Where], expected: int) -> None:
    done, _ = apply_allows(audit_of(found(*where)), [parse_allow(allow)])

    assert expected == len(done.ignored)
    assert 1 - expected == len(done.findings)
    assert ["x"] * expected == [one.reason for one in done.ignored]


@pytest.mark.parametrize(
    ("allow", "expected"),
    [
        ("S001 because x", False),
        ("S001 tensor model.layers.3.* because x", False),
        ("S001 tensor model.layers.4.* because x", True),
        ("S002 because x", True),
        ("S002 path other because x", False),
        ("S002 path models/* because x", True),
    ],
)
def test_what_matches_nothing_any_more_is_stale(allow: str, *, expected: bool) -> None:
    audit = audit_of(found(LAYER0, LAYER3))
    allows = [parse_allow(allow)]
    _, used = apply_allows(audit, allows)

    assert expected is bool(stale(allows, used, [audit]))


def test_a_permission_is_written_as_it_is_read() -> None:
    assert "S001 path a tensor b" == str(parse_allow("S001 path a tensor b because c"))
    assert Allow("S001", frozenset({"S001"}), "c") == allow_of("S001", " c ")
