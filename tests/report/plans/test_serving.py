"""The command of a plan: every flag is one that the engine's version has."""

from __future__ import annotations

import shlex

import pytest

from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, Local, MemoryPlan, Parallel, WhatIf, plan
from ckptscan.report.plans.serving import command_line
from tests.plan.measured import structure_of

MOE = "pack:Qwen--Qwen1.5-MoE-A2.7B"
VLLM = frozenset(
    "--tensor-parallel-size --pipeline-parallel-size --max-model-len --gpu-memory-utilization "
    "--max-num-seqs --max-num-batched-tokens --kv-cache-dtype --block-size --dtype --quantization "
    "--num-gpu-blocks-override --enable-prefix-caching --enable-lora --max-lora-rank --max-loras "
    "--enable-chunked-prefill --swap-space".split()
)
# vllm 0.6.3 and 0.11 engine/arg_utils.py, sglang 0.5.9 srt/server_args.py, llama.cpp common/arg.cpp
FLAGS = {
    "vllm-0.6": VLLM,
    "vllm-0.11": VLLM
    | {"--data-parallel-size", "--enable-expert-parallel", "--enable-eplb",
       "--eplb-config.num_redundant_experts", "--kv-cache-memory-bytes",
       "--disable-hybrid-kv-cache-manager"},
    "sglang-0.5": frozenset(
        "--model-path --tp-size --pp-size --dp-size --ep-size --enable-dp-attention "
        "--ep-num-redundant-experts --context-length --mem-fraction-static --chunked-prefill-size "
        "--cuda-graph-max-bs --page-size --kv-cache-dtype --disable-hybrid-swa-memory --dtype "
        "--quantization --enable-lora --max-lora-rank --max-loras-per-batch -m".split()
    ),
    "llama.cpp": frozenset("-m -c -np -ub -ngl -ctk -ctv -fa -ts --swa-full --kv-unified".split()),
}  # fmt: skip
ASKS = (
    Ask(),
    Ask(parse_devices("h100"), Parallel(tp=2, pp=2), kv_dtype="fp8", dtype="half", requests=3),
    Ask(parallel=Parallel(tp=2, ep=2), redundant_experts=4, block_size=32, blocks=100),
    Ask(what_if=WhatIf(lora_rank=9, loras=3), quantization="fp8", kv_bytes=1 << 30,
        hybrid_manager=False, prefix_caching=True, swap_bytes=1 << 30),
    Ask(parallel=Parallel(tp=2, dp=2), max_batched=2048),
)  # fmt: skip


def planned(engine: str, ask: Ask) -> MemoryPlan | None:
    from dataclasses import replace

    from ckptscan.errors import UsageError

    try:
        return plan(structure_of(MOE), replace(ask, engine=engine))
    except UsageError:
        return None  # this engine has no such split or cache


@pytest.mark.parametrize("engine", FLAGS)
@pytest.mark.parametrize("ask", ASKS, ids=range(len(ASKS)))
def test_flags_are_those_of_the_version(engine: str, ask: Ask) -> None:
    one = planned(engine, ask)
    line = command_line(structure_of(MOE).checkpoint, one) if one is not None else ""
    flags = {word for word in shlex.split(line) if word.startswith("-")}

    assert flags <= FLAGS[engine]


@pytest.mark.parametrize(
    ("engine", "ask", "words"),
    [
        ("vllm-0.11", ASKS[2], "--enable-expert-parallel --enable-eplb"),
        ("vllm-0.11", ASKS[2], "--block-size 32 --num-gpu-blocks-override 100"),
        ("vllm-0.11", ASKS[3], "--enable-lora --max-lora-rank 16 --max-loras 3"),
        ("vllm-0.11", ASKS[3], "--kv-cache-memory-bytes 1073741824"),
        ("vllm-0.6", ASKS[3], "--swap-space 1"),
        ("vllm-0.6", Ask(max_batched=2048), "--enable-chunked-prefill"),
        ("sglang-0.5", ASKS[1], "--kv-cache-dtype fp8_e4m3"),
        ("sglang-0.5", ASKS[4], "--dp-size 2 --enable-dp-attention"),
        ("llama.cpp", Ask(local=Local(outtype="q8_0"), kv_dtype="q8_0"), "-ctk q8_0 -ctv q8_0"),
        ("transformers", Ask(dtype="half"), "dtype='float16'"),
    ],
)
def test_what_was_asked_is_in_the_command(engine: str, ask: Ask, words: str) -> None:
    one = planned(engine, ask)

    assert one is not None
    assert words in command_line(structure_of(MOE).checkpoint, one)
