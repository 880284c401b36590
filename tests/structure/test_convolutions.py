"""Convolutions, plain, transposed and depthwise."""

from __future__ import annotations

import pytest

from tests.structure.measure_classes import Shapes, of

CONVOLUTIONS: list[tuple[str, Shapes, str | None]] = [
    (
        "visual.patch_embed.proj",
        {"weight": (1280, 3, 2, 14, 14)},
        "Conv3d(3, 1280, kernel=(2, 14, 14), bias=False) inferred",
    ),
    ("conv1", {"weight": (64, 80, 3), "bias": (64,)}, "Conv1d(80, 64, kernel=(3,)) inferred"),
    (
        "block.dwconv",
        {"weight": (64, 1, 7, 7), "bias": (64,)},
        "Conv2d(64, 64, kernel=(7, 7), groups=64) inferred",
    ),
    (
        "block.depth_wise_conv",
        {"weight": (64, 1, 3)},
        "Conv1d(64, 64, kernel=(3,), groups=64, bias=False) inferred",
    ),
    (
        "layers.*.mixer.conv1d",
        {"weight": (64, 1, 4), "bias": (64,)},
        "Conv1d(64, 64, kernel=(4,), groups=64) assumed",
    ),
    (
        "feature_extractor.*.conv",
        {"weight": (64, 1, 10)},
        "Conv1d(1, 64, kernel=(10,), bias=False) assumed",
    ),
    (
        "encoder.pos_conv_embed.conv",
        {"weight_g": (1, 1, 128), "weight_v": (768, 48, 128), "bias": (768,)},
        "Conv1d(768, 768, kernel=(128,), groups=16) inferred",
    ),
    (
        "conv",
        {
            "parametrizations.weight.original0": (8, 1, 1),
            "parametrizations.weight.original1": (8, 4, 7),
        },
        "Conv1d(4, 8, kernel=(7,), bias=False) inferred",
    ),
    (
        "decoder.ups.*",
        {"weight": (512, 256, 16), "bias": (256,)},
        "ConvTranspose1d(512, 256, kernel=(16,)) exact",
    ),
    (
        "anything",
        {"weight": (64, 8, 2, 2), "bias": (32,)},
        "ConvTranspose2d(64, 32, kernel=(2, 2), groups=4) exact",
    ),
    (
        "decoder.upsample.conv",
        {"weight": (512, 1, 4)},
        "ConvTranspose1d(512, 512, kernel=(4,), groups=512, bias=False) inferred",
    ),
    (
        "deconv",
        {"weight": (64, 32, 3, 3)},
        "ConvTranspose2d(64, 32, kernel=(3, 3), bias=False) inferred",
    ),
    (
        "neck.resize",
        {"weight": (48, 48, 4, 4), "bias": (48,)},
        "ConvTranspose2d(48, 48, kernel=(4, 4)) inferred",
    ),
    (
        "up.*.upsample.conv",
        {"weight": (48, 48, 3, 3), "bias": (48,)},
        "Conv2d(48, 48, kernel=(3, 3)) inferred",
    ),
    (
        "mask_downsample",
        {"weight": (1, 1, 4, 4), "bias": (1,)},
        "Conv2d(1, 1, kernel=(4, 4)) inferred",
    ),
    ("codebooks_head", {"weight": (31, 1024, 2051)}, None),
    ("conv", {"weight": (64, 32, 3), "bias": (5,)}, None),
    ("conv", {"weight": (64, 32, 3), "bias": (64, 1)}, None),
    ("conv", {"weight": (64, 0, 3), "bias": (64,)}, None),
    ("conv", {"weight": (1, 2, 3, 4, 5, 6)}, None),
]


@pytest.mark.parametrize(("path", "leaves", "expected"), CONVOLUTIONS)
def test_convolutions(path: str, leaves: Shapes, expected: str | None) -> None:
    assert expected == of(path, **leaves)
