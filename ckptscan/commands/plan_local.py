"""What engines are asked that spread a model over cards and the host: llama.cpp, transformers."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ckptscan.commands.params import Size

if TYPE_CHECKING:
    from ckptscan.plan import Ask

F = TypeVar("F", bound=Callable[..., Any])
_MOST_SHARES = 256
_LARGEST = 1e12

_OPTIONS = (
    click.option("--outtype", metavar="TYPE",
                 help="GGUF to make for llama.cpp: f16, q8_0, q6_k, q4_k_m ...  "
                 "[default: the model's 16 bits]"),
    click.option("--n-gpu-layers", "gpu_layers", type=click.IntRange(0, 1 << 20), metavar="N",
                 help="Layers on cards, the output counted.  [default: all]"),
    click.option("--tensor-split", metavar="SHARES", help="Shares of the cards, as in 3,1."),
    click.option("--host-memory", "host_bytes", type=Size(),
                 help="What the host may hold beside the cards.  [default: any]"),
    click.option("--swa-full", is_flag=True, help="llama.cpp: windows keep all cells."),
    click.option("--kv-unified", is_flag=True, help="llama.cpp: sequences share their cells."),
)  # fmt: skip


def local_options(command: F) -> F:
    """What may be asked of such engines, put into each of the asks."""

    @wraps(command)
    def with_local(
        *arguments: Any,
        asks: tuple[Ask, ...],
        outtype: str | None,
        gpu_layers: int | None,
        tensor_split: str | None,
        host_bytes: int | None,
        swa_full: bool,
        kv_unified: bool,
        **options: Any,
    ) -> Any:
        from dataclasses import replace

        from ckptscan.plan import Local

        split = _shares(tensor_split) if tensor_split is not None else ()
        local = Local(outtype, gpu_layers, split, host_bytes, swa_full, kv_unified)
        return command(*arguments, asks=tuple(replace(ask, local=local) for ask in asks), **options)

    for option in reversed(_OPTIONS):
        with_local = option(with_local)
    return cast("F", with_local)


def _shares(text: str) -> tuple[float, ...]:
    """`3,1` -> the shares; a usage error for what are none."""
    try:
        shares = tuple(float(part) for part in text.split(",", _MOST_SHARES))
    except ValueError:
        shares = ()
    if not shares or not all(0 <= share < _LARGEST for share in shares) or not sum(shares):
        raise click.BadParameter("no shares; say 3,1", param_hint="--tensor-split")
    return shares
