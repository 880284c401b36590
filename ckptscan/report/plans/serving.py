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
    if plan.engine.startswith("transformers"):
        return f"AutoModelForCausalLM.from_pretrained({model!r}, device_map='auto')"
    if plan.engine == "llama.cpp":
        file = f"{checkpoint.origin.title}-{plan.ask.local.outtype}.gguf"
        start = f"llama-server -m {shlex.quote(words.printable(file))}"
        return " ".join([start, *_llamacpp(plan)])
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


def _llamacpp(plan: MemoryPlan) -> Iterator[str]:
    ask, local = plan.ask, plan.ask.local
    requests = ask.max_seqs or 1
    yield f"-c {(ask.max_len or 0) * requests} -np {requests} -ub {ask.max_batched}"
    yield f"-ngl {999 if local.gpu_layers is None else local.gpu_layers}"
    if ask.kv_dtype != "f16":
        yield f"-ctk {ask.kv_dtype} -ctv {ask.kv_dtype} -fa on"
    if len(set(local.split)) > 1:
        yield f"-ts {','.join(f'{share:g}' for share in local.split)}"
    if local.swa_full:
        yield "--swa-full"
    if local.kv_unified:
        yield "--kv-unified"


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
