"""Tensors against a lock: L001 to L004."""

from __future__ import annotations

import pytest

from tests.checks.looking import llama, without
from tests.conftest import Tensors, index_of
from tests.lock.making import Files, audit_against, codes_against

MODEL = llama()
ONE: Files = {"model.safetensors": MODEL}
NAME = "model.layers.3.mlp.up_proj.weight"


def one(**changed: tuple[str, list[int]]) -> Files:
    return {"model.safetensors": {**MODEL, **changed}}


def two(cut: int) -> Files:
    """The model in two files, the first with so many tensors."""
    names = list(MODEL)
    first, second = names[:cut], names[cut:]
    paths = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    held: dict[str, Tensors] = {
        path: {name: MODEL[name] for name in part}
        for path, part in zip(paths, (first, second), strict=True)
    }
    return {**held, "model.safetensors.index.json": index_of(
        {name: path for path, part in held.items() for name in part}
    )}  # fmt: skip


CASES = [
        pytest.param(ONE, ONE, [], id="L001-the-same"),
        pytest.param(two(9), two(9), [], id="L004-the-same-in-two-files"),
        pytest.param(
            ONE, {"model.safetensors": without(MODEL, NAME)}, ["L001", "L005", "L006"], id="L001-gone"
        ),
        pytest.param(ONE, one(x=("U8", [0])), ["L001", "L005", "L006"], id="L001-new"),
        pytest.param(ONE, one(**{NAME: ("BF16", [64, 256])}), ["L002", "L006"], id="L002-turned"),
        pytest.param(ONE, one(**{NAME: ("F16", [256, 64])}), ["L003", "L006"], id="L003-cast"),
        pytest.param(ONE, one(**{NAME: ("I16", [256, 64])}), ["L003", "L006"], id="L002-cast-in-its-shape"),
        pytest.param(ONE, one(**{NAME: ("BF16", [128, 128])}), ["L002", "L006"], id="L003-cut-in-its-dtype"),
        pytest.param(two(9), two(10), ["L004", "L005", "L006", "L007"], id="L004-moved"),
        pytest.param(ONE, two(9), ["L004", "L005", "L007"], id="L004-cut-in-two"),
        pytest.param(
            ONE,
            {"model.safetensors": dict(reversed(MODEL.items()))},
            ["L005", "L006"],
            id="L004-another-order",
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(("then", "now", "expected"), CASES)
def test_drift_of_tensors(then: Files, now: Files, expected: list[str]) -> None:
    assert expected == codes_against(then, now)


def test_a_tensor_that_is_gone_is_named() -> None:
    done = audit_against(ONE, {"model.safetensors": without(MODEL, NAME)}, "L001")
    (finding,) = done.findings

    assert f"1 tensor of the lock and no more, such as {NAME}" == finding.message
    assert [(NAME, "model.safetensors")] == [(one.tensor, one.file) for one in finding.where]


def test_all_layers_that_were_cast_are_one_finding() -> None:
    cast = {name: ("F16", shape) for name, (_, shape) in MODEL.items()}
    (finding,) = audit_against(ONE, {"model.safetensors": cast}, "L003").findings

    assert ("BF16", "F16") == (finding.evidence["expected"], finding.evidence["seen"])
    assert len(MODEL) == sum(where.count for where in finding.where)
    assert {("0-7",), ()} == {where.indices for where in finding.where}


def test_many_other_shapes_end_in_one_finding() -> None:
    def model(extra: int) -> Files:
        return {"model.safetensors": {f"t{n}.weight": ("U8", [n + extra]) for n in range(60)}}

    found = audit_against(model(1), model(2), "L002").findings

    assert 21 == len(found)
    assert 60 == sum(where.count for one in found for where in one.where)


def test_a_tensor_that_moved_and_was_cast_is_told_as_both() -> None:
    last = list(MODEL)[9]
    now = two(10)
    path = "model-00001-of-00002.safetensors"
    held = now[path]

    assert isinstance(held, dict)
    now = {**now, path: {**held, last: ("F16", MODEL[last][1])}}
    found = {one.code: one for one in audit_against(two(9), now).findings}

    assert {last} == {where.tensor for where in found["L003"].where}
    assert {last} == {where.tensor for where in found["L004"].where}
    assert path == found["L004"].evidence["seen"]
