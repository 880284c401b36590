"""Recall of damage to tensors and configs alone; hostile headers and odd configs raise nothing."""

from __future__ import annotations

import copy
import importlib
import random
from collections import Counter
from pathlib import Path

import pytest

import ckptscan.checks
from ckptscan.checkpoint import load
from ckptscan.checks import Check, Finding, Subject
from ckptscan.structure import Structure, describe
from tests.checks.damages import DAMAGES, held
from tests.checks.looking import ADAPTER, CONFIG, gptq, llama, lora, mixture
from tests.conftest import ATTACKS, source_of, unheld

HERE = Path(ckptscan.checks.__file__).parent
OURS = ("structure_", "config_", "dtype_", "quant_", "adapter_")
CHECKS: list[Check] = [
    check
    for path in sorted(HERE.glob("*.py"))
    if path.name.startswith(OURS)
    for check in importlib.import_module(f"ckptscan.checks.{path.stem}").CHECKS
]
SMALL = """
    Qwen--Qwen2-7B Qwen--Qwen1.5-MoE-A2.7B google--gemma-2-9b tiiuae--falcon-7b
    hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4 openai--whisper-large-v3
    RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8 google-t5--t5-base openai--gpt-oss-120b
    hugging-quants--Meta-Llama-3.1-8B-Instruct-AWQ-INT4 Qwen--Qwen2-VL-7B-Instruct
    unsloth--Meta-Llama-3.1-8B-bnb-4bit mistralai--Mixtral-8x7B-v0.1 Qwen--Qwen3-8B
    microsoft--Phi-3-mini-4k-instruct deepseek-ai--DeepSeek-V2-Lite
""".split()
LARGE = """
    deepseek-ai--DeepSeek-V3 moonshotai--Kimi-K2-Instruct Qwen--Qwen3-Next-80B-A3B-Instruct
    Qwen--Qwen3-30B-A3B-Instruct-2507-FP8
""".split()


def audit(structure: Structure) -> list[Finding]:
    subject = Subject(structure.checkpoint, structure)
    return [finding for check in CHECKS for finding in check.look(subject)]


def recall(models: list[str], times: int) -> tuple[int, int, str]:
    """How many damages are found, of how many; and a table by damage."""
    found: Counter[str] = Counter()
    done: Counter[str] = Counter()
    missed = []
    for model in models:
        tensors, documents = held(model)
        for name, damage in DAMAGES.items():
            for turn in range(times):
                changed, config = dict(tensors), copy.deepcopy(documents)
                wanted = damage(changed, config, random.Random(f"{model} {name} {turn}"))
                if wanted:
                    done[name] += 1
                    told = {one.code for one in audit(unheld(changed, **config))}
                    found[name] += bool(wanted & told)
                    missed += [] if wanted & told else [f"  missed: {name} of {model} ({turn})"]
    lines = [f"{name:36} {found[name]:4} of {done[name]:4}" for name in done]
    return sum(found.values()), sum(done.values()), "\n".join([*lines, *missed])


def test_damage_is_found_in_some_of_the_small_packs(capsys: pytest.CaptureFixture[str]) -> None:
    found, done, table = recall(SMALL[::4], 1)

    with capsys.disabled():
        print(f"\nrecall {found} of {done}")
    assert len(DAMAGES) >= 15
    assert found >= 0.97 * done, table


@pytest.mark.slow
def test_damage_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    found, done, table = recall(SMALL, 5)

    with capsys.disabled():
        print(f"\nrecall {found} of {done}\n{table}")
    assert found >= 0.97 * done, table


@pytest.mark.slow
@pytest.mark.long
def test_damage_is_found_in_large_mixtures(capsys: pytest.CaptureFixture[str]) -> None:
    found, done, table = recall(LARGE, 1)

    with capsys.disabled():
        print(f"\nrecall {found} of {done}\n{table}")
    assert found >= 0.97 * done, table


@pytest.mark.parametrize("path", sorted(ATTACKS.glob("*")), ids=lambda path: path.name)
def test_hostile_headers_raise_nothing(path: Path) -> None:
    structure = describe(load(source_of({"model.safetensors": path.read_bytes()})))

    assert all(one.code for one in audit(structure))


@pytest.mark.parametrize("odd", [None, True, -1, 2**70, 1e400, "x", "", [], [[]], {}, {"a": []}])
def test_odd_configs_raise_nothing(odd: object) -> None:
    said = {"quant_method": "gptq", "bits": 4, "group_size": 32, "ignore": ["lm_head"]}
    for key in (*said, "weight_block_size", "config_groups", "format", "modules_to_not_convert"):
        config = CONFIG | {"quantization_config": said | {key: odd}}

        assert all(one.code for one in audit(unheld(gptq(llama()), config=config))), key
    others = ("text_config", "num_experts", "num_experts_per_tok", "torch_dtype", "head_dim")
    for key in (*CONFIG, *others, "num_nextn_predict_layers", "quantization_config"):
        assert all(one.code for one in audit(unheld(mixture(), config=CONFIG | {key: odd}))), key
    for key in (*ADAPTER, "rank_pattern", "use_rslora", "layers_to_transform"):
        found = audit(unheld(lora(), adapter_config=ADAPTER | {key: odd}))

        assert all(one.code for one in found), key


def test_each_check_is_documented_and_named_for_its_fault() -> None:
    codes = [check.code for check in CHECKS]

    assert len(set(codes)) == len(codes)
    for check in CHECKS:
        assert check.name == check.name.lower().replace(" ", "-")
        for heading in ckptscan.checks.values.HEADINGS:
            assert heading in check.documentation, (check.code, heading)
