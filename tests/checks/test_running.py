"""Running checks: selection, order, and what a failing check does."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import pytest

from ckptscan.checks import (
    Check,
    Finding,
    Given,
    Skip,
    Subject,
    Where,
    all_checks,
    audit,
    codes_of,
    find_check,
)
from ckptscan.errors import UsageError
from ckptscan.structure import describe
from tests.checks.making import ONE, audit_of
from tests.conftest import checkpoint_of

SUBJECT = {"model.safetensors": ONE}


def broken(subject: Subject) -> Iterator[Finding]:
    """Fail after the first finding."""
    yield BROKEN.finding("seen before the fault")
    raise KeyError("a bug of ours")


def many(subject: Subject) -> Iterator[Finding]:
    """Find in no order."""
    yield MANY.finding("c", Where("model-10.safetensors"), severity="info")
    yield MANY.finding("b", Where("model-10.safetensors"))
    yield MANY.finding("a", Where("model-9.safetensors"))
    yield MANY.finding("d", severity="error")


BROKEN = Check("Z001", "broken", "error", broken)
MANY = Check("Z002", "many", "warning", many)


def test_a_check_that_fails_is_told_and_the_others_are_run() -> None:
    done = audit(checkpoint_of(SUBJECT), checks=[BROKEN, MANY])

    assert ("Z001", "Z002") == done.run
    (crash,) = done.crashed
    assert ("Z001", "KeyError: 'a bug of ours'") == crash[:2]
    assert "in broken" in crash.traceback
    assert 4 == sum(finding.code == "Z002" for finding in done.findings)


def test_a_check_that_needs_what_is_not_given_is_skipped() -> None:
    needing = MANY._replace(needs="base")
    structure = describe(checkpoint_of(SUBJECT))
    done = audit(structure, checks=[needing])
    given = audit(structure, checks=[needing], given=Given(base=structure))

    assert (Skip("Z002", "asks for --base MODEL"),) == done.skipped
    assert ("Z002",) == given.run


def test_findings_are_sorted_by_severity_code_and_place() -> None:
    done = audit(checkpoint_of(SUBJECT), checks=[MANY])

    assert ["d", "a", "b", "c"] == [finding.message for finding in done.findings]
    assert (1, 2, 1) == tuple(map(done.count, ("error", "warning", "info")))


def test_a_severity_is_reached_by_what_is_as_bad_or_worse() -> None:
    done = dataclasses.replace(audit(checkpoint_of(SUBJECT), checks=[MANY]))
    only_info = dataclasses.replace(done, findings=done.findings[-1:])

    assert done.reaches("error")
    assert not only_info.reaches("warning")
    assert only_info.reaches("info")


def test_what_is_left_out_is_told_with_the_reason() -> None:
    done = audit_of(SUBJECT, "H", "offset-gap")
    without = audit(checkpoint_of(SUBJECT), ["H", "I"], ["H013", "I"])

    assert all(code.startswith("H") for code in done.run)
    assert ("I001", "not selected") in done.skipped
    assert ("H013", "ignored") in without.skipped
    assert "H013" not in without.run


@pytest.mark.parametrize("word", ["H008", "h008", "offset-gap", "OFFSET-GAP"])
def test_a_check_is_found_by_code_and_name(word: str) -> None:
    assert "H008" == find_check(word).code
    assert {"H008"} == codes_of([word])


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("H0088", "did you mean H008?"),
        ("ofset-gap", "did you mean offset-gap?"),
        ("?", "`ckptscan checks` lists all"),
    ],
)
def test_a_word_that_is_no_check_is_answered_with_the_nearest(word: str, hint: str) -> None:
    for look in (find_check, lambda word: codes_of([word])):
        with pytest.raises(UsageError) as caught:
            look(word)

        assert hint == caught.value.hint
    with pytest.raises(UsageError):
        codes_of([""])


def test_a_sound_file_has_no_finding() -> None:
    done = audit_of(SUBJECT)

    assert ["unusable-config"] == [found.name for found in done.findings]
    assert [one.code for one in all_checks() if not one.needs] == list(done.run)


def test_findings_stand_in_the_order_of_the_families() -> None:
    checks = [Check(code, "one", "warning", _looks(code)) for code in ("C001", "H001", "I001")]
    done = audit(checkpoint_of(SUBJECT), checks=checks)

    assert ["H001", "I001", "C001"] == [finding.code for finding in done.findings]


def _looks(code: str) -> Callable[[Subject], Iterator[Finding]]:
    return lambda subject: iter([Finding(code, "one", "warning", "proved", "found")])
