"""The log lines that are foretold are those that engines print: public logs, numbers apart."""

from __future__ import annotations

import re

import pytest

from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, Local, plan
from tests.plan.measured import structure_of

LLAMA = "pack:meta-llama--Llama-3.1-8B"
GPT_OSS = "pack:openai--gpt-oss-120b"
NUMBER = re.compile(r"\.\.\.|\d[\d.,]*")
# engine, model, a line of a public log (the sources are those of fixtures/plan)
LINES = [
    ("vllm-0.6", LLAMA, "Loading model weights took 14.9888 GB"),
    ("vllm-0.6", LLAMA, "# GPU blocks: 1952, # CPU blocks: 2048"),
    ("vllm-0.6", LLAMA, "Maximum concurrency for 20000 tokens per request: 1.56x"),
    ("vllm-0.11", LLAMA, "Model loading took 65.9651 GiB and 12.799889 seconds"),
    ("vllm-0.11", LLAMA, "Available KV cache memory: 85.79 GiB"),
    ("vllm-0.11", LLAMA, "GPU KV cache size: 702,800 tokens"),
    ("vllm-0.11", LLAMA, "Maximum concurrency for 8,192 tokens per request: 13.02x"),
    ("vllm-0.21", LLAMA, "Model loading took 64.38 GiB memory and 14.380607 seconds"),
    ("vllm-0.21", LLAMA, "GPU KV cache size: 567,978 tokens"),
    ("sglang-0.5", LLAMA, "KV Cache is allocated. #tokens: 20480, K size: 0.12 GB, V size: 0.12 GB"),
    ("sglang-0.5", "pack:deepseek-ai--DeepSeek-V3",
     "KV Cache is allocated. #tokens: 2454421, KV size: 160.63 GB"),
    ("llama.cpp", LLAMA, "print_info: file size   = 17.28 GiB (4.86 BPW)"),
    ("llama.cpp", LLAMA, "load_tensors:        CUDA0 model buffer size = 18508.35 MiB"),
    ("llama.cpp", LLAMA, "load_tensors:   CPU_Mapped model buffer size =   417.66 MiB"),
]  # fmt: skip


def shape(line: str) -> str:
    """A line with its numbers, and the room before them, left out."""
    return re.sub(r" +", " ", NUMBER.sub("0", line))


@pytest.mark.parametrize(("engine", "model", "line"), LINES)
def test_a_line_is_that_of_a_log(engine: str, model: str, line: str) -> None:
    one = plan(structure_of(model), Ask(parse_devices("h200"), engine=engine, max_len=4096))

    assert shape(line) in {shape(told) for told in one.expected}


def test_a_line_is_that_of_a_log_to_the_digit() -> None:
    """ollama/ollama#16480: gpt-oss, two requests of 131,072 tokens."""
    line = (
        "llama_kv_cache: size = 9216.00 MiB (131072 cells,  18 layers,  2/2 seqs), "
        "K (f16): 4608.00 MiB, V (f16): 4608.00 MiB"
    )
    ask = Ask(parse_devices("h200"), engine="llama.cpp", requests=2, local=Local("q8_0"))

    assert line in plan(structure_of(GPT_OSS), ask).expected
