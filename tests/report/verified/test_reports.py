"""What a verification looks like in each format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ckptscan.report.verified import FORMATS, report
from ckptscan.verify import Probe, Verification, Wish, verify
from ckptscan.verify.kernels import Trial
from ckptscan.verify.values import DeviceFacts, Throughput
from tests.checks.looking import llama
from tests.content.making import changed, raw_file, source_of, stored, structure_of, weights

UP = "model.layers.1.mlp.up_proj.weight"
CARD = DeviceFacts("cuda:0", "NVIDIA L4", 23_034 << 20, 22_000 << 20, 89, "torch 2.9.0, CUDA 12.8")
TRIALS = (
    Trial(UP, "BF16", "linear"),
    Trial(UP, "F8_E4M3", "linear", skipped="F8_E4M3 needs compute capability 8.9"),
    Trial(UP, "I8", "linear", refused="not implemented"),
)


def settled(probe: Probe) -> Probe:
    """A probe without what the machine decides: seconds, the last digits of sums."""
    figures, norms = probe.figures, probe.norms
    mean, std = round(figures.mean or 0, 7), round(figures.std or 0, 7)
    if norms is not None:
        rounded = (round(one or 0, 6) for one in (norms.least, norms.median, norms.largest))
        least, median, largest = rounded
        norms = norms._replace(least=least, median=median, largest=largest)
    figures = replace(figures, mean=mean, std=std)
    return replace(probe, seconds=0.001, figures=figures, norms=norms)


def verification() -> Verification:
    """A model with a NaN, as if it had been loaded onto a card, until somebody interrupted."""
    array = np.random.default_rng(0).standard_normal((256, 64))
    array[3, 3] = np.nan
    source = source_of(raw_file(changed(weights(llama(range(2))), {UP: stored("BF16", array)})))
    structure = structure_of(source)
    found = verify(source, structure, Wish(most=200_000), "cpu", digests=True)
    return replace(
        found,
        device=CARD,
        probes=tuple(map(settled, found.probes)),
        throughput=Throughput(2.5e9, 12.5e9, 4),
        trials=TRIALS,
        missing=("allocator: this device's is not simulated",),
        stopped="interrupted",
    )


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_verification(format_name: str, golden: Callable[[str], None]) -> None:
    golden("\n".join(report(verification(), format_name, 100)) + "\n")


def test_a_report_shows_no_more_than_a_person_reads() -> None:
    found = verification()
    lines = list(report(replace(found, probes=found.probes * 20), "text", 100))

    assert len(lines) < 500
    assert any("more; --format json lists them" in line for line in lines)


def test_names_can_not_write_to_the_terminal() -> None:
    source = source_of(raw_file({"\x1b[2Jevil.weight": ("F32", np.full((4, 4), np.nan, "<f4"))}))
    found = verify(source, structure_of(source), device="cpu")

    for format_name in FORMATS:
        assert "\x1b" not in "\n".join(report(found, format_name))


def test_nothing_to_load_is_no_confirmation() -> None:
    source = source_of(raw_file({"a.weight": ("F32", np.empty((0, 4), "<f4"))}))
    lines = list(report(verify(source, structure_of(source), device="cpu"), "text", 100))

    assert "match    nothing was loaded" in lines
    assert "note: 1 chosen tensor left out: no elements" in lines


@pytest.mark.parametrize(
    ("rate", "said"), [(3_140_000.0, "3.1 MB/s"), (2.5e9, "2.50 GB/s"), (5e7, "50.0 MB/s")]
)
def test_rates_are_in_a_unit_that_shows_them(rate: float, said: str) -> None:
    found = replace(verification(), throughput=Throughput(rate, None, 1))

    assert f"rates    source to host {said} (1 thread)" in list(report(found, "text", 100))
