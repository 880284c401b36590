"""The docs can't rot: commands print what pages say, and every option stands on its page."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ckptscan.checks import all_checks
from ckptscan.commands import COMMANDS, cli
from ckptscan.report.catalogue import markdown_lines
from fixtures.make import write_sparse
from tests.conftest import HERE, PACKS
from tests.schemas.published import faults, schemas
from tests.standin import Standin, repository_of_pack
from tests.tiny import write_tiny

ROOT = HERE.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    "README.md",
    "README.zh-CN.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]
CONSOLE = re.compile(r"```console\n(\$ .*?)```", re.DOTALL)
STEP = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
EXCERPT = re.compile(r"```jsonc\n// \$ (ckptscan [^\n]*)\n(.*?)```", re.DOTALL)
# commands of workflows and scripts, which are not run
MENTIONED = re.compile(r"```(?:sh|yaml)\n(.*?)```", re.DOTALL)
HELP = re.compile(r"```console\n\$ ckptscan [a-z -]*--help\n.*?```", re.DOTALL)
CALL = re.compile(rf"\bckptscan ({'|'.join(COMMANDS)})\b([^\n|>;&#]*)")
LINK = re.compile(r"\]\(([^)#\s]+)")
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
BLOCKS = [
    pytest.param(page, block, id=f"{page}: {block.partition(chr(10))[0]}")
    for page, text in TEXTS.items()
    for block in CONSOLE.findall(text)
]
# commands that stand on the page of their subject
PAGE_OF = {"checks": "explain", "completion": "tools"}
MODELS = {
    "Qwen2-57B-A14B": "Qwen--Qwen2-57B-A14B-Instruct",
    "DeepSeek-V3": "deepseek-ai--DeepSeek-V3",
    "Llama-3.1-8B": "meta-llama--Llama-3.1-8B",
    "Llama-3.1-8B-GPTQ": "hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4",
    "Llama-3.1-8B-lora": "example--Llama-3.1-8B-lora-r16",
    "Qwen2-7B": "Qwen--Qwen2-7B",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoints that the pages speak of: sparse files, and small ones."""
    root = tmp_path_factory.mktemp("readme")
    for name, model in MODELS.items():
        write_sparse(str(PACKS / f"{model}.ckptpack"), str(root / name))
    write_tiny(root)
    shutil.copy(PACKS / f"{MODELS['DeepSeek-V3']}.ckptpack", root / "DeepSeek-V3.ckptpack")
    return root


@pytest.fixture(autouse=True)
def _among_checkpoints(
    folder: Path, hub: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("CKPTSCAN_CACHE", str(tmp_path / "kept"))


@pytest.fixture(scope="module")
def hub() -> Iterator[Standin]:
    """A Hub with the repository that the README speaks of."""
    name = "Qwen/Qwen2-57B-A14B-Instruct"
    packed = PACKS / f"{name.replace('/', '--')}.ckptpack"
    with Standin(repository_of_pack(str(packed), name)) as standin:
        yield standin


def run(command: str) -> Result:
    """What a command does, at the width that Click gives to help on a terminal."""
    words = shlex.split(command)
    return CliRunner().invoke(cli, words[1:], prog_name=words[0], terminal_width=78)


def replace(page: str, old: str, new: str) -> None:
    """Write what is true into a page."""
    path = ROOT / page
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_commands_print_what_the_page_says(page: str, block: str) -> None:
    true, code = "", 0
    for command, _ in STEP.findall(block):
        if command == "echo $?":
            true, code = f"{true}$ {command}\n{code}\n", 0
            continue
        assert 0 == code, "a page shows the exit code where it is not 0"
        done = run(command)
        true, code = f"{true}$ {command}\n{done.output}", done.exit_code
    if os.environ.get("GOLDEN") == "accept":
        replace(page, f"```console\n{block}```", f"```console\n{true}```")

    assert 0 == code, true
    assert block == true


@pytest.mark.parametrize("page", [page for page, text in TEXTS.items() if PYTHON.search(text)])
def test_python_examples_are_true(page: str) -> None:
    scope: dict[str, object] = {}
    for example in PYTHON.findall(TEXTS[page]):
        for statement in ast.parse(example).body:
            source = ast.get_source_segment(example, statement) or ""
            said = example.split("\n")[(statement.end_lineno or 1) - 1][
                statement.end_col_offset or 0 :
            ]
            expected = said.partition("#")[2].strip()
            if isinstance(statement, ast.Expr) and expected:
                assert eval(expected, {}) == eval(source, scope), source
            else:
                exec(source, scope)


@pytest.mark.parametrize(
    ("page", "command", "shown"),
    [(page, *one) for page, text in TEXTS.items() for one in EXCERPT.findall(text)],
)
def test_an_excerpt_is_a_part_of_what_a_command_writes(page: str, command: str, shown: str) -> None:
    command, _, file = command.partition("; cat ")
    written = run(command).stdout
    document = json.loads(Path(file).read_text(encoding="utf-8") if file else written)
    part = part_of(json.loads(shown), document)
    if os.environ.get("GOLDEN") == "accept":
        replace(page, shown, laid_out(part) + "\n")

    assert json.loads(shown) == part
    assert [] == faults(document)


def laid_out(value: Any, indent: int = 0) -> str:
    """JSON whose short objects and lists stand on one line."""
    line = json.dumps(value)
    if len(line) + indent < 100 or not isinstance(value, dict | list):
        return line
    inner = " " * (indent + 2)
    ends, parts = "[]", [laid_out(one, indent + 2) for one in value]
    if isinstance(value, dict):
        ends = "{}"
        parts = [f"{json.dumps(key)}: {laid_out(one, indent + 2)}" for key, one in value.items()]
    return (
        f",\n{inner}".join([f"{ends[0]}\n{inner}{parts[0]}", *parts[1:]])
        + f"\n{' ' * indent}{ends[1]}"
    )


def part_of(shown: Any, true: Any) -> Any:
    """What is true of the fields and the first elements that are shown."""
    if isinstance(shown, dict) and isinstance(true, dict):
        return {key: part_of(value, true.get(key)) for key, value in shown.items()}
    if isinstance(shown, list) and isinstance(true, list):
        return [part_of(*pair) for pair in zip(shown, true, strict=False)]
    return true


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_scripts_have_these_options(page: str) -> None:
    whole = click.Context(cli, **cli.context_settings)
    for block in MENTIONED.findall(TEXTS[page]):
        for name, options in CALL.findall(block):
            found = import_module(COMMANDS[name]).command
            words = shlex.split(options)
            found.make_parser(click.Context(found, parent=whole)).parse_args(words)


def test_the_first_screen_shows_both_commands_and_three_outputs() -> None:
    first = "\n".join(README.split("\n")[:75])

    assert "make demo" in first
    assert "make test" in first
    assert first.count("```console") == 3


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    command: click.Command = import_module(COMMANDS[name]).command
    page = TEXTS[f"docs/{PAGE_OF.get(name, name)}.md"]
    told = HELP.sub("", page) + HELP.sub("", TEXTS["docs/sources.md"])

    assert f"`ckptscan {name}`" in README
    assert f"$ ckptscan {name} --help\n" in page
    assert command.help
    for parameter in command.params:
        for option in (*parameter.opts, *parameter.secondary_opts):
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{option} has no help"
                assert option in page, f"{option} is not on the page of {name}"
                assert option in told, f"{option} is in the help of {name} alone"


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
    links = [link for link in re.findall(r"\]\(([^)\s]+)", TEXTS[page]) if "://" not in link]
    lost = []
    for path, _, anchor in (link.partition("#") for link in links):
        found = (ROOT / page).parent / path if path else ROOT / page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            lost.append(f"{path}#{anchor}")

    assert [] == lost


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings have on GitHub."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def test_both_readmes_have_the_same_content() -> None:
    english, chinese = TEXTS["README.md"], TEXTS["README.zh-CN.md"]

    def blocks(text: str) -> list[str]:
        return re.findall(r"^```.*?^```", text, re.DOTALL | re.MULTILINE)

    def links(text: str) -> list[str]:
        return [link for link in LINK.findall(text) if not link.startswith("README")]

    def outline(text: str) -> list[str]:
        return re.findall(
            r"^(#+ |\| )", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
        )

    assert blocks(english) == blocks(chinese)
    assert sorted(links(english)) == sorted(links(chinese))
    assert outline(english) == outline(chinese)
    assert "](README.zh-CN.md)" in english
    assert "](README.md)" in chinese


def test_the_index_leads_to_every_page() -> None:
    linked = {Path("docs", link).as_posix() for link in LINK.findall(TEXTS["docs/README.md"])}

    assert [] == [
        page
        for page in PAGES
        if page.startswith("docs/") and page not in (*linked, "docs/README.md")
    ]
    assert "](docs/README.md)" in TEXTS["README.md"]


def test_every_check_and_every_schema_is_documented() -> None:
    codes = {check.code for check in all_checks()}
    contracts = {f"](schemas/{name}.json)" for name in schemas()}

    assert set() == {code for code in codes if f"### {code} " not in TEXTS["docs/checks.md"]}
    assert set() == {link for link in contracts if link not in TEXTS["docs/json.md"]}
    assert set() == {
        name
        for name in schemas()
        if f"`ckptscan.{name.rpartition('-')[0]}/" not in TEXTS["docs/json.md"]
    }
