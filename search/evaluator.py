"""Where jobs are run: here, in threads, in processes, or on any executor that is handed over. Results come in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from lossdsl.recsys.dataset import Dataset
from lossdsl.search.bench import Bench, Job, Result
from lossdsl.search.settings import Settings


class OutOfTime(Exception):
    """The budget ended while results were still awaited."""


# In a process of the pool: the bench that its initializer made.
_bench: Bench | None = None


def _start(data: Dataset, settings: Settings) -> None:
    global _bench
    import torch

    torch.set_num_threads(1)
    _bench = Bench(data, settings)


def _run(job: Job) -> Result:
    assert _bench is not None
    return _bench.run(job)


_LOST = Result(float("-inf"), float("-inf"), 0.0, 0, 0, 0.0, "the process that trained it died twice")


class Evaluator:
    """Runs jobs on `workers` threads or processes; the results do not depend on how many.

    Threads where the fused engine trains, because it lets go of the interpreter; processes where torch does. A process
    that dies is replaced and its jobs are run again; a job that kills twice is given up.
    """

    def __init__(self, bench: Bench, data: Dataset, workers: int, *, processes: bool | None = None) -> None:
        self.bench = bench
        self.data = data
        self.workers = max(1, workers)
        self.processes = bench.settings.model != "biasedmf" if processes is None else processes
        self._pool: Executor | None = None

    def __enter__(self) -> Evaluator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the workers; jobs that have not begun are dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def map(self, jobs: Sequence[Job], out_of_time: Callable[[], bool] | None = None) -> Iterator[Result]:
        """The results of the jobs, in their order, as they come; raises `OutOfTime` when the budget ends meanwhile."""
        stop = out_of_time or (lambda: False)
        if self.workers == 1 and not self.processes:
            for job in jobs:
                if stop():
                    raise OutOfTime
                yield self.bench.run(job)
            return
        queue = deque(jobs)
        running: deque[tuple[Job, Future[Result], int]] = deque()
        try:
            while queue or running:
                while queue and len(running) < 2 * self.workers:
                    job = queue.popleft()
                    running.append((job, self._submit(job), 1))
                job, future, tries = running[0]
                while not future.done():
                    if stop():
                        raise OutOfTime
                    wait([future], timeout=0.2)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    self.close()
                    running = deque((j, self._submit(j), t + (j is job)) for j, _, t in running)
                    if running[0][2] > 2:
                        running.popleft()
                        yield _LOST
                    continue
                running.popleft()
                yield result
        finally:
            for _, future, _ in running:
                future.cancel()

    def _submit(self, job: Job) -> Future[Result]:
        if self._pool is None:
            self._pool = self._open()
        if self.processes:
            return self._pool.submit(_run, job)
        return self._pool.submit(self.bench.run, job)

    def _open(self) -> Executor:
        if not self.processes:
            return ThreadPoolExecutor(self.workers, thread_name_prefix="search")
        # Forking a process that holds threads of torch or numba can hang; a fresh interpreter costs two seconds once.
        arguments: tuple[Any, ...] = (self.data, self.bench.settings)
        return ProcessPoolExecutor(self.workers, get_context("spawn"), initializer=_start, initargs=arguments)
