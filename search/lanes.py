"""Threads with two queues: jobs that somebody waits for, and jobs that somebody may ask for later."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

_T = TypeVar("_T")
_Work = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class Lanes(Executor):
    """An executor of threads; what `later` takes begins only while nothing that `submit` took is left to begin.

    A job that has begun is not interrupted, so one that is waited for can stand behind one of the others, no longer.

    >>> from lossdsl.search.lanes import Lanes
    >>> with Lanes(1) as lanes:
    ...     futures = [lanes.later(pow, 2, 5), lanes.submit(pow, 2, 3)]
    ...     [future.result() for future in futures]
    [32, 8]
    """

    def __init__(self, workers: int, name: str = "lane", start: Callable[[], object] = lambda: None) -> None:
        self._ready = threading.Condition()
        self._lanes: tuple[deque[_Work], deque[_Work]] = (deque(), deque())
        self._closed = False
        self._start = start
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}_{k}", daemon=True) for k in range(max(1, workers))
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Do this before everything that `later` took."""
        return self._put(0, fn, args, kwargs)

    def later(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Do this when a thread has nothing else to do."""
        return self._put(1, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing any more; the threads end when all is done, or (`cancel_futures`) what is at hand."""
        with self._ready:
            self._closed = True
            if cancel_futures:
                for lane in self._lanes:
                    while lane:
                        lane.popleft()[0].cancel()
            self._ready.notify_all()
        if wait:
            for thread in self._threads:
                thread.join()

    def _put(self, lane: int, fn: Callable[..., _T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[_T]:
        future: Future[_T] = Future()
        with self._ready:
            if self._closed:
                raise RuntimeError("the threads have been shut down")
            self._lanes[lane].append((future, fn, args, kwargs))
            self._ready.notify()
        return future

    def _work(self) -> None:
        self._start()
        while True:
            with self._ready:
                while not any(self._lanes):
                    if self._closed:
                        return
                    self._ready.wait()
                future, fn, args, kwargs = (self._lanes[0] or self._lanes[1]).popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # whoever asks for the result gets it
                future.set_exception(error)
            else:
                future.set_result(result)
            # Else the last job would be kept alive until the next one comes.
            del future, fn, args, kwargs
