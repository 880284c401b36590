"""Upper bounds of speed, worked by hand."""

from __future__ import annotations

import pytest

from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, Parallel, Row, Section, Speed, plan
from ckptscan.plan.roofline import Step
from tests.plan.measured import structure_of

LLAMA = "pack:meta-llama--Llama-3.1-8B"
LINEAR = 6_979_321_856
HEAD, NORMS = 128_256 * 4096, 65 * 4096
RATES = Speed(10**12, 10**14)


def bounds(model: str, gpu: str = "h100", speed: Speed = RATES, **options: object) -> Section:
    parallel = Parallel(tp=int(str(options.pop("tp", 1))))
    asked = Ask(parse_devices(gpu), parallel, speed=speed, **options)  # type: ignore[arg-type]
    (section,) = plan(structure_of(model), asked).sections
    return section


def row(section: Section, name: str) -> Row:
    return next(one for one in section.rows if one.name.startswith(name))


def test_a_step_reads_weights_and_cache_but_not_the_table() -> None:
    """131,072 B a token of Llama-3.1-8B, 4 B of each attention scale."""
    section = bounds(LLAMA, max_len=1024)
    weights = 2 * (LINEAR + HEAD + NORMS) + 32 * 7 * 4

    assert weights == row(section, "weights a step").value
    assert 1024 * 131_072 == row(section, "cache a step").value
    expected = 10**12 / (weights + 1024 * 131_072)
    assert expected == pytest.approx(row(section, "decode, 1 x").value)


def test_a_prompt_is_multiplied_with_the_layers_and_with_itself() -> None:
    """The head takes the last token alone; 32 layers x 32 heads x 256 x half of all pairs x 2."""
    section = bounds(LLAMA, max_len=1024)
    expected = 2 * (LINEAR + NORMS) * 1024 + 2 * HEAD + 2 * 32 * 32 * 256 * 1024 * 1024 // 2

    assert expected == row(section, "prompt").value
    assert 1024 * 10**14 / expected == pytest.approx(row(section, "prefill").value)


def test_arithmetic_takes_over_where_both_take_as_long() -> None:
    """2 x active x batch / 1e14 >= bytes / 1e12: at 2 bytes a parameter from 100 requests on."""
    assert 101 >= (row(bounds(LLAMA), "batch where").value or 0) >= 100


def test_a_batch_takes_more_experts() -> None:
    """Of 8 experts a token takes 2: two tokens take 8 x (1 - 0.75^2) = 3.5 of them."""
    step = Step(100, 800, 8, 2, 10, 1)

    assert 300 == step.read(1)
    assert 450 == step.read(2)
    assert 899 == step.read(100)


def test_windows_bound_what_is_read() -> None:
    """gpt-oss: 18 layers look everywhere, 18 at 128 tokens; 8 heads x 128 x 2 B."""
    section = bounds("pack:openai--gpt-oss-120b", max_len=8192)

    assert 18 * (8192 + 128) * 8 * 64 * 2 * 2 == row(section, "cache a step").value


def test_a_card_without_rates_says_so() -> None:
    section = bounds(LLAMA, "24GiB", Speed(), max_len=1024)

    assert {None} == {one.value for one in section.rows if one.unit in ("tokens/s", "requests")}
    assert "give --bandwidth" in section.notes[0]
    assert "give --tflops" in section.notes[1]


def test_cards_share_the_reading() -> None:
    one, two = (row(bounds(LLAMA, tp=tp, max_len=1024), "decode, 1 x").value for tp in (1, 2))

    assert one is not None
    assert two is not None
    assert 1.9 * one < two <= 2 * one
