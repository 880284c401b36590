"""What a shell offers after TAB, and the lines that teach it to."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from ckptscan.commands import cli
from ckptscan.commands.completion import SHELLS
from tests.conftest import PACKS, file_of

PACK = str(PACKS / "mistralai--Mistral-7B-Instruct-v0.3.ckptpack")


def offered(*words: str) -> list[str]:
    """What is offered for the last of these words."""
    *before, begun = words
    found = BashComplete(cli, {}, "ckptscan", "_CKPTSCAN_COMPLETE").get_completions(before, begun)
    return [item.value for item in found]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ins"], ["inspect"]),
        (["inspect", "--vi"], ["--view"]),
        (["inspect", "--view", "fo"], ["formula"]),
        (["audit", "--select", "I001,I00"], ["I001,I001", "I001,I002"]),
        (["explain", "h00"], ["H001", "H002"]),
        (["plan", "--gpu", "h200"], ["h200", "h200-sxm"]),
        (["plan", "--gpu", "8xh200"], ["8xh200", "8xh200-sxm"]),
        (["plan", "--gpu", "mi"], ["mine"]),
        (["plan", "--engine", "sg"], ["sglang-0.5"]),
        (["completion", ""], [*SHELLS]),
        (["inspect", "no/such", "--set", ""], []),
        (["inspect", "--set", ""], []),
    ],
)
def test_names_are_offered(words: list[str], expected: list[str]) -> None:
    found = offered(*words)

    assert expected == [one for one in found if one in expected]
    assert all(one.startswith((words[-1].upper(), words[-1])) for one in found)


def test_the_sets_of_a_source_on_this_disk_are_offered(tmp_path: Path) -> None:
    for name in ("original/a.safetensors", "model.safetensors", "bad name;/x.safetensors"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(file_of({"a": ("U8", [1])}))
    found = offered("plan", str(tmp_path), "--set", "")

    assert "model" in found
    assert [] == [one for one in found if ";" in one or " " in one]


def test_a_source_may_be_a_file() -> None:
    (item,) = BashComplete(cli, {}, "ckptscan", "_C").get_completions(["inspect"], "fixt")

    assert ("file", "fixt") == (item.type, item.value)


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    """A folder of the path with the command."""
    path = tmp_path / "ckptscan"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -m ckptscan "$@"\n')
    path.chmod(0o755)
    return tmp_path


def shell(name: str, script: str, folder: Path) -> str:
    """What a shell prints for a script."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    command = [name, "-c", f"export PATH={folder}:$PATH\n{script}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


def test_bash_completes(bin_folder: Path) -> None:
    script = (
        'eval "$(ckptscan completion bash)"\n'
        "COMP_WORDS=(ckptscan insp) COMP_CWORD=1; _ckptscan_completion ckptscan insp ckptscan\n"
        'echo "${COMPREPLY[@]}"'
    )

    assert "inspect\n" == shell("bash", script, bin_folder)


def test_fish_completes(bin_folder: Path) -> None:
    script = "ckptscan completion fish | source\ncomplete -C 'ckptscan insp'"

    assert shell("fish", script, bin_folder).startswith("inspect")


def test_zsh_takes_the_lines(bin_folder: Path) -> None:
    script = (
        'autoload -U compinit; compinit -u -D\neval "$(ckptscan completion zsh)"\n'
        "print $_comps[ckptscan]"
    )

    assert "_ckptscan_completion\n" == shell("zsh", script, bin_folder)


@pytest.mark.parametrize("name", SHELLS)
def test_the_lines_name_the_command(name: str) -> None:
    done = CliRunner().invoke(cli, ["completion", name])

    assert 0 == done.exit_code
    assert "_CKPTSCAN_COMPLETE" in done.stdout


def test_a_source_that_can_t_be_read_has_no_sets(tmp_path: Path) -> None:
    assert [] == offered("inspect", str(tmp_path), "--set", "")


def test_an_unknown_shell_is_a_usage_error() -> None:
    assert 2 == CliRunner().invoke(cli, ["completion", "tcsh"]).exit_code
