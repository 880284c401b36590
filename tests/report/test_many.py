"""Several checkpoints: a line each and a total."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ckptscan.checkpoint import load
from ckptscan.errors import SourceNotFound
from ckptscan.report import Layout
from ckptscan.report.many import report_many
from ckptscan.structure import Structure, describe
from tests.conftest import packed, source_of

MODELS = ["meta-llama--Llama-3.1-8B", "meta-llama--Llama-3.2-1B"]


def structures() -> list[Structure]:
    broken = describe(load(source_of({"model.safetensors": b"<html>"})))
    found = []
    for model in MODELS:
        checkpoint = packed(model).checkpoint
        found.append(describe(checkpoint))
    return [*found, broken]


@pytest.mark.parametrize("format_name", ["text", "csv", "markdown"])
def test_a_line_each_and_a_total(format_name: str, golden: Callable[[str], None]) -> None:
    golden("\n".join(report_many(structures(), format_name, Layout())) + "\n")


def test_json_holds_whole_reports_and_the_total() -> None:
    found = json.loads("\n".join(report_many(structures(), "json", Layout())))

    assert "ckptscan.inspect-many/1" == found["schema"]
    assert ["ckptscan.inspect/1"] * 3 == [one["schema"] for one in found["sources"]]
    assert {
        "files": 6,
        "tensors": 437,
        "elements": 9_266_075_648,
        "bytes": 18_532_151_296,
        "faults": 1,
    } == found["total"]


def test_json_names_what_could_not_be_looked_at() -> None:
    errors = [("s3://user:secret@host/x", SourceNotFound("gone", "look elsewhere"))]
    found = json.loads("\n".join(report_many([], "json", Layout(), errors)))

    assert [{"spec": "s3://host/x", "message": "gone", "hint": "look elsewhere"}] == found["errors"]


def test_no_checkpoint_at_all_is_an_empty_table() -> None:
    assert ["total"] == [*report_many([], "text", Layout())][-1].split()[-1:]
