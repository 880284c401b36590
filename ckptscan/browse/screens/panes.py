"""The widgets of the browser: the tree, and the panes beside it.

Names reach them as plain text, never as markup, spelled as the terminal can show them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from ckptscan.browse.entries import Entry
from ckptscan.browse.facts import Fact
from ckptscan.browse.outline import Line, Outline
from ckptscan.browse.places import Place
from ckptscan.browse.strip import StripLine
from ckptscan.report import words

Spell = Callable[[str], str]
_MARKS = {True: "- ", False: "+ "}  # of an open line, and of one that opens
_CUT = ".."
_ODD = Style(bold=True, reverse=True)


def _row(left: str, figures: tuple[str, str, str], width: int) -> str:
    """A line of exactly so many cells, with figures at its end."""
    tensors, size, share = figures
    right = f" {tensors:>9} {size:>8} {share:>7}"
    room = max(width - len(right), 0)
    if cell_len(left) > room:
        left = set_cell_size(left, max(room - len(_CUT), 0)) + _CUT
    return set_cell_size(set_cell_size(left, room) + right, width)


class Tree(ScrollView, can_focus=True):
    """The lines of an outline, of which only those in sight are drawn."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)"),
        Binding("up,k", "move(-1)"),
        Binding("right,l", "open"),
        Binding("left,h", "close"),
        Binding("enter,space", "turn"),
        Binding("home,g", "move_to(0)"),
        Binding("end,G", "move_to(-1)"),
        Binding("pagedown,ctrl+f,ctrl+d", "page(1)"),
        Binding("pageup,ctrl+b,ctrl+u", "page(-1)"),
    ]

    class Moved(Message):
        """Another line was chosen."""

    def __init__(self, outline: Outline, whole: int, spell: Spell) -> None:
        super().__init__(id="tree")
        self._outline, self._whole, self._spell = outline, whole, spell
        self.cursor = 0

    @property
    def entry(self) -> Entry:
        """What the chosen line stands for."""
        return self._outline.lines[self.cursor].entry

    def heading(self, title: str) -> str:
        """A title with the number of the chosen line, and the heads of the columns."""
        position = f"{self.cursor + 1:,}/{len(self._outline.lines):,}"
        left = f" {position}  {self._spell(title)}"
        return _row(left, ("tensors", "bytes", "share"), self.scrollable_content_region.width)

    def reveal(self, place: Place) -> None:
        """Open what hides a place, and choose its line, with what lies around it in sight."""
        self._choose(self._outline.reveal(place))
        self.scroll_to(y=self.cursor - self.size.height // 2, animate=False, force=True)

    def on_mount(self) -> None:
        """Lay out the first lines."""
        self._choose(0)

    def on_resize(self) -> None:
        """Keep the chosen line in sight."""
        self._choose(self.cursor)

    def render_line(self, y: int) -> Strip:
        """One line as wide as the widget."""
        number = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if number >= len(self._outline.lines):
            return Strip.blank(width, self.rich_style)
        style = self.rich_style
        if number == self.cursor:
            style += Style(reverse=True) if self.has_focus else Style(bold=True, underline=True)
        return Strip([Segment(self._drawn(self._outline.lines[number], width), style)], width)

    def _drawn(self, line: Line, width: int) -> str:
        entry = line.entry
        mark = _MARKS[line.is_open] if entry.opens else "  "
        left = " " * min(2 * line.depth, width // 3) + mark + self._spell(entry.label)
        size = words.nbytes(entry.nbytes, 3)
        share = words.share(entry.nbytes, self._whole)
        return _row(left, (f"{entry.tensors:,}", size, share), width)

    def _choose(self, number: int) -> None:
        self.cursor = max(0, min(number, len(self._outline.lines) - 1))
        self.virtual_size = Size(self.size.width, len(self._outline.lines))
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)
        self.refresh()
        self.post_message(self.Moved())

    def action_move(self, lines: int) -> None:
        """Choose a line further down, or up."""
        self._choose(self.cursor + lines)

    def action_move_to(self, number: int) -> None:
        """Choose a line by its number, from the end where it is negative."""
        self._choose(number % len(self._outline.lines))

    def action_page(self, pages: int) -> None:
        """Choose a line a page further down, or up."""
        self._choose(self.cursor + pages * max(self.size.height - 1, 1))

    def action_open(self) -> None:
        """Open the line, or go into it where it is open."""
        if self._outline.lines[self.cursor].is_open:
            self._choose(self.cursor + 1)
            return
        self._outline.open(self.cursor)
        self._choose(self.cursor)

    def action_close(self) -> None:
        """Close the line, or go out to the one that it lies below."""
        if self._outline.lines[self.cursor].is_open:
            self._outline.close(self.cursor)
            self._choose(self.cursor)
            return
        self._choose(self._outline.parent(self.cursor))

    def action_turn(self) -> None:
        """Open the line, or close it."""
        turn = (
            self._outline.close if self._outline.lines[self.cursor].is_open else self._outline.open
        )
        turn(self.cursor)
        self._choose(self.cursor)

    def on_click(self, event: object) -> None:
        """Choose the line that was clicked; open or close it where it is the chosen one."""
        number = int(getattr(event, "y", 0)) + self.scroll_offset.y
        if number == self.cursor:
            self.action_turn()
        else:
            self._choose(number)


class Reading(VerticalScroll, can_focus=True):
    """A pane of text that scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down"),
        Binding("k", "scroll_up"),
        Binding("g", "scroll_home"),
        Binding("G", "scroll_end"),
    ]

    def __init__(self, name: str, spell: Spell) -> None:
        super().__init__(id=name)
        self._spell = spell
        self._text = Static(markup=False)

    def compose(self) -> ComposeResult:
        """The text alone."""
        yield self._text

    def show_facts(self, facts: Iterable[Fact]) -> None:
        """Names and values, long values folded."""
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for fact in facts:
            grid.add_row(Text(fact.name, "bold"), Text(self._spell(fact.value)))
        self._text.update(grid)

    def show_strips(self, lines: Iterable[StripLine]) -> None:
        """Lines of which some stretches stand out."""
        text = Text(overflow="fold")
        for line in lines:
            for stretch in line:
                text.append(self._spell(stretch.text), _ODD if stretch.is_odd else None)
            text.append("\n")
        self._text.update(text)


class Choices(OptionList):
    """A pane of things that lead to places; each has a head and more lines below it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down"),
        Binding("k", "cursor_up"),
        Binding("g", "first"),
        Binding("G", "last"),
    ]

    def __init__(self, name: str, spell: Spell) -> None:
        super().__init__(id=name, markup=False)
        self._spell = spell
        self._places: Sequence[Place | None] = ()

    @property
    def place(self) -> Place | None:
        """Where the chosen thing leads, None where nowhere."""
        chosen = self.highlighted
        return None if chosen is None else self._places[chosen]

    def show(self, things: Iterable[tuple[str, Sequence[str], Place | None]]) -> None:
        """Replace what can be chosen."""
        kept = list(things)
        self._places = [place for _, _, place in kept]
        self.clear_options()
        self.add_options(Option(self._written(head, more)) for head, more, _ in kept)
        if kept:
            self.highlighted = 0

    def _written(self, head: str, more: Sequence[str]) -> Text:
        text = Text(self._spell(head), overflow="fold")
        for line in more:
            text.append(f"\n  {self._spell(line)}")
        return text
