"""Reports of plans, whole; and what a hostile name or option can't do in any of them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ckptscan.commands.plan import FORMATS as OFFERED
from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, MemoryPlan, Parallel, plan
from ckptscan.report.plans import FORMATS, Shown, report
from ckptscan.structure import Structure
from tests.conftest import source_of
from tests.plan.measured import structure_of
from tests.report.html.making import readable

EVERYTHING = Shown(explained=True, expected=True, command=True, width=100)
EVIL = "m\x1b[2J|<script>[x](y)\u202e"


def planned(structure: Structure, **options: object) -> MemoryPlan:
    parallel = Parallel(tp=int(str(options.pop("tp", 1))), pp=int(str(options.pop("pp", 1))))
    devices = parse_devices(str(options.pop("gpu", "h100")))
    return plan(structure, Ask(devices=devices, parallel=parallel, **options))  # type: ignore[arg-type]


def written(model: str, format_name: str, shown: Shown, **options: object) -> str:
    structure = structure_of(f"pack:{model}")
    one = planned(structure, **options)
    text = "\n".join(report(structure.checkpoint, [one], format_name, shown)) + "\n"
    text = text.replace(structure.checkpoint.origin.spec, "SPEC")
    return readable(text) if format_name == "html" else text


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_plan(format_name: str, golden: Callable[[str], None]) -> None:
    golden(written("Qwen--Qwen2-7B", format_name, EVERYTHING, tp=2, max_len=8192, requests=4))


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("meta-llama--Llama-3.1-70B", {"max_len": 8192}),
        ("deepseek-ai--DeepSeek-V3", {"gpu": "h200", "tp": 4, "pp": 2}),
        ("openai--gpt-oss-120b", {"engine": "vllm-0.21", "gpu": "h200"}),
        ("google-bert--bert-base-uncased", {"gpu": "l4"}),
    ],
    ids=["no-fit", "stages", "windows", "encoder"],
)
def test_a_plan_for_people(
    model: str, options: dict[str, object], golden: Callable[[str], None]
) -> None:
    golden(written(model, "text", Shown(width=100), **options))


def test_several_engines_are_a_table() -> None:
    structure = structure_of("pack:Qwen--Qwen2-7B")
    plans = [planned(structure, engine=engine) for engine in ("vllm-0.6", "vllm-0.21")]
    lines = list(report(structure.checkpoint, plans, "text", Shown()))
    document = json.loads("\n".join(report(structure.checkpoint, plans, "json", Shown())))

    assert ["engine", "vllm-0.6", "vllm-0.21"] == [line.split()[0] for line in lines[2:]]
    assert ["vllm-0.6", "vllm-0.21"] == [one["engine"] for one in document["plans"]]


def test_json_says_every_rank_and_terms_that_add_up() -> None:
    text = written("deepseek-ai--DeepSeek-V3", "json", Shown(), gpu="8xh200", tp=4, pp=2)
    document = json.loads(text)

    assert "ckptscan.plan/1" == document["schema"]
    assert list(range(8)) == [rank["rank"] for rank in document["ranks"]]
    for rank in document["ranks"]:
        assert rank["total_bytes"] == sum(term["bytes"] for term in rank["terms"])
    assert {"bytes_per_token", "state_bytes", "label", "tokens", "max_concurrency"} <= {
        *document["kv"]
    }
    assert {"model_loading_gib", "kv_cache_gib", "kv_tokens"} <= {*document["predictions"]}
    assert isinstance(document["fits"], bool)
    assert 70_272 == document["kv"]["bytes_per_token"]


def test_the_command_offers_every_format() -> None:
    assert FORMATS == OFFERED


@pytest.mark.parametrize("format_name", FORMATS)
def test_nothing_active_comes_from_a_checkpoint(format_name: str) -> None:
    from ckptscan.checkpoint import load
    from ckptscan.structure import describe

    tensors = {"model.embed_tokens.weight": ("BF16", [64, 64]), f"model.{EVIL}": ("BF16", [64, 64])}
    for side in ("q", "k", "v", "o"):
        tensors[f"model.layers.0.self_attn.{side}_proj.weight"] = ("BF16", [64, 64])
    config = {"architectures": [EVIL], "model_type": EVIL, "torch_dtype": EVIL, "hidden_size": 64}
    files = {f"{EVIL}.safetensors": tensors, "config.json": json.dumps(config).encode()}
    structure = describe(load(source_of(files, EVIL)))  # type: ignore[arg-type]
    one = planned(structure, gpu="24GiB")
    text = "\n".join(report(structure.checkpoint, [one], format_name, EVERYTHING))

    assert text.replace("\n", "").isprintable()
    if format_name == "markdown":
        assert "<script" not in text
        assert "[x](" not in text
