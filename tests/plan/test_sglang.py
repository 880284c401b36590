"""SGLang's profile against its logs (fixtures/plan/sglang.tsv), and its own rules."""

from __future__ import annotations

import pytest

from ckptscan.errors import UsageError
from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, MemoryPlan, Parallel, plan
from ckptscan.plan.engines.sglang_0_5 import settings, static_share
from ckptscan.plan.stages import remainder_to_last_ones
from tests.plan.measured import GIB, Measured, planned, rows, structure_of

ONE = Parallel()
DEEPSEEK = "pack:deepseek-ai--DeepSeek-V3"


def served(
    model: str, gpu: str = "8xh200", parallel: Parallel = ONE, **options: object
) -> MemoryPlan:
    ask = Ask(parse_devices(gpu), parallel, "sglang-0.5", **options)  # type: ignore[arg-type]
    return plan(structure_of(model), ask)


@pytest.mark.parametrize("row", list(rows("sglang")), ids=lambda row: f"{row.id}-{row.model}")
def test_pools_are_what_the_engine_logged(row: Measured) -> None:
    nbytes = planned(row).predictions[row.quantity]

    assert nbytes is not None
    assert row.value == pytest.approx(nbytes / GIB, abs=row.rounding * 1.01)


def test_a_log_of_three_quantities() -> None:
    """Qwen3-Next, DP attention: #tokens: 2786325, K size: 31.89 GB, V size: 31.89 GB."""
    row = next(row for row in rows("sglang") if row.id == "gt024")

    assert any("K size: 31.89 GB, V size: 31.89 GB" in line for line in planned(row).expected)


def test_copies_of_attention_share_the_ranks() -> None:
    cut = served(DEEPSEEK, parallel=Parallel(tp=8))
    copied = served(DEEPSEEK, parallel=Parallel(tp=8, dp=8, ep=8))

    def of(one: MemoryPlan, name: str) -> int:
        return next(term.nbytes for term in one.first.terms if term.name == name)

    assert 8 == cut.cards == copied.cards
    assert of(cut, "experts") == of(copied, "experts")
    assert of(cut, "feed-forward") == of(copied, "feed-forward")
    assert 4 * of(cut, "attention") < of(copied, "attention")
    assert cut.kv.rank_bytes_per_token == copied.kv.rank_bytes_per_token


def test_copies_that_do_not_divide_are_refused() -> None:
    with pytest.raises(UsageError, match="--dp 3 does not divide --tp 8"):
        served(DEEPSEEK, parallel=Parallel(tp=8, dp=3))


@pytest.mark.parametrize(
    ("gpu", "expected"),
    [("t4", (2048, 8, 8)), ("rtx4090", (2048, 24, 80)), ("l40s", (4096, 32, 160)),
     ("h100", (8192, 256, 512)), ("h200", (8192, 256, 512)), ("b200", (16384, 512, 512))],
)  # fmt: skip
def test_settings_follow_the_card(gpu: str, expected: tuple[int, int, int]) -> None:
    assert expected == settings(parse_devices(gpu).card)


def test_the_static_share_leaves_a_reserve() -> None:
    """H100: 512 + 8192 x 1.5 + 256 x 2 + 128 = 13,440 MiB of 81,559."""
    assert 0.835 == static_share(parse_devices("h100").card, Parallel(), 8192, 256)
    assert 0.874 == static_share(parse_devices("h100").card, Parallel(), 2048, 8)  # at least 10 GiB


def test_states_take_a_share_of_what_is_left() -> None:
    one = served("pack:Qwen--Qwen3-Next-80B-A3B-Instruct", parallel=Parallel(tp=4))
    states, keys = one.predictions["state_bytes"], one.predictions["key_bytes"]

    assert states is not None
    assert keys is not None
    assert 0.9 == pytest.approx(states / (2 * keys), rel=0.01)


def test_rotary_tables_are_kept_in_32_bits() -> None:
    (table,) = (t for t in served("pack:Qwen--Qwen2-7B").first.terms if t.part == "rope")

    assert 131_072 * 128 * 4 == table.nbytes


def test_windows_have_a_smaller_pool() -> None:
    two = served("pack:openai--gpt-oss-120b", gpu="h200", kv_bytes=10 * GIB)
    one = served("pack:openai--gpt-oss-120b", gpu="h200", kv_bytes=10 * GIB, hybrid_manager=False)

    assert 1 / 0.9 == pytest.approx(two.kv.tokens / one.kv.tokens, rel=0.001)


def test_a_vision_tower_lowers_the_share() -> None:
    plain = served("pack:Qwen--Qwen2-7B", gpu="h100").ask.utilization
    seeing = served("pack:Qwen--Qwen2-VL-7B-Instruct", gpu="h100").ask.utilization

    assert plain is not None
    assert seeing is not None
    assert 0.75 * plain < seeing < plain


def test_last_stages_hold_the_remainder() -> None:
    assert [7, 8, 8] == remainder_to_last_ones(23, 3)


def test_an_encoder_keeps_no_pool() -> None:
    assert () == served("pack:google-bert--bert-base-uncased", gpu="l4").kv.groups


def test_heads_are_shared_by_the_ranks_of_a_copy() -> None:
    """28 heads do not divide by 8 ranks, but each of 8 copies of attention is whole."""
    ask = Ask(engine="sglang-0.5", parallel=Parallel(tp=8, dp=8))
    one = plan(structure_of("pack:Qwen--Qwen2-7B"), ask)

    assert one.kv.bytes_per_token == one.kv.rank_bytes_per_token
    assert (8, 16, 32) == one.valid_tp
    assert "--dp 8 does not divide --tp 4" in {refusal.why for refusal in one.refusals}
