"""No config makes a plan crash, hang or lie about its type: any value, any mode, any engine."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckptscan.errors import CkptscanError
from ckptscan.hardware import parse_devices
from ckptscan.plan import ENGINES, Ask, LoadAsk, Parallel, Speed, Training, WhatIf, plan
from ckptscan.plan.fit import matrix
from ckptscan.report.plans import FORMATS, Shown, report
from ckptscan.structure import Structure
from fixtures.shapes import build, configs, public
from tests.conftest import WRITABLE, unheld

EVERYTHING = Shown(explained=True, expected=True, command=True, width=80)
KEYS = (
    "num_attention_heads num_key_value_heads head_dim hidden_size intermediate_size vocab_size "
    "max_position_embeddings rope_scaling rope_parameters rope_theta sliding_window layer_types "
    "sliding_window_pattern max_window_layers use_sliding_window attention_chunk_size torch_dtype "
    "quantization_config num_experts num_experts_per_tok kv_lora_rank qk_rope_head_dim "
    "qk_nope_head_dim v_head_dim index_topk index_head_dim num_kv_shared_layers tie_word_embeddings "
    "partial_rotary_factor rotary_dim linear_num_key_heads linear_key_head_dim mamba_d_state "
    "architectures model_type vision_config text_config num_hidden_layers max_source_positions "
    "num_nextn_predict_layers alibi original_max_position_embeddings"
).split()
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.integers(min_value=1 << 31, max_value=10**30),
    st.just(-(10**40)),
    st.floats(allow_nan=True, allow_infinity=True),
)
LEAVES = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.text(WRITABLE, max_size=9),
    st.sampled_from(["yarn", "bfloat16", "fp8", "sliding_attention", "linear_attention", "GPTQ"]),
)  # fmt: skip
WORDS = st.sampled_from(["type", "rope_type", "factor", "quant_method", "bits", "group_size", "a",
                         "original_max_position_embeddings", "full_attention", *KEYS])  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)
CONFIGS = st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=6)
MODES: dict[str, dict[str, object]] = {
    "plain": {},
    "split": {"parallel": Parallel(tp=2, pp=2), "requests": 7},
    "experts": {"parallel": Parallel(tp=2, ep=2), "kv_dtype": "fp8"},
    "small": {"devices": parse_devices("8MiB"), "max_len": 1 << 39, "requests": 3},
    "quantized": {"what_if": WhatIf("int4-g128", lora_rank=8)},
    "search": {"what_if": WhatIf(fits=True), "devices": parse_devices("64MiB")},
    "speed": {"speed": Speed(), "load": LoadAsk(10**9)},
    "trained": {"train": Training(checkpointing="none")},
    "adapted": {"train": Training("qlora", zero=3, offload="optimizer")},
}
MODELS = ("Qwen3-0.6B", "gpt-oss-20b", "Qwen3.6-35B-A3B-NVFP4", "gemma-3-27b-it")
LONGEST = 20  # seconds of a plan in all formats; half a second where nothing else runs


def told(structure: Structure, ask: Ask) -> None:
    """Plan and write it in all formats; only an error of ours with a hint may come instead."""
    started = time.process_time()
    try:
        one = plan(structure, ask)
    except CkptscanError:
        return
    for format_name in FORMATS:
        text = "\n".join(report(structure.checkpoint, [one], format_name, EVERYTHING))
        assert text.replace("\n", "").isprintable()
        if format_name == "json":
            json.loads(text, parse_constant=pytest.fail)  # no NaN, no Infinity
    assert all(type(term.nbytes) is int for rank in one.ranks for term in rank.terms)
    assert time.process_time() - started < LONGEST


def hostile(model: str, said: dict[str, object]) -> Structure:
    config = {**configs()[model], "num_hidden_layers": 3}
    if isinstance(text := config.get("text_config"), dict):
        config["text_config"] = {**text, "num_hidden_layers": 3}
    return unheld(build(config), config={**public(config), **said})


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(said=CONFIGS, engine=st.sampled_from([*ENGINES]), mode=st.sampled_from([*MODES]))
def test_any_config_in_any_mode(engine: str, mode: str, said: dict[str, object]) -> None:
    told(hostile(MODELS[0], said), Ask(engine=engine, **MODES[mode]))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(said=CONFIGS, model=st.sampled_from(MODELS))
def test_any_config_of_many(engine: str, mode: str, said: dict[str, object], model: str) -> None:
    told(hostile(model, said), Ask(engine=engine, **MODES[mode]))  # type: ignore[arg-type]


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(said=CONFIGS)
def test_any_config_has_a_matrix(said: dict[str, object]) -> None:
    try:
        found = matrix(hostile(MODELS[0], said), Ask(devices=parse_devices("l4"), max_len=1 << 20))
    except CkptscanError:
        return

    assert found.rows
