"""Processes that die: whoever did it is found out, the others get their results, and nobody else hears of it."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.processes import Processes
from lossdsl.search import evaluator as module
from lossdsl.search.bench import Bench
from lossdsl.search.evaluator import Evaluator, OutOfTime

sys.path.insert(0, str(Path(__file__).resolve().parent))
import deadly

BENCH = cast(Bench, SimpleNamespace(engine="torch", settings=None))
DATA = cast(Dataset, None)


def jobs(*words: str) -> list[Any]:
    return [deadly.Order(word, k) for k, word in enumerate(words)]


def fates(results: Iterator[Any]) -> list[int | str]:
    """The number of each job that ended, the note of each that did not."""
    return [result.note or result.number for result in results]


LOST = "the process that trained it died twice"


# -- a pool that the test moves on, event by event ---------------------------------------------------------------


class Play(Executor):
    """A pool as the real one behaves: the first death breaks it for every job that is not done."""

    def __init__(self, workers: int, stray: Callable[[], bool]) -> None:
        self.workers, self.stray = workers, stray
        self.waiting: deque[tuple[deadly.Order, Future[Any]]] = deque()
        self.broken = False
        self.ended: list[int] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.broken:
            raise BrokenProcessPool
        future: Future[Any] = Future()
        self.waiting.append((args[0], future))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for _, future in self.waiting:
            future.cancel()
        self.waiting.clear()

    def move(self, rng: random.Random) -> bool:
        """One of the jobs at hand ends, or something dies."""
        if not self.waiting:
            return False
        k = rng.randrange(min(self.workers, len(self.waiting)))
        job, future = self.waiting[k]
        if job.words == "kill" or self.stray():
            self.broken = True
            for _, other in self.waiting:
                other.set_exception(BrokenProcessPool())
            self.waiting.clear()
        else:
            del self.waiting[k]
            self.ended.append(job.number)
            future.set_result(deadly.act(job))
        return True


class Played(Evaluator):
    """An evaluator over such pools; `strays` says at which events a process is killed from outside."""

    def __init__(self, workers: int, seed: int, strays: set[int]) -> None:
        super().__init__(BENCH, DATA, workers, processes=True)
        self.rng, self.strays, self.events = random.Random(seed), strays, 0
        self.pools: list[Play] = []
        self.meanwhile = self._move

    def _open(self) -> Executor:
        self.pools.append(Play(self.workers, self._stray))
        return self.pools[-1]

    def _stray(self) -> bool:
        self.events += 1
        return self.events in self.strays

    def _move(self, busy: int) -> bool:
        assert busy > 0
        pool = self._pool
        assert isinstance(pool, Play)
        return pool.move(self.rng)


@given(
    st.lists(st.sampled_from(["ok", "ok", "ok", "kill"]), max_size=24),
    st.integers(2, 4),
    st.integers(0, 2**32),
    st.none() | st.integers(1, 30),
)
def test_fates_depend_neither_on_timing_nor_on_the_number_of_workers(
    words: list[str], workers: int, seed: int, stray: int | None
) -> None:
    with Played(workers, seed, {stray} if stray else set()) as evaluator:
        found = fates(evaluator.map(jobs(*words)))
        assert found == [LOST if word == "kill" else k for k, word in enumerate(words)]
        ended = sorted(number for pool in evaluator.pools for number in pool.ended)
        assert ended == [k for k, word in enumerate(words) if word != "kill"]  # each of them once
        # The pool may be broken now: the next jobs do not care.
        if evaluator._pool is not None:
            cast(Play, evaluator._pool).broken = True
        assert fates(evaluator.map(jobs("ok", "ok", "ok"))) == [0, 1, 2]


def test_suspects_run_one_at_a_time_and_the_others_side_by_side_again() -> None:
    with Played(2, 0, {1}) as evaluator:
        most: dict[Play, int] = {}
        move = evaluator.meanwhile

        def watched(busy: int) -> bool:
            pool = evaluator.pools[-1]
            most[pool] = max(most.get(pool, 0), len(pool.waiting))
            assert len(evaluator.pools) == 1 or evaluator.events > 4 or len(pool.waiting) == 1
            return move(busy)

        evaluator.meanwhile = watched
        assert fates(evaluator.map(jobs(*["ok"] * 12))) == list(range(12))
        assert len(evaluator.pools) == 2 and list(most.values()) == [4, 4]


def test_the_end_of_the_budget_is_heard_between_suspects() -> None:
    with Played(2, 0, {1}) as evaluator:
        results = evaluator.map(jobs(*["ok"] * 8), lambda: evaluator.events >= 3)
        assert [next(results).number, next(results).number] == [0, 1]
        with pytest.raises(OutOfTime):
            next(results)


# -- real processes ----------------------------------------------------------------------------------------------


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Evaluator]:
    """Two processes that carry out what `deadly` says."""
    monkeypatch.setattr(module, "_run", deadly.act)
    monkeypatch.setattr(module, "_start", deadly.start)
    with Evaluator(BENCH, DATA, 2, processes=True) as evaluator:
        yield evaluator


def test_a_process_that_dies_between_two_calls_is_replaced(pool: Evaluator) -> None:
    for _ in range(2):
        assert fates(pool.map(jobs("ok", "ok", "ok"))) == [0, 1, 2]
        assert isinstance(pool._pool, Processes)
        process = next(iter(pool._pool._processes.values()))
        os.kill(process.pid, signal.SIGKILL)
        process.join(10)
        time.sleep(0.2)  # the pool's own thread takes note
    assert fates(pool.map(jobs("ok"))) == [0]


def test_the_one_that_kills_is_lost_and_its_neighbours_are_not(pool: Evaluator) -> None:
    found = fates(pool.map(jobs("sleep 0.5", "sleep 0.5", "kill", "ok", "ok", "kill", "ok")))
    assert found == [0, 1, LOST, 3, 4, LOST, 6]


def test_one_death_is_no_fate(pool: Evaluator, tmp_path: Path) -> None:
    found = fates(pool.map(jobs("sleep 0.2", f"once {tmp_path / 'a'}", "ok", f"once {tmp_path / 'b'}", "ok", "ok")))
    assert found == [0, 1, 2, 3, 4, 5]
    assert (tmp_path / "a").exists() and (tmp_path / "b").exists()
