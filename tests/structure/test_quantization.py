"""What packed weights have in common: schemes, their bits and groups, and how sure that is."""

from __future__ import annotations

import pytest

from ckptscan.structure.quantization import least_sure
from tests.conftest import Tensors, unheld


def gptq(name: str, inward: int, outward: int, bits: int = 4) -> Tensors:
    return {
        f"{name}.qweight": ("I32", [inward * bits // 32, outward]),
        f"{name}.scales": ("F16", [inward // 64, outward]),
        f"{name}.qzeros": ("I32", [inward // 64, outward * bits // 32]),
    }


def test_nothing_packed_is_no_quantization() -> None:
    assert unheld({"a.weight": ("BF16", [2, 2])}).quantization is None


def test_weights_packed_alike_are_one_scheme() -> None:
    found = unheld(
        gptq("l.0.q_proj", 128, 64) | gptq("l.1.q_proj", 128, 64) | gptq("l.1.o_proj", 128, 32),
        config={"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 64}},
    ).quantization

    assert found is not None
    assert (1, "gptq", ()) == (len(found.schemes), found.declared, found.problems)
    main = found.main
    assert ("gptq", 4, 64, 3) == (main.scheme, main.bits, main.group, main.weights)
    assert 2 * 128 * 64 + 128 * 32 == main.numel
    assert 2 * (4096 + 256 + 64) + (2048 + 128 + 32) == main.nbytes


def test_the_scheme_of_most_bytes_stands_first() -> None:
    found = unheld(gptq("a.q_proj", 64, 64) | gptq("b.q_proj", 128, 64, bits=8)).quantization

    assert found is not None
    assert [8, 4] == [scheme.bits for scheme in found.schemes]
    assert found.declared is None


def test_a_weight_of_unknown_shape_leaves_the_sum_unknown() -> None:
    found = unheld({"a.q_proj.qweight": ("I32", [8, 64])}).quantization

    assert found is not None
    assert found.main.numel is None
    assert ("a.q_proj: qweight without scales",) == found.problems


def test_what_config_says_otherwise_is_a_problem() -> None:
    structure = unheld(
        gptq("a.q_proj", 64, 64),
        config={"quantization_config": {"quant_method": "gptq", "bits": 8, "group_size": 64}},
    )

    assert ("a.q_proj: config says 8 bits, the tensors have 4",) == structure.problems


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([], "exact"),
        (["exact", "config"], "config"),
        (["assumed", "inferred"], "assumed"),
        (["unheard of", "unknown"], "unheard of"),
    ],
)
def test_a_figure_is_as_sure_as_the_least_sure_part(labels: list[str], expected: str) -> None:
    assert expected == least_sure(labels)
