"""Evaluation on other machines: batches of candidates go out as text and come back as text, results in order.

What carries them is a `Link`: a standard executor, a way to place data once on all workers, and a word on whether they
are still there. `lossdsl.search.cluster` has the one for Dask.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from typing import Any, Protocol

from lossdsl import __version__
from lossdsl.errors import LossError
from lossdsl.recsys.trainer import State
from lossdsl.search.bench import Bench, Job
from lossdsl.search.evaluator import Evaluator, OutOfTime, lost
from lossdsl.search.original_bench import Step
from lossdsl.search.toml import write
from lossdsl.search.wire import pack, pack_state
from lossdsl.search.wire import read as read_items
from lossdsl.search.wire import write as write_items
from lossdsl.search.worker import greet, work

# A batch takes about so long: far more than sending it, far less than a search waits for.
BATCH_SECONDS = 0.5
_TRIES = 5  # of sending a batch whose data was lost on the way
_RECENT = 30  # trainings whose times are remembered
_STATES = 2  # of the recommender that are kept on the workers


class Lost(Exception):
    """A batch, or the data that it needs, went down with its worker: nothing is wrong with it, it is sent again."""


class Killed(Exception):
    """A batch took several workers with it."""


class Link(Protocol):
    """The way to workers on other machines."""

    executor: Executor

    def slots(self) -> int:
        """How many batches can run side by side now; 0 while no worker is there."""
        ...

    def place(self, content: bytes) -> Any:
        """Bring bytes to every worker, once; what comes back is given to `executor.submit` in their place."""
        ...

    def watch(self, late: bool) -> None:
        """Raise `LossError` when there is nothing left to wait for; `late` where no time is left to wait."""
        ...

    def close(self) -> None:
        """Let go of the workers."""
        ...


@dataclass(eq=False)
class _Part:
    """A batch on its way."""

    jobs: list[Any]
    future: Future[Any]
    tries: int = 1
    alone: bool = False  # nothing else was on its way with it


class Remote(Evaluator):
    """Runs jobs on the workers of a link; the results are those of `Evaluator`, in the same order.

    A batch is as large as takes half a second by what was measured so far, and never so large that a worker would sit
    idle at the end. A worker that dies costs the time of its batch: that is sent again, with the data where those went
    down too. A job that kills worker after worker, the last of them while nothing else is on its way, is given up: what
    dies beside others may have done nothing.

    However few were trained so far, nobody waits for a worker that is not there when `late` says that the budget of
    time is used up.
    """

    def __init__(self, bench: Bench, link: Link, late: Callable[[], bool] = lambda: False) -> None:
        super().__init__(bench, bench.data, 1, processes=False)
        self.link, self.late = link, late
        self._costs: deque[float] = deque(maxlen=_RECENT)
        self._config = write(bench.settings)
        self._key = ""
        self._data: Any = None
        self._states: OrderedDict[str, Any] = OrderedDict()

    @property
    def cost(self) -> float:
        """Seconds of one training, as measured: the median, for the first ones wait for compilers and caches."""
        return statistics.median(self._costs) if self._costs else math.inf

    def close(self) -> None:
        """Let go of what was placed on the workers; the link stays open."""
        self._data = None
        self._states.clear()

    def map(self, jobs: Iterable[Any], out_of_time: Callable[[], bool] | None = None) -> Iterator[Any]:
        """The results of the jobs, in their order, as they come; raises `OutOfTime` when the budget ends meanwhile."""
        stop = out_of_time or (lambda: False)
        queue, running = deque(jobs), deque[_Part]()
        try:
            if queue:
                self._ready(stop)
            while queue or running:
                self._feed(queue, running)
                self._wait(running, stop)
                while running and running[0].future.done():
                    yield from self._taken(running, stop)
        finally:
            for part in running:
                part.future.cancel()

    def _wait(self, running: deque[_Part], stop: Callable[[], bool]) -> None:
        """Until a batch is done: in the end the first one, before that any, so that another can go out."""
        if running[0].future.done():
            return
        if stop():
            raise OutOfTime
        self.link.watch(self.late())
        wait([part.future for part in running if not part.future.done()], timeout=0.2, return_when=FIRST_COMPLETED)

    def _finish(self, running: Iterable[_Part], stop: Callable[[], bool]) -> None:
        """Until all of them are done."""
        for part in running:
            while not part.future.done():
                self._wait(deque([part]), stop)

    def _ready(self, stop: Callable[[], bool]) -> None:
        """Bring the data to the workers. They are greeted first: a cluster may start some only when there is a task."""
        while self._data is None:
            hello = deque([_Part([], self.link.executor.submit(greet))])
            while not hello[0].future.done():
                self._wait(hello, stop)
            try:
                self._same_version(hello[0].future.result())
                content = pack(self.bench.data)
                self._key = hashlib.sha256(content + self._config.encode()).hexdigest()
                self._data = self.link.place(content)
            except Lost:
                if stop():
                    raise OutOfTime from None
                self.link.watch(self.late())
                time.sleep(0.2)

    def _feed(self, queue: deque[Any], running: deque[_Part]) -> None:
        slots = max(1, self.link.slots())
        while queue and sum(not part.future.done() for part in running) < 2 * slots:
            part = [queue.popleft()]
            most, seconds = math.ceil((len(queue) + 1) / (2 * slots)), self._seconds(part[0])
            while queue and len(part) < most and seconds + self._seconds(queue[0]) <= BATCH_SECONDS:
                seconds += self._seconds(queue[0])
                part.append(queue.popleft())
            running.append(_Part(part, self._send(part)))

    def _seconds(self, job: Job | Step) -> float:
        """How long a job will take; before anything was measured, too long for a batch of two."""
        return self.cost * _trainings(job)

    def _send(self, jobs: Sequence[Any]) -> Future[Any]:
        try:
            states = {job.start.digest: self._placed(job.start) for job in jobs if isinstance(job, Step)}
        except Lost as error:
            failed: Future[Any] = Future()
            failed.set_exception(error)
            return failed
        text = json.dumps(write_items(jobs))
        return self.link.executor.submit(work, self._key, self._data, self._config, states, text)

    def _placed(self, state: State) -> Any:
        if state.digest not in self._states:
            self._states[state.digest] = self.link.place(pack_state(state))
            while len(self._states) > _STATES:
                self._states.popitem(last=False)
        return self._states[state.digest]

    def _taken(self, running: deque[_Part], stop: Callable[[], bool]) -> Iterator[Any]:
        """The results of the first batch; where it was lost, it is on its way again instead."""
        part = running.popleft()
        try:
            results = self._read(part.future.result(), len(part.jobs))
        except Killed:
            if part.alone:
                yield lost(part.jobs[0])
            elif len(part.jobs) == 1:
                self._finish(running, stop)
                running.appendleft(_Part(part.jobs, self._send(part.jobs), alone=True))
                self._finish(running, stop)
            else:  # one of them did it; the others get their turn without it
                running.extendleft(reversed([_Part([job], self._send([job])) for job in part.jobs]))
            return
        except Lost:
            if part.tries == _TRIES:
                raise LossError("the workers of the cluster come and go too fast for a batch to end") from None
            self._data = None
            self._states.clear()
            self._ready(stop)
            running.appendleft(_Part(part.jobs, self._send(part.jobs), part.tries + 1))
            return
        for job, result in zip(part.jobs, results):
            self._costs.append(result.seconds / _trainings(job))
            yield result

    def _read(self, text: str, count: int) -> list[Any]:
        reply = json.loads(text)
        self._same_version(reply["lossdsl"])
        if "error" in reply:
            raise LossError(f"a worker of the cluster failed: {reply['error']}")
        if reply["engine"] != self.bench.engine:
            raise LossError(
                f"a worker trains with the {reply['engine']} engine, this machine with {self.bench.engine}; "
                "install the same packages on both"
            )
        results = read_items(reply["results"])
        assert len(results) == count
        return results

    def _same_version(self, version: str) -> None:
        if version != __version__:
            raise LossError(f"a worker of the cluster has lossdsl {version}, this machine {__version__}")


def _trainings(job: Job | Step) -> int:
    return job.epochs if isinstance(job, Step) else max(1, len(job.l2) * len(job.seeds))
