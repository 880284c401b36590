"""Many small waits at once: threads that nobody has to wait for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ckptscan.sources.access import Deadline

A = TypeVar("A")
B = TypeVar("B")

# of 163 shards at 40 ms a response: 8 threads 2.1 s, 16 threads 1.3 s, 32 threads 1.2 s; a session
# of huggingface_hub keeps 20 connections
CREW = 16
GRACE = 0.3  # seconds past the deadline, in which a thread may still tell what it waited for


def together(
    task: Callable[[A], B], inputs: Sequence[A], deadline: Deadline
) -> Iterator[tuple[A, B]]:
    """Each input with what the task makes of it, in the order in which they are done.

    The first error of a task is raised, and no further task begun. The threads are daemons, unlike
    those of concurrent.futures, so that an interrupt ends the process at once.
    """
    waiting = queue.SimpleQueue[A]()
    done = queue.SimpleQueue[tuple[A, B] | BaseException]()
    over = threading.Event()
    for one in inputs:
        waiting.put(one)

    def work() -> None:
        while not over.is_set():
            try:
                one = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((one, task(one)))
            except BaseException as error:  # raised again by whoever waits
                done.put(error)
                return

    for _ in range(min(CREW, len(inputs))):
        threading.Thread(target=work, daemon=True).start()
    try:
        for number, _ in enumerate(inputs):
            try:
                result = done.get(timeout=deadline.left() + GRACE)
            except queue.Empty:
                raise deadline.over(f"{number:,} of {len(inputs):,} files read") from None
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        over.set()


def alone(task: Callable[[], B], deadline: Deadline) -> B:
    """What one task makes, within the deadline also where it hangs in the system."""
    ((_, result),) = together(lambda _: task(), [None], deadline)
    return result
