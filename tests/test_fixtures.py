"""The packs of real models: bytes unchanged, totals exact to the last integer."""

from __future__ import annotations

import hashlib

import pytest

from ckptscan.checkpoint import load
from fixtures.make import attacks, write_sparse
from tests.conftest import ATTACKS, PACKS, pack, packed

# model -> tensors, elements, bytes of tensors, files. Sources: the models' own index files, the
# Hub's file sizes and published counts; see fixtures/README.md.
TOTALS = {
    "NousResearch--Llama-2-7b-hf": (323, 6_738_417_664, 13_476_839_424, 2),
    "Qwen--Qwen1.5-7B": (387, 7_721_324_544, 15_442_649_088, 4),
    "Qwen--Qwen1.5-MoE-A2.7B": (4_659, 14_315_784_192, 28_631_568_384, 8),
    "Qwen--Qwen2-57B-A14B-Instruct": (5_771, 57_408_658_944, 114_817_317_888, 29),
    "Qwen--Qwen2-7B": (339, 7_615_616_512, 15_231_233_024, 4),
    "Qwen--Qwen2-VL-7B-Instruct": (730, 8_291_375_616, 16_582_751_232, 5),
    "Qwen--Qwen2.5-VL-7B-Instruct": (729, 8_292_166_656, 16_584_333_312, 5),
    "Qwen--Qwen3-30B-A3B": (18_867, 30_532_122_624, 61_064_245_248, 16),
    "Qwen--Qwen3-30B-A3B-Instruct-2507-FP8": (37_491, 30_533_947_392, 31_170_895_872, 7),
    "Qwen--Qwen3-8B": (399, 8_190_735_360, 16_381_470_720, 5),
    "Qwen--Qwen3-Next-80B-A3B-Instruct": (75_944, 81_324_862_720, 162_649_725_440, 41),
    "RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8": (739, 8_030_261_696, 9_081_201_536, 2),
    "RedHatAI--Meta-Llama-3.1-8B-Instruct-FP8-dynamic": (515, 8_031_637_504, 9_083_953_152, 2),
    "deepseek-ai--DeepSeek-V2-Lite": (5_291, 15_706_484_224, 31_412_968_448, 4),
    "deepseek-ai--DeepSeek-V3": (91_991, 684_531_386_000, 688_574_839_360, 163),
    "example--Llama-3.1-8B-lora-r16": (448, 41_943_040, 167_772_160, 1),
    "google--gemma-2-9b": (464, 9_241_705_984, 36_966_823_936, 8),
    "google--vit-base-patch16-224": (200, 86_567_656, 346_270_624, 1),
    "google-bert--bert-base-uncased": (206, 110_106_428, 440_425_712, 1),
    "google-t5--t5-base": (258, 222_903_936, 891_615_744, 1),
    "hugging-quants--Meta-Llama-3.1-8B-Instruct-AWQ-INT4": (739, 1_984_696_320, 5_727_854_592, 2),
    "hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4": (963, 1_985_941_504, 5_732_835_328, 2),
    "meta-llama--Llama-2-7b-original": (292, 6_738_415_680, 13_476_831_360, 1),
    "meta-llama--Llama-3.1-405B": (1_137, 405_853_388_800, 811_706_777_600, 191),
    "meta-llama--Llama-3.1-70B": (723, 70_553_706_496, 141_107_412_992, 30),
    "meta-llama--Llama-3.1-70B-original-mp8": (5_784, 70_562_938_880, 141_125_877_760, 8),
    "meta-llama--Llama-3.1-8B": (291, 8_030_261_248, 16_060_522_496, 4),
    "meta-llama--Llama-3.1-8B-original": (291, 8_030_261_248, 16_060_522_496, 1),
    "meta-llama--Llama-3.2-1B": (146, 1_235_814_400, 2_471_628_800, 1),
    "microsoft--MAI-DS-R1": (45_395, 671_026_419_200, 1_342_052_868_096, 270),
    "microsoft--Phi-3-mini-4k-instruct": (195, 3_821_079_552, 7_642_159_104, 2),
    "mistralai--Mistral-7B-Instruct-v0.3": (291, 7_248_023_552, 14_496_047_104, 3),
    "mistralai--Mixtral-8x7B-v0.1": (995, 46_702_792_704, 93_405_585_408, 19),
    "moonshotai--Kimi-K2-Instruct": (139_644, 1_026_470_731_056, 1_029_173_256_720, 61),
    "openai--gpt-oss-120b": (687, 63_081_444_672, 65_248_815_744, 15),
    "openai--whisper-large-v3": (1_259, 1_543_490_560, 3_086_981_120, 1),
    "openai-community--gpt2": (160, 137_022_720, 548_090_880, 1),
    "tiiuae--falcon-7b": (196, 7_217_189_760, 14_434_379_520, 2),
    "unsloth--Meta-Llama-3.1-8B-bnb-4bit": (1_411, 4_650_177_760, 5_702_577_888, 2),
}
LARGE = {
    "microsoft--MAI-DS-R1",
    "moonshotai--Kimi-K2-Instruct",
    "Qwen--Qwen3-Next-80B-A3B-Instruct",
}


@pytest.mark.parametrize(("model", "totals"), TOTALS.items(), ids=TOTALS)
def test_totals_are_exact(model: str, totals: tuple[int, int, int, int]) -> None:
    checkpoint = packed(model).checkpoint

    assert (
        len(checkpoint.table),
        checkpoint.numel,
        checkpoint.nbytes,
        len(checkpoint.table.shards),
    ) == totals
    assert checkpoint.is_sound
    assert not checkpoint.incomplete
    assert all(fault.severity == "note" for _, fault in checkpoint.faults)


@pytest.mark.parametrize("model", sorted(TOTALS.keys() - LARGE))
def test_families_and_tree_sum_to_the_totals(model: str) -> None:
    structure = packed(model)
    tensors, elements, nbytes, _ = TOTALS[model]

    assert tensors == sum(family.count for family in structure.families) == structure.tensors
    assert elements == sum(family.numel for family in structure.families) == structure.numel
    assert nbytes == sum(family.nbytes for family in structure.families) == structure.nbytes
    assert len(structure.families) <= 60


def test_both_sets_of_mistral_are_counted_when_asked_for() -> None:
    checkpoint = load(pack("mistralai--Mistral-7B-Instruct-v0.3"), all_sets=True)

    assert (
        len(checkpoint.table),
        checkpoint.nbytes,
        len(checkpoint.table.shards),
    ) == (582, 28_992_094_208, 4)


def test_every_pack_is_in_the_table_of_totals() -> None:
    assert set(TOTALS) == {path.stem for path in PACKS.glob("*.ckptpack")}


def test_the_packs_are_the_bytes_that_their_digests_say() -> None:
    lines = (PACKS / "SHA256SUMS").read_text().split("\n")
    digests = dict(reversed(line.split()) for line in lines if line)

    assert digests == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in PACKS.glob("*.ckptpack")
    }


def test_the_hostile_files_are_what_make_writes() -> None:
    assert attacks() == {path.stem: path.read_bytes() for path in ATTACKS.iterdir()}


def test_sparse_files_have_the_sizes_of_the_real_ones(tmp_path: object) -> None:
    count, size = write_sparse(str(PACKS / "google-t5--t5-base.ckptpack"), str(tmp_path))

    assert (count, size - (tmp_path / "config.json").stat().st_size) == (2, 891_646_390)  # type: ignore[operator]
