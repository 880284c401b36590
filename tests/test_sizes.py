"""Sizes as people write them, one rule for every option."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.commands import COMMANDS, cli
from ckptscan.commands.deep import Amount
from ckptscan.commands.params import Size
from ckptscan.sizes import parse_size
from tests.conftest import WRITABLE


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("0", 0),
        ("4096", 4096),
        ("12 B", 12),
        ("1KiB", 1 << 10),
        ("1.5MiB", 3 << 19),
        ("1TiB", 1 << 40),
        ("1kB", 1000),
        ("2 GB", 2 * 10**9),
        ("1.5 gb", 1_500_000_000),
        ("1.5M", 3 << 19),
        ("2g", 2 << 30),
        ("0.1B", 0),
        ("-1GiB", None),
        ("1e9GiB", None),
        ("1Gi", None),
        ("1.GiB", None),
        ("GiB", None),
        ("", None),
        ("1" * 16, None),
        ("\u0661GiB", None),
    ],
)
def test_iec_units_are_binary_si_units_decimal_bare_ones_binary(
    text: str, nbytes: int | None
) -> None:
    assert nbytes == parse_size(text)


@given(st.text(WRITABLE, max_size=80))
def test_any_text_is_a_size_or_none(text: str) -> None:
    nbytes = parse_size(text)

    assert nbytes is None or nbytes >= 0


def options() -> Iterator[tuple[str, click.Option]]:
    with click.Context(cli) as context:
        for name in COMMANDS:
            command = cli.get_command(context, name)
            held = command.params if command is not None else ()
            yield from ((name, one) for one in held if isinstance(one, click.Option))


def test_every_option_of_bytes_takes_the_one_type() -> None:
    """A metavar SIZE or a name of bytes with any other type would bring back a second rule."""
    odd = [
        (command, one.opts)
        for command, one in options()
        if (one.metavar == "SIZE" or "bytes" in (one.name or "") or one.type.name == "SIZE")
        and type(one.type) is not Size
    ]

    assert [] == odd


def test_a_sample_in_bytes_follows_the_same_rule() -> None:
    assert 2 * 10**6 == Amount().convert("2MB", None, None).nbytes
    assert 2 << 20 == Amount().convert("2MiB", None, None).nbytes
