"""Settings in two forms, and what is refused with the key and the nearest name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.checks.allowing import allow_of
from ckptscan.checks.policy import parse_rule
from ckptscan.checks.policy.words import FIGURES, GROUPS
from ckptscan.errors import UsageError
from ckptscan.settings import Settings
from ckptscan.settings.reading import has_section, read_settings
from tests.conftest import HERE, WRITABLE

# other words for what the page names
ALIASES = (
    "routed experts", "mlps", "feed-forward", "ffn", "router", "norm", "embedding", "output head",
    "quantization tensors", "lora", "everything", "all tensors", "size", "head",
)  # fmt: skip

TOML = """
select = ["H", "I"]
ignore = ["D001"]
fail-on = "warning"
baseline = "known.json"
policy = ["experts are F8_E4M3", "warning: no F32 over 1 % of bytes because the card says so"]

[[allow]]
check = "S001"
path = "models/zaya*"
tensor = "model.layers.0.*"
reason = "the first layer has no conv"

[[allow]]
check = "X"
reason = "read"
"""
CFG = """
[metadata]
name = %(other)s

[ckptscan]
select = H, I
ignore =
    D001
fail-on = warning
baseline = known.json
policy =
    experts are F8_E4M3
    # a comment
    warning: no F32 over 1 % of bytes because the card says so
allow =
    S001 path models/zaya* tensor model.layers.0.* because the first layer has no conv
    X because read
"""


@pytest.mark.parametrize(("text", "name"), [(TOML, "ckptscan.toml"), (CFG, "setup.cfg")])
def test_both_forms_say_the_same(text: str, name: str) -> None:
    expected = Settings(
        name,
        ("H", "I"),
        ("D001",),
        "warning",
        "known.json",
        (
            allow_of("S001", "the first layer has no conv", "models/zaya*", "model.layers.0.*"),
            allow_of("X", "read"),
        ),
        (
            parse_rule("experts are F8_E4M3"),
            parse_rule("no F32 over 1 % of bytes", "warning", "the card says so"),
        ),
    )

    assert expected == read_settings(text.encode(), name)


def test_rules_may_be_tables_with_a_path() -> None:
    text = '[[policy]]\nrule = "layers = 8"\npath = "a/*"\nseverity = "info"\nreason = "so"\n'
    (rule,) = read_settings(text.encode(), "x.toml").policy

    assert ("layers = 8", "info", "so", "a/*") == (rule.text, rule.severity, rule.reason, rule.path)


def test_the_example_of_the_page_is_true() -> None:
    page = (HERE.parent / "docs" / "audit.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    found = read_settings(example.encode(), "ckptscan.toml")

    assert (("E",), "warning", "known.json") == (found.ignore, found.fail_on, found.baseline)
    assert (4, 2) == (len(found.policy), len(found.allow))
    section = page.partition("| a line of policy")[2].partition("## Help")[0]
    for line in re.findall(
        r"`((?:parameters|bytes|quant|attention|archi|no pickle|no files)[^`]*)`", section
    ):
        parse_rule(line)
    for word in (*GROUPS, *FIGURES):
        assert word in section or word in ALIASES, word


def test_all_may_stand_in_one_table() -> None:
    text = '[ckptscan]\nselect = "H"\n[[ckptscan.allow]]\ncheck = "X"\nreason = "read"\n'
    found = read_settings(text.encode(), "x.toml")

    assert (("H",), (allow_of("X", "read"),)) == (found.select, found.allow)


def test_nothing_is_said_by_an_empty_file() -> None:
    assert Settings("x.toml") == read_settings(b"\xef\xbb\xbf", "x.toml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('selct = ["H"]', "no key 'selct' | did you mean select?"),
        ("fail-on = 'info'\n[ckptscan]\nselect = []", "settings know no key 'ckptscan'"),
        ('select = ["H", "Z9"]', "select: no check's code begins with 'Z9'"),
        ('ignore = ["H0088"]', "ignore: no check's code begins with 'H0088' | did you mean H008?"),
        ("select = 3", "select: is no list of codes"),
        ("select = [3]", "select: is no list of codes"),
        ('fail-on = "warnings"', "fail-on: 'warnings' | did you mean warning?"),
        ("fail-on = 1", "fail-on: is no text"),
        ('baseline = ""', "baseline: is no text"),
        ('policy = "no F32"', "policy: is no list"),
        ('policy = ["no F32", "no F33"]', "policy 2: column 4 of 'no F33'"),
        ("policy = [3]", "policy 1: is no line and no table"),
        ("[[policy]]\nrule = 3", "policy 1: is no line and no table"),
        ('[[policy]]\nrule = "no F32"\nseverty = "info"', "no key 'severty' | did you mean severity?"),
        ('[[policy]]\nrule = "no F32"\nseverity = "bad"', "severity: 'bad'"),
        ('[[policy]]\nreason = "x"', "a line of 0 characters"),
        ('[[allow]]\ncheck = "S001"', "allow 1: allow S001: without a reason"),
        ('[[allow]]\nreason = "x"', "allow 1: without a check"),
        ('[[allow]]\ncheck = "S9"\nreason = "x"', "allow 1: no check's code begins with 'S9'"),
        ('[[allow]]\ncheck = "S001"\nresaon = "x"', "no key 'resaon' | did you mean reason?"),
        ('allow = ["S001 tensor a"]', "is not of the form | CHECK [path GLOB]"),
        ('allow = ["S001 tensr a because b"]', "is not of the form"),
        ('allow = ["S001 path a path b because c"]', "is not of the form"),
        ("select = [", "not TOML"),
        ("a = 1\na = 2", "not TOML"),
        ("a = " + "[" * 9000, "not TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(text: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_settings(text.encode(), "some.toml")
    message, _, hint = expected.partition(" | ")

    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.message.startswith("some.toml: ")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"[other]\na = 1", "has no section [ckptscan]"),
        (b"a = 1", "setup.cfg"),
        (b"[ckptscan]\nnot a key", "setup.cfg"),
        (b"[ckptscan]\nselected = H", "no key 'selected'"),
        (b"[ckptscan]\n\xff = H", "not UTF-8 at byte 11"),
        (b"[ckptscan]\nallow = S001", "allow 1: allow: 'S001' is not of the form"),
    ],
)
def test_a_cfg_that_is_none_is_named(data: bytes, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_settings(data, "setup.cfg")

    assert expected in caught.value.message


def test_a_section_is_found_at_the_start_of_a_line() -> None:
    assert has_section(b"[a]\n[ckptscan]\n")
    assert not has_section(b"a = [ckptscan]\n[ckptscan2]")


LINES = [
    "[ckptscan]", "[allow]", "[[allow]]", "[[policy]]", "[]", "[DEFAULT]", 'select = ["H"]',
    "select = H", 'check = "S001"', 'reason = "x"', 'rule = "no F32"', "allow =", "policy:", "  x",
    "    S001 because y", "    no F32", "# x", "baseline = 1979-05-27", "fail-on = info", "a.b = 1",
    'fail-on = "info"', "\t", "=", "%(x)s = %(y)s",
]  # fmt: skip


@given(
    st.one_of(
        st.binary(max_size=60),
        st.text(WRITABLE).map(str.encode),
        st.lists(st.sampled_from(LINES), max_size=8).map(lambda lines: "\n".join(lines).encode()),
    ),
    st.sampled_from(["ckptscan.toml", "setup.cfg"]),
)
def test_any_text_is_settings_or_a_usage_error(data: bytes, name: str) -> None:
    try:
        found = read_settings(data, name)
    except UsageError:
        return

    assert name == found.path
