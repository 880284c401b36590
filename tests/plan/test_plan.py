"""What holds of every plan, and what a plan says of input that it can't plan for."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

import ckptscan
from ckptscan.errors import UsageError
from ckptscan.hardware import parse_devices
from ckptscan.plan import ENGINES, Ask, MemoryPlan, Parallel, WhatIf, engine_named, plan
from ckptscan.structure import Structure, describe
from fixtures.shapes import build, configs, public
from tests.conftest import PACKS, checkpoint_of, index_of, unheld
from tests.plan.measured import GIB, structure_of

MODELS = [
    path.name.removesuffix(".ckptpack")
    for path in sorted(PACKS.glob("*.ckptpack"))
    if "lora" not in path.name
]
LLAMA = "pack:meta-llama--Llama-3.1-8B"


def planned(model: str, **options: object) -> MemoryPlan:
    parallel = Parallel(*(int(str(options.pop(key, 1))) for key in ("tp", "pp", "dp", "ep")))
    devices = parse_devices(str(options.pop("gpu", "h100")))
    return plan(structure_of(model), Ask(devices=devices, parallel=parallel, **options))  # type: ignore[arg-type]


def weights(one: MemoryPlan) -> int:
    beside = (term for place in one.beside for term in place.terms if term.part == "weights")
    on_cards = sum(rank.part("weights") * len(rank.alike) for rank in one.ranks)
    return on_cards + sum(term.nbytes for term in beside)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", MODELS)
def test_on_one_card_the_weights_are_the_checkpoint_s(model: str, engine: str) -> None:
    """Every byte that is not simply a stored one is a change with a name."""
    one = planned(f"pack:{model}", engine=engine)
    stored = structure_of(f"pack:{model}").nbytes

    assert stored + sum(term.nbytes for term in one.left_out) == weights(one)


def test_an_order_of_inputs_is_held_once_and_sorted_by() -> None:
    """GPTQ with desc_act: Marlin keeps the order of a fused layer and what sorts by it."""
    said = {"quantization_config": {"quant_method": "gptq", "bits": 4, "desc_act": True}}
    config = configs()["Llama-2-7B-GPTQ"]
    structure = unheld(build(config), config={**public(config), **said})
    one = plan(structure, Ask(engine="vllm-0.11"))
    changes = {term.name: term.nbytes for term in one.left_out}
    order, layers = 4 * 4096, 32

    # of q, k, v and gate, up three stand in for nothing; each kept one is sorted by once more
    assert -3 * 2 * order * layers == changes["orders of inputs that parts share"]
    assert structure.nbytes + sum(changes.values()) == weights(one)


@pytest.mark.parametrize("model", MODELS)
def test_terms_add_up_and_say_how(model: str) -> None:
    one = planned(f"pack:{model}")
    for rank in one.ranks:
        assert sum(term.nbytes for term in rank.terms) == rank.nbytes
        assert rank.fixed + rank.left == rank.capacity
        assert all(term.formula and term.label and term.name for term in rank.terms)


def test_ranks_add_up_to_the_whole_where_nothing_is_replicated() -> None:
    """Of Llama the norms alone stand on every rank."""
    whole, cut = planned(LLAMA), planned(LLAMA, tp=8)
    norms = next(term.nbytes for term in whole.first.terms if term.name == "norms")

    assert weights(whole) + 7 * norms == weights(cut)


def test_stages_hold_each_layer_once() -> None:
    whole, staged = planned(LLAMA), planned(LLAMA, pp=3)

    assert weights(whole) == weights(staged)
    assert [10, 11, 11] == sorted(len(rank.layers) for rank in staged.ranks)


def test_experts_are_whole_where_they_are_shared() -> None:
    cut = planned("pack:deepseek-ai--DeepSeek-V3", gpu="8xh200", tp=8)
    shared = planned("pack:deepseek-ai--DeepSeek-V3", gpu="8xh200", tp=8, ep=8)
    copied = planned("pack:deepseek-ai--DeepSeek-V3", gpu="8xh200", dp=8, ep=8)

    def of(one: MemoryPlan, name: str) -> int:
        return next(term.nbytes for term in one.first.terms if term.name == name)

    assert of(cut, "experts") == of(shared, "experts") == of(copied, "experts")
    assert of(copied, "attention") > 4 * of(shared, "attention")
    assert list(range(8)) == list(copied.first.alike)


def test_experts_that_do_not_divide_lie_on_the_first_ranks() -> None:
    """256 experts over 3 ranks: 86, 85, 85."""
    one = planned("pack:deepseek-ai--DeepSeek-V3", gpu="h200", dp=3, ep=3)

    assert [[0], [1, 2]] == [list(rank.alike) for rank in one.ranks]
    assert one.ranks[0].loaded > one.ranks[1].loaded


def test_key_heads_are_copied_where_ranks_outnumber_them() -> None:
    """Qwen2-7B has 28 heads and 4 KV heads: 7 ranks can't share them, 14 neither, 4 can."""
    one = planned("pack:Qwen--Qwen2-7B", tp=4)
    two = planned(LLAMA, tp=16)

    assert one.kv.bytes_per_token == 4 * one.kv.rank_bytes_per_token
    assert two.kv.bytes_per_token == 8 * two.kv.rank_bytes_per_token  # of 16 ranks
    assert (1, 2, 4) == one.valid_tp[:3]
    assert 7 in {refusal.tp for refusal in one.refusals}


def test_sizes_that_work_are_those_that_copies_leave_of_experts() -> None:
    """Two copies cut experts of 768 by twice tp: 24 rows a rank are no whole groups of 16."""
    ask = Ask(parallel=Parallel(tp=4, dp=2), what_if=WhatIf("nvfp4"))
    one = plan(structure_of("pack:Qwen--Qwen3-30B-A3B"), ask)

    assert (1, 2, 4, 8) == one.valid_tp
    assert 16 in {refusal.tp for refusal in one.refusals}


@pytest.mark.parametrize("engine", ENGINES)
def test_more_context_and_more_sequences_take_no_less(engine: str) -> None:
    lengths = [planned(LLAMA, engine=engine, max_len=n) for n in (1024, 8192, 65536)]
    batches = [planned(LLAMA, engine=engine, max_seqs=n) for n in (16, 256, 1024)]

    assert sorted(one.kv.needed for one in lengths) == [one.kv.needed for one in lengths]
    rising = [one.first.part("activations") for one in batches]
    assert sorted(rising) == rising
    falling = [one.kv.tokens for one in batches]
    assert sorted(falling, reverse=True) == falling


@pytest.mark.parametrize("engine", ENGINES)
def test_what_it_says_there_is_room_for_fits(engine: str) -> None:
    """The longest request and the most requests hold when they are typed; no more of them do."""
    one = planned(LLAMA, engine=engine, gpu="l40s", max_len=1000)
    longest, most = one.kv.longest, int(one.kv.concurrency)

    assert 1000 < longest
    assert planned(LLAMA, engine=engine, gpu="l40s", max_len=longest).fits
    assert not planned(LLAMA, engine=engine, gpu="l40s", max_len=longest + 256).fits
    assert planned(LLAMA, engine=engine, gpu="l40s", max_len=1000, requests=most).fits
    assert not planned(LLAMA, engine=engine, gpu="l40s", max_len=1000, requests=most + 1).fits


@pytest.mark.parametrize("said", [{"kv_bytes": 20 * GIB}, {"blocks": 10_000}])
def test_a_cache_of_a_said_size_has_to_fit_beside_the_rest(said: dict[str, int]) -> None:
    """20 GiB of cache are not to be had on a card of 22 GiB with 15 GiB of weights."""
    one = planned(LLAMA, gpu="l4", max_len=8192, **said)

    assert ["B more than the card has"] == [why.partition(", ")[2][-24:] for why in one.why_not]
    assert planned(LLAMA, gpu="l40s", max_len=8192, **said).fits


def test_the_cache_is_in_the_dtype_that_the_model_is_loaded_in() -> None:
    """Of GPT-2 the config names none: vLLM loads it in 16 bits, transformers in the 32 stored."""
    gpt2 = "pack:openai-community--gpt2"

    assert "float16" == planned(LLAMA, dtype="float16").kv.dtype
    assert 36_864 == planned(gpt2).kv.bytes_per_token
    assert 73_728 == planned(gpt2, engine="transformers").kv.bytes_per_token


def test_a_cache_of_fewer_bits_holds_more() -> None:
    sixteen, eight, four = (
        planned(LLAMA, kv_dtype=dtype, engine="vllm-0.21").kv for dtype in ("auto", "fp8", "nvfp4")
    )

    assert sixteen.bytes_per_token == 2 * eight.bytes_per_token
    assert 2 * 32 * 8 * (64 + 8) == four.bytes_per_token
    assert eight.blocks >= 2 * sixteen.blocks


def test_a_window_keeps_less_and_costs_all_without_its_manager() -> None:
    grouped = planned("pack:openai--gpt-oss-120b", kv_bytes=4 * GIB)
    plain = planned("pack:openai--gpt-oss-120b", kv_bytes=4 * GIB, hybrid_manager=False)

    assert 2 == len(grouped.kv.groups)
    assert 1 == len(plain.kv.groups)
    assert grouped.kv.concurrency > 1.7 * plain.kv.concurrency


def test_what_does_not_fit_says_what_would() -> None:
    one = planned("pack:meta-llama--Llama-3.1-70B", max_len=8192)

    assert not one.fits
    assert 0 == one.kv.tokens == one.kv.blocks
    assert "before any cache" in one.why_not[0]
    assert ("--quantize int4-g128, or the mix that --fit-quantize finds", "--tp 4") == one.advice
    assert planned("pack:meta-llama--Llama-3.1-70B", max_len=8192, tp=4).fits


def test_too_many_requests_are_told_with_the_length_that_fits() -> None:
    one = planned(LLAMA, max_len=65536, requests=16)

    assert "16 requests of 65,536 tokens: room for 6.42" == one.why_not[0]
    assert one.kv.longest_each is not None
    assert planned(LLAMA, max_len=one.kv.longest_each, requests=16).fits
    assert not planned(LLAMA, max_len=one.kv.longest_each + 16, requests=16).fits


def test_a_context_beyond_the_model_s_is_told() -> None:
    one = planned(LLAMA, max_len=200_000)

    assert not one.fits
    assert "beyond the model's 131,072" in one.why_not[0]
    assert ("--max-len 131072",) == one.advice


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"tp": 3}, "tp 3 does not work: 32 heads", "these do: 1, 2, 4, 8, 16, 32"),
        ({"pp": 33}, "33 stages for 32 layers", "from 1 to 32"),
        ({"dp": 60_000, "tp": 8}, "480,000 cards are more", "split less"),
        ({"ep": 2}, "--ep 2 does not work", "no experts"),
        ({"tp": 4, "gpu": "2xh100"}, "take 4 cards, 2 are there", "more cards"),
        ({"engine": "vlm"}, "no engine is called 'vlm'", "nearest: vllm;"),
        ({"engine": "tgi"}, "no engine is called 'tgi'", "planned are vllm, sglang, llama.cpp"),
        ({"engine": "\x1b[31m" * 50}, "no engine is called", "as in vllm-0.11"),
        ({"kv_dtype": "fp9"}, "no KV cache dtype is called 'fp9'", "nearest: fp8"),
    ],
    ids=["tp", "pp", "many", "ep", "cards", "engine", "no-engine", "odd-engine", "kv-dtype"],
)
def test_what_can_not_be_is_refused(options: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        planned(LLAMA, **options)

    assert message in caught.value.message
    assert hint in caught.value.hint


def test_an_adapter_is_no_model() -> None:
    with pytest.raises(UsageError, match="adapter") as caught:
        planned("pack:example--Llama-3.1-8B-lora-r16")

    assert "plan for meta-llama/Llama-3.1-8B with --lora 16" == caught.value.hint


def test_what_is_missing_is_told_and_never_fits() -> None:
    shard = {"model.embed_tokens.weight": ("BF16", [64, 64])}
    names = {"model.embed_tokens.weight": "a-00001-of-00002.safetensors",
             "lm_head.weight": "a-00002-of-00002.safetensors"}  # fmt: skip
    files = {"a-00001-of-00002.safetensors": shard, "model.safetensors.index.json": index_of(names)}
    one = plan(describe(checkpoint_of(files)))  # type: ignore[arg-type]

    assert not one.fits
    assert "incomplete (missing files: 1)" in one.why_not[0]


def test_nothing_is_no_model() -> None:
    with pytest.raises(UsageError, match="no tensor"):
        plan(unheld({}))


def test_groups_and_kernels_refuse_sizes_that_heads_allow() -> None:
    """vllm#13640: 14784 is not divisible by min_thread_k = 128."""
    refused = dict(planned("Qwen2.5-VL-72B-Instruct-AWQ").refusals)
    blocks = dict(planned("Qwen3-235B-A22B-FP8", gpu="h200", tp=1).refusals)

    assert "14,784 inputs of down_proj on a rank are not divisible by" in refused[2]
    assert "192 outputs of gate_proj" in blocks[8]
    assert "group 128" in blocks[8]


def test_experts_kept_whole_allow_what_blocks_refuse() -> None:
    """Qwen3-235B in FP8: 1,536 / 8 = 192 is no multiple of 128, whole experts are."""
    model = "Qwen3-235B-A22B-FP8"
    with pytest.raises(UsageError) as caught:
        planned(model, gpu="8xh200", tp=8)

    assert "or --ep 8, which keeps experts whole" in caught.value.hint
    assert 8 in planned(model, gpu="8xh200", tp=8, ep=8).valid_tp


def test_redundant_experts_stand_once_more() -> None:
    """256 + 32 experts over 8 ranks are 36 each."""
    plain = planned("pack:deepseek-ai--DeepSeek-V3", gpu="8xh200", tp=8, ep=8)
    more = planned("pack:deepseek-ai--DeepSeek-V3", gpu="8xh200", tp=8, ep=8, redundant_experts=32)
    sizes = [
        next(term.nbytes for term in one.first.terms if term.name == "experts")
        for one in (plain, more)
    ]

    assert sizes[0] * 36 == sizes[1] * 32


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("pack:openai--gpt-oss-120b", {"engine": "vllm-0.6", "gpu": "h200"}, "no kernel for mxfp4"),
        ("pack:deepseek-ai--DeepSeek-V3", {"gpu": "16xv100", "tp": 16}, "fp8-block needs compute"),
    ],
    ids=["engine", "card"],
)
def test_a_format_that_can_not_be_run_is_told(
    model: str, options: dict[str, object], said: str
) -> None:
    one = planned(model, **options)

    assert not one.fits
    assert said in " ".join(one.why_not)


def test_a_card_without_bf16_is_told_with_the_way_out() -> None:
    assert "--dtype half" in planned(LLAMA, gpu="t4", max_len=512).assumptions[0]
    assert not any("half" in note for note in planned(LLAMA, gpu="t4", dtype="half").assumptions)


def test_without_config_shapes_answer_and_the_rest_is_labelled() -> None:
    tensors = build(configs()["Qwen3-0.6B"])
    one = plan(unheld(tensors))

    assert 2 * 28 * 8 * 128 * 2 == one.kv.bytes_per_token
    assert "no config.json" in one.assumptions[0]
    assert "--max-len" in one.assumptions[0]


def test_without_config_and_heads_rows_answer() -> None:
    one = plan(unheld(build(configs()["Meta-Llama-3-8B"])), Ask(parallel=Parallel(tp=2)))

    assert 131_072 == one.kv.bytes_per_token
    assert any("taken to divide evenly" in note for note in one.assumptions)


@pytest.mark.parametrize(
    ("tensors", "nbytes"),
    [
        ({"qkv.weight": [192, 64], "o.weight": [64, 64]}, 256),
        ({"qkv.weight": [192, 64], "o.bias": [64]}, 256),
        ({"q_proj.weight": [64, 64], "k_proj.weight": [16, 64], "v_proj.weight": [16, 64]}, 64),
    ],
    ids=["fused", "fused-without-output", "apart"],
)
def test_rows_of_keys_and_values_without_config(tensors: dict[str, list[int]], nbytes: int) -> None:
    layer = {f"model.layers.0.self_attn.{name}": ("BF16", dims) for name, dims in tensors.items()}
    one = plan(unheld({"model.embed_tokens.weight": ("BF16", [99, 64]), **layer}))

    assert nbytes == one.kv.bytes_per_token


def test_recurrent_layers_without_known_states_give_a_plan() -> None:
    mixer = {"time_decay": [64], "key.weight": [64, 64], "receptance.weight": [64, 64]}
    layer = {f"rwkv.blocks.0.attention.{name}": ("F32", dims) for name, dims in mixer.items()}
    one = plan(unheld({"rwkv.embeddings.weight": ("F32", [99, 64]), **layer}))

    assert () == one.kv.groups


def test_the_public_name_works_before_and_after_the_room_is_known() -> None:
    code = (
        "import ckptscan; from ckptscan import plan as one; import ckptscan.plan.values;"
        "two = ckptscan.plan; from ckptscan.plan import plan as three;"
        "print(callable(one), callable(two), callable(three))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ["True"] * 3 == done.stdout.split()
    assert planned(LLAMA).kv == ckptscan.plan(structure_of(LLAMA)).kv


def test_an_encoder_keeps_no_cache() -> None:
    one = planned("pack:google-bert--bert-base-uncased")

    assert one.fits
    assert () == one.kv.groups


def test_cross_attention_keeps_the_encoder_s_tokens() -> None:
    kv = planned("pack:openai--whisper-large-v3").kv

    assert 32 * 2 * 1280 * 2 == kv.bytes_per_token
    assert 1500 * 32 * 2 * 1280 * 2 == kv.state_bytes


def test_states_are_counted_apart() -> None:
    kv = planned("pack:Qwen--Qwen3-Next-80B-A3B-Instruct", gpu="h200", tp=2).kv

    assert 24_576 == kv.bytes_per_token
    assert 36 * (32 * 128 * 128 * 2 + 8192 * 3 * 2) == kv.state_bytes


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("vllm", "vllm-0.21"),
        ("vllm-0.10.2", "vllm-0.11"),
        ("vLLM 0.6.3", "vllm-0.6"),
        ("vllm==0.24.0", "vllm-0.21"),
        ("vllm-v0.11", "vllm-0.11"),
        ("vllm-0.11.2", "vllm-0.14"),
        ("vllm-0.1", "vllm-0.6"),
        ("vllm-0.7.3", "vllm-0.7"),  # V1 became the default with 0.8
        ("vllm-0.8.0", "vllm-0.11"),
        ("sglang-0.5.9", "sglang-0.5"),
        ("sglang", "sglang-0.5"),
        ("ollama", "llama.cpp"),
    ],
)
def test_versions_go_to_the_profile_that_speaks_for_them(asked: str, name: str) -> None:
    assert name == engine_named(asked).name


def test_measured_figures_replace_ours() -> None:
    one = planned(LLAMA, engine="vllm-0.21", weight_bytes=15 * GIB, activation_bytes=2 * GIB,
                  non_torch_bytes=GIB, graph_bytes=GIB)  # fmt: skip

    assert 19 * GIB == one.first.fixed
    assert {"assumed"} == {term.label for term in one.first.terms if term.part != "kv"}


def test_deepseek_v3_at_tp_8_is_planned_in_a_moment() -> None:
    structure = structure_of("pack:deepseek-ai--DeepSeek-V3")
    ask = Ask(devices=parse_devices("8xh200"), parallel=Parallel(tp=8))
    plan(structure, ask)
    start = time.process_time()
    plan(structure, ask)

    assert time.process_time() - start < 1.5  # 0.05 s where nothing else runs


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("engine", ["vllm-0.11", "sglang-0.5", "llama.cpp", "transformers"])
def test_layers_that_are_all_different_take_no_more_than_their_number(engine: str) -> None:
    tensors: dict[str, tuple[str, list[int]]] = {"model.embed_tokens.weight": ("BF16", [99, 64])}
    for index in range(1000):
        at = f"model.layers.{index}."
        tensors |= {f"{at}self_attn.{side}_proj.weight": ("BF16", [64, 64]) for side in "qkvo"}
        tensors[f"{at}mlp.up_proj.weight"] = ("BF16", [64 + index, 64])
    config = {"num_attention_heads": 4, "sliding_window": 8, "layer_types": ["x"] * 1000}
    structure = unheld(tensors, config=config)
    start = time.process_time()
    one = plan(structure, Ask(engine=engine, parallel=Parallel(pp=2)))

    assert 2 == len(one.ranks)
    assert time.process_time() - start < 8  # 0.4 s; each layer searched among all took 15


HOSTILE = [
    {"rope_scaling": {"rope_type": "yarn", "factor": float("nan")}},
    {"rope_scaling": {"type": "linear", "factor": -3}, "max_position_embeddings": 1 << 62},
    {"layer_types": ["sliding_attention"] * 3, "sliding_window": "x"},
    {"num_attention_heads": 10**12, "num_key_value_heads": 7},
    {"torch_dtype": ["bfloat16"], "quantization_config": {"quant_method": 3}},
    {"rope_parameters": {"full_attention": 5, "sliding_attention": {}}},
    {"partial_rotary_factor": float("inf"), "rotary_dim": True},
    {"index_topk": 1, "index_head_dim": -1, "num_kv_shared_layers": 10**9},
    {"sliding_window": 1, "sliding_window_pattern": 1 << 40},
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
def test_any_config_gives_a_plan(said: dict[str, object], engine: str) -> None:
    config = {**configs()["Qwen3-0.6B"], "num_hidden_layers": 3}
    structure: Structure = unheld(build(config), config={**public(config), **said})

    assert plan(structure, Ask(engine=engine)).ranks


def test_states_of_a_state_space_are_kept_at_each_block_where_prefixes_are_cached() -> None:
    """vLLM's mamba_cache_mode "all": a state a block, and blocks of whole chunks."""
    model, ways = "Nemotron-3-Nano-30B-A3B", (False, True)
    one, other = (
        planned(
            model, engine="vllm-0.21", gpu="h100", blocks=1000, max_len=65536, prefix_caching=way
        )
        for way in ways
    )
    page = 2 * 2 * 128 * 2
    state = 64 * 64 * 128 * 4 + 3 * 6144 * 2

    assert 16 * -(-state // (16 * page)) == one.kv.block_size
    assert 128 * -(-state // (128 * page)) == other.kv.block_size
    assert (32 + 4) == round(1000 / one.kv.concurrency)
    assert 5 * -(-65536 // other.kv.block_size) == round(1000 / other.kv.concurrency)
