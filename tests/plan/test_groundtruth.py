"""Plans against published logs of vLLM: weights, caches, budgets (fixtures/plan/vllm.tsv).

Rows marked Y are those that say without doubt what was run. Weights are held within 0.05 % each
and 0.02 % in the mean; blocks and tokens exactly, where a log rounds the memory they come from
within that rounding; budgets within 0.02 GiB; activations, labelled estimated, within 5 %.
"""

from __future__ import annotations

import pytest

from tests.plan.measured import GIB, Measured, ask_of, options, planned, rows

ROWS = list(rows("vllm"))
SURE = [row for row in ROWS if row.test == "Y"]
WEIGHTS = [row for row in SURE if row.quantity == "weights"]


def of(*quantities: str) -> list[Measured]:
    return [row for row in SURE if row.quantity in quantities]


def identify(row: Measured) -> str:
    return f"{row.id}-{row.model}-{row.quantity}"


@pytest.mark.parametrize("row", WEIGHTS, ids=identify)
def test_weights_are_what_the_engine_logged(row: Measured) -> None:
    loaded = planned(row).first.loaded / GIB

    assert row.value == pytest.approx(loaded, rel=0.0005)


def test_weights_are_right_in_the_mean() -> None:
    errors = [abs(planned(row).first.loaded / GIB / row.value - 1) for row in WEIGHTS]

    assert 32 == len(errors)
    assert sum(errors) / len(errors) < 0.0002


@pytest.mark.parametrize("row", of("kv_blocks", "kv_tokens"), ids=identify)
def test_blocks_and_tokens_are_those_of_the_log(row: Measured) -> None:
    """The memory of the cache is printed with two decimals: the log lies between its bounds."""
    kv = round(float(options(row)["kv_gib"]) * GIB)
    least, most = (
        planned(row, kv_bytes=kv + slack).predictions[row.quantity]
        for slack in (-GIB // 200, GIB // 200)
    )

    assert least is not None
    assert most is not None
    assert least <= row.value <= most


@pytest.mark.parametrize("row", [r for r in of("kv_tokens") if "Qwen3.6" in r.model], ids=identify)
def test_a_hybrid_cache_is_exact_to_the_token(row: Measured) -> None:
    assert row.value == planned(row).predictions["kv_tokens"]


@pytest.mark.parametrize("row", of("max_concurrency", "cpu_blocks"), ids=identify)
def test_concurrency_and_swapped_blocks_are_exact(row: Measured) -> None:
    assert row.value == planned(row).predictions[row.quantity]


@pytest.mark.parametrize("row", of("kv_mem"), ids=identify)
def test_the_budget_balances(row: Measured) -> None:
    """kv = utilization x total - weights - activations - outside of torch."""
    plan = planned(row)

    assert row.value == pytest.approx(plan.tightest.left / GIB, abs=0.02)


@pytest.mark.parametrize("row", [r for r in ROWS if r.quantity == "act_peak"], ids=identify)
def test_activations_are_estimated_within_their_error(row: Measured) -> None:
    (term,) = (term for term in planned(row).first.terms if term.part == "activations")

    assert "estimated" == term.label
    assert term.low is not None
    assert term.high is not None
    assert term.low <= row.value * GIB <= term.high


@pytest.mark.parametrize("row", [r for r in ROWS if r.test == "fitted"], ids=identify)
def test_the_padding_that_was_read_off_two_logs(row: Measured) -> None:
    assert row.value == pytest.approx(planned(row).first.loaded / GIB, rel=0.0005)


def test_bytes_of_a_token() -> None:
    """Known from logs: 131,072 (Llama-3.1-8B), 70,272 (DeepSeek-V3), 163,840 (Mistral-Small)."""
    by_model = {row.model: planned(row).kv.bytes_per_token for row in SURE}

    assert 131_072 == by_model["pack:meta-llama--Llama-3.1-8B"]
    assert 163_840 == by_model["Mistral-Small-3.2-24B-Instruct-2506"]
    assert 73_728 == by_model["pack:openai--gpt-oss-120b"]
    assert 10_240 == by_model["Qwen3.6-35B-A3B-NVFP4"]


def test_every_row_is_planned() -> None:
    for row in ROWS:
        assert ask_of(row).engine == row.engine
        assert planned(row).ranks
