"""Options of comparing the tensors of two checkpoints themselves, and what limits it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import click

from ckptscan.commands.params import Size
from ckptscan.commands.telling import meter

if TYPE_CHECKING:
    from ckptscan.diff import Diff
    from ckptscan.sources import Source
    from ckptscan.structure import Structure

F = TypeVar("F", bound=Callable[..., Any])
SAMPLES = 4


class Contents(NamedTuple):
    """How much of the tensors is compared; `samples` is None where nobody asked for a number."""

    samples: int | None = None
    full: bool = False
    xet: bool = False
    seed: int = 0
    most: int | None = None
    tolerance: tuple[float, float] | None = None

    def unread(self, only: str) -> Contents:
        """Nothing read, for a part that needs none; a usage error where reading was asked for."""
        if self.full or self.xet or self.most is not None:
            raise click.UsageError(
                f"--only {only} reads no tensor; leave --full, --xet and --max-bytes out"
            )
        return Contents(samples=0)

    def compare(
        self,
        a: tuple[Source, Structure],
        b: tuple[Source, Structure],
        wanted: Callable[[str], bool] | None,
    ) -> Diff:
        """The diff with what the tensors tell. Raises SourceError that names the side."""
        if self.samples == 0 and not (self.full or self.xet):
            from ckptscan.diff import compare

            return compare(a[1], b[1], wanted)
        from ckptscan.content.pairs.values import BRIEF, THOROUGH, Wish
        from ckptscan.diff.contents import compare_tensors

        samples = SAMPLES if self.samples is None else self.samples
        reach = BRIEF if self.samples is None else THOROUGH
        wish = Wish(samples, self.full, self.xet, self.seed, self.most, self.tolerance, reach)
        return compare_tensors(a, b, wanted, wish, meter("tensors"))


def content_options(command: F) -> F:
    """What may be read of both sides' tensors; the command takes it as one Contents."""

    @wraps(command)
    def with_contents(
        *arguments: Any,
        samples: int | None,
        no_sample: bool,
        full: bool,
        xet: bool,
        seed: int,
        most: int | None,
        rtol: float | None,
        atol: float | None,
        **options: Any,
    ) -> Any:
        if no_sample and (samples is not None or full or most is not None):
            raise click.UsageError(
                "--no-sample reads no tensor; leave --sample, --full and --max-bytes out"
            )
        if not full and (rtol is not None or atol is not None):
            raise click.UsageError("--rtol and --atol are for all elements; add --full")
        tolerance = None if rtol is None and atol is None else (rtol or 0.0, atol or 0.0)
        wanted = 0 if no_sample else samples
        asked = Contents(wanted, full, xet, seed, most, tolerance)
        return command(*arguments, contents=asked, **options)

    for option in (
        click.option(
            "--atol", type=click.FloatRange(0), metavar="X", help="With --full, equal up to X."
        ),
        click.option(
            "--rtol", type=click.FloatRange(0), metavar="X", help="The same, times the element."
        ),
        click.option(
            "--max-bytes",
            "most",
            type=Size(),
            help="Read no more than this in all.  [default: 32MiB; with --full any number]",
        ),
        click.option("--seed", type=int, default=0, metavar="N", help="Another choice of blocks."),
        click.option("--xet", is_flag=True, help="Ask the Hub where equal chunks are stored."),
        click.option("--full", is_flag=True, help="Read and compare every byte."),
        click.option("--no-sample", is_flag=True, help="Read no tensor."),
        click.option(
            "--sample",
            "samples",
            type=click.IntRange(1, 4096),
            metavar="N",
            help=f"Blocks of each tensor that are read.  [default: {SAMPLES}, of some tensors]",
        ),
    ):
        with_contents = option(with_contents)
    return cast("F", with_contents)
