"""Numbers that are missing between others."""

from __future__ import annotations

import pytest

from ckptscan.checks.structure_gaps import CHECKS
from tests.checks.looking import codes, found_in, llama, mixture, without
from tests.conftest import unheld

L = "model.layers"


CASES = [
    pytest.param(llama(), [], id="S004-whole"),
    pytest.param(mixture(), [], id="S005-experts"),
    pytest.param(llama(range(4, 12)), [], id="S004-a-later-part"),
    pytest.param(llama(range(0, 16, 2)), [], id="S004-every-second"),
    pytest.param(llama([0, 1, 2, 3, 90]), [], id="S004-far-apart"),
    pytest.param(llama([0, 1, 2, 3, 4, 5, 700]), [], id="S004-one-far-away"),
    pytest.param(llama([0, 1, 2, 4, 5, 6, 703]), ["S004 error"], id="S004-under-a-far-number"),
    pytest.param(
        {
            f"stem.{at}.{leaf}": ("F32", [64, 64, 3, 3] if at % 3 == 0 else [64])
            for at in (0, 1, 3, 4, 6, 7)
            for leaf in ("weight", *("bias running_mean running_var".split() if at % 3 else ()))
        },
        [],
        id="S004-convolutions-and-batch-norms",
    ),
    pytest.param(llama([0, 1, 3, 4, 5, 6]), ["S004 error"], id="S004-2-missing"),
    pytest.param(mixture(experts=64), [], id="S005-many-experts"),
    pytest.param(without(mixture(), f"{L}.5.mlp.experts.3."), ["S005 error"], id="S005-one-lost"),
    pytest.param(without(mixture(), f"{L}.5.mlp.experts.7."), ["S005 error"], id="S005-the-last"),
    pytest.param(without(mixture(), ".mlp.experts.7."), ["S005 error"], id="S005-in-all-layers"),
    pytest.param(
        without(mixture(), ".mlp.gate.", f"{L}.5.mlp.experts.7."), ["S005 warning"],
        id="S005-without-a-router",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("tensors", "expected"), CASES)
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
