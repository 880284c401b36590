"""The cheapest mix that fits: held against all mixes, each planned."""

from __future__ import annotations

from itertools import product

import pytest

from ckptscan.errors import UsageError
from ckptscan.hardware import parse_devices
from ckptscan.plan import Ask, MemoryPlan, Parallel, WhatIf, plan
from ckptscan.plan.whatif.fitting import default_formats
from tests.plan.measured import structure_of

LLAMA = "pack:meta-llama--Llama-3.1-8B"
WEIGHTS = {
    "attention": 32 * 2 * (4096 + 1024) * 4096,
    "ffn": 32 * 3 * 4096 * 14336,
    "head": 128_256 * 4096,
}
BITS = {"keep": 16, "fp8": 8, "int4-g128": 4}


def asked(gpu: str, what_if: WhatIf, model: str = LLAMA, **options: object) -> MemoryPlan:
    ask = Ask(
        parse_devices(gpu), Parallel(), max_len=4096, max_seqs=32, max_batched=2048,
        what_if=what_if, **options,  # type: ignore[arg-type]
    )  # fmt: skip
    return plan(structure_of(model), ask)


@pytest.mark.slow
@pytest.mark.parametrize("gpu", ["17GiB", "15GiB", "12GiB", "11GiB", "9GiB", "8GiB"])
def test_no_other_mix_loses_fewer_bits(gpu: str) -> None:
    best: int | None = None
    for mix in product(BITS, repeat=3):
        recipe = ",".join(f"{group}={name}" for group, name in zip(WEIGHTS, mix, strict=True))
        if asked(gpu, WhatIf(recipe)).fits:
            kept = sum(WEIGHTS[g] * BITS[name] for g, name in zip(WEIGHTS, mix, strict=True))
            best = max(best or 0, kept)
    found = asked(gpu, WhatIf(fits=True))

    assert best is not None
    assert found.fits
    first = found.sections[0].rows[0]
    assert best / sum(WEIGHTS.values()) == pytest.approx(first.value)
    assert f"--quantize {found.ask.what_if.quantize}" == first.name


def test_what_fits_is_left_as_it_is() -> None:
    found = asked("h100", WhatIf(fits=True))

    assert found.ask.what_if.quantize is None
    assert ("fits as it is stored",) == found.sections[0].notes


def test_what_can_t_be_made_to_fit_is_said() -> None:
    found = asked("4GiB", WhatIf(fits=True))

    assert not found.fits
    assert "no mix of fp8, int4-g128 fits" in found.sections[0].notes[0]


def test_requests_are_part_of_what_shall_fit() -> None:
    few = asked("17GiB", WhatIf(fits=True), requests=2)
    many = asked("17GiB", WhatIf(fits=True), requests=16)

    assert many.fits
    assert (few.sections[0].rows[0].value or 0) > (many.sections[0].rows[0].value or 0)


def test_what_is_packed_loses_only_what_is_narrower() -> None:
    """DeepSeek-V3 stores experts in FP8: FP8 is no choice for them."""
    ask = Ask(parse_devices("h100"), Parallel(tp=8), max_len=8192, what_if=WhatIf(fits=True))
    found = plan(structure_of("pack:deepseek-ai--DeepSeek-V3"), ask)

    assert "experts=int4-g128" == found.ask.what_if.quantize


def test_a_card_without_fp8_is_offered_int8() -> None:
    assert ("int8", "int4-g128") == default_formats(parse_devices("t4").card)
    assert ("fp8", "int4-g128") == default_formats(parse_devices("a100").card)


@pytest.mark.parametrize(
    "what_if",
    [
        WhatIf("int8", fits=True),
        WhatIf(fits=True, fit_formats=("int5",)),
        WhatIf(fits=True, fit_formats=("int8", "fp8", "nf4", "mxfp4", "q4_0")),
    ],
    ids=["both", "unknown", "too-many"],
)
def test_what_can_t_be_looked_for_is_refused(what_if: WhatIf) -> None:
    with pytest.raises(UsageError) as caught:
        asked("12GiB", what_if)

    assert caught.value.hint
