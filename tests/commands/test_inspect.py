"""`ckptscan inspect`: its options reach the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ckptscan import describe, open_checkpoint
from ckptscan.commands import cli
from ckptscan.report import VIEWS
from tests.conftest import ATTACKS, PACKS

QWEN = str(PACKS / "Qwen--Qwen2-57B-A14B-Instruct.ckptpack")
MISTRAL = str(PACKS / "mistralai--Mistral-7B-Instruct-v0.3.ckptpack")


def inspect(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["inspect", *arguments], catch_exceptions=False)

    assert result.exit_code == 0, result.output
    return result.stdout


def document(*arguments: str) -> dict[str, Any]:
    loaded = json.loads(inspect(*arguments, "--format", "json"))
    assert isinstance(loaded, dict)
    return loaded


def test_the_report_has_the_exact_total() -> None:
    assert "57,408,658,944 (57.41 B)" in inspect(QWEN)


def test_the_library_tells_what_the_command_tells() -> None:
    found, structure = document(QWEN), describe(open_checkpoint(QWEN))

    assert found["tensors"] == {
        "count": structure.tensors,
        "elements": structure.numel,
        "bytes": structure.nbytes,
    }
    assert [family["pattern"] for family in found["families"]] == [
        family.pattern for family in structure.families
    ]


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("model.layers.3.*", 206),
        ("*.experts.?.up_proj.weight", 280),
        ("*.[qk]_proj.bias", 56),
        ("/layers\\.(0|27)\\..*q_proj/", 4),
        ("/^lm_head/", 1),
        ("nothing", 0),
        ("/", 0),
    ],
)
def test_names_are_matched_by_glob_or_regex(expression: str, count: int) -> None:
    found = document(QWEN, "--match", expression)

    assert (count, count) == (found["matched"], found["tensors"]["count"])


def test_sets_are_chosen() -> None:
    assert document(MISTRAL)["tensors"]["count"] == 291
    assert document(MISTRAL, "--all")["tensors"]["count"] == 582
    chosen = document(MISTRAL, "--set", "consolidated")

    assert chosen["files"][0]["path"] == "consolidated.safetensors"
    assert {"consolidated": True, "model": False} == {
        one["name"]: one["chosen"] for one in chosen["sets"]
    }


def test_rows_are_sorted_and_cut() -> None:
    lines = inspect(QWEN, "--view", "tensors", "--sort", "size", "--top", "2").splitlines()

    assert ["lm_head.weight", "model.embed_tokens.weight"] == sorted(
        line.split()[0] for line in lines[:2]
    )
    assert "... and 5,769 more tensors" == lines[2]


def test_several_sources_have_a_total() -> None:
    found = document(QWEN, MISTRAL)

    assert found["schema"] == "ckptscan.inspect-many/1"
    assert found["total"]["tensors"] == 5771 + 291


@pytest.mark.parametrize(
    "options",
    [["--format", "csv"], ["--view", "files"], ["--view", "tensors", "--format", "csv"]],
)
def test_faults_that_have_no_place_in_a_table_are_told_on_stderr(options: list[str]) -> None:
    result = CliRunner().invoke(cli, ["inspect", str(ATTACKS / "truncated.safetensors"), *options])

    assert 1 == result.exit_code
    assert "error: truncated.safetensors: MetadataIncompleteBuffer" in result.stderr
    assert "error" not in result.stdout


def test_faults_stand_in_the_document_where_it_has_a_place_for_them() -> None:
    for format_name in ("text", "markdown", "json"):
        arguments = ["inspect", str(ATTACKS / "truncated.safetensors"), "--format", format_name]
        result = CliRunner().invoke(cli, arguments)

        assert "MetadataIncompleteBuffer" in result.stdout
        assert not result.stderr


def test_a_pack_says_that_it_is_one_in_every_view() -> None:
    for view in VIEWS:
        result = CliRunner().invoke(cli, ["inspect", QWEN, "--view", view, "--top", "1"])

        assert "a header pack" in (result.stdout if view in ("summary", "tree") else result.stderr)


def test_no_match_comes_with_a_hint() -> None:
    result = CliRunner().invoke(cli, ["inspect", QWEN, "--match", "lm_head"])

    assert 0 == result.exit_code
    assert "a glob must match the whole" in result.stderr


def test_sources_that_can_t_be_looked_at_leave_the_others(tmp_path: Path) -> None:
    gone, glob = str(tmp_path / "gone"), str(tmp_path / "*.safetensors")
    result = CliRunner().invoke(cli, ["inspect", QWEN, gone, glob, MISTRAL])

    assert 3 == result.exit_code
    assert 4 == len(result.stdout.splitlines())
    assert f"error: {gone}: no such file" in result.stderr
    assert f"error: {glob}: nothing matches" in result.stderr
    assert f"{QWEN}: note: a header pack" in result.stderr


def test_a_set_that_one_source_lacks_leaves_the_others() -> None:
    result = CliRunner().invoke(cli, ["inspect", QWEN, MISTRAL, "--set", "consolidated"])

    assert 2 == result.exit_code
    assert 3 == len(result.stdout.splitlines())
    assert f"error: {QWEN}: no set is called 'consolidated'" in result.stderr
