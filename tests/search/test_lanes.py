"""Threads whose first queue goes first."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from lossdsl.search.lanes import Lanes


def test_what_is_waited_for_goes_first() -> None:
    order: list[str] = []
    gate, begun = threading.Event(), threading.Event()
    with Lanes(1) as lanes:
        lanes.submit(lambda: (begun.set(), gate.wait(60)))
        assert begun.wait(60)
        for k in range(2):
            lanes.later(order.append, f"later {k}")
        for k in range(2):
            lanes.submit(order.append, f"now {k}")
        gate.set()
    assert order == ["now 0", "now 1", "later 0", "later 1"]


def test_threads_work_side_by_side_and_in_threads_of_their_own() -> None:
    both = threading.Barrier(2)
    started: list[str] = []
    with Lanes(2, "pair", lambda: started.append(threading.current_thread().name)) as lanes:
        futures = [lanes.later(both.wait, 60), lanes.submit(both.wait, 60)]
        assert sorted(future.result(60) for future in futures) == [0, 1]
    assert sorted(started) == ["pair_0", "pair_1"]


def test_an_error_goes_to_whoever_asks_for_the_result_and_the_thread_lives_on() -> None:
    def fail() -> None:
        raise ValueError("no")

    with Lanes(1) as lanes:
        future = lanes.later(fail)
        with pytest.raises(ValueError, match="no"):
            future.result(60)
        assert lanes.submit(abs, -2).result(60) == 2


def test_what_has_not_begun_can_be_cancelled_and_a_closed_pool_takes_nothing() -> None:
    gate, begun = threading.Event(), threading.Event()
    lanes = Lanes(1)
    lanes.submit(lambda: (begun.set(), gate.wait(60)))
    assert begun.wait(60)
    waiting: list[Future[int]] = [lanes.later(abs, -1), lanes.submit(abs, -2), lanes.submit(abs, -3)]
    assert waiting[0].cancel()
    lanes.shutdown(wait=False, cancel_futures=True)
    gate.set()
    assert all(future.cancelled() for future in waiting)
    with pytest.raises(RuntimeError, match="shut down"):
        lanes.submit(abs, -1)
    lanes.shutdown()
