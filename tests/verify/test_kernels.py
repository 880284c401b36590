"""Operations in stored dtypes: on the host for each that torch has, said why for the others."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ckptscan.verify.kernels import Trial, attempt, lacking, needs_of, operation_of


@pytest.mark.parametrize(
    ("role", "dims", "expected"),
    [
        ("embedding", 2, "embedding"),
        ("q", 2, "linear"),
        ("expert.gate_up", 3, "linear"),
        ("norm", 1, ""),
        ("quantization", 2, ""),
    ],
)
def test_what_a_tensor_is_for(role: str, dims: int, expected: str) -> None:
    assert expected == operation_of(role, dims)


@pytest.mark.parametrize(
    ("dtype", "kind", "capability", "expected"),
    [
        ("BF16", "cuda", 75, ""),
        ("F8_E4M3", "cuda", 90, ""),
        ("F8_E4M3", "cpu", 0, ""),
        (
            "F8_E4M3",
            "cuda",
            80,
            "F8_E4M3 needs compute capability 8.9 (Ada, Hopper, Blackwell), this device has 8.0",
        ),
        ("I8", "cuda", 70, "I8 needs compute capability 7.5 (Turing), this device has 7.0"),
        ("F8_E5M2", "mps", 0, "Metal has no F8_E5M2"),
    ],
)
def test_what_a_device_is_known_to_lack(
    dtype: str, kind: str, capability: int, expected: str
) -> None:
    assert expected == lacking(dtype, kind, capability)


def test_needs_are_told_beforehand() -> None:
    assert "" == needs_of("BF16")
    assert "8.9" in needs_of("F8_E5M2")
    assert "MI300" in needs_of("F8_E4M3FNUZ")


@pytest.fixture(name="torch")
def _torch():
    return pytest.importorskip("torch", reason="torch is not installed")


NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I8": "int8",
    "F8_E4M3": "float8_e4m3fn",
}


def weight(torch, dtype: str, *shape: int):
    draw = torch.Generator().manual_seed(1)
    numbers = torch.randn(*shape, generator=draw) * (20 if dtype == "I8" else 0.02)
    return numbers.to(getattr(torch, NAMES[dtype]))


@pytest.mark.parametrize("dtype", [*NAMES])
@pytest.mark.parametrize("shape", [(64, 128), (300, 48), (4, 64, 32)])
def test_a_product_in_the_stored_dtype(torch, dtype: str, shape: tuple[int, ...]) -> None:
    trial = attempt("w", dtype, "linear", weight(torch, dtype, *shape), 0)

    assert ("", "", "") == (trial.problem, trial.refused, trial.skipped)
    assert trial.gap is not None


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16", "F64"])
def test_rows_that_are_looked_up(torch, dtype: str) -> None:
    trial = attempt("e", dtype, "embedding", weight(torch, dtype, 50, 16), 0)

    assert Trial("e", dtype, "embedding", gap=0.0) == trial


def test_what_torch_has_no_operation_for_is_skipped(torch) -> None:
    trial = attempt("w", "F4", "linear", torch.zeros(16, 16, dtype=torch.uint8), 0)

    assert "torch has no linear in F4" == trial.skipped


def test_weights_that_are_no_numbers_prove_nothing(torch) -> None:
    numbers = weight(torch, "F32", 16, 16)
    numbers[3, 3] = torch.nan

    assert "the weights hold what is no number" == attempt("w", "F32", "linear", numbers, 0).skipped


def test_what_a_device_does_not_take_is_told_in_the_words_of_torch(torch) -> None:
    trial = attempt("w", "BF16", "linear", torch.zeros(16, 16, dtype=torch.bool), 0)

    assert "Bool" in trial.refused
    assert "" == trial.problem


def test_a_matrix_below_a_tile_is_not_multiplied_in_eight_bits(torch) -> None:
    trial = attempt("w", "F8_E4M3", "linear", weight(torch, "F8_E4M3", 8, 8), 0)

    assert "it is smaller than a tile of 16 x 16" == trial.skipped


def test_what_a_device_lacks_is_told_before_it_is_tried() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    card = SimpleNamespace(device=SimpleNamespace(type="cuda"))
    trial = attempt("w", "F8_E4M3", "linear", card, 80)

    assert trial.skipped.startswith("F8_E4M3 needs compute capability 8.9")


def test_a_result_that_overflows_is_a_problem(torch) -> None:
    numbers = torch.full((16, 4096), 60000.0, dtype=torch.float16)
    trial = attempt("w", "F16", "linear", numbers, 0)

    assert "the result holds what is no number" == trial.problem
