"""Threads that read: how long one waits for them."""

from __future__ import annotations

import threading

from ckptscan.content.streams import wait_for


class Stuck(threading.Thread):
    """A thread that does not end; notes how long it was waited for."""

    waited = -1.0

    def join(self, timeout: float | None = None) -> None:
        self.waited = timeout or 0.0
        threading.Event().wait(timeout)


def test_all_threads_together_are_waited_for_no_longer_than_one() -> None:
    threads = [Stuck() for _ in range(6)]
    wait_for(threads, 0.01)

    assert threads[0].waited > 0
    assert [0.0] * 5 == [one.waited for one in threads[1:]]
