"""Options of loading tensors onto a device: which device, which tensors, how much of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ckptscan.commands.params import Match, Size
from ckptscan.report.words import printable

if TYPE_CHECKING:
    from ckptscan.names import IndexSet
    from ckptscan.verify import Wish

F = TypeVar("F", bound=Callable[..., Any])


class Device(click.ParamType):  # type: ignore[type-arg]  # generic in later Clicks than 8.2
    """`auto`, `cpu`, `cuda`, `cuda:1` or `mps`."""

    name = "DEVICE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The device's name; a usage error where it is none."""
        from ckptscan.errors import UsageError
        from ckptscan.verify.devices import parse_device

        try:
            return parse_device(str(value))
        except UsageError as error:
            self.fail(f"{printable(error.message)}; {error.hint}", param, ctx)


class Indices(click.ParamType):  # type: ignore[type-arg]  # generic in later Clicks than 8.2
    """`0,31` or `0-3` -> a set of indices."""

    name = "N,N-M"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> IndexSet:
        """The set; a usage error where it is none."""
        from ckptscan.names import IndexSet

        if isinstance(value, IndexSet):
            return value
        try:
            found = IndexSet.parse(str(value).replace(" ", ""))
        except ValueError:
            found = IndexSet(())
        if not found.ranges or any(first > last for first, last in found.ranges):
            said = printable(str(value)[:80])
            self.fail(f"{said} names no layers: write 0,31 or 0-3", param, ctx)
        return found


_OPTIONS = (
    click.option("--layers", type=Indices(), help="These layers.  [default: ends and a middle]"),
    click.option("--match", type=Match(), help="Only tensors whose name matches."),
    click.option("--sample", type=click.IntRange(1), metavar="N", help="So many tensors, drawn."),
    click.option("--seed", type=int, default=0, metavar="N", help="Another choice of these."),
    click.option("--max-bytes", "most", type=Size(),
                 help="Read no more than this in all.  [default: 2GiB; with --all any number]"),
    click.option("--all", "everything", is_flag=True, help="Every tensor."),
)  # fmt: skip


def wish_options(command: F) -> F:
    """What may be said of the tensors that are loaded; the command takes it as one Wish."""

    @wraps(command)
    def with_wish(
        *arguments: Any,
        layers: IndexSet | None,
        match: Callable[[str], bool] | None,
        sample: int | None,
        seed: int,
        most: int | None,
        everything: bool,
        **options: Any,
    ) -> Any:
        from ckptscan.verify import Wish

        if everything and (layers is not None or match is not None or sample is not None):
            raise click.UsageError("--all loads every tensor; leave what chooses some of them out")
        wish: Wish = Wish(layers, match, sample, seed, most, everything)
        return command(*arguments, wish=wish, **options)

    for option in reversed(_OPTIONS):
        with_wish = option(with_wish)
    return cast("F", with_wish)
