"""What a device's memory should grow by, under the settings that torch reads."""

from __future__ import annotations

import pytest

from ckptscan.verify.allocating import allocator_of

MIB = 1 << 20


@pytest.mark.parametrize(
    ("settings", "nbytes", "expected"),
    [
        pytest.param("", 1, 512, id="small"),
        pytest.param("", 3 * MIB + 1, 3 * MIB + 512, id="rounded"),
        pytest.param("", 19 * MIB + MIB // 2, 20 * MIB, id="what is left is too little to split"),
        pytest.param("max_split_size_mb:20", 30 * MIB + 1, 32 * MIB, id="not split"),
        pytest.param("expandable_segments:True", 19 * MIB + MIB // 2, 19 * MIB + MIB // 2,
                     id="expandable"),
        pytest.param("garbage_collection_threshold:0.8", 1, 512, id="harmless"),
    ],
)  # fmt: skip
def test_growth(settings: str, nbytes: int, expected: int) -> None:
    paper = allocator_of("cuda", {"PYTORCH_CUDA_ALLOC_CONF": settings})
    assert paper is not None

    assert expected == paper.take(nbytes)
    assert 0 == paper.take(0)
    paper.clear()
    assert expected == paper.take(nbytes)


def test_small_tensors_share_a_segment() -> None:
    paper = allocator_of("cuda", {})
    assert paper is not None

    assert [512, 1024, MIB] == [paper.take(size) for size in (128, 1000, MIB)]


@pytest.mark.parametrize(
    ("kind", "environment"),
    [
        ("mps", {}),
        ("cuda", {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}),
        ("cuda", {"PYTORCH_ALLOC_CONF": "backend:cudaMallocAsync"}),
        ("cuda", {"PYTORCH_CUDA_ALLOC_CONF": "roundup_power2_divisions:8"}),
        ("cuda", {"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:many"}),
    ],
)
def test_what_is_not_simulated_is_not_judged(kind: str, environment: dict[str, str]) -> None:
    assert None is allocator_of(kind, environment)


def test_the_host_takes_what_is_asked() -> None:
    paper = allocator_of("cpu", {})
    assert paper is not None

    assert 1001 == paper.take(1001)
