"""Paths out of files: only plain ones below the folder."""

from __future__ import annotations

import pytest

from ckptscan.paths import is_inside


@pytest.mark.parametrize(
    "path", ["model.safetensors", "unet/model-00001-of-00002.safetensors", "é"]
)
def test_a_plain_path_is_inside(path: str) -> None:
    assert is_inside(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "../model.safetensors",
        "a/../../b",
        "/etc/passwd",
        "a//b",
        "a/",
        "C:\\weights",
        "C:weights",
        "..\\b",
        "https://example.org/x",
        "a\nb",
        "a\x00b",
        "\u202egnp",
        "a\u034f",
        "x" * 1025,
    ],
)
def test_any_other_path_is_not(path: str) -> None:
    assert not is_inside(path)
