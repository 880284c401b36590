"""Cards and what people type for them."""

from __future__ import annotations

import pytest

from ckptscan.errors import UsageError
from ckptscan.hardware import CARDS, parse_devices
from ckptscan.hardware.cards import named

GIB = 1 << 30


@pytest.mark.parametrize(
    ("text", "count", "name", "total"),
    [
        ("h100", None, "NVIDIA H100 80GB", round(79.18 * GIB)),
        ("8xh200", 8, "NVIDIA H200 141GB", round(139.72 * GIB)),
        ("8 x NVIDIA H200", 8, "NVIDIA H200 141GB", round(139.72 * GIB)),
        ("RTX-4090", None, "NVIDIA RTX 4090", round(23.62 * GIB)),
        ("4x24GiB", 4, "a card of 24GiB", 24 * GIB),
        ("24 GB", None, "a card of 24 GB", 24 * 10**9),
        ("h100@79.22GiB", None, "NVIDIA H100 80GB", 7922 * GIB // 100),
        ("a100", None, "NVIDIA A100 80GB", 81920 * (1 << 20) - GIB // 2),
        ("mi300x", None, "AMD MI300X", 192 * 10**9),
    ],
)
def test_what_is_typed_is_a_card(text: str, count: int | None, name: str, total: int) -> None:
    devices = parse_devices(text)

    assert (count, name, total) == (devices.count, devices.card.name, devices.card.total_bytes)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("h10", "no card is called 'h10'", "nearest: h100"),
        ("4070m", "no card is called '4070m'", "as in 24GiB"),
        ("12", "no card is called '12'", "12GiB is a card of so much memory, 4x12GiB"),
        ("nvidia", "no card is called 'nvidia'", "ckptscan gpus lists all"),
        ("", "'' is no card", "8xh200"),
        ("0xh100", "0 cards", "1 or more"),
        ("999999xh100", "999,999 cards", "1 or more"),
        ("h100@many", "'many' is no size", "79.22GiB"),
        ("q" * 5000, "no card is called", "or 4x24GiB"),
    ],
)
def test_what_is_no_card_is_told_with_the_way_out(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_devices(text)

    assert message in caught.value.message
    assert hint in caught.value.hint
    assert 2 == caught.value.exit_code


def test_labels_tell_readings_from_calculations() -> None:
    assert "engine" == named("h100").label
    assert "estimated" == named("l4").label
    assert "0.5 GiB that torch does not see" in named("l4").how
    assert "assumed" == named("mi300x").label
    assert "no reading known" in named("mi300x").how
    assert "as given" == parse_devices("24GiB").card.how


def test_names_and_aliases_are_of_one_card_each() -> None:
    aliases = [alias for card in CARDS for alias in card.aliases]

    assert len(aliases) == len(set(aliases))
    assert all(card.source for card in CARDS)
    assert all(named(card.name) is card for card in CARDS)


@pytest.mark.parametrize("text", ["3090", "2080ti"])
def test_what_may_be_a_card_is_no_size(text: str) -> None:
    assert named(text) is parse_devices(text).card
