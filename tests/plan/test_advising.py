"""What a plan advises holds when it is typed, and only where something is in the way."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from ckptscan.commands import cli
from ckptscan.plan import Ask, plan
from tests.conftest import PACKS
from tests.plan.measured import structure_of

CASES = [
    pytest.param("meta-llama--Llama-3.1-70B", "--max-len 8192", id="weights"),
    pytest.param("meta-llama--Llama-3.1-70B", "--requests 16", id="two-changes"),
    pytest.param("Qwen--Qwen2-7B", "--gpu l4", id="context"),
    pytest.param("Qwen--Qwen2-7B", "--max-len 1000000", id="beyond-the-model"),
    pytest.param("Qwen--Qwen2-7B", "--gpu l4 --requests 40 --max-len 8192", id="requests"),
    pytest.param("openai--gpt-oss-120b", "", id="activations"),
    pytest.param("Qwen--Qwen2-7B", "--gpu l4 --engine sglang", id="sglang"),
    pytest.param("Qwen--Qwen2-7B", "--gpu 12GiB --engine llama.cpp", id="llama.cpp"),
    pytest.param("Qwen--Qwen2-7B", "--gpu 16GiB --engine transformers", id="transformers"),
    pytest.param("deepseek-ai--DeepSeek-V3", "--tp 4 --ep 4 --gpu h200", id="experts"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "options"), CASES)
def test_each_advice_fits_when_it_is_typed(model: str, options: str) -> None:
    source = str(PACKS / f"{model}.ckptpack")
    asked = ["plan", source, *options.split()]
    done = CliRunner().invoke(cli, [*asked, "--format", "json"])
    document = json.loads(done.stdout)

    assert not document["fits"]
    assert document["advice"]
    for words in document["advice"]:
        changed = [*asked, *words.partition(",")[0].split(), "--require-fit"]
        assert 0 == CliRunner().invoke(cli, changed).exit_code, words


def test_what_fits_gets_no_advice() -> None:
    assert () == plan(structure_of("pack:Qwen--Qwen2-7B")).advice


def test_no_advice_is_a_context_that_nobody_wants() -> None:
    """With tp 2 there is room for 800 tokens."""
    ask = Ask(max_len=131_072)
    tight = replace(ask, parallel=ask.parallel._replace(tp=2))
    one = plan(structure_of("pack:meta-llama--Llama-3.1-70B"), tight)

    assert not one.fits
    assert 0 < one.kv.longest < 1024
    assert not any("--max-len" in words for words in one.advice)
