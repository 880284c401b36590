"""Help as a manual has it: titles, defaults, one wording for one option, what was meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from ckptscan.commands import COMMANDS, cli
from ckptscan.commands.help import Choice, Command, section_of
from tests.conftest import PACKS

PACK = str(PACKS / "Qwen--Qwen2-7B.ckptpack")
# options that mean another thing in another command, as is said there
APART = {"--all", "--sample", "--seed"}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by its name, those of groups too."""
    for name, module in COMMANDS.items():
        command: click.Command = import_module(module).command
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", held) for inner, held in command.commands.items())
        else:
            yield name, command


ALL = dict(commands())


def options(command: click.Command) -> list[click.Option]:
    return [param for param in command.params if isinstance(param, click.Option)]


@pytest.mark.parametrize("name", ALL)
def test_every_option_stands_under_one_title(name: str) -> None:
    command = ALL[name]
    shown = CliRunner().invoke(cli, [*name.split(), "--help"], terminal_width=78).output

    assert isinstance(command, Command)
    for option in options(command):
        assert "Help" != section_of(option), f"{option.opts[0]} has no title"
        assert shown.count(f"\n{section_of(option)}:\n") == 1


@pytest.mark.parametrize("name", ALL)
def test_help_fits_80_columns_and_has_one_block_of_examples(name: str) -> None:
    shown = CliRunner().invoke(cli, [*name.split(), "--help"], terminal_width=78).output

    assert 80 >= max(map(len, shown.split("\n")))
    assert 1 == shown.count("  Example:\n") + shown.count("  Examples:\n")


@pytest.mark.parametrize("name", ALL)
def test_defaults_are_shown(name: str) -> None:
    for option in options(ALL[name]):
        has_default = option.default not in (None, False, ()) and not option.is_flag
        has_default &= not str(option.default).startswith("Sentinel")

        assert not has_default or option.show_default or "[default: " in (option.help or "")


def test_an_option_means_the_same_in_every_command() -> None:
    seen = defaultdict(set)
    for command in ALL.values():
        context = click.Context(command)
        for option in options(command):
            metavar = option.make_metavar(context) if not option.is_flag else ""
            said = (option.help or "").partition("  [default")[0]
            if option.opts[-1] == "--format":  # its formats are the command's own
                said = ""
            seen[option.opts[-1]].add((said, metavar))

    assert {} == {name: said for name, said in seen.items() if len(said) > 1 and name not in APART}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["inspct", "x"], "Did you mean inspect?"),
        (["inspect", "--vieww", "x"], "--view"),
        (["inspect", "x", "--view", "tres"], "Did you mean tree?"),
        (["audit", "x", "--fail-on", "eror"], "Did you mean error?"),
        (["audit", "x", "--select", "I0022"], "did you mean I002?"),
        (["plan", PACK, "--gpu", "h1000"], "nearest: h100"),
        (["plan", PACK, "--engine", "vlm"], "nearest: vllm"),
        (["inspect", PACK, "--set", "."], "the sets are: "),
        (["explain", "offset-gapp"], "did you mean offset-gap?"),
        (["completion", "bsh"], "Did you mean bash?"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(words: list[str], meant: str) -> None:
    done = CliRunner().invoke(cli, words)

    assert 2 == done.exit_code
    assert meant in done.stderr


def test_every_choice_knows_what_was_meant() -> None:
    for name, command in ALL.items():
        for param in command.params:
            assert isinstance(param.type, Choice) or not isinstance(param.type, click.Choice), name


def test_a_hostile_value_is_shown_without_its_escapes() -> None:
    assert "\x1b" not in CliRunner().invoke(cli, ["inspect", "x", "--view", "\x1b[2J"]).stderr
