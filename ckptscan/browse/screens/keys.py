"""The list of keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

KEYS = """\
up down, k j         choose a line
right, l             open it; again: go into it
left, h              close it; again: go out of it
enter, space         open or close it
page up, page down   a page; also ctrl+u and ctrl+d
home end, g G        the first line, the last line

/                    search names
n                    search again with the same words
tab                  from the tree to the pane and back
1 2 3 4              facts, families, layers, findings
enter                in families and findings: go there
escape               back to the tree

?                    this list
q                    quit
"""


class KeysScreen(ModalScreen[None]):
    """Shows the keys until one of them is pressed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss")]

    def compose(self) -> ComposeResult:
        """The list."""
        with VerticalScroll(id="keys-list"):
            yield Static(KEYS, markup=False)
