"""The command that would serve a plan, to be pasted into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ckptscan.checkpoint import Checkpoint
from ckptscan.plan import MemoryPlan
from ckptscan.report import words
from ckptscan.sources import redacted


def command_line(checkpoint: Checkpoint, plan: MemoryPlan) -> str:
    """The engine's own command with what was planned for."""
    model = words.printable(redacted(checkpoint.origin.spec))
    if plan.engine.startswith("sglang"):
        start = f"python -m sglang.launch_server --model-path {shlex.quote(model)}"
        return " ".join([start, *_sglang(plan)])
    return " ".join(["vllm serve", shlex.quote(model), *_options(plan)])


def _sglang(plan: MemoryPlan) -> Iterator[str]:
    ask, parallel = plan.ask, plan.ask.parallel
    for name, size in (("--tp", parallel.tp), ("--pp", parallel.pp), ("--ep", parallel.ep)):
        if size > 1:
            yield f"{name} {size}"
    if parallel.dp > 1:
        yield f"--dp {parallel.dp} --enable-dp-attention"
    yield f"--context-length {ask.max_len}"
    yield f"--mem-fraction-static {ask.utilization:.3f}"
    yield f"--chunked-prefill-size {ask.max_batched}"
    yield f"--cuda-graph-max-bs {ask.max_seqs}"
    if ask.kv_dtype != "auto":
        yield f"--kv-cache-dtype {shlex.quote(ask.kv_dtype)}"
    if ask.dtype != "auto":
        yield f"--dtype {shlex.quote(ask.dtype)}"
    if ask.quantization:
        yield f"--quantization {shlex.quote(ask.quantization)}"


def _options(plan: MemoryPlan) -> Iterator[str]:
    ask, parallel = plan.ask, plan.ask.parallel
    for name, size in (
        ("--tensor-parallel-size", parallel.tp),
        ("--pipeline-parallel-size", parallel.pp),
        ("--data-parallel-size", parallel.dp),
    ):
        if size > 1:
            yield f"{name} {size}"
    if parallel.ep > 1:
        yield "--enable-expert-parallel"
    yield f"--max-model-len {ask.max_len}"
    yield f"--gpu-memory-utilization {ask.utilization:g}"
    yield f"--max-num-seqs {ask.max_seqs}"
    yield f"--max-num-batched-tokens {ask.max_batched}"
    if ask.kv_dtype != "auto":
        yield f"--kv-cache-dtype {shlex.quote(ask.kv_dtype)}"
    if ask.dtype != "auto":
        yield f"--dtype {shlex.quote(ask.dtype)}"
    if ask.quantization:
        yield f"--quantization {shlex.quote(ask.quantization)}"
    if ask.prefix_caching:
        yield "--enable-prefix-caching"
