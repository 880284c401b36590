"""The README can't rot: its commands print what it says, and every option stands in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from ckptscan.checks import all_checks
from ckptscan.commands import COMMANDS
from ckptscan.report.catalogue import markdown_lines
from fixtures.make import write_sparse
from tests.conftest import HERE, PACKS
from tests.standin import Standin, repository_of_pack

README = (HERE.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n\$ (ckptscan [^\n]*)\n(.*?)```", README, re.DOTALL)
MODELS = {
    "Qwen2-57B-A14B": "Qwen--Qwen2-57B-A14B-Instruct",
    "DeepSeek-V3": "deepseek-ai--DeepSeek-V3",
    "Llama-3.1-8B": "meta-llama--Llama-3.1-8B",
    "Llama-3.1-8B-GPTQ": "hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoints that the README speaks of, as sparse files."""
    root = tmp_path_factory.mktemp("readme")
    for name, model in MODELS.items():
        write_sparse(str(PACKS / f"{model}.ckptpack"), str(root / name))
    return root


@pytest.fixture(scope="module")
def hub() -> Iterator[Standin]:
    """A Hub with the repository that the README speaks of."""
    name = "Qwen/Qwen2-57B-A14B-Instruct"
    packed = PACKS / f"{name.replace('/', '--')}.ckptpack"
    with Standin(repository_of_pack(str(packed), name)) as standin:
        yield standin


@pytest.mark.parametrize(("command", "output"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_a_command_prints_what_the_readme_says(
    command: str, output: str, folder: Path, hub: Standin
) -> None:
    settings = {
        "COLUMNS": "100",
        "PYTHONPATH": str(HERE.parent),
        "HF_ENDPOINT": hub.endpoint,
        "CKPTSCAN_CACHE": str(folder / "kept"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "ckptscan", *command.split()[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        cwd=folder,
        env=os.environ | settings,
    )
    if os.environ.get("GOLDEN") == "accept":
        path = HERE.parent / "README.md"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(f"{command}\n{output}```", f"{command}\n{done.stdout}```"))

    assert output == done.stdout


def test_the_library_example_is_true(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(folder)
    scope: dict[str, object] = {}
    for line in example.split("\n"):
        statement, _, expected = line.partition("#")
        if expected:
            value = eval(statement, scope)

            assert eval(expected, {}) == value
        else:
            exec(line, scope)


def test_the_first_screen_shows_both_commands_and_three_outputs() -> None:
    first = "\n".join(README.split("\n")[:60])

    assert "make demo" in first
    assert "make test" in first
    assert first.count("```console") == 3


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    command: click.Command = import_module(COMMANDS[name]).command

    assert f"ckptscan {name}" in README
    assert command.help
    for parameter in command.params:
        for option in parameter.opts:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{option} has no help"
                assert option in README, f"{option} is not in the README"


def test_the_changelog_knows_every_command() -> None:
    changelog = (HERE.parent / "CHANGELOG.md").read_text(encoding="utf-8")

    for name in COMMANDS:
        assert f"`ckptscan {name}`" in changelog


def test_the_page_of_checks_is_what_the_command_writes() -> None:
    page = HERE.parent / "docs" / "checks.md"
    written = "\n".join(markdown_lines(all_checks())) + "\n"
    if os.environ.get("GOLDEN") == "accept":
        page.write_text(written, encoding="utf-8")

    assert page.read_text(encoding="utf-8") == written


def test_make_alone_lists_its_targets() -> None:
    makefile = (HERE.parent / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"\.PHONY: (.*)", makefile)

    for target in phony.split():
        assert target == "help" or f'"make {target} ' in makefile or target == "dev"
