"""What `ckptscan plan` may be asked: options named after the engines' own, handed on as one Ask."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import click

from ckptscan.commands.completing import complete_card, complete_engine
from ckptscan.commands.help import Choice
from ckptscan.commands.params import Size

F = TypeVar("F", bound=Callable[..., Any])

MXFP4_BACKENDS = ("marlin", "triton", "flashinfer", "flashinfer-cutlass", "rocm", "none")
DTYPES = ("auto", "bfloat16", "float16", "half", "float32")
_MOST = 1 << 40


def _count(name: str, metavar: str, text: str, least: int = 1) -> Callable[[F], F]:
    return click.option(name, type=click.IntRange(least, _MOST), metavar=metavar, help=text)


class Share(click.FloatRange):
    """A share above nothing; what is no number is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The share; a usage error for what is not between the bounds."""
        found = super().convert(value, param, ctx)
        if found != found:
            self.fail("nan is no share; say 0.9", param, ctx)
        return found


_ONE = click.IntRange(1, 65536)
_OPTIONS = (
    click.option("--gpu", metavar="CARD", shell_complete=complete_card,
                 help="Card, or 8xh200, 4x24GiB, h100@79.2GiB, "
                 "mine.  [default: h100; ckptscan gpus lists them]"),
    click.option("--tp", type=_ONE, metavar="N", default=1, show_default=True,
                 help="Ranks that cut tensors."),
    click.option("--pp", type=_ONE, metavar="N", default=1, show_default=True,
                 help="Pipeline stages."),
    click.option("--dp", type=_ONE, metavar="N", default=1, show_default=True,
                 help="Copies of what is not experts (DP attention)."),
    click.option("--ep", type=_ONE, metavar="N", default=1, show_default=True,
                 help="Ranks that share the experts whole: tp x dp, or 1."),
    click.option("--engine", "engines", multiple=True, metavar="NAME",
                 shell_complete=complete_engine,
                 help="sglang-0.5, llama.cpp, transformers, vllm-0.11 or any version; "
                 "several give a table.  [default: vllm-0.11]"),
    _count("--max-len", "TOKENS", "Context of one request.  [default: the model's]"),
    click.option("--gpu-memory-utilization", "utilization", type=Share(0.01, 1),
                 metavar="SHARE", help="Share of a card to use.  [default: the engine's]"),
    click.option("--kv-cache-dtype", "kv_dtype", default="auto", show_default=True, metavar="DTYPE",
                 help="auto, fp8, nvfp4, fp8_ds_mla, int8_per_token_head ..."),
    click.option("--dtype", type=Choice(DTYPES), default="auto", show_default=True,
                 help="Of what is not quantized."),
    click.option("--quantization", type=Choice(("fp8",)),
                 help="Quantize weights of 16 bits while loading."),
    _count("--max-num-seqs", "N", "Sequences at once.  [default: the engine's]"),
    _count("--max-num-batched-tokens", "N", "Tokens at once.  [default: the engine's]"),
    _count("--requests", "N", "Requests of --max-len that shall fit at once."),
    _count("--block-size", "TOKENS", "Tokens of a block.  [default: the engine's]"),
    _count("--num-gpu-blocks-override", "N", "Blocks, whatever is left.", 0),
    click.option("--kv-cache-memory-bytes", "kv_bytes", type=Size(), help="Cache, as measured."),
    click.option("--weights-memory", "weight_bytes", type=Size(), help="Weights, as measured."),
    click.option("--activation-memory", "activation_bytes", type=Size(),
                 help="Activation peak, as measured."),
    click.option("--non-torch-memory", "non_torch_bytes", type=Size(),
                 help="Memory outside of torch, as measured."),
    click.option("--graph-memory", "graph_bytes", type=Size(), help="CUDA graphs, as measured."),
    click.option("--swap-space", "swap_bytes", type=Size(), default=4 << 30,
                 help="Host memory of V0's CPU blocks.  [default: 4GiB]"),
    click.option("--redundant-experts", type=click.IntRange(0, 65536), default=0, metavar="N",
                 help="Experts that stand once more, with --ep.  [default: 0]"),
    click.option("--mxfp4-backend", type=Choice(MXFP4_BACKENDS),
                 help="Kernel of MXFP4 experts.  [default: the card's likely one]"),
    click.option("--enable-prefix-caching", "prefix_caching", is_flag=True,
                 help="Keep two states a request in hybrid models."),
    click.option("--disable-hybrid-kv-cache-manager", "is_plain", is_flag=True,
                 help="Count windows as if they looked everywhere."),
)  # fmt: skip


def plan_options(command: F) -> F:
    """What may be asked of a plan; the command takes it as `asks`, one for each engine."""

    @wraps(command)
    def with_asks(
        *arguments: Any,
        gpu: str | None,
        tp: int,
        pp: int,
        dp: int,
        ep: int,
        engines: tuple[str, ...],
        max_num_seqs: int | None,
        max_num_batched_tokens: int | None,
        num_gpu_blocks_override: int | None,
        is_plain: bool,
        **options: Any,
    ) -> Any:
        from dataclasses import fields

        from ckptscan.hardware import parse_devices
        from ckptscan.plan import DEFAULT, Ask, Parallel

        known = {field.name for field in fields(Ask)}
        said = {name: options.pop(name) for name in [*options] if name in known}
        said["prefix_caching"] = said["prefix_caching"] or None
        asks = tuple(
            Ask(
                devices=None if gpu is None else parse_devices(gpu),
                parallel=Parallel(tp, pp, dp, ep),
                engine=engine,
                max_seqs=max_num_seqs,
                max_batched=max_num_batched_tokens,
                blocks=num_gpu_blocks_override,
                hybrid_manager=not is_plain,
                **said,
            )
            for engine in engines or (DEFAULT,)
        )
        return command(*arguments, asks=asks, **options)

    for option in reversed(_OPTIONS):
        with_asks = option(with_asks)
    return cast("F", with_asks)
