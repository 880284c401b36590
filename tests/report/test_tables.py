"""CSV and Markdown: exact values, nothing that a reader of them would run."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest

from ckptscan.report import VIEWS, Layout, report
from ckptscan.structure import Structure
from tests.conftest import packed, structure_of, unheld


def rows(structure: Structure, view: str) -> list[list[str]]:
    text = "\n".join(report(structure, "csv", Layout(view=view)))
    return [*csv.reader(io.StringIO(text))]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_as_csv(view: str, golden: Callable[[str], None]) -> None:
    structure = packed("meta-llama--Llama-3.2-1B")

    golden("\n".join(report(structure, "csv", Layout(view=view))) + "\n")


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_as_markdown(view: str, golden: Callable[[str], None]) -> None:
    structure = packed("openai-community--gpt2")

    golden("\n".join(report(structure, "markdown", Layout(view=view, top=12))) + "\n")


def test_csv_columns_sum_to_the_totals() -> None:
    head, *lines = rows(packed("openai--gpt-oss-120b"), "families")
    place = head.index("elements")

    assert 63_081_444_672 == sum(int(line[place]) for line in lines)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_name_is_never_a_formula(name: str) -> None:
    _, line = rows(structure_of({name: ("U8", [1])}), "tensors")

    assert "'" == line[0][0]


def test_markdown_is_escaped() -> None:
    lines = [*report(structure_of({"<b>|`*_[x]": ("U8", [1])}), "markdown", Layout(view="tensors"))]

    assert lines[-1].startswith("| &lt;b&gt;\\|\\`\\*\\_\\[x\\] |")


def test_a_section_for_a_model_card_holds_no_markup_of_the_checkpoint() -> None:
    hostile = "<script>[x](http://e)|`*\x1b[2J"
    structure = unheld({hostile: ("U8", [1])}, config={"architectures": [hostile]})
    text = "\n".join(report(structure, "markdown", Layout(view="summary")))

    assert "&lt;script&gt;" in text
    assert not any(mark in text for mark in ("<script", "[x](", "\x1b", "http://"))
