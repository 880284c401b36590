"""Tensors as JSON lines and Parquet: what the table says, and what queries make of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ckptscan.commands import cli
from ckptscan.report import Layout, report
from ckptscan.report.parquet import written
from ckptscan.structure import Structure, describe
from tests.conftest import PACKS, checkpoint_of, packed, structure_of

LAYOUT = Layout(view="tensors")
HOSTILE = {"\x1b[2J\n": ("F8_E4M3", [2]), "größe\u202e": ("U8", []), "b": ("BF16", [2, 3])}
PACK = str(PACKS / "Qwen--Qwen2-7B.ckptpack")


def lines(structure: Structure, layout: Layout = LAYOUT) -> list[dict[str, Any]]:
    return [json.loads(line) for line in report(structure, "jsonl", layout)]


def rows_of(data: bytes) -> list[dict[str, Any]]:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    reader = __import__("pyarrow").BufferReader(data)
    found: list[dict[str, Any]] = parquet.read_table(reader).to_pylist()
    return found


def test_a_line_is_a_tensor_with_what_it_means() -> None:
    structure = packed("Qwen--Qwen2-7B")
    found = lines(structure)

    assert 339 == len(found)
    assert structure.nbytes == sum(row["bytes"] for row in found)
    assert {
        "name": "lm_head.weight",
        "dtype": "BF16",
        "shape": [152064, 3584],
        "elements": 544_997_376,
        "bytes": 1_089_994_752,
        "file": "model-00004-of-00004.safetensors",
        "start": 0,
        "end": 1_089_994_752,
        "pattern": "lm_head.weight",
        "role": "lm_head",
    } == found[0]


def test_sort_and_top_hold_for_rows() -> None:
    found = lines(packed("Qwen--Qwen2-7B"), LAYOUT._replace(sort="size", top=2))

    assert ["model.embed_tokens.weight", "lm_head.weight"] == [row["name"] for row in found]


def test_a_hostile_name_comes_back_and_none_reaches_a_terminal() -> None:
    structure = structure_of(HOSTILE)

    assert set(HOSTILE) == {row["name"] for row in lines(structure)}
    assert all(line.isprintable() for line in report(structure, "jsonl", LAYOUT))


@pytest.mark.parametrize("name", ["Qwen--Qwen2-7B", "hostile"])
def test_parquet_holds_what_the_lines_hold(name: str) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    structure = structure_of(HOSTILE) if name == "hostile" else packed(name)
    data = written(structure, LAYOUT)

    assert lines(structure) == rows_of(data)
    assert data == written(structure, LAYOUT)


def test_a_file_whose_name_is_no_text_is_written_as_an_escape() -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    structure = describe(checkpoint_of({"\udc80é.safetensors": {"a": ("U8", [1])}}))

    assert ["\udc80é.safetensors"] == [row["file"] for row in lines(structure)]
    assert ["\\udc80é.safetensors"] == [row["file"] for row in rows_of(written(structure, LAYOUT))]


def test_a_file_is_written_once_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    words = ["inspect", PACK, "--format", "jsonl", "--output", str(path)]
    first, again = (CliRunner().invoke(cli, words) for _ in range(2))
    forced = CliRunner().invoke(cli, [*words, "--force"])

    assert (0, "", 339) == (first.exit_code, first.stdout, len(path.read_text().splitlines()))
    assert (2, 0) == (again.exit_code, forced.exit_code)
    assert "there is a file already" in again.stderr


def test_what_is_written_to_a_file_is_as_wide_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "tree.txt"
    done = CliRunner().invoke(cli, ["inspect", PACK, "-o", str(path)], env={"COLUMNS": "40"})

    assert 0 == done.exit_code
    assert "model.layers 0-27" in path.read_text()
    assert max(map(len, path.read_text().split("\n"))) > 80


@pytest.mark.parametrize(
    "words",
    [
        ["--format", "parquet", "--view", "tree"],
        ["--format", "jsonl", PACK],
        ["--format", "latex", "--view", "tensors"],
    ],
)
def test_a_format_of_one_view_and_one_source_refuses_others(words: list[str]) -> None:
    done = CliRunner().invoke(cli, ["inspect", PACK, *words])

    assert 2 == done.exit_code
    assert f"{words[1]} is a format of one source's --view" in done.stderr


def test_no_terminal_gets_bytes() -> None:
    shown, theirs = os.openpty()
    words = [sys.executable, "-m", "ckptscan", "inspect", PACK, "--format", "parquet"]
    done = subprocess.run(words, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)
    for end in (shown, theirs):
        os.close(end)

    assert 2 == done.returncode
    assert "hint: name a file with --output FILE" in done.stderr


def test_a_pipe_gets_the_file() -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    done = CliRunner().invoke(cli, ["inspect", PACK, "--format", "parquet"])

    assert 339 == len(rows_of(done.stdout_bytes))


@pytest.mark.parametrize(
    ("path", "reason"), [("", "is a directory"), ("a/b", "no such file"), ("\0", "NUL")]
)
def test_a_place_that_no_file_can_have_is_told(path: str, reason: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["inspect", PACK, "-o", f"{tmp_path}/{path}"])

    assert done.exit_code in (2, 3)
    assert reason in done.stderr


def test_without_pyarrow_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = CliRunner().invoke(cli, ["inspect", "no/such", "--format", "parquet"])

    assert 2 == done.exit_code
    assert "hint: pip install 'ckptscan[parquet]'" in done.stderr
