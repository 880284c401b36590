"""The catalogue of checks: as text, json, and a page."""

from __future__ import annotations

import json

from ckptscan.checks import HEADINGS, Check, all_checks
from ckptscan.report.catalogue import json_text, markdown_lines, parts_of, plain, text_lines


def test_every_check_has_text_under_each_heading() -> None:
    for check in all_checks():
        assert list(HEADINGS) == list(parts_of(check))
        assert all(parts_of(check).values()), check.code


def test_json_holds_what_explain_says() -> None:
    document = json.loads(json_text(all_checks()))

    assert "ckptscan.checks/1" == document["schema"]
    assert [check.code for check in all_checks()] == [row["code"] for row in document["checks"]]
    assert {"family", "summary", "what_it_finds", "example"} <= document["checks"][0].keys()


def test_every_link_of_the_page_leads_to_a_heading() -> None:
    lines = list(markdown_lines(all_checks()))
    anchors = {line[4:].lower().replace(" ", "-") for line in lines if line.startswith("### ")}
    links = {part.split(")")[0] for line in lines for part in line.split("](#")[1:]}

    assert anchors == links


def test_no_check_is_no_line() -> None:
    assert [] == list(text_lines([]))


def test_markdown_finds_nothing_of_its_own() -> None:
    assert r"layers.\*.a\_b `x.*` \<b\>" == plain("layers.*.a_b `x.*` <b>")
    assert r"one \` and \*" == plain("one ` and *")


def _quiet(subject: object) -> None:
    """First line.

    What it finds: names like `a_*`.
    Why it matters: b.
    Example: c.weight is
    d.
    What to do: e.
    """


def test_what_stands_under_a_heading_is_one_line() -> None:
    check = Check("H999", "quiet", "info", _quiet)  # type: ignore[arg-type]

    assert "c.weight is d." == parts_of(check)["Example"]
    assert any("names like `a_*`" in line.lower() for line in markdown_lines([check]))
