"""`ckptscan plan` and `ckptscan gpus`: arguments in, exit code out."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from ckptscan.commands import cli
from tests.conftest import ATTACKS, PACKS

QWEN = str(PACKS / "Qwen--Qwen2-7B.ckptpack")
LLAMA_70B = str(PACKS / "meta-llama--Llama-3.1-70B.ckptpack")
ADAPTER = str(PACKS / "example--Llama-3.1-8B-lora-r16.ckptpack")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param([QWEN], 0, id="fits"),
        pytest.param([QWEN, "--require-fit"], 0, id="fits-as-required"),
        pytest.param([LLAMA_70B], 0, id="no-fit-is-a-plan"),
        pytest.param([LLAMA_70B, "--require-fit"], 1, id="no-fit-where-required"),
        pytest.param([LLAMA_70B, "--require-fit", "--tp", "4"], 0, id="fits-on-four"),
        pytest.param([QWEN, "--tp", "3"], 2, id="no-such-split"),
        pytest.param([QWEN, "--gpu", "h10"], 2, id="no-such-card"),
        pytest.param([QWEN, "--engine", "vlm"], 2, id="no-such-engine"),
        pytest.param([QWEN, "--max-len", "0"], 2, id="no-such-length"),
        pytest.param([QWEN, "--gpu-memory-utilization", "nan"], 2, id="no-such-share"),
        pytest.param([QWEN, "--activation-memory", "much"], 2, id="no-such-size"),
        pytest.param([ADAPTER], 2, id="adapter"),
        pytest.param(
            [LLAMA_70B, "--quantize", "int4-g128", "--require-fit", "--max-len", "8192"],
            0,
            id="fits-in-4-bits",
        ),
        pytest.param(
            [LLAMA_70B, "--fit-quantize", "--require-fit", "--max-len", "8192"], 0, id="made-to-fit"
        ),
        pytest.param([QWEN, "--quantize", "int5"], 2, id="no-such-format"),
        pytest.param([QWEN, "--quantize", "int8", "--fit-quantize"], 2, id="format-and-search"),
        pytest.param([QWEN, "--fit-formats", "int8,int9"], 2, id="no-such-formats"),
        pytest.param([QWEN, "--load-rate", "0GB/s"], 2, id="no-such-rate"),
        pytest.param([QWEN, "--bandwidth", "fast"], 2, id="no-such-bandwidth"),
        pytest.param([QWEN, "--tflops", "nan"], 2, id="no-such-flops"),
        pytest.param([QWEN, "--train", "full", "--require-fit"], 1, id="training-does-not-fit"),
        pytest.param([QWEN, "--train", "qlora", "--require-fit"], 0, id="adapters-fit"),
        pytest.param([QWEN, "--train", "full", "--offload", "all"], 2, id="offload-without-zero"),
        pytest.param([str(ATTACKS / "gap.safetensors")], 0, id="faulty-file"),
        pytest.param(["nowhere"], 3, id="nothing-there"),
        pytest.param([], 2, id="no-source"),
    ],
)
def test_the_exit_code(arguments: list[str], code: int) -> None:
    assert code == run("plan", *arguments).exit_code


def test_options_reach_the_plan() -> None:
    done = run(
        "plan", QWEN, "--gpu", "4xl40s", "--tp", "2", "--pp", "2", "--max-len", "4096",
        "--gpu-memory-utilization", "0.8", "--kv-cache-dtype", "fp8", "--max-num-seqs", "64",
        "--max-num-batched-tokens", "4096", "--requests", "3", "--block-size", "32",
        "--engine", "vllm-0.21", "--activation-memory", "1GiB", "--non-torch-memory", "500MiB",
        "--graph-memory", "1000", "--format", "json", "--disable-hybrid-kv-cache-manager",
    )  # fmt: skip
    document = json.loads(done.stdout)

    assert {"tp": 2, "pp": 2, "dp": 1, "ep": 1} == document["parallel"]
    assert {"max_len": 4096, "gpu_memory_utilization": 0.8, "kv_cache_dtype": "fp8"}.items() <= (
        document["options"].items()
    )
    terms = {term["name"]: term for term in document["ranks"][0]["terms"]}
    assert 1 << 30 == terms["activation peak"]["bytes"]
    assert 1000 == terms["CUDA graphs"]["bytes"]
    assert 32 == document["kv"]["block_size"]


def test_options_beside_memory_reach_the_plan() -> None:
    done = run(
        "plan", QWEN, "--lora", "8", "--max-loras", "2", "--roofline", "--bandwidth", "1TB/s",
        "--tflops", "100", "--load", "--load-rate", "2GB/s", "--quantize", "ffn=nf4",
        "--fit-formats", "", "--format", "json",
    )  # fmt: skip
    document = json.loads(done.stdout)
    terms = {term["name"]: term for term in document["ranks"][0]["terms"]}

    assert terms["LoRA adapters"]["formula"].startswith("2 x rank 8")
    assert "as nf4" in terms["feed-forward"]["formula"]
    assert {"roofline", "load"} <= {*document}
    assert all(row["value"] for row in document["roofline"]["rows"])


def test_training_is_a_plan_of_its_own() -> None:
    done = run(
        "plan", QWEN, "--train", "full", "--zero", "3", "--dp", "8", "--offload", "optimizer",
        "--seq-len", "1024", "--micro-batch", "2", "--optimizer", "adam8bit", "--nodes", "2",
        "--checkpointing", "full", "--sequence-parallel", "--format", "json",
    )  # fmt: skip
    document = json.loads(done.stdout)

    assert "training" == document["engine"]
    assert list(range(8)) == [rank["rank"] for rank in document["ranks"]]
    assert "" == document["command"]
    host = document["training"]["rows"][-1]
    assert "2 nodes" in host["formula"]


def test_blocks_and_cache_can_be_given() -> None:
    blocks = run("plan", QWEN, "--num-gpu-blocks-override", "100", "--format", "json")
    cache = run("plan", QWEN, "--kv-cache-memory-bytes", "1GiB", "--format", "json")

    assert 1600 == json.loads(blocks.stdout)["predictions"]["kv_tokens"]
    assert (1 << 30) // (28 * 2 * 4 * 128 * 2 * 16) == json.loads(cache.stdout)["kv"]["blocks"]


def test_the_log_and_the_command_are_written() -> None:
    done = run("plan", QWEN, "--expect", "--command")

    assert "Model loading took 14.27" in done.stdout
    assert "vllm serve" in done.stdout
    assert "--max-model-len 131072" in done.stdout


@pytest.mark.parametrize("format_name", ["text", "json", "markdown"])
def test_cards_are_listed(format_name: str) -> None:
    done = run("gpus", "--format", format_name)

    assert 0 == done.exit_code
    assert "NVIDIA H100 80GB" in done.stdout
    if format_name == "json":
        cards = json.loads(done.stdout)["cards"]
        assert 85_520_809_984 == next(c for c in cards if "h100" in c["aliases"])["driver_bytes"]
