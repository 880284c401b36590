"""The command that would serve a plan, to be pasted into a shell.

Flags are those of vLLM 0.6.3 and 0.11 (engine/arg_utils.py), SGLang 0.5.9 (srt/server_args.py) and
llama.cpp (common/arg.cpp); what an engine's version has no flag for is left out.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ckptscan.checkpoint import Checkpoint
from ckptscan.plan import Ask, MemoryPlan
from ckptscan.report import words
from ckptscan.sources import redacted

# vLLM's LoRAConfig takes these ranks alone
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
_V0 = ("vllm-0.6", "vllm-0.7")
_BLOCK = 16  # what it takes where nothing is said
GIB = 1 << 30


def command_line(checkpoint: Checkpoint, plan: MemoryPlan) -> str:
    """The engine's own command with what was planned for; empty where no engine serves it."""
    if plan.unserved or plan.is_training:
        return ""
    model = words.printable(redacted(checkpoint.origin.spec))
    if plan.engine.startswith("sglang"):
        start = f"python -m sglang.launch_server --model-path {shlex.quote(model)}"
        return " ".join([start, *_sglang(plan)])
    if plan.engine.startswith("transformers"):
        return f"AutoModelForCausalLM.from_pretrained({', '.join(_transformers(plan, model))})"
    if plan.engine == "llama.cpp":
        file = f"{checkpoint.origin.title}-{plan.ask.local.outtype}.gguf"
        start = f"llama-server -m {shlex.quote(words.printable(file))}"
        return " ".join([start, *_llamacpp(plan)])
    return " ".join(["vllm serve", shlex.quote(model), *_vllm(plan)])


def _transformers(plan: MemoryPlan, model: str) -> Iterator[str]:
    yield repr(model)
    yield "device_map='auto'"
    if plan.ask.dtype != "auto":
        yield f"dtype={plan.ask.dtype.replace('half', 'float16')!r}"


def _sglang(plan: MemoryPlan) -> Iterator[str]:
    ask, parallel = plan.ask, plan.ask.parallel
    for name, size in (("--tp-size", parallel.tp), ("--pp-size", parallel.pp),
                       ("--ep-size", parallel.ep)):  # fmt: skip
        if size > 1:
            yield f"{name} {size}"
    if parallel.dp > 1:
        yield f"--dp-size {parallel.dp} --enable-dp-attention"
    if ask.redundant_experts:
        yield f"--ep-num-redundant-experts {ask.redundant_experts}"
    yield f"--context-length {ask.max_len}"
    yield f"--mem-fraction-static {ask.utilization:.3f}"
    yield f"--chunked-prefill-size {ask.max_batched}"
    yield f"--cuda-graph-max-bs {ask.max_seqs}"
    if (ask.block_size or 1) > 1:
        yield f"--page-size {ask.block_size}"
    if ask.kv_dtype != "auto":
        yield f"--kv-cache-dtype {'fp8_e4m3' if ask.kv_dtype == 'fp8' else ask.kv_dtype}"
    if not ask.hybrid_manager:
        yield "--disable-hybrid-swa-memory"
    yield from _dtypes(plan)
    if ask.what_if.lora_rank:
        yield f"--enable-lora --max-lora-rank {ask.what_if.lora_rank}"
        yield f"--max-loras-per-batch {ask.what_if.loras}"


def _dtypes(plan: MemoryPlan) -> Iterator[str]:
    """What vLLM and SGLang call alike: the dtype, and quantizing while loading."""
    if plan.ask.dtype != "auto":
        yield f"--dtype {shlex.quote(plan.ask.dtype)}"
    if plan.ask.quantization:
        yield f"--quantization {shlex.quote(plan.ask.quantization)}"


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


def _vllm(plan: MemoryPlan) -> Iterator[str]:
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
    if ask.redundant_experts:
        yield f"--enable-eplb --eplb-config.num_redundant_experts {ask.redundant_experts}"
    yield f"--max-model-len {ask.max_len}"
    yield f"--gpu-memory-utilization {ask.utilization:g}"
    yield f"--max-num-seqs {ask.max_seqs}"
    yield f"--max-num-batched-tokens {ask.max_batched}"
    if plan.engine in _V0 and (ask.max_batched or 0) < (ask.max_len or 0):
        yield "--enable-chunked-prefill"
    yield from _vllm_cache(plan)
    yield from _dtypes(plan)
    if ask.what_if.lora_rank:
        rank = next((one for one in _RANKS if one >= ask.what_if.lora_rank), _RANKS[-1])
        yield f"--enable-lora --max-lora-rank {rank} --max-loras {ask.what_if.loras}"


def _vllm_cache(plan: MemoryPlan) -> Iterator[str]:
    """What vLLM is told of its cache."""
    ask = plan.ask
    if ask.kv_dtype != "auto":
        yield f"--kv-cache-dtype {shlex.quote(ask.kv_dtype)}"
    if ask.block_size not in (None, _BLOCK):
        yield f"--block-size {ask.block_size}"
    if ask.blocks is not None:
        yield f"--num-gpu-blocks-override {ask.blocks}"
    if ask.kv_bytes is not None and plan.engine not in _V0:
        yield f"--kv-cache-memory-bytes {ask.kv_bytes}"
    if plan.engine in _V0 and ask.swap_bytes != Ask().swap_bytes:
        yield f"--swap-space {ask.swap_bytes / GIB:g}"
    if ask.prefix_caching:
        yield "--enable-prefix-caching"
    if not ask.hybrid_manager and plan.engine not in _V0:
        yield "--disable-hybrid-kv-cache-manager"
