"""Norms of vectors: what shapes tell, what config.json tells, what those beside tell."""

from __future__ import annotations

import pytest

from ckptscan.structure.classes import Around, classify
from tests.structure.measure_classes import Shapes, of

NORMS: list[tuple[str, Shapes, str | None, str | None]] = [
    ("layers.*.input_layernorm", {"weight": (3584,)}, None, "Norm((3584,)) inferred"),
    ("layers.*.input_layernorm", {"weight": (3584,)}, "RMSNorm", "RMSNorm((3584,)) config"),
    ("layers.*.ln_1", {"weight": (64,)}, "LayerNorm", "LayerNorm((64,), bias=False) config"),
    ("rms_norm", {"weight": (64,)}, "LayerNorm", "RMSNorm((64,)) inferred"),
    ("connector.act", {"weight": (64,)}, None, "Norm((64,)) assumed"),
    ("connector.act", {"weight": (1,)}, None, "PReLU(num_parameters=1) inferred"),
    ("prelu*", {"weight": (64,)}, None, "PReLU(num_parameters=64) inferred"),
    ("gain", {"weight": (1,)}, None, None),
    ("ln_f", {"weight": (64,), "bias": (64,)}, "RMSNorm", "LayerNorm((64,)) inferred"),
    ("net.*", {"weight": (64,), "bias": (64,)}, None, "LayerNorm((64,)) assumed"),
    ("LayerNorm", {"gamma": (64,), "beta": (64,)}, None, "LayerNorm((64,)) inferred"),
    ("norm", {"weight": (4, 64), "bias": (4, 64)}, None, "LayerNorm((4, 64)) inferred"),
    ("norm", {"scale": (64,)}, None, "Norm((64,)) inferred"),
    ("layer_scale", {"scale": (64,)}, None, None),
    ("group_norm", {"weight": (64,), "bias": (64,)}, None, "GroupNorm(num_channels=64) inferred"),
    ("gn1", {"weight": (64,), "bias": (64,)}, None, "GroupNorm(num_channels=64) inferred"),
    ("instance_norm", {"weight": (64,), "bias": (64,)}, None, "InstanceNorm(64) inferred"),
    ("bn1", {"weight": (64,), "bias": (64,)}, None, "BatchNorm(64) inferred"),
    ("norm", {"weight": (64,), "bias": (32,)}, None, None),
    ("norm", {"weight": (64,), "A": (4, 64)}, None, None),
    (
        "block.1",
        {"running_mean": (64,), "running_var": (64,), "weight": (64,)},
        None,
        "BatchNorm(64) exact",
    ),
    (
        "bn",
        {"running_mean": (64,), "running_var": (64,)},
        None,
        "BatchNorm(64, affine=False) exact",
    ),
    ("bn", {"running_mean": (64,)}, None, None),
]


@pytest.mark.parametrize(("path", "leaves", "norm", "expected"), NORMS)
def test_norms(path: str, leaves: Shapes, norm: str | None, expected: str | None) -> None:
    assert expected == of(path, Around(norm=norm), **leaves)


CONV3: Shapes = {"weight": (64, 64, 3, 3)}
CONV1: Shapes = {"weight": (64, 64, 1, 1)}
GROUPS: list[tuple[str, dict[str, Shapes], str]] = [
    ("resnets.*.norm1", {"conv1": CONV3, "time_emb_proj": {"weight": (64, 256)}}, "GroupNorm"),
    ("encoder.norm_out", {"conv_out": CONV3}, "GroupNorm"),
    ("conv_norm_out", {"conv_out": CONV3}, "GroupNorm"),
    ("attn.*.norm", {"q": CONV1, "k": CONV1, "v": CONV1, "proj_out": CONV1}, "GroupNorm"),
    ("stem.*", {"0": CONV3}, "GroupNorm"),
    ("neck.layer_norm1", {"conv1": CONV3}, "LayerNorm"),
    ("block.norm1", {"conv1": {"weight": (64, 1, 7, 7)}}, "LayerNorm"),
    ("block.norm1", {"conv2": CONV3}, "LayerNorm"),
    ("convs.norm", {"conv": CONV3}, "LayerNorm"),
    ("downsample.*", {"0": {"weight": (64, 3, 4, 4)}}, "LayerNorm"),
    ("head.*", {"0": {"weight": (64, 32)}}, "LayerNorm"),
]


@pytest.mark.parametrize(("path", "beside", "expected"), GROUPS)
def test_a_norm_of_a_convolution_is_one_of_groups(
    path: str, beside: dict[str, Shapes], expected: str
) -> None:
    found = classify(path.split("."), {"weight": (64,), "bias": (64,)}, Around(beside))

    assert found is not None
    assert expected == found.name
