"""Figures that torch counts are those of numpy, for every dtype of the format."""

from __future__ import annotations

import pytest

from ckptscan.dtypes import DTYPES
from ckptscan.verify.figures import Figures, figures_of
from tests.content.test_measuring import raw_of, tame
from tests.verify.test_figures import agree

torch = pytest.importorskip("torch", reason="torch is not installed")


@pytest.mark.parametrize("name", [*DTYPES])
@pytest.mark.parametrize("is_tame", [True, False])
def test_figures_of_a_tensor_on_a_device(name: str, is_tame: bool) -> None:
    from ckptscan.verify.device_figures import figures_on_device

    raw = tame(name, raw_of(name, 9_600)) if is_tame else raw_of(name, 9_600)
    tensor = torch.frombuffer(bytearray(raw), dtype=torch.uint8)

    agree(figures_of(name, [raw]), figures_on_device(name, tensor))


def test_what_is_no_number_alone_has_no_mean() -> None:
    from ckptscan.verify.device_figures import figures_on_device

    assert Figures(5, nan=5) == figures_on_device("F32", torch.full((5,), torch.nan))
