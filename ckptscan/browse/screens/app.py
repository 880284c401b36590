"""The browser for the terminal: the tree of a checkpoint, and panes that tell of what is chosen.

It uses the terminal's own colours, and letters or reversed text where something is to stand out, so
that it reads the same without colour.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from threading import Thread
from typing import ClassVar

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.css.query import NoMatches
from textual.message import Message
from textual.timer import Timer
from textual.widgets import OptionList, Static
from textual.worker import get_current_worker

from ckptscan.browse.entries import Entry, below, root_of
from ckptscan.browse.facts import Fact, Held, facts, families_of
from ckptscan.browse.findings import Told, told_findings
from ckptscan.browse.outline import Outline
from ckptscan.browse.places import Atlas, Place
from ckptscan.browse.screens.keys import KeysScreen
from ckptscan.browse.screens.panes import Choices, Reading, Tree
from ckptscan.browse.screens.searching import SearchScreen
from ckptscan.browse.search import Finder
from ckptscan.browse.strip import MOST_CONTAINERS, StripLine, containers_at, strip_lines
from ckptscan.report import words
from ckptscan.structure import Structure

PANES = ("facts", "families", "layers", "findings")
MOST_FAMILIES = 300  # that a pane lists
_PAUSE = 0.05  # seconds that a line is chosen before the panes tell of it
_MARGIN = 3  # columns of a pane that hold no text
_HINTS = "? keys  / search  enter open  tab pane  q quit"


class Browser(App[int]):
    """The app; `spelling` is the encoding of the terminal."""

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    # Textual declares these of the instance
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (40, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "leave(0)"),
        Binding("ctrl+c", "leave(130)", priority=True),
        Binding("question_mark", "keys"),
        # before the keys that follow it, which are words to search for
        Binding("slash", "search('')", priority=True),
        Binding("n", "search_again"),
        Binding("escape", "to_tree"),
        *(Binding(str(number), f"pane('{name}')") for number, name in enumerate(PANES, 1)),
    ]

    class Audited(Message):
        """The audit has come to its end."""

        def __init__(self, found: list[Told]) -> None:
            super().__init__()
            self.found = found

    def __init__(self, structure: Structure, spelling: str = "utf-8") -> None:
        super().__init__(ansi_color=True)
        self._structure = structure
        self._spelling = spelling
        self._atlas = Atlas(structure)
        self._timer: Timer | None = None
        self._query = ""
        self._found: int | None = None  # findings, None while the audit runs
        self._shown = PANES[0]

    def spell(self, text: str) -> str:
        """Text as the terminal can show it: what its encoding lacks is escaped."""
        return text.encode(self._spelling, "backslashreplace").decode(self._spelling)

    @cached_property
    def finder(self) -> Finder:
        """Finds names; made when the first search is."""
        return Finder(self._structure.checkpoint.table.names)

    def compose(self) -> ComposeResult:
        """A title, the tree with the panes, and the keys that one needs first."""
        structure = self._structure
        outline = Outline(root_of(structure), lambda entry: below(structure, entry))
        yield Static(id="title", markup=False)
        with Container(id="body"):
            yield Tree(outline, structure.nbytes, self.spell)
            with Vertical(id="side"):
                yield Static(id="tabs", markup=False)
                for number, name in enumerate(PANES, 1):
                    yield Static(f"{number} {name}", classes="heading", markup=False)
                    kind = Choices if name in ("families", "findings") else Reading
                    yield kind(name, self.spell)
        yield Static(_HINTS, id="hints", markup=False)

    def on_mount(self) -> None:
        """Show the root, and begin what takes longer beside it."""
        self.set_class(not self._spelling.startswith("utf"), "-plain")
        self._show_pane(PANES[0])
        self.query_one("#findings", Choices).show([("looking ...", (), None)])
        self.query_one(Tree).focus()
        # a daemon, which nobody who quits has to wait for
        Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        """Audit, and make ready what the first search and the first jump need."""
        from ckptscan.checks import audit

        _ = self.finder
        found = list(told_findings(audit(self._structure), self._atlas))
        self.post_message(self.Audited(found))

    def on_browser_audited(self, message: Audited) -> None:
        """Show what the audit has found."""
        self._found = len(message.found)
        told: list[Told] = message.found or [Told("nothing found", (), None)]
        self.query_one("#findings", Choices).show(told)
        self._show_pane(self._shown)

    def on_tree_moved(self) -> None:
        """Tell of the chosen line once it stays chosen."""
        self._write_title()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_PAUSE, self._tell)

    def on_resize(self) -> None:
        """Draw the strips anew, as wide as they can be."""
        self.on_tree_moved()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go where the chosen thing leads."""
        pane = event.option_list
        if isinstance(pane, Choices) and pane.place is not None:
            self._go(pane.place)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key means an action: not to search where something else is on the screen."""
        return action != "search" or len(self.screen_stack) == 1

    def action_leave(self, code: int) -> None:
        """Quit with an exit code."""
        self.exit(code)

    def action_keys(self) -> None:
        """Show the keys."""
        self.push_screen(KeysScreen())

    async def action_search(self, query: str) -> None:
        """Search names, and go to the one that is chosen; keys that follow wait for the line."""
        names = self._structure.checkpoint.table.names
        screen = SearchScreen(names, lambda: self.finder, self.spell, query)

        def go(row: int | None) -> None:
            self._query = screen.query_text
            if row is not None:
                self._show_pane("facts")
                self._go(self._atlas.of_row(row))

        await self.push_screen(screen, go)

    async def action_search_again(self) -> None:
        """Search for what was searched for last."""
        await self.action_search(self._query)

    def action_to_tree(self) -> None:
        """Go back to the tree."""
        self.query_one(Tree).focus()

    def action_pane(self, name: str) -> None:
        """Show a pane and go into it."""
        self._show_pane(name)
        self.query_one(f"#{name}").focus()

    def _go(self, place: Place) -> None:
        tree = self.query_one(Tree)
        tree.reveal(place)
        tree.focus()

    def _show_pane(self, name: str) -> None:
        self._shown = name
        for one in PANES:
            self.query_one(f"#{one}").set_class(one == name, "-shown")
        counts = {"findings": "" if self._found is None else f" ({self._found})"}
        told = (
            f"{'>' if one == name else ' '}{number} {one}{counts.get(one, '')}"
            for number, one in enumerate(PANES, 1)
        )
        self.query_one("#tabs", Static).update("  ".join(told))

    def _write_title(self) -> None:
        title = words.label(self._structure.checkpoint.origin.title)
        self.query_one("#title", Static).update(self.query_one(Tree).heading(title))

    @work(thread=True, exclusive=True)
    def _tell(self) -> None:
        """Gather what is known of the chosen line beside the thread that draws."""
        worker = get_current_worker()
        with suppress(NoMatches):  # the browser was left meanwhile
            entry = self.query_one(Tree).entry
            held = families_of(entry)
            known = list(facts(self._structure, entry, held))
            if not worker.is_cancelled:
                self.call_from_thread(self._write, entry, known, held)

    def _write(self, entry: Entry, known: list[Fact], held: list[Held]) -> None:
        """Write facts, families and layers of a line."""
        self.query_one("#facts", Reading).show_facts(known)
        self.query_one("#families", Choices).show(self._families(held, entry.node.path))
        width = self.query_one("#side").content_size.width - _MARGIN
        self.query_one("#layers", Reading).show_strips(self._strips(entry, width))

    def _families(self, held: list[Held], path: str) -> Iterator[Told]:
        """The families, by what of their patterns comes after the path of the chosen node."""
        for one in held[:MOST_FAMILIES]:
            family = one.family
            pattern = words.label(family.pattern)
            below = pattern.removeprefix(f"{path}.") if path else pattern
            figures = (
                f"{words.shape(family.shape)} {words.label(family.dtype.name)}",
                words.plural(one.tensors, "tensor"),
                words.nbytes(one.nbytes),
                one.end.role.name,
            )
            yield Told(below, (", ".join(figures),), Place(one.chain, one.end))
        if len(held) > MOST_FAMILIES:
            yield Told(f"... and {len(held) - MOST_FAMILIES:,} more", (), None)

    def _strips(self, entry: Entry, width: int) -> Iterator[StripLine]:
        containers = containers_at(self._structure.layers, entry.chain)
        for layers in containers[:MOST_CONTAINERS]:
            yield from strip_lines(layers, width)
            yield ()


def run(structure: Structure) -> int | None:
    """Run the browser on this terminal; gives an exit code, None where it broke."""
    encoding = (getattr(sys.__stderr__, "encoding", None) or "ascii").lower()
    is_plain = os.environ.get("TERM") == "linux"  # its fonts lack most letters
    gc.freeze()  # the structure stays; what the screens leave is collected
    gc.enable()
    return Browser(structure, "ascii" if is_plain else encoding).run()
