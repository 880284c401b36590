"""The search: a line to type in, and the names that it finds below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.css.query import NoMatches
from textual.events import Key
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import get_current_worker

from ckptscan.browse.search import MOST, Finder
from ckptscan.report import words

_PAUSE = 0.06  # seconds without a key before a search begins
_HINT = "words in any order; up and down choose, enter goes there, escape leaves"


class SearchScreen(ModalScreen[int | None]):
    """Gives the row of the name that was chosen, None where the search was left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)"),
        Binding("down,ctrl+n", "move('down')", priority=True),
        Binding("up,ctrl+p", "move('up')", priority=True),
    ]

    def __init__(
        self,
        names: Sequence[str],
        finder: Callable[[], Finder],
        spell: Callable[[str], str],
        query: str,
    ) -> None:
        super().__init__()
        self._names, self._finder, self._spell = names, finder, spell
        self._rows: Sequence[int] = ()
        self._timer: Timer | None = None
        self._first = query

    def compose(self) -> ComposeResult:
        """The line to type in, what was found, and a hint."""
        with Vertical(id="search"):
            yield Input(self._first, placeholder="search names", id="query")
            yield OptionList(id="found", markup=False)
            yield Static(_HINT, id="told", markup=False)

    @property
    def query_text(self) -> str:
        """What was typed."""
        return self.query_one("#query", Input).value

    def on_key(self, event: Key) -> None:
        """Take what was typed before the line could."""
        query = self.query_one("#query", Input)
        if event.is_printable and not query.has_focus:
            query.insert_text_at_cursor(event.character or "")

    def on_input_changed(self) -> None:
        """Search when no key has come for a while."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_PAUSE, self._search)

    def on_input_submitted(self) -> None:
        """Go to the chosen name."""
        chosen = self.query_one("#found", OptionList).highlighted
        if chosen is not None:
            self.dismiss(self._rows[chosen])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go to the name that was clicked."""
        self.dismiss(self._rows[event.option_index])

    def action_move(self, way: str) -> None:
        """Choose the next name, or the one before."""
        found = self.query_one("#found", OptionList)
        if way == "down":
            found.action_cursor_down()
        else:
            found.action_cursor_up()

    @work(thread=True, exclusive=True)
    def _search(self) -> None:
        """Look for the names beside the thread that draws."""
        worker = get_current_worker()
        with suppress(NoMatches):  # the search was left meanwhile
            query = self.query_text
            rows = self._finder().find(query)
            if not worker.is_cancelled:
                self.app.call_from_thread(self._show, query, rows)

    def _show(self, query: str, rows: Sequence[int]) -> None:
        self._rows = rows
        found = self.query_one("#found", OptionList)
        found.clear_options()
        names = (self._spell(words.label(self._names[row])) for row in rows)
        found.add_options(Option(Text(name, overflow="fold")) for name in names)
        if rows:
            found.highlighted = 0
        told = words.plural(len(rows), "name") if len(rows) < MOST else f"the best {MOST} names"
        self.query_one("#told", Static).update(told if query.strip() else _HINT)
