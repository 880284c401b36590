"""`ckptscan audit`, `checks` and `explain`: arguments in, exit code out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ckptscan.checks import Check, Finding, Subject, all_checks, running
from ckptscan.commands import cli
from tests.checks.making import ONE
from tests.conftest import ATTACKS, PACKS, file_of, index_of

QWEN = str(PACKS / "Qwen--Qwen2-7B.ckptpack")
DEEPSEEK = str(PACKS / "deepseek-ai--DeepSeek-V3.ckptpack")
GAP = str(ATTACKS / "gap.safetensors")
OK = str(ATTACKS / "ok.safetensors")
LORA = str(PACKS / "example--Llama-3.1-8B-lora-r16.ckptpack")
LLAMA = str(PACKS / "meta-llama--Llama-3.1-8B.ckptpack")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param([QWEN, "--select", "H,I,X,E"], 0, id="clean"),
        pytest.param([QWEN, "--select", "H,I,X,E", "--fail-on", "info"], 0, id="clean-of-all"),
        pytest.param([DEEPSEEK, "--select", "I"], 0, id="warnings"),
        pytest.param([DEEPSEEK, "--select", "I", "--fail-on", "warning"], 1, id="warnings-count"),
        pytest.param(
            [DEEPSEEK, "--select", "I", "--ignore", "I005", "--fail-on", "info"], 0, id="ignored"
        ),
        pytest.param([GAP], 1, id="error"),
        pytest.param([GAP, "--fail-on", "never"], 0, id="never"),
        pytest.param([OK, GAP], 1, id="one-of-two"),
        pytest.param([OK, "--fail-on", "info"], 1, id="remark"),
        pytest.param([OK, "nowhere"], 3, id="not-there"),
        pytest.param(["nowhere"], 3, id="nothing-there"),
        pytest.param([GAP, "--select", "Z"], 2, id="no-such-family"),
        pytest.param([GAP, "--ignore", "H0088"], 2, id="no-such-code"),
        pytest.param([GAP, "--fail-on", "errors"], 2, id="no-such-severity"),
        pytest.param([LORA, "--base", LLAMA], 0, id="its-base"),
        pytest.param([LORA, "--base", QWEN], 1, id="another-base"),
        pytest.param([LORA, "--base", "nowhere"], 3, id="no-base"),
        pytest.param([], 2, id="no-source"),
    ],
)
def test_the_exit_code(arguments: list[str], code: int) -> None:
    assert code == run("audit", *arguments).exit_code


def test_an_adapter_is_held_against_its_base() -> None:
    assert "224 of 224 modules match the base" in run("audit", LORA, "--base", LLAMA).stdout
    assert "196 of 224 modules match the base" in run("audit", LORA, "--base", QWEN).stdout
    assert "asks for --base MODEL" in run("audit", LORA, "--format", "json").stdout


def test_a_wrong_code_is_answered_with_the_nearest() -> None:
    assert "did you mean H008?" in run("audit", GAP, "--select", "H0088").stderr
    assert "did you mean offset-gap?" in run("explain", "ofset-gap").stderr


def broken(subject: Subject) -> Iterator[Finding]:
    """Fail at once."""
    raise KeyError("a bug of ours")
    yield


def test_a_check_that_fails_is_a_bug_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = (*all_checks(), Check("V999", "broken", "info", broken))
    monkeypatch.setattr(running, "all_checks", lambda: checks)
    result = run("audit", GAP)

    assert 4 == result.exit_code
    assert "H008 offset-gap" in result.stdout
    assert "bug: V999 could not be run" in result.stdout
    assert "Please report it" in result.stderr
    assert "in broken" in result.stderr


def document(*arguments: str) -> dict[str, Any]:
    loaded = json.loads(run("audit", *arguments, "--format", "json").stdout)
    assert isinstance(loaded, dict)
    return loaded


def test_the_json_has_the_fields_of_the_contract() -> None:
    found = document(DEEPSEEK, "--select", "I005")

    assert "ckptscan.audit/1" == found["schema"]
    assert {"error": 0, "warning": 1, "info": 0} == found["summary"]
    assert ["I005"] == found["checks"]["run"]
    assert {"code": "H001", "reason": "not selected"} in found["checks"]["skipped"]
    (finding,) = found["findings"]
    assert {
        "code": "I005",
        "name": "wrong-total-size",
        "severity": "warning",
        "confidence": "proved",
        "message": finding["message"],
        "where": [
            {
                "file": "model.safetensors.index.json",
                "tensor": None,
                "pattern": None,
                "indices": [],
                "count": 1,
                "byte": None,
            }
        ],
        "evidence": {"expected": 688574839360, "seen": 1369062772000},
        "hint": finding["hint"],
    } == finding


@pytest.mark.parametrize("format_name", ["text", "json", "markdown", "github", "sarif"])
def test_every_format_tells_the_finding(format_name: str) -> None:
    result = run("audit", GAP, "--format", format_name)

    assert 1 == result.exit_code
    assert "H008" in result.stdout


def test_an_index_that_leads_out_is_told_and_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "ok.safetensors").write_bytes(file_of(ONE))
    (folder / "model.safetensors").write_bytes(file_of(ONE))
    index = index_of({"a.weight": "model.safetensors", "b.weight": "../ok.safetensors"})
    (folder / "model.safetensors.index.json").write_bytes(index)
    found = document(str(folder), "--select", "X001")

    assert ["X001"] == [finding["code"] for finding in found["findings"]]


def test_checks_lists_every_check() -> None:
    lines = run("checks").stdout.splitlines()

    assert [check.code for check in all_checks()] == [line.split()[0] for line in lines]
    assert {"X"} == {line[0] for line in run("checks", "X").stdout.splitlines()}
    assert 2 == run("checks", "Z").exit_code


def test_explain_prints_the_documentation() -> None:
    by_code, by_name = run("explain", "H008"), run("explain", "offset-gap")

    assert by_code.stdout == by_name.stdout
    assert by_code.stdout.startswith("H008 offset-gap (error)\n")
    assert "What to do:" in by_code.stdout
    assert 2 == run("explain").exit_code
    assert 2 == len(re.findall(r"What it finds", run("explain", "H008", "I001").stdout))
