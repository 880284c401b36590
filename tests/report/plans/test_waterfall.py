"""The identity that a waterfall shows: from the card's bytes to the last, to the byte."""

from __future__ import annotations

import pytest

from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, MemoryPlan, Parallel, Training, plan
from ckptscan.report.plans.phrases import readable
from ckptscan.report.plans.waterfall import TOTAL, brief, steps
from tests.plan.measured import structure_of

ASKS = {
    "fits": Ask(parse_devices("h100"), Parallel(tp=2)),
    "no-fit": Ask(parse_devices("l4"), engine="vllm-0.21"),
    "cache-given": Ask(parse_devices("h100"), kv_bytes=1 << 30),
    "sglang": Ask(parse_devices("h200"), engine="sglang-0.5"),
    "llama.cpp": Ask(parse_devices("2xrtx4090"), engine="llama.cpp"),
    "transformers": Ask(parse_devices("2xl40s"), engine="transformers", max_len=4096),
    "trained": Ask(parse_devices("h100"), train=Training()),
}


def planned(name: str) -> MemoryPlan:
    return plan(structure_of("pack:meta-llama--Llama-3.1-8B"), ASKS[name])


@pytest.mark.parametrize("name", ASKS)
def test_each_total_is_the_one_before_less_what_stands_between(name: str) -> None:
    one = planned(name)
    for rank in one.ranks:
        left: int | None = None
        for step in steps(one, rank):
            if step.mark == TOTAL:
                assert step.nbytes == (step.nbytes if left is None else left)
                left = step.nbytes
            else:
                assert left is not None
                left -= step.nbytes


@pytest.mark.parametrize("name", ASKS)
def test_at_a_glance_the_terms_are_the_same_in_sum(name: str) -> None:
    one = planned(name)
    sums = [
        sum(step.nbytes for step in rows if step.mark != TOTAL and "kept free" not in step.name)
        for rows in (brief(one, one.first), steps(one, one.first))
    ]
    unseen = sum(s.nbytes for s in steps(one, one.first) if s.name == "- not for programs")

    untold = 0 if one.has_given_cache else one.first.part("kv")
    assert sums[0] == sums[1] - unseen - untold


def test_a_cache_of_a_given_size_is_told_in_place_of_what_is_left_for_it() -> None:
    """vLLM's --kv-cache-memory-bytes: the share of the card no longer counts."""
    one = planned("cache-given")
    *_, left, cache, rest = brief(one, one.first)

    assert one.ask.devices is not None
    assert one.ask.devices.card.total_bytes == one.first.capacity
    assert ("left", "- KV cache", "not used") == (left.name, cache.name, rest.name)
    assert one.kv.blocks * 2_097_152 == cache.nbytes == left.nbytes - rest.nbytes <= 1 << 30


def test_what_does_not_fit_is_left_below_nothing() -> None:
    one = plan(structure_of("pack:meta-llama--Llama-3.1-70B"))
    left = next(step for step in brief(one, one.first) if step.name.startswith("left"))

    assert one.first.left == left.nbytes < 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("takes 146,485,709,700 B, and", "takes 136.43 GiB (146,485,709,700 B), and"),
        ("4,096 B and 12 B", "4,096 B and 12 B"),
        ("\x1b[2J", r"\x1b[2J"),
        ("9" * 400 + " B", "9" * 400 + " B"),
    ],
)
def test_large_counts_are_told_in_binary_units_too(text: str, expected: str) -> None:
    assert expected == readable(text)
