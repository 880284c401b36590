"""A model as if it were stored otherwise: sizes worked by hand, and published file sizes."""

from __future__ import annotations

import pytest

from ckptscan.errors import UsageError
from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, MemoryPlan, Model, Parallel, Term, WhatIf, plan
from ckptscan.plan.whatif import parse_recipe, requantized
from ckptscan.plan.whatif.formats import format_named
from tests.conftest import PACKS
from tests.plan.measured import GIB, structure_of

LLAMA = "pack:meta-llama--Llama-3.1-8B"
GPT_OSS = "pack:openai--gpt-oss-120b"
MODELS = [path.name.removesuffix(".ckptpack") for path in sorted(PACKS.glob("*.ckptpack"))
          if "lora" not in path.name]  # fmt: skip
LINEAR = 6_979_321_856  # 32 layers x (2 x 4096 x 4096 + 2 x 1024 x 4096 + 3 x 14336 x 4096)
EMBEDDING = 128_256 * 4096
NORMS = 65 * 4096
CHANNELS = 32 * (2 * 4096 + 2 * 1024 + 2 * 14336 + 4096)  # outputs of all linear layers


def planned(model: str, tp: int = 1, **what_if: object) -> MemoryPlan:
    supposed = WhatIf(**what_if)  # type: ignore[arg-type]
    return plan(structure_of(model), Ask(parse_devices("h200"), Parallel(tp=tp), what_if=supposed))


def stored(model: str, recipe: str) -> int:
    """Bytes of the file that would be written."""
    made = requantized(Model.of(structure_of(model)), parse_recipe(recipe))
    return sum(
        times * sum(leaf.nbytes for leaf in module.leaves)
        for module, times in made.inventory.everything()
    )


def term(one: MemoryPlan, name: str) -> Term:
    return next(term for term in one.first.terms if term.name == name)


@pytest.mark.parametrize(
    ("name", "nbytes"),
    [
        pytest.param("bf16", 2 * LINEAR, id="bf16"),
        pytest.param("int8", LINEAR + 4 * CHANNELS, id="int8"),
        pytest.param("fp8", LINEAR + 4 * CHANNELS, id="fp8"),
        pytest.param("fp8-block", LINEAR + LINEAR // 4096, id="fp8-block"),
        pytest.param("int4-g128", LINEAR // 2 + LINEAR // 64 + LINEAR // 256, id="int4-g128"),
        pytest.param("int4-g32", LINEAR // 2 + LINEAR // 16 + LINEAR // 64, id="int4-g32"),
        pytest.param("nf4", LINEAR // 2 + LINEAR // 16, id="nf4"),
        pytest.param("nf4-dq", LINEAR // 2 + LINEAR // 64 + LINEAR // 4096, id="nf4-dq"),
        pytest.param("mxfp4", LINEAR // 2 + LINEAR // 32, id="mxfp4"),
        pytest.param("nvfp4", LINEAR // 2 + LINEAR // 16 + 4 * 224, id="nvfp4"),
        pytest.param("q4_k", LINEAR // 256 * 144, id="q4_k"),
    ],
)
def test_linear_layers_are_quantized_and_the_rest_is_kept(name: str, nbytes: int) -> None:
    assert nbytes + 4 * EMBEDDING + 2 * NORMS == stored(LLAMA, name)


def test_a_mix_of_llama_cpp_is_as_large_as_its_file() -> None:
    """type f32: 241 tensors, file size = 17.28 GiB (llama.cpp#14235)."""
    assert 17.28 == round(stored("pack:Qwen--Qwen3-30B-A3B", "q4_k_m") / GIB, 2)


def test_a_mix_gives_some_layers_more_bits() -> None:
    """Of 32 layers 16: the first four, the last four, every third between them."""
    value, down = 4096 * 1024, 4096 * 14336
    better = 16 * (value + down)
    usual = LINEAR - better + EMBEDDING
    expected = usual // 256 * 144 + (better + EMBEDDING) // 256 * 210 + 4 * NORMS

    assert expected == stored(LLAMA, "q4_k_m")


def test_groups_are_given_formats_of_their_own() -> None:
    one = planned(LLAMA, quantize="ffn=fp8-block,head=int8")
    feed_forward = 32 * 3 * 14336 * 4096

    assert feed_forward + feed_forward // 4096 == term(one, "feed-forward").nbytes
    assert EMBEDDING + 4 * 128_256 == term(one, "lm_head").nbytes
    assert "exact" == term(one, "attention").label
    assert "assumed" == term(one, "feed-forward").label
    assert "as fp8-block" in term(one, "feed-forward").formula


def test_what_is_packed_is_packed_anew() -> None:
    again = stored("pack:hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4", "int8")
    anew = stored(LLAMA, "int8")

    assert again == anew


def test_ranks_cut_values_and_scales() -> None:
    one, cut = (planned(LLAMA, tp, quantize="int4-g128") for tp in (1, 4))

    assert term(one, "feed-forward").nbytes == 4 * term(cut, "feed-forward").nbytes
    assert term(one, "attention").nbytes == 4 * term(cut, "attention").nbytes


def test_experts_of_a_stack_stay_stacks() -> None:
    """gpt-oss: 36 layers of 128 experts, 2880 wide, with biases in 16 bits; MXFP4 is padded."""
    weights = 36 * 128 * 3 * 2880 * 2880
    biases = 36 * 128 * 3 * 2880 * 2
    scales = 36 * 128 * 3 * 2880 * 4
    one = planned(GPT_OSS, quantize="experts=int8")
    same = planned(GPT_OSS, quantize="experts=mxfp4")

    assert weights + biases + scales == term(one, "experts").nbytes
    assert planned(GPT_OSS).first.loaded == same.first.loaded


def test_experts_that_stand_apart_are_padded_as_a_stack() -> None:
    """Qwen3-30B at tp 8: 768 / 8 = 96 wide, which Triton rounds to 128; 48 layers, 128 experts."""
    one = planned("pack:Qwen--Qwen3-30B-A3B", 8, quantize="experts=mxfp4")
    wide = {"gate_up": 2 * 128 * 2048, "down": 2048 * 256}  # of down's inputs 128 are kept as 256
    scales = {"gate_up": 2 * 128 * 64, "down": 2048 * 4}
    held = sum(wide[side] // 2 + scales[side] for side in wide)
    plain = 3 * 96 * 2048 // 2 + 3 * 96 * 2048 // 32

    assert 48 * 128 * plain == term(one, "experts").nbytes
    assert 48 * 128 * (held - plain) == term(one, "kernel padding").nbytes


def test_adapters_are_cut_with_their_layers() -> None:
    """Of Llama at rank 16: A and B of each linear layer, 2 bytes each."""
    both = 32 * (2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336))  # inputs and outputs
    halved = 32 * (
        (4096 + 2048) + (2048 + 4096) + 2 * (4096 + 512) + 2 * (4096 + 7168) + (7168 + 4096)
    )

    assert 16 * 2 * both == term(planned(LLAMA, lora_rank=16), "LoRA adapters").nbytes
    assert (
        3 * 16 * 2 * halved
        == term(planned(LLAMA, 2, lora_rank=16, loras=3), "LoRA adapters").nbytes
    )


def test_tables_have_adapters_of_their_own() -> None:
    """A table of 128,256 x 4,096: A is as long as one side, B as the other; never cut."""
    for tp in (1, 4):
        one = planned(LLAMA, tp, lora_rank=16, lora_targets=("embeddings", "head"))
        assert 2 * 16 * 2 * (128_256 + 4096) == term(one, "LoRA adapters").nbytes


def test_experts_have_adapters_where_they_are_asked_for() -> None:
    """Of gpt-oss: 36 layers, 128 experts, 2880 to 2 x 2880 and 2880 to 2880."""
    one = planned(GPT_OSS, lora_rank=8, lora_targets=("experts",))

    assert 36 * 128 * (2880 * 3 + 2880 * 2) * 8 * 2 == term(one, "LoRA adapters").nbytes


def test_adapters_beside_nothing_that_is_known_are_refused() -> None:
    with pytest.raises(UsageError, match="no modules are called 'heads'") as caught:
        planned(LLAMA, lora_rank=8, lora_targets=("heads",))

    assert "linear, experts, embeddings, head" in caught.value.hint


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["int4-g128", "nf4-dq", "nvfp4", "mxfp4", "q4_k_m", "fp8"])
@pytest.mark.parametrize("model", MODELS)
def test_every_byte_that_changes_has_a_name(model: str, recipe: str) -> None:
    one = planned(f"pack:{model}", quantize=recipe)
    changes = sum(term.nbytes for term in one.left_out)
    loaded = sum(rank.part("weights") for rank in one.ranks)

    assert structure_of(f"pack:{model}").nbytes + changes == loaded


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        pytest.param("int5", "no format is called 'int5'", id="format"),
        pytest.param("int4-g0", "no format is called 'int4-g0'", id="no-group"),
        pytest.param("", "no format is called ''", id="nothing"),
        pytest.param("expert=int4", "no group is called 'expert'", id="group"),
        pytest.param("experts=", "no format is called ''", id="group-without-format"),
    ],
)
def test_what_is_no_recipe_is_refused(recipe: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_recipe(recipe)

    assert words in str(caught.value)
    assert caught.value.hint


def test_a_weight_narrower_than_a_block_takes_the_next_format() -> None:
    """llama.cpp: q4_K becomes q5_0 where 256 does not divide the inputs, F16 below 32."""
    assert 7 * 320 // 32 * 22 == format_named("q4_k").nbytes(7, 320)
    assert 7 * 20 * 2 == format_named("q4_k").nbytes(7, 20)
