"""The list of checks is complete, and each check is documented and tested."""

from __future__ import annotations

import re
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

import ckptscan.checks
from ckptscan.checks import HEADINGS, MODULES, SEVERITIES, Check, all_checks
from ckptscan.checks.running import FAMILIES

ROOT = Path(ckptscan.checks.__file__).parent
HERE = Path(__file__).parent
CHECKS = all_checks()


def test_every_module_with_checks_is_listed() -> None:
    holding = {
        path.stem
        for path in ROOT.glob("*.py")
        if re.search(r"^CHECKS\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert holding == set(MODULES)
    assert len(set(MODULES)) == len(MODULES)


def test_codes_and_names_are_unique_and_in_order() -> None:
    codes = [check.code for check in CHECKS]
    families = list(FAMILIES)

    assert sorted(codes, key=lambda code: (families.index(code[0]), code)) == codes
    assert [] == [word for word, times in Counter(codes).items() if times > 1]
    names = Counter(check.name for check in CHECKS)
    assert [] == [word for word, times in names.items() if times > 1]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_lists_its_checks_by_code_and_has_a_test_file(name: str) -> None:
    codes = [check.code for check in import_module(f"ckptscan.checks.{name}").CHECKS]

    assert codes
    assert sorted(codes) == codes
    assert (HERE / f"test_{name}.py").exists()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_a_check_says_what_it_is(check: Check) -> None:
    first, _, rest = check.documentation.partition("\n")

    assert re.fullmatch(r"[HICSDQXEAVPL]\d{3}", check.code)
    assert re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", check.name)
    assert not check.name.startswith(("check-", "no-"))
    assert check.severity in SEVERITIES
    assert first.endswith(".")
    places = [rest.index(f"\n{heading}") for heading in HEADINGS]
    assert sorted(places) == places


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_a_check_has_a_case_that_triggers_it_and_one_that_nearly_does(check: Check) -> None:
    (module,) = [name for name in MODULES if check in _checks_of(name)]
    tables = vars(import_module(f"tests.checks.test_{module}")).values()
    cases = [case for table in tables if isinstance(table, list) for case in table]
    told = {
        _times(case.values[-1], check.code)
        for case in filter(lambda case: hasattr(case, "values"), cases)
        if str(case.id).startswith(f"{check.code}-")
    }

    assert 0 in told, f"{check.code} has no case that nearly triggers it"
    assert max(told) > 0, f"{check.code} has no case that triggers it"


def _times(expected: int | list[str], code: str) -> int:
    """How often a case expects the code: told as a number, or in words as `S001 error`."""
    if isinstance(expected, int):
        return expected
    return sum(word.startswith(code) for word in expected)


def _checks_of(name: str) -> tuple[Check, ...]:
    checks: tuple[Check, ...] = import_module(f"ckptscan.checks.{name}").CHECKS
    return checks
