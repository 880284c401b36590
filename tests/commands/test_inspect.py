"""`ckptscan inspect`: its options reach the report."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from ckptscan import describe, open_checkpoint
from ckptscan.commands import cli
from tests.conftest import PACKS

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
        line.split()[0] for line in lines
    )


def test_several_sources_have_a_total() -> None:
    found = document(QWEN, MISTRAL)

    assert found["schema"] == "ckptscan.inspect-many/1"
    assert found["total"]["tensors"] == 5771 + 291
