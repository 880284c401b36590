"""Plans of many families: what one card holds is the checkpoint, and no split loses a byte."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pytest

from ckptscan.errors import UsageError
from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, MemoryPlan, Model, Parallel, plan
from ckptscan.plan.caches import caches_of
from ckptscan.plan.engines.vllm_0_21 import ENGINE
from ckptscan.plan.kvcache import STATE
from ckptscan.structure import Structure
from fixtures.parts import mapping
from fixtures.shapes import build, configs, public
from tests.conftest import unheld
from tests.structure.promised import models

FAMILIES = (
    "bloom deepseek_v32 gemma4 gpt2 granitemoehybrid jamba kimi_linear llama4_text minimax mllama "
    "mpt opt phi3 qwen2_5_vl qwen3_next qwen3_vl_moe t5 zamba2"
).split()


@cache
def structures() -> Mapping[str, Structure]:
    return {one.name: one.structure for one in models() if one.name in FAMILIES}


def planned(name: str, parallel: Parallel) -> MemoryPlan:
    ask = Ask(parse_devices("h200"), parallel, engine="vllm-0.21", max_len=2048)
    return plan(structures()[name], ask)


def held(one: MemoryPlan) -> int:
    return sum(rank.part("weights") * len(rank.alike) for rank in one.ranks)


@pytest.mark.parametrize("name", FAMILIES)
def test_one_card_holds_the_checkpoint(name: str) -> None:
    one = planned(name, Parallel())

    assert structures()[name].nbytes + sum(term.nbytes for term in one.left_out) == held(one)


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [Parallel(2), Parallel(1, 2)], ids=["tp", "pp"])
@pytest.mark.parametrize("name", FAMILIES)
def test_ranks_hold_no_less_than_the_whole(name: str, parallel: Parallel) -> None:
    whole = held(planned(name, Parallel()))
    try:
        split = planned(name, parallel)
    except UsageError as refusal:
        pytest.skip(refusal.message)

    assert whole <= held(split)
    assert all(rank.part("weights") < whole for rank in split.ranks)


def test_ranks_repeat_what_steers_a_state_space() -> None:
    """Mamba-2 with fewer groups than ranks: each rank needs one (extra_groups_for_head_shards)."""
    config = {**configs()["Nemotron-3-Nano-30B-A3B"], "n_groups": 1}
    structure = unheld(build(config), config=public(config))
    ask = Ask(parse_devices("h200"), Parallel(2), engine="vllm-0.21", max_len=2048)
    inner, heads, size = 4096, 64, 128
    mixed = (inner + 2 * 2 * size) // 2
    state = 3 * mixed * 2 + heads // 2 * 64 * size * 4
    model = Model.of(structure)

    caches = caches_of(ENGINE, model, ask, 2)
    assert {state} == {cache.state_bytes for _, cache in caches.layers if cache.kind == STATE}
    one = plan(structure, ask).first
    spaces = next(term for term in one.terms if term.name == "state space")
    rows = (2 * inner + 2 * 2 * size + heads) // 2
    small = (5 * mixed + 3 * heads // 2 + inner // 2) * 2 + heads // 2 * 2
    assert 23 * (rows * 2688 + 2688 * inner // 2) * 2 == pytest.approx(
        spaces.nbytes, abs=23 * small
    )


def test_places_of_a_tower_are_cut_as_words_are() -> None:
    """SigLIP's table is a VocabParallelEmbedding: of 4,096 places a rank of four holds 1,024."""
    config = configs()["gemma-3-27b-it"]
    structure = unheld(build(config), config=public(config))
    ask = Ask(parse_devices("h100"), Parallel(4), engine="vllm-0.11")

    assert 13.1665 == pytest.approx(plan(structure, ask).first.loaded / (1 << 30), rel=0.0005)


def test_what_a_config_leaves_out_is_what_its_class_takes() -> None:
    """The published config of Gemma-3-27B names no context, pattern or base of local layers."""
    config = configs()["gemma-3-27b-it"]
    text = dict(mapping(config["text_config"]))
    for key in ("max_position_embeddings", "sliding_window_pattern", "rope_local_base_freq"):
        del text[key]
    said = unheld(build(config), config=public(config))
    left_out = unheld(build(config), config=public({**config, "text_config": text}))
    ask = Ask(engine="vllm-0.11", devices=parse_devices("h200"))
    one, other = plan(said, ask), plan(left_out, ask)

    assert 131_072 == other.kv.max_len
    assert (one.kv.groups, one.first.loaded) == (other.kv.groups, other.first.loaded)


CHUNKS = {
    "vllm-0.14": ("4 layers, every token, blocks of 16 tokens",),
    "vllm-0.19": (
        "3 x (1 layers, chunks of 8,192, blocks of 16 tokens)",
        "1 layers, every token, blocks of 16 tokens",
    ),
}


@pytest.mark.parametrize("engine", CHUNKS)
def test_layers_that_rotate_attend_within_chunks(engine: str) -> None:
    """Llama-4's first config has no layer_types; vLLM to 0.17 gives chunks no group."""
    config = {**configs()["Qwen3-0.6B"], "num_hidden_layers": 4}
    said = {**public(config), "attention_chunk_size": 8192, "no_rope_layers": []}
    one = plan(unheld(build(config), config=said), Ask(engine=engine))

    assert CHUNKS[engine] == one.kv.groups


@pytest.mark.parametrize("said", [{"position_embedding_type": "nope"}, {"mla_use_nope": True},
                                  {"alibi": True}])  # fmt: skip
def test_a_model_that_does_not_rotate_has_no_table(said: Mapping[str, object]) -> None:
    """Granite-4.0-H and Kimi-Linear say so; their rope_theta and rope dimensions mean nothing."""
    config = {**configs()["Qwen3-0.6B"], "num_hidden_layers": 2}

    turned = plan(unheld(build(config), config=public(config)), Ask(engine="vllm-0.19"))
    still = plan(unheld(build(config), config={**public(config), **said}), Ask(engine="vllm-0.19"))
    assert 40_960 * 128 * 2 == turned.first.part("rope")
    assert 0 == still.first.part("rope")


def test_states_know_the_order_where_no_rope_is_told_of() -> None:
    assert 0 == planned("jamba", Parallel()).first.part("rope")
    assert 0 < planned("zamba2", Parallel()).first.part("rope")


@pytest.mark.parametrize("tp", [1, 2])
def test_short_convolutions_keep_their_last_inputs(tp: int) -> None:
    """LFM2, ten layers of three taps; mamba_utils.py of vLLM: short_conv_state_shape."""
    config = configs()["LFM2.5-1.2B-Instruct"]
    caches = caches_of(ENGINE, Model.of(unheld(build(config), config=public(config))), Ask(), tp)
    states = [cache for _, cache in caches.layers if cache.kind == STATE]

    assert 10 * [2048 * (3 - 1) * 2 // tp] == [one.state_bytes for one in states]
    assert not any(one.token_bytes for one in states)
