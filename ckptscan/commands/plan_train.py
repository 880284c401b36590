"""Training in `ckptscan plan`: options that go into the asks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ckptscan.commands.help import Choice

if TYPE_CHECKING:
    from ckptscan.plan import Ask

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--train", "kind", type=Choice(("full", "lora", "qlora")),
                 help="Plan for training, not for serving; --lora RANK is the adapters'."),
    click.option("--zero", type=click.IntRange(0, 3), metavar="N", default=0, show_default=True,
                 help="Stage of ZeRO, among --dp copies."),
    click.option("--offload", type=Choice(("none", "optimizer", "all")), default="none",
                 show_default=True, help="What lies in the host's memory."),
    click.option("--seq-len", type=click.IntRange(1, 1 << 30), default=4096, show_default=True,
                 metavar="TOKENS", help="Of a training sequence."),
    click.option("--micro-batch", type=click.IntRange(1, 1 << 20), default=1, show_default=True,
                 metavar="N", help="Sequences of a step on one rank."),
    click.option("--optimizer", type=Choice(("adam", "adam8bit", "sgd")), default="adam",
                 show_default=True, help="What keeps states of each parameter."),
    click.option("--checkpointing", type=Choice(("none", "selective", "full")),
                 default="selective", show_default=True, help="Activations computed again."),
    click.option("--sequence-parallel", is_flag=True, help="Cut the stream among --tp ranks too."),
    click.option("--nodes", type=click.IntRange(1, 65536), metavar="N", default=1,
                 show_default=True, help="That share what is offloaded."),
)  # fmt: skip


def train_options(command: F) -> F:
    """How a model is trained; goes into the `asks` that the command takes."""

    @wraps(command)
    def with_training(
        *arguments: Any, asks: tuple[Ask, ...], kind: str | None, **options: Any
    ) -> Any:
        from dataclasses import replace

        from ckptscan.plan import Training

        said = {name: options.pop(name) for name in [*options] if name in Training._fields}
        if kind is not None:
            asks = (replace(asks[0], train=Training(kind, **said)),)
        return command(*arguments, asks=asks, **options)

    for option in reversed(_OPTIONS):
        with_training = option(with_training)
    return cast("F", with_training)
