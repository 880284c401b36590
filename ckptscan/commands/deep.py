"""Options of reading the tensors themselves: --deep, --peek, --hash, and what limits them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import click

from ckptscan.commands.params import PEEK_HELP, Match
from ckptscan.commands.telling import meter
from ckptscan.report.words import printable

if TYPE_CHECKING:
    from ckptscan.checks import Given
    from ckptscan.content import Sample
    from ckptscan.sources import Source
    from ckptscan.structure import Structure

F = TypeVar("F", bound=Callable[..., Any])

# 5%, 0.5 %
_SHARE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?%", re.ASCII)


class Amount(click.ParamType):  # type: ignore[type-arg]  # generic in later Clicks than 8.2
    """`5%` or `16MiB` -> a share of each tensor, or bytes of it."""

    name = "N%|SIZE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Sample:
        """The sample; a usage error where it is none."""
        from ckptscan.content import Sample
        from ckptscan.sizes import parse_size

        if isinstance(value, Sample):
            return value
        text = str(value).strip()
        share = _SHARE.fullmatch(text)
        sample = Sample(share=float(share[1])) if share else Sample(nbytes=parse_size(text))
        if not (sample.nbytes or 0 < (sample.share or 0) <= 100):
            self.fail(f"{printable(text[:60])} is no amount: say 5% or 16MiB", param, ctx)
        return sample


class Deep(NamedTuple):
    """What is read beyond headers."""

    deep: bool = False
    peek: bool = False
    hashed: bool = False
    match: Callable[[str], bool] | None = None
    sample: Sample | None = None
    resume: bool = True

    def given(self, source: Source, structure: Structure) -> Given:
        """What was asked for, read from the source. Raises SourceError and Interrupted."""
        from ckptscan.checks import Given

        if not (self.deep or self.peek or self.hashed):
            return Given()
        if structure.checkpoint.origin.packed:
            reason = "a header pack holds no tensors"
            return Given(absent=dict.fromkeys(("content", "peeked", "digests"), reason))
        read = self._read(source, structure) if self.deep or self.hashed else None
        content = read if self.deep else None
        peeked = content
        if peeked is None and self.peek:
            from ckptscan.content import peek_content

            peeked = peek_content(source, structure)
        absent = {}
        digests = dict(read.hashes) if read is not None and self.hashed else None
        if digests is not None and not any(s.digest for s in structure.checkpoint.table.shards):
            digests = None
            absent["digests"] = "no sha256 of these files is known to hold them against"
        return Given(content=content, peeked=peeked, digests=digests, absent=absent)

    def _read(self, source: Source, structure: Structure) -> Any:
        from ckptscan.content import Wish, read_content

        wish = Wish(self.deep, self.match, self.sample, self.hashed)
        return read_content(source, structure, wish, meter("tensors"), self.resume)


def deep_options(command: F) -> F:
    """What may be read of tensors; the command takes it as one Deep."""

    @wraps(command)
    def with_deep(
        *arguments: Any,
        deep: bool,
        peek: bool,
        hashed: bool,
        match: Callable[[str], bool] | None,
        sample: Sample | None,
        seed: int | None,
        resume: bool,
        **options: Any,
    ) -> Any:
        limits = {"--match": match, "--sample": sample}
        for name, value in limits.items():
            if value is not None and not deep:
                raise click.UsageError(f"{name} limits what --deep reads; add --deep")
        if seed is not None and sample is None:
            raise click.UsageError("--seed chooses what --sample reads; add --sample N%")
        if sample is not None:
            sample = sample._replace(seed=seed or 0)
        asked = Deep(deep, peek, hashed, match, sample, resume)
        return command(*arguments, deep=asked, **options)

    for option in (
        click.option(
            "--resume/--no-resume",
            default=True,
            help="Go on where an interrupted --deep ended.  [default: resume]",
        ),
        click.option("--seed", type=int, metavar="N", help="Another choice of the sample."),
        click.option("--sample", type=Amount(), help="Read so much of each tensor, with --deep."),
        click.option("--match", type=Match(), help="Only tensors whose name matches."),
        click.option("--hash", "hashed", is_flag=True, help="Hold files against their sha256."),
        click.option("--peek", is_flag=True, help=PEEK_HELP),
        click.option("--deep", is_flag=True, help="Read all tensors: NaN, zeros, copies ..."),
    ):
        with_deep = option(with_deep)
    return cast("F", with_deep)
