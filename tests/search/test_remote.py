"""Batches that go elsewhere: the same results in the same order, whatever is lost on the way; a link of threads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from lossdsl.errors import LossError
from lossdsl.recsys.data import load
from lossdsl.search import worker
from lossdsl.search.bench import Bench, Job, Result
from lossdsl.search.evaluator import OutOfTime
from lossdsl.search.original_bench import OriginalBench, Step
from lossdsl.search.presets import preset
from lossdsl.search.remote import BATCH_SECONDS, Killed, Lost, Remote
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign
from lossdsl.search.wire import unpack

LOSSES = ("(label-pred)^2", "-log(label*pred + (1-label)*(1-pred))", "exp(20*(1-2*label)*(2*pred-1))", "1/0", "|label")
JOBS = [Job(LOSSES[k % 5], (1e-4, 1e-3)[: 1 + k % 2], (k % 3,), bar=0.5, first_epochs=1) for k in range(12)]


class Threads(Executor):
    """Two threads of this process; `fails(k)` may stand in the way of the k-th batch."""

    def __init__(self, fails: Callable[[int, list[str]], Exception | None]) -> None:
        self.pool = ThreadPoolExecutor(2)
        self.fails = fails
        self.batches: list[list[str]] = []
        self.sent: list[Any] = []
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        if fn is worker.work:
            self.sent.append(args)
            self.batches.append([job["formula"] for job in json.loads(args[-1])])
            failure = self.fails(len(self.batches), self.batches[-1])
            if failure is not None:
                future: Future[Any] = Future()
                future.set_exception(failure)
                return future
        self.futures.append(self.pool.submit(fn, *args, **kwargs))
        return self.futures[-1]


class Local:
    """A link to nowhere."""

    def __init__(self, fails: Callable[[int, list[str]], Exception | None] = lambda k, formulas: None) -> None:
        self.executor = self.threads = Threads(fails)
        self.placed: list[bytes] = []

    def slots(self) -> int:
        return 2

    def place(self, content: bytes) -> bytes:
        self.placed.append(content)
        return content

    def watch(self, late: bool) -> None:
        if late:
            raise LossError("late")

    def close(self) -> None:
        self.threads.pool.shutdown()


@pytest.fixture(autouse=True)
def no_memory() -> Iterator[None]:
    """Workers are processes of their own; here each test gets a fresh one."""
    worker._benches.clear()
    worker._states.clear()
    yield


@pytest.fixture(scope="module")
def bench() -> Bench:
    settings = Settings()
    for change in ("training.epochs=2", "training.dim=4", "ladder.folds=1"):
        settings = assign(settings, change)
    return Bench(load("demo"), settings)


@pytest.fixture(scope="module")
def expected(bench: Bench) -> list[Result]:
    return timeless([bench.run(job) for job in JOBS])


def timeless(results: list[Result]) -> list[Result]:
    return [replace(result, seconds=0.0) for result in results]


def test_the_results_are_those_of_this_machine(bench: Bench, expected: list[Result]) -> None:
    link = Local()
    with Remote(bench, link) as remote:
        assert timeless(list(remote.map(JOBS))) == expected
        assert timeless(list(remote.map(JOBS[::-1]))) == expected[::-1]
        assert list(remote.map([])) == []
    assert {result.note == "" for result in expected} == {True, False}  # some fail, and fail there too
    assert len(link.placed) == 1  # the data went out once


def test_text_and_bytes_alone_go_out_and_no_row_of_the_test(bench: Bench) -> None:
    link = Local()
    list(Remote(bench, link).map(JOBS[:3]))
    for key, data, config, states, jobs in link.threads.sent:
        assert all(type(text) is str for text in (key, config, jobs)) and type(data) is bytes and states == {}
        assert type(worker.work(key, data, config, states, jobs)) is str
    known = load("demo")
    there = unpack(link.placed[0])
    assert there.fingerprint == bench.data.fingerprint != known.fingerprint
    assert there.test.item.tolist() == there.validation.item.tolist()


def test_batches_take_half_a_second_and_leave_nobody_idle(bench: Bench) -> None:
    link = Local()
    remote = Remote(bench, link)
    plain = [Job(LOSSES[0], (1e-4,), (k,)) for k in range(40)]
    list(remote.map(plain[:4]))
    assert [len(batch) for batch in link.threads.batches] == [1] * 4  # nothing was measured yet
    link.threads.batches.clear()
    remote._costs.clear()
    remote._costs.append(BATCH_SECONDS / 3.5)
    list(remote.map(plain[:20]))
    sizes = [len(batch) for batch in link.threads.batches]
    assert sizes[0] == 3 and sizes[-1] == 1 and sum(sizes) == 20 and max(sizes) == 3
    link.threads.batches.clear()
    remote._costs.clear()
    remote._costs.append(BATCH_SECONDS / 1000)
    list(remote.map(plain))
    assert len(link.threads.batches[0]) == 10  # of 40: a quarter for each of two workers with one waiting
    # A job of many trainings counts as many.
    link.threads.batches.clear()
    remote._costs.clear()
    remote._costs.append(BATCH_SECONDS / 3.5)
    list(remote.map([Job(LOSSES[0], (1e-4, 1e-3), (0, 1))] * 6))
    assert [len(batch) for batch in link.threads.batches] == [1] * 6


def test_slow_first_trainings_do_not_count_for_long(bench: Bench) -> None:
    remote = Remote(bench, Local())
    remote._costs.extend([60.0, 60.0, 0.1, 0.1, 0.1])
    assert remote.cost == pytest.approx(0.1)


def test_what_was_lost_is_sent_again_with_the_data(bench: Bench, expected: list[Result]) -> None:
    link = Local(lambda k, formulas: Lost() if k in (2, 3, 7) else None)
    assert timeless(list(Remote(bench, link).map(JOBS))) == expected
    assert 2 <= len(link.placed) <= 4


def test_data_that_finds_no_worker_is_placed_again(bench: Bench, expected: list[Result]) -> None:
    link = Local()
    place, failures = link.place, [Lost(), Lost()]

    def unlucky(content: bytes) -> bytes:
        if failures:
            raise failures.pop()
        return place(content)

    link.place = unlucky  # type: ignore[method-assign]
    assert timeless(list(Remote(bench, link).map(JOBS[:3]))) == expected[:3]


def test_workers_that_never_last_are_an_error(bench: Bench) -> None:
    with pytest.raises(LossError, match="come and go"):
        list(Remote(bench, Local(lambda k, formulas: Lost())).map(JOBS))


def test_a_job_that_kills_is_given_up_alone(bench: Bench) -> None:
    bad = "label*pred^2"
    jobs = [Job(bad if k == 5 else LOSSES[0], (1e-4,), (k,)) for k in range(24)]
    link = Local(lambda k, formulas: Killed() if bad in formulas else None)
    remote = Remote(bench, link)
    remote._costs.append(1e-6)
    found = list(remote.map(jobs))
    assert [k for k, result in enumerate(found) if "died" in result.note] == [5]
    assert max(len(batch) for batch in link.threads.batches if bad in batch) > 1
    good = [job for k, job in enumerate(jobs) if k != 5]
    assert timeless([r for k, r in enumerate(found) if k != 5]) == timeless([bench.run(job) for job in good])


def test_what_dies_beside_a_killer_is_tried_alone(bench: Bench) -> None:
    bad, beside = "label*pred^2", "(label-pred)^2"
    jobs = [Job(formula, (1e-4,), (0,)) for formula in (LOSSES[1], bad, beside, LOSSES[1], LOSSES[1])]
    alone: dict[str, list[bool]] = {bad: [], beside: []}

    def fails(_: int, formulas: list[str]) -> Exception | None:
        formula = formulas[0]
        if formula in alone:
            alone[formula].append(all(future.done() for future in link.threads.futures))
        return Killed() if formula == bad or formula == beside and len(alone[beside]) == 1 else None

    link = Local(fails)
    found = list(Remote(bench, link).map(jobs))
    assert ["died" in result.note for result in found] == [False, True, False, False, False]
    assert len(alone[bad]) == len(alone[beside]) == 2 and alone[bad][1] and alone[beside][1]
    assert timeless(found[2:3]) == timeless([bench.run(jobs[2])])


def test_an_error_of_a_worker_is_one_sentence(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr(worker, "carry_out", full)
    with pytest.raises(LossError, match="a worker of the cluster failed: MemoryError: no room"):
        list(Remote(bench, Local()).map(JOBS))


def test_another_version_or_engine_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(bench, Local())
    list(remote.map(JOBS[:1]))
    monkeypatch.setattr(bench, "engine", "torch")
    with pytest.raises(LossError, match="trains with the fused engine, this machine with torch"):
        list(remote.map(JOBS[:1]))
    monkeypatch.undo()
    monkeypatch.setattr(worker, "__version__", "0.0.1")
    with pytest.raises(LossError, match=r"has lossdsl 0\.0\.1, this machine"):
        list(remote.map(JOBS[:1]))  # a worker that came later
    with pytest.raises(LossError, match=r"has lossdsl 0\.0\.1, this machine"):
        list(Remote(bench, Local()).map(JOBS[:1]))


def test_the_end_of_the_budget_stops_the_waiting(bench: Bench) -> None:
    link = Local()
    waiting: Future[Any] = Future()
    remote = Remote(bench, link)
    list(remote.map(JOBS[:1]))
    link.threads.submit = lambda *_, **__: waiting  # type: ignore[method-assign]
    with pytest.raises(OutOfTime):
        list(remote.map(JOBS, lambda: True))
    assert waiting.cancelled()


@pytest.mark.parametrize("before", [[], JOBS[:1]])  # it waits for the first worker, or for the next one
def test_a_link_is_told_when_no_time_is_left_to_wait(bench: Bench, before: list[Job]) -> None:
    link = Local()
    late: list[bool] = []
    remote = Remote(bench, link, lambda: bool(late))
    assert len(list(remote.map(before))) == len(before)
    waiting: Future[Any] = Future()
    link.threads.submit = lambda *_, **__: waiting  # type: ignore[method-assign]

    def stop() -> bool:
        assert not late
        late.append(True)  # the time is over, yet too few were trained for a search to stop
        return False

    with pytest.raises(LossError, match="late"):
        list(remote.map(JOBS, stop))


def test_a_link_is_told_while_the_data_finds_no_worker(bench: Bench) -> None:
    link = Local()
    greeted: Future[Any] = Future()
    greeted.set_result(worker.greet())
    link.threads.submit = lambda *_, **__: greeted  # type: ignore[method-assign]

    def nobody(content: bytes) -> bytes:
        assert not link.placed
        link.placed.append(content)
        raise Lost

    link.place = nobody  # type: ignore[method-assign]
    with pytest.raises(LossError, match="late"):
        list(Remote(bench, link, lambda: True).map(JOBS))


def test_steps_of_the_published_method() -> None:
    settings = assign(preset("autolossgen"), "training.dim=4")
    bench = OriginalBench(load("demo"), settings)
    start = bench.start()
    steps = [Step(loss, start, 1, regularised=k % 2 == 1) for k, loss in enumerate(LOSSES * 2)]
    link = Local()
    found = list(Remote(bench, link).map(steps))
    expected = [bench.step(step) for step in steps]
    assert [(r.reward, r.rows, r.note) for r in found] == [(r.reward, r.rows, r.note) for r in expected]
    digests = [[None if r.state is None else r.state.digest for r in side] for side in (found, expected)]
    assert digests[0] == digests[1] and any(digests[0])
    assert len(link.placed) == 2  # the data, and the state that all of them start from


def test_a_worker_forgets_old_data(bench: Bench) -> None:
    for seed in range(worker.KEPT + 2):
        other = Bench(load("demo"), replace(bench.settings, seed=seed))
        list(Remote(other, Local()).map([replace(JOBS[0], seeds=(0,))]))
    assert len(worker._benches) == worker.KEPT
