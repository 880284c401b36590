"""The browser as a person uses it: keys in, a screen out; driven by Textual's own pilot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from ckptscan.structure import Structure
from tests.conftest import Tensors, packed, structure_of

pytest.importorskip("textual", reason="Textual, of the extra tui, is not installed")

from ckptscan.browse.screens.app import Browser
from ckptscan.browse.screens.panes import Choices, Tree

if TYPE_CHECKING:
    from textual.pilot import Pilot

MODEL = "deepseek-ai--DeepSeek-V3"
UP = "model.layers.17.mlp.experts.9.up_proj.weight"
MIXTURE = structure_of(
    {
        "lm_head.weight": ("F32", [2]),
        "model.norm.weight": ("F32", [2]),
        **{
            f"model.layers.{layer}.mlp.experts.{expert}.up_proj.weight": ("F32", [2])
            for layer in range(40)
            for expert in range(32)
        },
    }
)
ODD: Tensors = {
    "a.0.w": ("F32", [2]),
    "a.1.w": ("F32", [0]),
    "[bold]b[/bold]\x1b]0;x\x07.\u202ew": ("F32", [1]),
    "\u6a21\u578b": ("F32", [1]),
}
WAITS = 500  # of 20 ms, before a screen counts as stuck


class Session:
    """A browser that is driven: keys, and what stands on the screen."""

    def __init__(self, app: Browser, pilot: Pilot[int]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def screen(self) -> str:
        """The text of the screen; Textual has no public way to it."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in strips) + "\n"

    @property
    def chosen(self) -> str:
        return self.app.query_one(Tree).entry.label

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def see(self, text: str) -> None:
        """Wait until a text stands on the screen."""
        for _ in range(WAITS):
            if text in self.screen:
                return
            await self.pilot.pause(0.02)

        assert text in self.screen


def played(
    structure: Structure,
    play: Callable[[Session], Any],
    size: tuple[int, int] = (80, 24),
    spelling: str = "ascii",
) -> Browser:
    """The app after it was played with."""
    app = Browser(structure, spelling)

    async def main() -> None:
        async with app.run_test(size=size) as pilot:
            await play(Session(app, pilot))

    asyncio.run(main())
    return app


@pytest.mark.parametrize(
    "size",
    [
        pytest.param((80, 24), id="80x24"),
        pytest.param((200, 60), id="200x60", marks=pytest.mark.slow),
    ],
)
def test_the_first_screen(size: tuple[int, int], golden: Callable[[str], None]) -> None:
    async def play(session: Session) -> None:
        await session.press("j", "j", "l", "j", "j", "right")
        await session.see("findings (4)" if size[0] == 80 else "hint: make a new index")
        await session.see("path       model.layers")
        golden(session.screen)

    played(packed(MODEL), play, size)


@pytest.mark.slow
def test_arrows_and_the_keys_of_vim_move_and_fold() -> None:
    async def play(session: Session) -> None:
        for key, label in (
            ("j", "lm_head.weight"),
            ("down", "model"),
            ("l", "model"),
            ("l", "layers.(0-39): 40 x"),
            ("j", "norm.weight"),
            ("k", "layers.(0-39): 40 x"),
            ("enter", "layers.(0-39): 40 x"),
            ("right", "mlp.experts.(0-31): 32 x"),
            ("space", "mlp.experts.(0-31): 32 x"),
            ("pagedown", "norm.weight"),
            ("left", "model"),
            ("left", "model"),
            ("left", "memory"),
            ("G", "model"),
            ("g", "memory"),
        ):
            await session.press(key)

            assert label == session.chosen

    played(MIXTURE, play)


@pytest.mark.slow
def test_a_search_leads_to_a_tensor_and_its_bytes() -> None:
    async def play(session: Session) -> None:
        await session.press("slash", *"layers.17.mlp.experts.9")
        await session.see(UP)
        await session.press("down", "up", "enter")
        await session.see(f"name     {UP}")
        await session.see("in file  bytes")

        assert "layers.17 experts.9" == session.chosen

    played(MIXTURE, play)


@pytest.mark.slow
def test_a_search_can_be_left_and_taken_up_again() -> None:
    async def play(session: Session) -> None:
        await session.press("slash", *"lmhd")
        await session.see("1 name")
        await session.press("escape")

        assert "memory" == session.chosen

        await session.press("n")
        await session.see("1 name")
        await session.press("enter")

        assert "lm_head.weight" == session.chosen

    played(MIXTURE, play)


@pytest.mark.slow
def test_a_family_and_a_finding_lead_to_their_places() -> None:
    async def play(session: Session) -> None:
        await session.see("findings (")
        await session.press("2", "j", "enter")

        assert "w" == session.chosen

        await session.press("g", "4")
        found = session.app.query_one("#findings", Choices)
        while found.place is None:
            await session.press("j")
        await session.press("enter")

        assert session.app.query_one(Tree).has_focus
        assert found.place.is_in(session.app.query_one(Tree).entry)

    played(structure_of(ODD), play)


def test_names_are_text_whatever_they_hold() -> None:
    async def play(session: Session) -> None:
        await session.see(r"[bold]b[/bold]\x1b]0;x\x07.\u202ew")
        await session.see(r"\u6a21\u578b")
        await session.press("2", "3", "4", "slash", *"bold")
        await session.see("1 name")
        await session.see(r"[bold]b[/bold]\x1b]0;x\x07.\u202ew")

        assert "\x1b" not in session.screen

    played(structure_of(ODD), play)


@pytest.mark.slow
def test_a_terminal_of_utf_8_shows_names_as_they_are() -> None:
    async def play(session: Session) -> None:
        await session.see("\u6a21\u578b")

    played(structure_of(ODD), play, spelling="utf-8")


@pytest.mark.slow
def test_the_keys_are_listed() -> None:
    async def play(session: Session) -> None:
        await session.press("question_mark")
        await session.see("search names")
        await session.press("q", "j")

        assert "lm_head.weight" == session.chosen

    played(MIXTURE, play)


@pytest.mark.parametrize(("key", "code"), [("q", 0), ("ctrl+c", 130)])
def test_it_is_left_with_an_exit_code(key: str, code: int) -> None:
    async def play(session: Session) -> None:
        await session.press(key)

    assert code == played(structure_of({"a": ("F32", [1])}), play).return_value


@pytest.mark.slow
def test_a_checkpoint_of_nothing_is_shown() -> None:
    async def play(session: Session) -> None:
        await session.press("l", "l", "enter", "2", "enter", "3", "4", "enter", "slash", *"a")
        await session.see("0 names")

    played(structure_of({}), play)


@pytest.mark.slow
def test_200_000_names_are_no_burden() -> None:
    structure = structure_of(
        {
            f"model.layers.{layer}.experts.{expert}.{name}.weight": ("U8", [1])
            for layer in range(100)
            for expert in range(667)
            for name in ("gate", "up", "down")
        }
    )

    async def play(session: Session) -> None:
        await session.press("slash", *"99 666 up")
        await session.see("1 name")
        await session.press("enter")
        await session.see("name     model.layers.99.experts.666.up.weight")

    played(structure, play)
