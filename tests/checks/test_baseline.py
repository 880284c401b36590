"""Baselines: what is known stays so when words and counts change, and is new where it spreads."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.checks import Audit, Finding, Ignored, Where, audit
from ckptscan.checks.baseline import apply_baseline, read_baseline, written
from ckptscan.errors import UsageError
from ckptscan.sources.base import Origin
from tests.checks.test_allowing import UP, audit_of
from tests.conftest import WRITABLE, packed


def found(
    *where: Where, code: str = "S001", severity: str = "warning", **evidence: object
) -> Finding:
    return Finding(code, "x", severity, "proved", "a message of 7 bytes", where, evidence)


def known(before: Finding, now: Finding) -> bool:
    """Whether a finding is known to the baseline of another."""
    baseline = read_baseline(written([audit_of(before)]).encode(), "x")
    return len(apply_baseline(audit_of(now), baseline)[0].known) == 1


def at(*indices: str, count: int = 9, file: str | None = None) -> Where:
    return Where(file, None, UP, indices, count)


LONE = Where(tensor=UP.replace("*", "3"))


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param(found(at("0-3")), found(at("0-3")), True, id="the same"),
        pytest.param(found(), found(), True, id="without a place"),
        pytest.param(found(), found(code="S002"), False, id="another code"),
        pytest.param(found(at("0-3")), found(at("1-2", count=2)), True, id="fewer layers"),
        pytest.param(found(at("0-3")), found(at("0-4")), False, id="one more layer"),
        pytest.param(found(at("0-3")), found(at("0-3"), LONE), True, id="a part beside the whole"),
        pytest.param(found(at("0-3")), found(at("0-3"), Where("a")), False, id="and a file"),
        pytest.param(found(at("0-3")), found(LONE), True, id="a lone layer of it"),
        pytest.param(found(LONE), found(at("3,7", count=2)), False, id="it spreads"),
        pytest.param(found(LONE), found(at("3", count=1)), True, id="the same in another form"),
        pytest.param(found(at("0-3"), at("4-9")), found(at("0-9", count=10)), True, id="joined"),
        pytest.param(found(at("0-3", count=3)), found(at("0-3", count=4)), False, id="more of them"),
        pytest.param(found(at("0-3", file="a")), found(at("0-3", file="b")), False, id="elsewhere"),
        pytest.param(found(seen=7), found(seen=8), True, id="a count"),
        pytest.param(found(seen="7 of 8"), found(seen="8 of 8"), True, id="prose"),
        pytest.param(found(seen="F32"), found(seen="F16"), False, id="another dtype"),
        pytest.param(found(seen=[4, 4]), found(seen=(4, 4)), True, id="a shape"),
        pytest.param(found(seen=[4, 4]), found(seen=[4, 2]), False, id="another shape"),
        pytest.param(found(seen=["F32", "F16"]), found(seen=["F16", "F32"]), True, id="any order"),
        pytest.param(found(rule="no F32"), found(rule="no F16"), False, id="another rule"),
        pytest.param(found(severity="info"), found(), False, id="it is worse"),
        pytest.param(found(severity="error"), found(), True, id="it is less bad"),
        pytest.param(found(Where("a", byte=4)), found(Where("a", byte=9)), True, id="another byte"),
    ],
)  # fmt: skip
def test_a_finding_is_known(before: Finding, now: Finding, *, expected: bool) -> None:
    assert expected is known(before, now)


def test_a_worse_place_of_two_axes_is_new() -> None:
    before = found(at("0-3", "0-7"), at("4", "0"))

    assert known(before, found(at("1", "2-3")))
    assert not known(before, found(at("4", "1")))
    assert not known(before, found(at("0-4", "0-7", count=9)))


def test_indices_that_are_none_are_new() -> None:
    assert not known(found(at("0-3", "x")), found(at("0-3", "y")))


def test_what_is_found_no_more_is_counted() -> None:
    two = audit_of(found(at("0-3")), found(Where("a"), code="I005"))
    baseline = read_baseline(written([two]).encode(), "x")

    assert 0 == apply_baseline(two, baseline)[1]
    assert 1 == apply_baseline(audit_of(found(at("0-3"))), baseline)[1]
    assert 1 == apply_baseline(replace(audit_of(), run=("S001",)), baseline)[1]
    ignored = replace(audit_of(), ignored=tuple(Ignored(one, "x") for one in two.findings))
    assert 0 == apply_baseline(ignored, baseline)[1]


def test_it_names_sources_without_folders() -> None:
    one, other = audit_of(found()), audit_of(found(at("3")), spec="/secret/zaya/")
    alone = json.loads(written([other]))
    both = json.loads(written([one, other]))

    assert ["zaya"] == [held["source"] for held in alone["sources"]]
    assert ["/secret/zaya", "models/zaya"] == [held["source"] for held in both["sources"]]
    for audit_ in (one, other):
        baseline = read_baseline(written([one, other]).encode(), "x")
        assert 1 == len(apply_baseline(audit_, baseline)[0].known)


def test_no_secret_of_an_address_is_kept() -> None:
    def secret(path: str) -> Audit:
        held = audit_of(found())
        origin = Origin(f"https://me:pass@host/{path}?token=x", "http", "zaya")
        checkpoint = replace(held.checkpoint, origin=origin)
        return replace(held, structure=replace(held.structure, checkpoint=checkpoint))

    text = written([secret("a"), secret("b")])

    assert "https://host/a" in text
    assert "pass" not in text
    assert "token" not in text


def test_all_that_is_found_in_a_real_model_is_known_afterwards() -> None:
    done = audit(packed("deepseek-ai--DeepSeek-V3"))
    text = written([done])
    again, gone = apply_baseline(done, read_baseline(text.encode(), "x"))

    assert ((), len(done.findings), 0) == (again.findings, len(again.known), gone)
    assert text == written([again])


def test_places_that_are_only_counted_are_known_while_no_more() -> None:
    rest = Where("a", count=500)

    assert known(found(rest), found(replace(rest, count=400)))
    assert not known(found(rest), found(replace(rest, count=501)))


def document() -> dict[str, Any]:
    loaded = json.loads(written([audit_of(found(at("0-3"), seen="F32"))]))
    assert isinstance(loaded, dict)
    return loaded


def changed(path: str, value: object) -> bytes:
    whole: Any = document()
    held = whole
    *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in above:
        held = held[part]
    held[last] = value
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "its schema is not"),
        (changed("schema", "ckptscan.baseline/2"), "its schema is not"),
        (changed("sources", None), "not of its type"),
        (changed("sources.0.source", 3), "not of its type"),
        (changed("sources.0.findings.0", None), "not of its type"),
        (changed("sources.0.findings.0.severity", "bad"), "not of its type"),
        (changed("sources.0.findings.0.essence", {"seen": {}}), "not of its type"),
        (changed("sources.0.findings.0.where.0.tensors", -1), "not of its type"),
        (changed("sources.0.findings.0.where.0.indices", [1]), "not of its type"),
    ],
)
def test_what_is_no_baseline_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_baseline(data, "known.json")

    assert reason in caught.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(WRITABLE, max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(WRITABLE, max_size=5), inner)
    ),
    max_leaves=6,
)
PLACES = [
    f"sources.0{tail}"
    for tail in (
        "", ".source", ".findings", ".findings.0", ".findings.0.essence", ".findings.0.where",
        ".findings.0.where.0", ".findings.0.where.0.indices", ".findings.0.where.0.indices.0",
        ".findings.0.where.0.pattern", ".findings.0.where.0.tensors",
    )
]  # fmt: skip
AUDITED = audit_of(found(at("0-3"), seen="F32"))


@given(st.sampled_from(PLACES), JSON)
def test_any_value_at_any_place_is_a_baseline_or_a_usage_error(place: str, value: object) -> None:
    try:
        baseline = read_baseline(changed(place, value), "x")
    except UsageError:
        return

    apply_baseline(AUDITED, baseline)
