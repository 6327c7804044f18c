"""Processes that train: deaf to Ctrl-C, which is for the one that waits for them, and gone when that one stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context, resource_tracker
from types import TracebackType
from typing import Any


class Processes(ProcessPoolExecutor):
    """A pool of fresh interpreters, for forking a process that holds threads of torch or numba can hang.

    Left by an exception it does not wait for the trainings at hand, which can take minutes.

    >>> from lossdsl.recsys.processes import Processes
    >>> with Processes(1) as pool:
    ...     pool.submit(abs, -3).result()
    3
    """

    def __init__(
        self, workers: int, initializer: Callable[..., object] | None = None, initargs: tuple[Any, ...] = ()
    ) -> None:
        self._strangers = frozenset(child.pid for child in active_children())
        super().__init__(workers, get_context("spawn"), initializer, initargs)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function of a module in some process; those that are missing are started here."""
        with _deaf():
            return super().submit(fn, *args, **kwargs)

    def end(self) -> None:
        """End all processes at once, whatever they do; jobs that wait are cancelled."""
        # In this order: the pool's own thread takes note of what is cancelled before it finds its processes gone.
        self.shutdown(wait=False, cancel_futures=True)
        for child in active_children():
            if child.pid not in self._strangers:
                child.terminate()
                child.join(5)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is None:
            return super().__exit__(kind, error, trace)
        self.end()
        return None


@contextmanager
def _deaf() -> Iterator[None]:
    """Children that are started inside never see a Ctrl-C; one that comes meanwhile is heard afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    resource_tracker.ensure_running()  # else it starts inside, and lets signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
