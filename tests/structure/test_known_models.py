"""What is known of real models, as integers: counts, active parameters, attention, quantization."""

from __future__ import annotations

from functools import cache

import pytest

from ckptscan.checkpoint import load
from ckptscan.report.formulas import whole
from ckptscan.structure import Structure, describe
from ckptscan.structure.declared import known_sums
from ckptscan.structure.formula import formula
from ckptscan.structure.towers import towers
from tests.conftest import PACKS, pack, packed

MODELS = sorted(path.stem for path in PACKS.glob("*.ckptpack"))


@cache
def known(model: str) -> Structure:
    if "v0.3" in model:
        return describe(load(pack(model), all_sets=True))
    return packed(model)


# published counts, whatever they count: model cards, papers, the Hub
PUBLISHED = {
    "NousResearch--Llama-2-7b-hf": 6_738_417_664,
    "Qwen--Qwen1.5-7B": 7_721_324_544,
    "Qwen--Qwen1.5-MoE-A2.7B": 14_315_784_192,
    "Qwen--Qwen2-57B-A14B-Instruct": 57_408_658_944,
    "Qwen--Qwen2-7B": 7_615_616_512,
    "Qwen--Qwen2-VL-7B-Instruct": 8_291_375_616,
    "Qwen--Qwen2.5-VL-7B-Instruct": 8_292_166_656,
    "Qwen--Qwen3-30B-A3B": 30_532_122_624,
    "Qwen--Qwen3-30B-A3B-Instruct-2507-FP8": 30_533_947_392,
    "Qwen--Qwen3-8B": 8_190_735_360,
    "Qwen--Qwen3-Next-80B-A3B-Instruct": 81_324_862_720,
    "RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8": 8_030_261_248,
    "RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8-dynamic": 8_030_261_248,
    "deepseek-ai--DeepSeek-V2-Lite": 15_706_484_224,
    "deepseek-ai--DeepSeek-V3": 684_531_386_000,
    "example--Llama-3.1-8B-lora-r16": 41_943_040,
    "google--gemma-2-9b": 9_241_705_984,
    "google--vit-base-patch16-224": 86_567_656,
    "google-bert--bert-base-uncased": 110_106_428,
    "google-t5--t5-base": 222_903_936,
    "hugging-quants--Meta-Llama-3.1-8B-Instruct-AWQ-INT4": 8_030_261_248,
    "hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4": 8_030_261_248,
    "meta-llama--Llama-2-7b-original": 6_738_415_616,
    "meta-llama--Llama-3.1-405B": 405_853_388_800,
    "meta-llama--Llama-3.1-70B": 70_553_706_496,
    "meta-llama--Llama-3.1-70B-original-mp8": 70_553_706_496,
    "meta-llama--Llama-3.1-8B": 8_030_261_248,
    "meta-llama--Llama-3.1-8B-original": 8_030_261_248,
    "meta-llama--Llama-3.2-1B": 1_235_814_400,
    "microsoft--MAI-DS-R1": 671_026_419_200,
    "microsoft--Phi-3-mini-4k-instruct": 3_821_079_552,
    "mistralai--Mixtral-8x7B-v0.1": 46_702_792_704,
    "moonshotai--Kimi-K2-Instruct": 1_026_408_232_448,
    "openai--gpt-oss-120b": 116_829_156_672,
    "openai--whisper-large-v3": 1_543_490_560,
    "openai-community--gpt2": 137_022_720,
    "tiiuae--falcon-7b": 7_217_189_760,
    "unsloth--Meta-Llama-3.1-8B-bnb-4bit": 8_030_261_248,
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_one_of_the_printed_figures_equals_the_published_count(model: str) -> None:
    assert PUBLISHED[model] in dict(known_sums(known(model).parameters)).values()


# logical, stored, buffers, quantization, routing bias, MTP
COUNTS = {
    "meta-llama--Llama-3.1-8B": (8_030_261_248, 8_030_261_248, 0, 0, 0, 0),
    "Qwen--Qwen2-7B": (7_615_616_512, 7_615_616_512, 0, 0, 0, 0),
    "Qwen--Qwen2-VL-7B-Instruct": (8_291_375_616, 8_291_375_616, 0, 0, 0, 0),
    "Qwen--Qwen2-57B-A14B-Instruct": (57_408_658_944, 57_408_658_944, 0, 0, 0, 0),
    "meta-llama--Llama-2-7b-original": (6_738_415_616, 6_738_415_680, 64, 0, 0, 0),
    "NousResearch--Llama-2-7b-hf": (6_738_415_616, 6_738_417_664, 2_048, 0, 0, 0),
    "openai-community--gpt2": (124_439_808, 137_022_720, 12_582_912, 0, 0, 0),
    "deepseek-ai--DeepSeek-V3": (
        684_489_845_504,
        684_531_386_000,
        0,
        41_540_496,
        15_104,
        13_463_426_304,
    ),
    "moonshotai--Kimi-K2-Instruct": (
        1_026_408_232_448,
        1_026_470_731_056,
        3_416,
        62_495_192,
        23_040,
        0,
    ),
    "Qwen--Qwen3-Next-80B-A3B-Instruct": (
        81_324_862_720,
        81_324_862_720,
        0,
        0,
        0,
        1_650_471_424,
    ),
    "meta-llama--Llama-3.1-70B-original-mp8": (70_553_706_496, 70_562_938_880, 0, 0, 0, 0),
    "openai--gpt-oss-120b": (116_829_156_672, 63_081_444_672, 0, 3_583_180_800, 0, 0),
    "unsloth--Meta-Llama-3.1-8B-bnb-4bit": (8_030_261_248, 4_650_177_760, 0, 109_577_440, 0, 0),
}


@pytest.mark.parametrize("model", COUNTS)
def test_parameters_are_counted_apart(model: str) -> None:
    one = known(model).parameters

    assert COUNTS[model] == (
        one.logical,
        one.stored_elements,
        one.buffers,
        one.quantization,
        one.routing_bias,
        one.mtp,
    )


@pytest.mark.parametrize("model", MODELS)
def test_what_is_stored_is_counted_once_under_one_heading(model: str) -> None:
    """Unpacked, unjoined and untied, the stored elements are the sum of three counts."""
    structure = known(model)
    one = structure.parameters
    if structure.quantization is not None or structure.checkpoint.parts:
        pytest.skip("packed, or in parts")

    assert one.stored_elements == (one.logical or 0) + one.buffers + one.quantization


def test_the_head_and_the_table_of_qwen2_are_apart() -> None:
    one = known("Qwen--Qwen2-7B").parameters

    assert (544_997_376, 544_997_376, 6_525_621_760, False) == (
        one.embedding,
        one.lm_head,
        one.non_embedding,
        one.tied,
    )


@pytest.mark.parametrize(
    ("model", "tied", "label"),
    [
        ("meta-llama--Llama-3.2-1B", True, "config"),
        ("google--gemma-2-9b", True, "assumed"),
        ("openai-community--gpt2", True, "assumed"),
        ("Qwen--Qwen2-7B", False, "exact"),
        ("google--vit-base-patch16-224", False, "exact"),
    ],
)
def test_what_is_known_of_tied_heads(model: str, tied: bool, label: str) -> None:
    one = known(model).parameters

    assert (tied, label) == (one.tied, one.labels["tied"])


# all, without the input embedding, without embedding and head; arithmetic of the model cards.
# Routing biases are part of them: 14,848 of DeepSeek-V3, 23,040 of Kimi-K2
ACTIVE = {
    "Qwen--Qwen2-57B-A14B-Instruct": (14_249_270_784, 13_704_732_160, 13_160_193_536),
    "Qwen--Qwen1.5-MoE-A2.7B": (2_689_173_504, 2_378_008_576, 2_066_843_648),
    "mistralai--Mixtral-8x7B-v0.1": (12_879_925_248, 12_748_853_248, 12_617_781_248),
    "Qwen--Qwen3-30B-A3B": (3_353_032_704, 3_041_867_776, 2_730_702_848),
    "Qwen--Qwen3-Next-80B-A3B-Instruct": (3_874_929_408, 3_563_764_480, 3_252_599_552),
    "openai--gpt-oss-120b": (5_711_982_912, 5_132_849_472, 4_553_716_032),
    "deepseek-ai--DeepSeek-V2-Lite": (2_661_150_208, 2_451_435_008, 2_241_719_808),
    "deepseek-ai--DeepSeek-V3": (
        37_552_282_624 + 14_848,
        36_625_603_584 + 14_848,
        35_698_924_544 + 14_848,
    ),
    "moonshotai--Kimi-K2-Instruct": (
        32_861_477_888 + 23_040,
        31_687_072_768 + 23_040,
        30_512_667_648 + 23_040,
    ),
}


@pytest.mark.parametrize("model", ACTIVE)
def test_active_parameters_in_three_conventions(model: str) -> None:
    active = known(model).parameters.active

    assert active is not None
    assert (*ACTIVE[model], "config") == active


@pytest.mark.parametrize(
    ("model", "experts"),
    [
        ("Qwen--Qwen2-57B-A14B-Instruct", (64, 8, 1)),
        ("deepseek-ai--DeepSeek-V2-Lite", (64, 6, 2)),
        ("openai--gpt-oss-120b", (128, 4, 0)),
        ("mistralai--Mixtral-8x7B-v0.1", (8, 2, 0)),
        ("Qwen--Qwen2-7B", None),
    ],
)
def test_experts_are_counted_from_tensors(model: str, experts: tuple[int, int, int] | None) -> None:
    assert experts == known(model).parameters.experts


# container, layers, kind, heads, KV heads, head_dim, label
ATTENTION = {
    "meta-llama--Llama-3.1-8B": [("model.layers", "0-31", "GQA", 32, 8, 128, "config")],
    "Qwen--Qwen1.5-7B": [("model.layers", "0-31", "MHA", 32, 32, 128, "config")],
    "Qwen--Qwen3-8B": [("model.layers", "0-35", "GQA", 32, 8, 128, "exact")],
    "tiiuae--falcon-7b": [("transformer.h", "0-31", "MQA", 71, 1, 64, "config")],
    "openai--gpt-oss-120b": [("model.layers", "0-35", "GQA", 64, 8, 64, "exact")],
    "openai-community--gpt2": [("h", "0-11", "MHA", 12, 12, 64, "config")],
    "microsoft--Phi-3-mini-4k-instruct": [("model.layers", "0-31", "MHA", 32, 32, 96, "config")],
    "deepseek-ai--DeepSeek-V3": [
        ("model.layers", "0-60", "MLA", 128, 128, 192, "exact"),
        ("model.layers", "61", "MLA", 128, 128, 192, "exact"),
    ],
    "Qwen--Qwen2-VL-7B-Instruct": [
        ("model.layers", "0-27", "GQA", 28, 4, 128, "config"),
        ("visual.blocks", "0-31", "MHA", 16, 16, 80, "config"),
    ],
    "google-t5--t5-base": [
        ("decoder.block", "0-11", "MHA", 12, 12, 64, "config"),
        ("encoder.block", "0-11", "MHA", 12, 12, 64, "config"),
    ],
    "meta-llama--Llama-3.1-70B-original-mp8": [("layers", "0-79", "GQA", 64, 8, 128, "config")],
}


@pytest.mark.parametrize("model", ATTENTION)
def test_the_attention_of_real_models(model: str) -> None:
    found = known(model).attention

    assert ATTENTION[model] == [
        (
            one.container,
            str(one.layers),
            one.kind,
            one.heads,
            one.kv_heads,
            one.head_dim,
            one.label,
        )
        for one in found
    ]


def test_a_hybrid_has_an_attention_for_each_kind_of_layer() -> None:
    linear, full, drafting = known("Qwen--Qwen3-Next-80B-A3B-Instruct").attention

    assert ("linear", 36, None) == (linear.kind, len(linear.layers), linear.heads)
    assert ("GQA", 16, 2, 256) == (full.kind, full.heads, full.kv_heads, full.head_dim)
    assert list(range(3, 48, 4)) == list(full.layers)
    assert drafting.is_mtp


def test_the_sizes_of_latent_attention_follow_from_shapes() -> None:
    latent = known("deepseek-ai--DeepSeek-V3").attention[0].latent

    assert latent is not None
    assert (1536, 512, 128, 64, 128) == latent


def test_the_share_of_one_head_in_each_projection() -> None:
    (attention,) = known("meta-llama--Llama-2-7b-original").attention

    assert (4096, 128) == attention.head_shapes["W_Q"]


def test_falcon_is_multi_query_although_its_config_says_71() -> None:
    (attention,) = known("tiiuae--falcon-7b").attention

    assert ("MQA", 71) == (attention.kind, attention.ratio)


@pytest.mark.parametrize(
    ("model", "rule", "label"),
    [
        (
            "meta-llama--Llama-2-7b-original",
            "2/3 x 4 x 4,096, up to a multiple of 256 = 11,008",
            "config",
        ),
        (
            "meta-llama--Llama-3.1-8B-original",
            "1.3 x 2/3 x 4 x 4,096, up to a multiple of 1,024 = 14,336",
            "config",
        ),
        ("google-bert--bert-base-uncased", "4 x 768 = 3,072", "inferred"),
        ("Qwen--Qwen2-7B", "", "exact"),
    ],
)
def test_the_rule_behind_the_width_of_the_feed_forward(model: str, rule: str, label: str) -> None:
    (feed_forward,) = known(model).feed_forward

    assert (rule, label) == (feed_forward.rule, feed_forward.label)


# scheme, bits, group, packed weights, label
QUANTIZATION = {
    "hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4": ("gptq", 4, 128, 224, "exact"),
    "hugging-quants--Meta-Llama-3.1-8B-Instruct-AWQ-INT4": ("awq", 4, 128, 224, "exact"),
    "unsloth--Meta-Llama-3.1-8B-bnb-4bit": ("bnb-nf4", 4, 64, 224, "inferred"),
    "RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8": ("fp8", 8, None, 224, "exact"),
    "Qwen--Qwen3-30B-A3B-Instruct-2507-FP8": ("fp8-block", 8, (128, 128), 18_624, "exact"),
    "deepseek-ai--DeepSeek-V3": ("fp8-block", 8, (128, 128), 45_808, "exact"),
    "openai--gpt-oss-120b": ("mxfp4", 4, 32, 72, "exact"),
}


@pytest.mark.parametrize("model", QUANTIZATION)
def test_the_quantization_of_real_models(model: str) -> None:
    found = known(model).quantization

    assert found is not None
    assert ((*QUANTIZATION[model],), 1, ()) == (
        (
            found.main.scheme,
            found.main.bits,
            found.main.group,
            found.main.weights,
            found.main.label,
        ),
        len(found.schemes),
        found.problems,
    )


@pytest.mark.parametrize("model", [model for model in MODELS if "v0.3" not in model])
def test_the_formula_of_a_model_gives_its_count(model: str) -> None:
    structure = known(model)
    line, value = whole(structure)

    assert structure.parameters.logical == value
    assert value == eval(line)  # a formula is arithmetic that anybody can repeat
    assert structure.tree.parameters == sum(term.value for term in formula(structure.tree))


def test_the_formula_of_qwen2_7b_as_a_person_would_write_it() -> None:
    line, _ = whole(known("Qwen--Qwen2-7B"))

    assert line == (
        "152064*3584 + 28*(2*3584 + (3584+1)*3584 + 2*(3584+1)*512 + 3584*3584 + 3*18944*3584) "
        "+ 3584 + 152064*3584"
    )


def test_the_towers_of_a_vision_language_model() -> None:
    found = {
        node.label: node.parameters for node in towers(known("Qwen--Qwen2-VL-7B-Instruct").tree)
    }

    assert found == {"visual": 675_759_104, "model": 7_070_619_136, "lm_head": 544_997_376}


def test_parts_of_a_tower_are_counted_too() -> None:
    checkpoint = packed("Qwen--Qwen2-VL-7B-Instruct").checkpoint

    blocks = describe(checkpoint, lambda name: name.startswith("visual.blocks."))
    patches = describe(checkpoint, lambda name: name.startswith("visual.patch_embed."))

    assert (629_678_080, 1_505_280) == (blocks.parameters.logical, patches.parameters.logical)


def test_a_packed_weight_is_unpacked_also_where_its_scales_are_not_asked_for() -> None:
    checkpoint = packed("hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4").checkpoint

    found = describe(checkpoint, lambda name: name == "model.layers.0.mlp.up_proj.qweight")

    meaning = found.meaning(found.families[0])

    assert meaning is not None
    assert (14_336 * 4_096, (14_336, 4_096)) == (found.parameters.logical, meaning.shape)


@pytest.mark.parametrize(
    ("model", "nearest"),
    [
        ("Qwen--Qwen2-7B", "Qwen2-7B"),
        ("Qwen--Qwen2-VL-7B-Instruct", "Qwen2-7B"),
        ("mistralai--Mistral-7B-Instruct-v0.3", "Mistral-7B, vocabulary + 768 rows"),
        ("unsloth--Meta-Llama-3.1-8B-bnb-4bit", "Llama-3-8B"),
        ("deepseek-ai--DeepSeek-V3", "DeepSeek-V3"),
        ("google-t5--t5-base", ""),
    ],
)
def test_the_known_model_of_the_same_geometry(model: str, nearest: str) -> None:
    assert nearest == known(model).fingerprint.nearest


def test_packing_does_not_change_the_geometry() -> None:
    forms = [
        "meta-llama--Llama-3.1-8B",
        "meta-llama--Llama-3.1-8B-original",
        "hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4",
        "hugging-quants--Meta-Llama-3.1-8B-Instruct-AWQ-INT4",
        "unsloth--Meta-Llama-3.1-8B-bnb-4bit",
        "RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8-dynamic",
    ]

    assert len({known(model).geometry_hash for model in forms}) == 1
    assert known("Qwen--Qwen2-7B").geometry_hash != known(forms[0]).geometry_hash


def test_an_adapter_tells_its_rank_and_what_it_touches() -> None:
    adapter = known("example--Llama-3.1-8B-lora-r16").adapter

    assert adapter is not None
    assert ("LoRA", (16,), 32, 224, 7) == (
        adapter.kind,
        adapter.ranks,
        adapter.alpha,
        adapter.modules,
        len(adapter.targets),
    )
    assert ("base_model.model.", 448) == known("example--Llama-3.1-8B-lora-r16").wrappers[0]


def test_no_tensor_of_a_language_model_is_without_a_role() -> None:
    for model in MODELS:
        structure = known(model)
        unknown = {
            family.pattern for family in structure.families if structure.role(family) == "other"
        }

        assert not unknown, model
