"""Where jobs are run: here, in threads, in processes, or (`lossdsl.search.remote`) elsewhere. Results come in order."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from math import inf
from typing import Any, overload

from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.processes import Processes
from lossdsl.search.bench import Bench, Job, Result
from lossdsl.search.lanes import Lanes
from lossdsl.search.original_bench import OriginalBench, Step, Stepped, make_bench
from lossdsl.search.settings import Settings

SWITCH = 1e-3  # seconds after which the interpreter changes threads
_DEATHS = 2  # of the processes that ran a job alone, before it is given up
_Running = tuple[Any, Future[Any]]


class OutOfTime(Exception):
    """The budget ended while results were still awaited."""


# In a process of the pool: the bench that its initializer made.
_bench: Bench | None = None


def one_thread() -> None:
    """Let torch use this thread alone: candidates are trained side by side, not each on all cores."""
    import torch

    torch.set_num_threads(1)


def _start(data: Dataset, settings: Settings) -> None:
    global _bench
    one_thread()
    _bench = make_bench(data, settings)


@overload
def carry_out(bench: Bench, job: Job) -> Result: ...
@overload
def carry_out(bench: Bench, job: Step) -> Stepped: ...
def carry_out(bench: Bench, job: Job | Step) -> Result | Stepped:
    """Run a job of either kind on a bench."""
    if isinstance(job, Step):
        assert isinstance(bench, OriginalBench)
        return bench.step(job)
    return bench.run(job)


def _run(job: Any) -> Any:
    assert _bench is not None
    return carry_out(_bench, job)


def lost(job: Job | Step) -> Any:
    """The result of a job that killed what trained it, again and again."""
    why = "the process that trained it died twice"
    return Stepped(None, None, 0, 0.0, why) if isinstance(job, Step) else Result(-inf, -inf, 0.0, 0, 0, 0.0, why)


def _ended(future: Future[Any]) -> bool:
    """Whether a job ended by itself, before or without the death of a process."""
    return future.done() and not future.cancelled() and not isinstance(future.exception(), BrokenProcessPool)


def _key(job: Step) -> tuple[Any, ...]:
    """Equal for jobs that give the same; states are told apart as objects."""
    return job.formula, id(job.start), job.epochs, job.regularised


class Evaluator:
    """Runs jobs on `workers` threads or processes; the results do not depend on how many.

    Threads where an engine of this project trains, because it lets go of the interpreter; processes where torch does.
    A process that dies is replaced, and the jobs that were under way are run again one at a time, for any of them may
    have done it; a job that kills twice while it runs alone is given up.
    """

    def __init__(self, bench: Bench, data: Dataset, workers: int, *, processes: bool | None = None) -> None:
        self.bench = bench
        self.data = data
        self.workers = max(1, workers)
        self.processes = bench.engine == "torch" if processes is None else processes
        self._pool: Executor | None = None
        self._interval = sys.getswitchinterval()
        # Does a piece of work that can wait, and says whether there was one; called while results are awaited, with the
        # number of jobs that are under way or wait for a worker.
        self.meanwhile: Callable[[int], bool] = lambda jobs: False
        self._early: dict[tuple[Any, ...], tuple[Step, Future[Any]]] = {}

    def __enter__(self) -> Evaluator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the workers: threads finish the training at hand, processes are ended at once."""
        pool, self._pool = self._pool, None
        self._early.clear()
        if pool is None:
            return
        if isinstance(pool, Processes):
            pool.end()
        else:
            pool.shutdown(cancel_futures=True)
            sys.setswitchinterval(self._interval)

    @overload
    def map(self, jobs: Iterable[Job], out_of_time: Callable[[], bool] | None = None) -> Iterator[Result]: ...
    @overload
    def map(self, jobs: Iterable[Step], out_of_time: Callable[[], bool] | None = None) -> Iterator[Stepped]: ...
    def map(self, jobs: Iterable[Any], out_of_time: Callable[[], bool] | None = None) -> Iterator[Any]:
        """The results of the jobs, in their order, as they come; raises `OutOfTime` when the budget ends meanwhile.

        Workers begin at once, not when the first result is asked for; a job is taken from `jobs` when one of them will
        soon be free.
        """
        stop = out_of_time or (lambda: False)
        if self.workers == 1:
            return self._here(jobs, stop)
        queue = iter(jobs)
        running = deque[_Running]()
        self._begin(running, queue, 2 * self.workers)
        return self._elsewhere(queue, running, stop)

    @property
    def foresees(self) -> bool:
        """Whether jobs can be begun before they are asked for."""
        return self.workers > 1 and not self.processes

    def foresee(self, jobs: Sequence[Step]) -> None:
        """Begin these jobs, in this order, where a worker has nothing else to do; `map` will perhaps ask for them.

        Of those that earlier calls named and this one does not, what has not begun is dropped. With nothing to come,
        all results are forgotten, too.
        """
        if not self.foresees:
            return
        wanted = {_key(job): job for job in jobs}
        for key, (_, future) in list(self._early.items()):
            if not jobs or (key not in wanted and future.cancel()):
                future.cancel()
                del self._early[key]
        for key, job in wanted.items():
            if key not in self._early:
                self._pool = self._pool or self._open()
                assert isinstance(self._pool, Lanes)
                self._early[key] = (job, self._pool.later(carry_out, self.bench, job))

    @property
    def foreseen(self) -> list[Future[Any]]:
        """What `foresee` began or will begin, and is not done yet."""
        return [future for _, future in self._early.values() if not future.done()]

    def _here(self, jobs: Iterable[Any], stop: Callable[[], bool]) -> Iterator[Any]:
        for job in jobs:
            if stop():
                raise OutOfTime
            yield carry_out(self.bench, job)

    def _elsewhere(self, queue: Iterator[Any], running: deque[_Running], stop: Callable[[], bool]) -> Iterator[Any]:
        try:
            while running:
                try:
                    result = self._first(running, queue, stop)
                except BrokenProcessPool:
                    self.close()
                    suspects = list(running)
                    running.clear()
                    for job, future in suspects:
                        yield future.result() if _ended(future) else self._alone(job, running, stop)
                    self._begin(running, queue, 2 * self.workers)
                else:
                    yield result
        finally:
            for _, future in running:
                future.cancel()

    def _begin(self, running: deque[_Running], queue: Iterator[Any], most: int) -> bool:
        """Begin as many jobs of the queue, if it has them; whether it had one."""
        before = len(running)
        running.extend((job, self._submit(job)) for job in islice(queue, most))
        return len(running) > before

    def _first(self, running: deque[_Running], queue: Iterator[Any], stop: Callable[[], bool]) -> Any:
        """The result of the first job, which is taken from those under way; meanwhile others begin."""
        _, future = running[0]
        while not future.done():
            if stop():
                raise OutOfTime
            busy = [other for _, other in running if not other.done()]
            # Whatever the first one takes, the others are not to wait for it.
            if len(busy) < 2 * self.workers and self._begin(running, queue, 1):
                continue
            busy += self.foreseen
            if self.meanwhile(len(busy)):
                continue
            wait(busy, timeout=0.2, return_when=FIRST_COMPLETED)
        result = future.result()
        running.popleft()
        self._begin(running, queue, 1)
        return result

    def _alone(self, job: Any, running: deque[_Running], stop: Callable[[], bool]) -> Any:
        """The result of a job with nothing beside it: what dies now is its doing."""
        for _ in range(_DEATHS):
            running.append((job, self._submit(job)))
            try:
                return self._first(running, iter(()), stop)
            except BrokenProcessPool:
                self.close()
                running.clear()
        return lost(job)

    def _submit(self, job: Any) -> Future[Any]:
        early = self._early.pop(_key(job), None) if self._early else None
        # What has begun goes on; what has not stands with the others that somebody waits for now.
        if early is not None and not early[1].cancel():
            return early[1]
        if self._pool is None:
            self._pool = self._open()
        if self.processes:
            try:
                return self._pool.submit(_run, job)
            except BrokenProcessPool:  # what was under way there is found broken when its turn comes
                self.close()
                return self._submit(job)
        return self._pool.submit(carry_out, self.bench, job)

    def _open(self) -> Executor:
        if not self.processes:
            # A thread that comes back from training waits for this one no longer than a fraction of a training.
            self._interval = sys.getswitchinterval()
            sys.setswitchinterval(min(self._interval, SWITCH))
            return Lanes(self.workers, "search", one_thread)
        return Processes(self.workers, _start, (self.data, self.bench.settings))
