"""E004, E006."""

from __future__ import annotations

import pytest

from tests.checks.making import findings_of


def holding(*names: str) -> dict[str, object]:
    return {"model.safetensors": {name: ("F32", [2]) for name in names}}


CASES = [
    pytest.param("E004", holding("schema.weight", "gradient_checkpoint.w"), 0, id="E004-alike"),
    pytest.param("E004", holding("w", "optimizer.state.0.exp_avg"), 1, id="E004-adam"),
    pytest.param("E004", holding("w", "model_ema.w"), 1, id="E004-average"),
    pytest.param("E006", holding("position_ids_embed.weight"), 0, id="E006-alike"),
    pytest.param("E006", holding("w", "layers.0.rotary_emb.inv_freq"), 0, id="E006-a-few-bytes"),
    pytest.param(
        "E006",
        {"model.safetensors": {"h.0.attn.masked_bias": ("F32", [1, 1, 513, 512])}},
        1,
        id="E006-a-mask-of-a-megabyte",
    ),
]


@pytest.mark.parametrize(("code", "files", "count"), CASES)
def test_what_is_found(code: str, files: dict[str, object], count: int) -> None:
    assert count == len(findings_of(files, code))
