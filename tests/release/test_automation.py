"""The pre-commit hooks and the GitHub Action: what they run are commands that work."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from ckptscan.commands import cli
from tests.conftest import ATTACKS, HERE, file_of

ROOT = HERE.parent
GOOD = file_of({"a": ("F32", [4])})


def document(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


HOOKS = {hook["id"]: hook for hook in document(".pre-commit-hooks.yaml")}
ACTION = document("action.yml")


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_runs_a_command_that_works(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = HOOKS[name]
    (tmp_path / "model.safetensors").write_bytes(GOOD)
    (tmp_path / "bad.safetensors").write_bytes((ATTACKS / "gap.safetensors").read_bytes())
    monkeypatch.chdir(tmp_path)
    takes_files = hook.get("pass_filenames", True)
    program, *words = [*shlex.split(hook["entry"]), *hook.get("args", [])]
    files = [str(path) for path in sorted(Path().iterdir()) if re.search(hook["files"], str(path))]
    done = CliRunner().invoke(cli, [*words, *(files if takes_files else [])])

    assert ("ckptscan", "python") == (program, hook["language"])
    assert ["bad.safetensors", "model.safetensors"] == files
    assert 1 == done.exit_code
    assert "H008" in done.output


def step(name: str) -> dict[str, Any]:
    """A step of the action by its name."""
    (found,) = [one for one in ACTION["runs"]["steps"] if one.get("name") == name]
    assert isinstance(found, dict)
    return found


def run_audit(folder: Path, **inputs: str) -> tuple[int, str, str]:
    """Run the action's script with these inputs as a runner does; its code, output and outputs."""
    program = folder / "ckptscan"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ckptscan "$@"\n')
    program.chmod(0o755)
    given = {name: held.get("default", "") for name, held in ACTION["inputs"].items()} | inputs
    environment = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: given[found[1]], value)
        for name, value in step("Audit")["env"].items()
    }
    told = folder / "outputs"
    told.write_text("")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step("Audit")["run"]],
        cwd=folder,
        env=os.environ
        | environment
        | {"PATH": f"{folder}:{os.environ['PATH']}", "GITHUB_OUTPUT": str(told)}
        | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr, told.read_text()


def test_the_action_audits_and_writes_sarif(tmp_path: Path) -> None:
    (tmp_path / "a model").mkdir()
    (tmp_path / "a model" / "model.safetensors").write_bytes(GOOD)
    sources = f"a model\n\n  {ATTACKS / 'gap.safetensors'}  \n"
    code, output, told = run_audit(tmp_path, sources=sources, ignore="E")
    runs = json.loads((tmp_path / "ckptscan.sarif").read_text())["runs"]

    assert (1, "sarif-file=ckptscan.sarif\n") == (code, told)
    assert "::error" in output
    assert ["ckptscan/a%20model/", "ckptscan/gap.safetensors/"] == [
        run["automationDetails"]["id"] for run in runs
    ]


@pytest.mark.slow
def test_what_fails_the_job_is_an_input(tmp_path: Path) -> None:
    sources = str(ATTACKS / "gap.safetensors")

    assert 0 == run_audit(tmp_path, sources=sources, **{"fail-on": "never"})[0]
    assert 0 == run_audit(tmp_path, sources=sources, select="C")[0]


@pytest.mark.slow
def test_an_input_is_never_run(tmp_path: Path) -> None:
    code, output, told = run_audit(tmp_path, sources="$(touch owned); touch owned\n--help")

    assert (3, "") == (code, told)
    assert not (tmp_path / "owned").exists()
    assert "Usage" not in output
    assert "${{" not in step("Audit")["run"]


def test_the_action_says_what_it_takes_and_gives() -> None:
    given = set(re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text(encoding="utf-8")))
    page = (ROOT / "docs" / "tools.md").read_text(encoding="utf-8")

    assert given == set(ACTION["inputs"])
    assert all(held["description"] for held in ACTION["inputs"].values())
    assert "github/codeql-action/upload-sarif@v4" == step("Tell code scanning")["uses"]
    for name in (*ACTION["inputs"], *HOOKS):
        assert f"`{name}`" in page
