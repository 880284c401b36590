"""`ckptscan completion`: the lines that teach a shell to complete its commands."""

from __future__ import annotations

import click

from ckptscan.commands.help import Choice, Command
from ckptscan.commands.output import write

SHELLS = ("bash", "zsh", "fish")


@click.command("completion", cls=Command)
@click.argument("shell", type=Choice(SHELLS))
def command(shell: str) -> None:
    """Write what SHELL has to know to complete commands, options, codes, cards and sets.

    Put the line into ~/.bashrc, ~/.zshrc or ~/.config/fish/config.fish. Nothing is asked of a net.

    \b
    Examples:
      eval "$(ckptscan completion bash)"
      eval "$(ckptscan completion zsh)"
      ckptscan completion fish | source
    """
    from click.shell_completion import get_completion_class

    from ckptscan.commands import cli

    complete = get_completion_class(shell)
    assert complete is not None
    write([complete(cli, {}, "ckptscan", "_CKPTSCAN_COMPLETE").source()])
