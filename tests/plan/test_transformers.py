"""transformers' profile: the device map by accelerate's rules, what lies beside the cards."""

from __future__ import annotations

import pytest

from ckptscan.errors import UsageError
from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, Local, MemoryPlan, plan
from ckptscan.plan.devicemap import DISK, HOST, Block, balanced, device_map
from tests.plan.measured import GIB, structure_of

LARGE = "pack:meta-llama--Llama-3.1-70B"
SMALL = "pack:meta-llama--Llama-3.1-8B"
TEN = [Block(f"layer {n}", 10, n) for n in range(10)]


def loaded(model: str, gpu: str, host: int | None = None, **options: object) -> MemoryPlan:
    ask = Ask(parse_devices(gpu), engine="transformers", **options)  # type: ignore[arg-type]
    from dataclasses import replace

    return plan(structure_of(model), replace(ask, local=Local(host_bytes=host)))


def test_the_first_card_keeps_room_for_the_largest_block_to_come() -> None:
    places = device_map(TEN, [50, 50], None)

    assert [0] * 4 + [1] * 5 + [HOST] == places


def test_the_last_block_has_nothing_to_keep_room_for() -> None:
    assert [0] * 10 == device_map(TEN, [100], None)
    assert [0] * 8 + [HOST] * 2 == device_map(TEN, [99], 20)


def test_what_neither_card_nor_host_takes_goes_to_disk() -> None:
    assert [0] * 4 + [HOST] * 2 + [DISK] * 4 == device_map(TEN, [50], 30)
    assert [DISK] * 10 == device_map(TEN, [5], 15)


def test_cards_are_filled_evenly_with_a_buffer() -> None:
    """100 bytes over two cards: 50 and 1.25 blocks; the last card is left all it has."""
    assert [62, 80] == balanced(TEN, 80, 2, 10)
    assert [90] == balanced(TEN, 100, 1, 30)


@pytest.mark.parametrize(
    ("engine", "model", "gpu", "layers"),
    [
        ("transformers-5.23", LARGE, "4x40GiB", [19, 22, 22, 17]),
        ("transformers-4.57", LARGE, "4x40GiB", [19, 21, 21, 19]),
        ("transformers-5.23", "Qwen2.5-1.5B-Instruct", "4x24GiB", [8, 14, 6, 0]),
        ("transformers-4.57", "Qwen2.5-1.5B-Instruct", "4x24GiB", [3, 9, 9, 7]),
        ("transformers-5.23", "DeepSeek-R1-Distill-Qwen-32B", "2x80GiB", [32, 32]),
        ("transformers-4.57", "DeepSeek-R1-Distill-Qwen-32B", "2x80GiB", [31, 33]),
    ],
)
def test_layers_lie_where_the_library_puts_them(
    engine: str, model: str, gpu: str, layers: list[int]
) -> None:
    """What infer_auto_device_map of transformers 5.23 and accelerate 1.15 answer, on meta models."""
    ask = Ask(parse_devices(gpu), engine=engine, max_len=16, non_torch_bytes=0)

    assert layers == [len(rank.layers) for rank in plan(structure_of(model), ask).ranks]


def test_a_model_is_shared_evenly_where_there_is_room() -> None:
    one = loaded(LARGE, "2xh100", max_len=8192)

    assert one.fits
    assert ["0-39", "40-79"] == [str(rank.layers) for rank in one.ranks]
    assert 0 == sum(place.nbytes for place in one.beside)


def test_layers_on_the_host_do_not_fit_unless_they_may_lie_there() -> None:
    told = loaded(LARGE, "h100", max_len=8192)
    allowed = loaded(LARGE, "h100", host=128 * GIB, max_len=8192)
    small = loaded(LARGE, "h100", host=16 * GIB, max_len=8192)

    assert "lie on the host" in told.why_not[0]
    assert "--gpu 2xh100" in told.advice
    assert allowed.fits
    assert "lie on disk" in small.why_not[0]
    assert structure_of(LARGE).nbytes == sum(one.loaded for one in small.ranks) + sum(
        place.nbytes for place in small.beside
    )


def test_a_long_prompt_takes_more_than_its_parts() -> None:
    one = loaded(SMALL, "rtx4090")

    assert not one.fits
    assert any("--max-num-batched-tokens 2048" in line for line in one.advice) or one.advice
    assert loaded(SMALL, "rtx4090", max_len=4096).fits


def test_the_longest_context_is_what_is_left() -> None:
    one = loaded(SMALL, "rtx4090", max_len=2048, activation_bytes=0, non_torch_bytes=0)
    room = one.first.capacity - one.first.loaded

    assert room // 131072 // 16 * 16 == one.kv.longest


def test_a_config_of_32_bits_is_loaded_so() -> None:
    half = loaded("pack:openai-community--gpt2", "t4", dtype="float16")
    whole = loaded("pack:openai-community--gpt2", "t4", dtype="float32")

    assert 2 * half.first.loaded == whole.first.loaded


def test_a_cache_of_fewer_bits_is_refused() -> None:
    with pytest.raises(UsageError, match="keeps no cache in fp8"):
        loaded(SMALL, "h100", kv_dtype="fp8")
