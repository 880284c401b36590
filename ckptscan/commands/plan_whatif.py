"""What-ifs of `ckptscan plan`: options that change the asks before they are planned."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from ckptscan.plan import Ask

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--quantize", metavar="FORMAT",
                 help="As if stored so: int8, int4-g128, nf4, nf4-dq, fp8, fp8-block, mxfp4, "
                 "nvfp4, q4_k_m ...; of groups: experts=mxfp4,attention=fp8,head=keep."),
    click.option("--lora", "lora_rank", type=click.IntRange(1, 65536), metavar="RANK",
                 help="Room for adapters of this rank."),
    click.option("--max-loras", "loras", type=click.IntRange(1, 65536), metavar="N", default=1,
                 show_default=True, help="Adapters at once."),
    click.option("--lora-targets", default="linear", show_default=True, metavar="NAME,...",
                 help="Modules with adapters: linear, experts, embeddings, head."),
    click.option("--fit-quantize", "fits", is_flag=True,
                 help="Find the formats of experts, FFN, attention and head that make it fit, "
                 "fewest bits lost first."),
    click.option("--fit-formats", metavar="FORMAT,...",
                 help="Formats to choose from.  [default: fp8 or int8 by the card, int4-g128]"),
)  # fmt: skip


def what_if_options(command: F) -> F:
    """What is not so yet; goes into the `asks` that the command takes."""

    @wraps(command)
    def with_what_if(
        *arguments: Any,
        asks: tuple[Ask, ...],
        quantize: str | None,
        lora_rank: int | None,
        loras: int,
        lora_targets: str,
        fits: bool,
        fit_formats: str | None,
        **options: Any,
    ) -> Any:
        from dataclasses import replace

        from ckptscan.plan import WhatIf

        formats = tuple(fit_formats.split(",")) if fit_formats else ()
        targets = tuple(name.strip() for name in lora_targets.split(","))
        fits = fits or bool(formats)
        supposed = WhatIf(quantize, lora_rank or 0, loras, fits, formats, targets)
        changed = tuple(replace(ask, what_if=supposed) for ask in asks)
        return command(*arguments, asks=changed, **options)

    for option in reversed(_OPTIONS):
        with_what_if = option(with_what_if)
    return cast("F", with_what_if)
