"""A process that hangs, dies or eats memory is replaced, and the next request is answered."""

from __future__ import annotations

import math
import operator
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from lossdsl.web.workers import Refused, Stopped, Workers


def started(respond: Callable[[Any], Any], count: int = 1, deadline: float = 30.0) -> Any:
    workers = Workers(count=count, deadline=deadline, respond=respond)
    workers.start()
    workers.close = workers.stop  # type: ignore[attr-defined]
    return closing(workers)  # type: ignore[type-var]


def test_answers_in_any_number_of_threads() -> None:
    with started(operator.neg, count=2) as workers, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(workers.ask, range(50))) == [-n for n in range(50)]


def test_a_process_that_hangs_is_replaced() -> None:
    with started(time.sleep, deadline=0.5) as workers:
        workers.ask(0)  # it is up
        begin = time.monotonic()
        with pytest.raises(Stopped, match="more than 0.5 seconds"):
            workers.ask(1000)
        assert time.monotonic() - begin < 20 * workers.deadline
        assert workers.ask(0) is None


def test_a_process_that_dies_is_replaced() -> None:
    with started(os._exit) as workers:
        for code in (1, 0, 139):
            with pytest.raises(Stopped, match="crashed"):
                workers.ask(code)


def test_an_unforeseen_error_is_told_and_nothing_more() -> None:
    with started(math.sqrt) as workers:
        with pytest.raises(Stopped, match="failed on this formula: ValueError"):
            workers.ask(-1)
        assert workers.ask(4) == 2


def test_a_bad_request_keeps_the_process() -> None:
    from lossdsl.web.answer import answer

    with started(answer) as workers:
        before = [worker._process.pid for worker in workers._all]
        with pytest.raises(Refused, match="send"):
            workers.ask({"formula": 3})
        assert workers.ask({"formula": "bce"})["report"]["verdict"] == "valid"
        assert [worker._process.pid for worker in workers._all] == before


def test_stopping_ends_every_process_even_a_busy_one() -> None:
    workers = Workers(count=2, deadline=60, respond=time.sleep)
    workers.start()
    workers.ask(0)
    processes = [worker._process for worker in workers._all]
    asker = threading.Thread(target=lambda: pytest.raises(Stopped, workers.ask, 50))
    asker.start()
    time.sleep(0.2)
    workers.stop()
    asker.join(20)
    assert not asker.is_alive()
    assert not any(process.is_alive() for process in processes)
