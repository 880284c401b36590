"""The caching allocator, by the rules of c10/cuda/CUDACachingAllocator.cpp."""

from __future__ import annotations

import random

import pytest

from ckptscan.hardware import Allocator
from ckptscan.hardware.allocator import rounded

MIB = 1 << 20


@pytest.mark.parametrize(
    ("sizes", "allocated", "reserved"),
    [
        pytest.param([0], 512, 2 * MIB, id="nothing-takes-a-block"),
        pytest.param([1], 512, 2 * MIB, id="a-byte"),
        pytest.param([513], 1024, 2 * MIB, id="rounded-to-512"),
        pytest.param([MIB], MIB, 2 * MIB, id="small-pool-up-to-1-MiB"),
        pytest.param([MIB + 1], MIB + 512, 20 * MIB, id="large-pool-above"),
        pytest.param([MIB, MIB, MIB], 3 * MIB, 4 * MIB, id="small-segments-are-filled"),
        pytest.param([9 * MIB, 9 * MIB], 18 * MIB, 20 * MIB, id="two-in-a-segment"),
        pytest.param([9 * MIB, 11 * MIB], 20 * MIB, 20 * MIB, id="a-large-one-takes-the-rest"),
        pytest.param([19 * MIB], 20 * MIB, 20 * MIB, id="rest-of-1-MiB-is-no-block"),
        pytest.param([10 * MIB], 10 * MIB, 10 * MIB, id="own-segment-from-10-MiB"),
        pytest.param([23 * MIB], 24 * MIB, 24 * MIB, id="own-segment-rounds-to-2-MiB"),
        pytest.param(
            [22 * MIB + 512], 22 * MIB + 512, 24 * MIB, id="rest-above-1-MiB-is-split-off"
        ),
    ],
)
def test_what_allocations_take(sizes: list[int], allocated: int, reserved: int) -> None:
    allocator = Allocator()
    for size in sizes:
        allocator.allocate(size)

    assert allocated == allocator.allocated
    assert reserved == allocator.reserved
    assert sum(sizes) == allocator.requested


def test_the_smallest_block_that_fits_is_reused() -> None:
    allocator = Allocator()
    large, small = allocator.allocate(30 * MIB), allocator.allocate(24 * MIB)
    allocator.free(large)
    allocator.free(small)
    allocator.allocate(23 * MIB)

    assert 24 * MIB == allocator.allocated  # 1 MiB is not split off
    assert 54 * MIB == allocator.reserved


def test_free_neighbours_are_joined() -> None:
    allocator = Allocator()
    handles = [allocator.allocate(5 * MIB) for _ in range(4)]
    for handle in handles:
        allocator.free(handle)
    allocator.allocate(20 * MIB)

    assert 20 * MIB == allocator.reserved
    assert 20 * MIB == allocator.allocated


def test_blocks_from_max_split_size_on_stay_whole() -> None:
    allocator = Allocator(max_split=20 * MIB)
    whole = allocator.allocate(30 * MIB + 512)
    allocator.free(whole)
    allocator.allocate(5 * MIB)  # may not break the large block
    allocator.allocate(25 * MIB)  # may take it, as less than 20 MiB are wasted

    assert 5 * MIB + 32 * MIB == allocator.allocated
    assert 52 * MIB == allocator.reserved


def test_a_much_larger_block_is_not_taken_for_a_whole_one() -> None:
    allocator = Allocator(max_split=20 * MIB)
    allocator.free(allocator.allocate(64 * MIB))
    allocator.allocate(30 * MIB)

    assert 94 * MIB == allocator.reserved


def test_peaks_and_emptying() -> None:
    allocator = Allocator()
    first, _ = allocator.allocate(12 * MIB), allocator.allocate(2 * MIB)
    allocator.free(first)
    allocator.empty_cache()

    assert 14 * MIB == allocator.peak
    assert 2 * MIB == allocator.allocated
    assert 20 * MIB == allocator.reserved
    assert 32 * MIB == allocator.peak_reserved


@pytest.mark.parametrize("size", [100, 3 * MIB, 12 * MIB, 23 * MIB, 22 * MIB + 512])
def test_alike_requests_are_as_many_single_ones(size: int) -> None:
    one_by_one, at_once = Allocator(), Allocator()
    for _ in range(7):
        one_by_one.allocate(size)
    at_once.allocate_alike(size, 7)

    assert one_by_one.allocated == at_once.allocated
    assert one_by_one.reserved == at_once.reserved
    assert one_by_one.requested == at_once.requested


@pytest.mark.parametrize("max_split", [None, 20 * MIB])
def test_any_run_keeps_its_books(max_split: int | None) -> None:
    """Blocks hold what was asked for, lie in segments, and nothing is left in the end."""
    dice = random.Random(7)
    allocator, held = Allocator(max_split), []
    for _ in range(2000):
        if held and dice.random() < 0.45:
            allocator.free(held.pop(dice.randrange(len(held))))
        else:
            held.append(allocator.allocate(dice.choice((7, 4096, 2 * MIB, 11 * MIB, 40 * MIB))))

        assert allocator.requested <= allocator.allocated <= allocator.reserved
    for handle in held:
        allocator.free(handle)
    allocator.empty_cache()

    assert (0, 0, 0) == (allocator.allocated, allocator.reserved, allocator.requested)


def test_sizes_are_rounded_to_512() -> None:
    assert [512, 512, 1024] == [rounded(size) for size in (0, 512, 513)]
