"""What a notebook shows: the facts as HTML, whatever names hold."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

import ckptscan
from ckptscan import Ask, MemoryPlan, Structure, parse_devices
from ckptscan.structure import describe
from tests.conftest import checkpoint_of, packed

HOSTILE = '<script>alert(1)</script>"\x1b[2J\u202e&'


class _Tags(HTMLParser):
    """The tags of a page and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert [] == attrs
        self.tags.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def shown(value: Any) -> _Tags:
    """What a notebook makes of a value: it asks for `_repr_html_`."""
    page = _Tags(value._repr_html_())

    assert [] == page.open
    return page


@pytest.fixture(autouse=True)
def _registered() -> None:
    """The public package was asked for one name of each room, as whoever uses it does."""
    for name in ("open_checkpoint", "describe", "plan"):
        getattr(ckptscan, name)


def test_a_checkpoint_shows_its_totals() -> None:
    page = shown(packed("Qwen--Qwen2-7B").checkpoint)

    assert {"div", "strong", "table", "tr", "th", "td"} == page.tags
    assert "339 in 4 files" in page.words
    assert "7,615,616,512 (7.62 B)" in page.words


def test_a_structure_shows_what_the_text_says() -> None:
    page = shown(packed("Qwen--Qwen2-7B"))

    assert "GQA, 28 heads, 4 KV heads, head_dim 128 [config]" in page.words
    assert any("layers.(0-27): 28 x" in text for text in page.words)


def test_a_plan_shows_the_waterfall_and_whether_it_fits() -> None:
    page = shown(ckptscan.plan(packed("Qwen--Qwen2-7B"), Ask(parse_devices("h100"))))

    assert "left for the cache" in page.words
    assert ["fits", "yes"] == page.words[page.words.index("fits") :][:2]


def test_a_plan_that_does_not_fit_says_why() -> None:
    page = shown(ckptscan.plan(packed("Qwen--Qwen2-7B"), Ask(parse_devices("8GiB"))))

    assert any(text.startswith("no: ") for text in page.words)


def test_hostile_names_stay_text() -> None:
    checkpoint = checkpoint_of({f"{HOSTILE}.safetensors": {HOSTILE: ("U8", [1])}})
    for value in (checkpoint, describe(checkpoint)):
        page = shown(value)

        assert page.tags <= {
            "div",
            "strong",
            "table",
            "tr",
            "th",
            "td",
            "details",
            "summary",
            "pre",
        }
        assert all(char.isprintable() or char == "\n" for char in value._repr_html_())


def test_values_know_of_no_report() -> None:
    """Each kind is registered with its room, so that whoever has a value has seen it."""
    assert {"checkpoint", "structure", "plan"} == {*ckptscan._SHOWN}
    for kind in (Structure, MemoryPlan):
        assert "_repr_html_" in vars(kind)
