"""What a shell offers after TAB: names that are known without a net, and files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

_OBEYED = frozenset(" \t\"'`$\\;&|<>(){}!*?[]~#")  # what a shell makes something of


def complete_file(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Files and folders, which the shell itself knows best."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def complete_codes(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Codes of checks with their names; behind a comma one more."""
    from click.shell_completion import CompletionItem

    from ckptscan.checks import all_checks

    before, comma, begun = incomplete.rpartition(",")
    return [
        CompletionItem(f"{before}{comma}{check.code}", help=check.name)
        for check in all_checks()
        if check.code.startswith(begun.upper())
    ]


def complete_card(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Cards of the catalogue, also behind a count: `8xh`."""
    from click.shell_completion import CompletionItem

    from ckptscan.hardware import CARDS

    count, times, begun = incomplete.rpartition("x")
    if not count.isdigit():
        count, times, begun = "", "", incomplete
    cards = [(alias, card.name) for card in CARDS for alias in card.aliases]
    return [
        CompletionItem(f"{count}{times}{alias}", help=name)
        for alias, name in [*cards, ("mine", "the cards of this machine")]
        if alias.startswith(begun.lower())
    ]


def complete_engine(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Engines that a plan knows."""
    from ckptscan.plan import ENGINES

    return _beginning(ENGINES, incomplete)


def complete_set(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The sets of a source on this disk that was named before; a remote one is not asked."""
    from ckptscan.checkpoint import load
    from ckptscan.errors import CkptscanError
    from ckptscan.sources import open_source

    # an option that still wants its value leaves the arguments before it unparsed
    named = [ctx.params.get("source"), *(ctx.params.get("sources") or ()), *ctx.args]
    there = [spec for spec in named if spec and os.path.lexists(spec)]
    try:
        checkpoint = load(open_source(there[0])) if there else None
    except CkptscanError:
        checkpoint = None
    sets = checkpoint.sets if checkpoint is not None else ()
    return _beginning((one.name for one in sets), incomplete)


def _beginning(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """The words that begin so; none that a terminal or a shell would make something of."""
    from click.shell_completion import CompletionItem

    from ckptscan.names import is_visible

    plain = [word for word in words if is_visible(word) and not set(word) & _OBEYED]
    return [CompletionItem(word) for word in plain if word.startswith(incomplete)]
