"""Threads that wait side by side, and that nobody has to wait for."""

from __future__ import annotations

import threading
import time

import pytest

from ckptscan.errors import SourceUnreachable
from ckptscan.sources.access import Deadline
from ckptscan.sources.crew import CREW, Crew, alone, together


def test_each_input_comes_with_its_result() -> None:
    found = dict(together(lambda number: number * 2, range(1000), Deadline(10)))

    assert {number: number * 2 for number in range(1000)} == found


def test_many_wait_at_once() -> None:
    barrier = threading.Barrier(CREW)

    assert CREW == len(list(together(lambda _: barrier.wait(5), range(CREW), Deadline(10))))


def test_the_first_error_ends_it() -> None:
    begun = []

    def task(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise KeyError(number)
        time.sleep(0.01)
        return number

    with pytest.raises(KeyError):
        list(together(task, range(10_000), Deadline(10)))
    assert len(begun) < 10_000


def test_a_task_that_hangs_is_not_waited_for() -> None:
    forever = threading.Event()

    with pytest.raises(SourceUnreachable, match=r"not done within 0.1 seconds: 0 of 1 done$"):
        alone(forever.wait, Deadline(0.1))
    forever.set()


def test_how_far_it_came_is_said_also_where_the_time_was_over_before() -> None:
    crew = Crew(lambda number: number, deadline := Deadline(10))
    crew.add([1, 2])
    deadline._end = 0

    with pytest.raises(SourceUnreachable, match=r"not done within 10 seconds: 0 of 2 done"):
        crew.next()


def test_what_is_waited_for_is_named() -> None:
    forever = threading.Event()

    with pytest.raises(SourceUnreachable, match=r": 1 of 2 done, waiting for b.safetensors$"):
        list(
            together(
                lambda path: path[0] == "a" or forever.wait(), ["a", "b.safetensors"], Deadline(0.1)
            )
        )
    forever.set()


def test_inputs_may_be_added_while_others_are_done() -> None:
    crew = Crew(lambda number: number, Deadline(10))
    crew.add([3])
    found = []
    while done := crew.next():
        found.append(done[0])
        crew.add([done[0] - 1] if done[0] else [])
    crew.dismiss()

    assert [3, 2, 1, 0] == found


def test_nothing_to_do_is_done() -> None:
    assert [] == list(together(lambda number: number, [], Deadline(1)))
