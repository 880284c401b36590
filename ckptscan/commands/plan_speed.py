"""Bounds of speed and loading in `ckptscan plan`: options that go into the asks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ckptscan.commands.params import Size

if TYPE_CHECKING:
    from ckptscan.plan import Ask

F = TypeVar("F", bound=Callable[..., Any])


class Rate(Size):
    """`2GB/s`, `3.35TB/s` -> bytes a second."""

    name = "RATE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The bytes a second; a usage error for what is no rate, or none at all."""
        if isinstance(value, int):
            return value
        found = super().convert(str(value).strip().removesuffix("/s"), param, ctx)
        if not found:
            self.fail("0 is no rate; say 2GB/s", param, ctx)
        return found


class Teraflops(click.FloatRange):
    """10**12 operations a second; what is no number is none."""

    name = "N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The figure; a usage error for what is not between the bounds."""
        found = float(super().convert(value, param, ctx))
        if found != found:
            self.fail("nan is no number; say 362", param, ctx)
        return found


_OPTIONS = (
    click.option("--roofline", "has_roofline", is_flag=True,
                 help="Upper bounds of tokens a second."),
    click.option("--bandwidth", type=Rate(), metavar="RATE",
                 help="Of a card's memory, as in 3.35TB/s.  [default: the card's, where sourced]"),
    click.option("--tflops", type=Teraflops(0.001, 10**6), metavar="N",
                 help="Dense, of a card.  [default: the card's in BF16, where sourced]"),
    click.option("--load", "has_load", is_flag=True,
                 help="What each rank reads from which file, and what the host holds."),
    click.option("--load-rate", type=Rate(), metavar="RATE",
                 help="Of the disk or link, as in 2GB/s: seconds too."),
)  # fmt: skip


def speed_options(command: F) -> F:
    """What bounds of speed and loading rest on; goes into the `asks` that the command takes."""

    @wraps(command)
    def with_speed(
        *arguments: Any,
        asks: tuple[Ask, ...],
        has_roofline: bool,
        bandwidth: int | None,
        tflops: float | None,
        has_load: bool,
        load_rate: int | None,
        **options: Any,
    ) -> Any:
        from dataclasses import replace

        from ckptscan.plan import LoadAsk, Speed

        if has_roofline or bandwidth or tflops:
            speed = Speed(bandwidth, round(tflops * 10**12) if tflops else None)
            asks = tuple(replace(ask, speed=speed) for ask in asks)
        if has_load or load_rate:
            asks = tuple(replace(ask, load=LoadAsk(load_rate)) for ask in asks)
        return command(*arguments, asks=asks, **options)

    for option in reversed(_OPTIONS):
        with_speed = option(with_speed)
    return cast("F", with_speed)
