"""Dask: a link to the workers of a scheduler, wherever they run."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from typing import Any

from lossdsl.errors import LossError, MissingExtra
from lossdsl.search.remote import Killed, Lost

CONNECT_SECONDS = 5.0
_LOOK_SECONDS = 1.0  # between looks at which workers there are
_PATIENCE = 5.0  # before it is said that there are none
_CANCELLED = (CancelledError, asyncio.CancelledError)
_GONE = (OSError, RuntimeError, ValueError, *_CANCELLED)  # how a client fails without its scheduler or workers


class Tasks(Executor):
    """A standard executor over a Dask client.

    Unlike Dask's own it says what became of a task that did not end: `Lost` or `Killed`.
    """

    def __init__(self, client: Any) -> None:
        self.client = client

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function of a module on some worker."""
        from distributed import TimeoutError as Late
        from distributed.scheduler import KilledWorker

        ours: Future[Any] = Future()
        try:
            task = self.client.submit(fn, *args, **kwargs, pure=False)
        except _GONE:  # the scheduler is gone, or the data is
            ours.set_exception(Lost())
            return ours

        def done(task: Any) -> None:
            if not ours.set_running_or_notify_cancel():
                return
            try:
                ours.set_result(task.result(timeout=60))
            except KilledWorker:
                ours.set_exception(Killed())
            except (*_CANCELLED, OSError, Late):
                ours.set_exception(Lost())
            except BaseException as error:
                ours.set_exception(_explained(error))

        def cancelled(ours: Future[Any]) -> None:
            if ours.cancelled() and self.client.status == "running":
                task.cancel()

        task.add_done_callback(done)
        ours.add_done_callback(cancelled)
        return ours


def _explained(error: BaseException) -> BaseException:
    """What a scheduler or worker complains about when it cannot read our task at all."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ModuleNotFoundError):
            return LossError(f"the scheduler or a worker of the cluster has no `{seen.name}`: "
                             "pip install 'lossdsl[cluster]' there too")  # fmt: skip
        seen = seen.__cause__ or seen.__context__
    return error


class Dask:
    """A link to the workers of a Dask scheduler; `say` is told when there is none to work."""

    def __init__(self, address: str, say: Callable[[str], None] = lambda text: None) -> None:
        try:
            from distributed import Client
        except ModuleNotFoundError:
            raise MissingExtra("cluster", "--cluster") from None
        # What Dask logs about workers that come and go is said here, once, or mended without a word.
        for name in ("distributed", "distributed.client", "tornado.application"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.address, self.say = address, say
        try:
            # The client itself would wait for ever for a program that takes connections and says nothing. In a thread,
            # for a notebook has a loop running in this one.
            with ThreadPoolExecutor(1) as thread:
                kind = thread.submit(asyncio.run, _kind(address)).result()
            if kind != "Scheduler":
                raise LossError(f"a {kind.lower()} answers")
            self.client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except Exception as error:
            raise LossError(f"no Dask scheduler answers at `{address}` ({_first_line(error)})") from None
        self.executor: Executor = Tasks(self.client)
        self._looked = -_LOOK_SECONDS
        self._slots = 0
        self._alone: float | None = None

    def slots(self) -> int:
        """The threads of all workers."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            try:
                self._slots = sum(self.client.nthreads().values())
            except _GONE:
                self._slots = 0
        return self._slots

    def place(self, content: bytes) -> Any:
        """Bytes on every worker that is there now; those that come later fetch them from one another."""
        try:
            return self.client.scatter(content, broadcast=True, hash=False)
        except _GONE:
            raise Lost from None

    def watch(self, late: bool) -> None:
        """Raise when the scheduler is gone for good, or late without workers; say so once when it has none."""
        if self.client.status not in ("running", "connecting"):
            raise LossError(f"the Dask scheduler at {self.address} has gone; go on with --resume")
        now = time.monotonic()
        if self.slots():
            self._alone = None
        elif late:
            raise LossError(
                f"the budget ended while no worker was connected to {self.address}; "
                f"start one (dask worker {self.address}) and go on with --resume"
            )
        elif self._alone is None:
            self._alone = now
        elif now - self._alone > _PATIENCE:
            self._alone = float("inf")
            self.say(f"no worker is connected to {self.address}; waiting for one: dask worker {self.address}")

    def close(self) -> None:
        """Leave; the scheduler and its workers stay."""
        try:
            self.client.close(timeout=2)
        except Exception:  # it is gone already
            pass


async def _kind(address: str) -> str:
    """What answers at an address: `Scheduler`, or another part of Dask."""
    from distributed.core import rpc
    from distributed.security import Security

    async def ask() -> str:
        async with rpc(
            address, timeout=CONNECT_SECONDS, connection_args=Security().get_connection_args("client")
        ) as far:
            return str((await far.identity())["type"])

    try:
        return await asyncio.wait_for(ask(), CONNECT_SECONDS)
    except asyncio.TimeoutError:
        raise LossError(f"no answer in {CONNECT_SECONDS:g} s") from None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
