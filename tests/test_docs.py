"""The docs can't rot: commands print what pages say, and every option stands on its page."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ckptscan.checks import all_checks
from ckptscan.commands import COMMANDS, cli
from ckptscan.report.catalogue import markdown_lines
from fixtures.make import write_sparse
from tests.conftest import HERE, PACKS
from tests.standin import Standin, repository_of_pack

ROOT = HERE.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"```console\n\$ (ckptscan [^\n]*)\n(.*?)```", re.DOTALL)
BLOCKS = [
    pytest.param(page, *block, id=f"{page}: {block[0]}")
    for page in PAGES
    for block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
]
# commands that stand on the page of their subject
PAGE_OF = {"checks": "explain", "completion": "tools"}
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


@pytest.mark.parametrize(("page", "command", "output"), BLOCKS)
def test_a_command_prints_what_the_page_says(
    page: str,
    command: str,
    output: str,
    folder: Path,
    hub: Standin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("CKPTSCAN_CACHE", str(folder / "kept"))
    words = command.split()
    # the width that Click gives to help on a terminal, and not in a runner
    done = CliRunner().invoke(cli, words[1:], prog_name=words[0], terminal_width=78)
    if os.environ.get("GOLDEN") == "accept":
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(f"{command}\n{output}```", f"{command}\n{done.output}```"))

    assert (0, output) == (done.exit_code, done.output)


def test_the_library_example_is_true(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
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
    first = "\n".join(README.split("\n")[:75])

    assert "make demo" in first
    assert "make test" in first
    assert first.count("```console") == 3


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    command: click.Command = import_module(COMMANDS[name]).command
    page = (ROOT / "docs" / f"{PAGE_OF.get(name, name)}.md").read_text(encoding="utf-8")

    assert f"`ckptscan {name}`" in README
    assert f"$ ckptscan {name} --help\n" in page
    assert command.help
    for parameter in command.params:
        for option in parameter.opts:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{option} has no help"
                assert option in page, f"{option} is not on the page of {name}"


def test_the_changelog_knows_every_command() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    for name in COMMANDS:
        assert f"`ckptscan {name}`" in changelog


def test_the_page_of_checks_is_what_the_command_writes() -> None:
    page = ROOT / "docs" / "checks.md"
    written = "\n".join(markdown_lines(all_checks())) + "\n"
    if os.environ.get("GOLDEN") == "accept":
        page.write_text(written, encoding="utf-8")

    assert page.read_text(encoding="utf-8") == written


def test_make_alone_lists_its_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"\.PHONY: (.*)", makefile)

    for target in phony.split():
        assert target == "help" or f'"make {target} ' in makefile or target == "dev"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]

    assert [] == [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
