"""Numbers that are missing between others."""

from __future__ import annotations

import pytest

from ckptscan.checks.structure_gaps import CHECKS
from tests.checks.looking import codes, found_in, llama, mixture, without
from tests.conftest import unheld

L = "model.layers"


@pytest.mark.parametrize(
    ("tensors", "expected"),
    [
        pytest.param(llama(), [], id="whole"),
        pytest.param(mixture(), [], id="experts"),
        pytest.param(llama(range(4, 12)), [], id="a later part"),
        pytest.param(llama(range(0, 16, 2)), [], id="every second"),
        pytest.param(llama([0, 1, 2, 3, 90]), [], id="far apart"),
        pytest.param(llama([0, 1, 3, 4, 5, 6]), ["S004 error"], id="2 missing"),
        pytest.param(mixture(experts=64), [], id="many experts"),
        pytest.param(without(mixture(), f"{L}.5.mlp.experts.3."), ["S005 error"], id="one lost"),
        pytest.param(without(mixture(), f"{L}.5.mlp.experts.7."), ["S005 error"], id="the last"),
        pytest.param(without(mixture(), ".mlp.experts.7."), ["S005 error"], id="in all layers"),
        pytest.param(
            without(mixture(), ".mlp.gate.", f"{L}.5.mlp.experts.7."), ["S005 warning"],
            id="without a router",
        ),
    ],
)  # fmt: skip
def test_gaps(tensors: dict[str, tuple[str, list[int]]], expected: list[str]) -> None:
    assert expected == codes(CHECKS, tensors)


def test_a_gap_tells_which_numbers() -> None:
    (gap,) = found_in(CHECKS, unheld(llama([0, 1, 2, 3, 4, 5, 8, 9, 10])))

    assert ("6-7",) == gap.where[0].indices
    assert "0-5,8-10" == gap.evidence["seen"]


def test_experts_lost_in_several_layers_are_one_finding() -> None:
    tensors = without(mixture(), f"{L}.5.mlp.experts.3.", f"{L}.6.mlp.experts.3.")

    (lost,) = found_in(CHECKS, unheld(tensors))

    assert (("5-6", "3"), 2) == (lost.where[0].indices, lost.where[0].count)
