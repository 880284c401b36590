"""Attention of 305 model types: heads from shapes alone, and with their configs."""

from __future__ import annotations

import pytest

from tests.structure.measure_attention import cases


@pytest.mark.slow
@pytest.mark.parametrize(("with_config", "wanted"), [(False, 96), (True, 95)])
def test_heads_are_right_for_nearly_all_model_types(with_config: bool, wanted: int) -> None:
    """Among the misses are types whose default layers hold no attention at all."""
    measured = list(cases(with_config))
    wrong = [case.model for case in measured if not case.is_right]
    print(f"{len(measured) - len(wrong)} of {len(measured)} right; wrong: {', '.join(wrong)}")

    assert len(measured) > 300
    assert wanted * len(measured) <= 100 * (len(measured) - len(wrong)), wrong
