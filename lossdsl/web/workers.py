"""Processes that answer requests, so that no formula can hang or crash the server.

The algebra underneath is C: an abort in it would take the server along, and a step that never ends would hold the
interpreter's lock. A process can be ended from outside. Requests and answers travel as JSON, never as pickles.
"""

from __future__ import annotations

import json
import multiprocessing
import queue
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from lossdsl.errors import LossError
from lossdsl.web.answer import answer

START = 120.0  # seconds that a process may take to come up on a busy machine
MEMORY = 4 << 30


class Refused(LossError):
    """The request itself is at fault."""


class Stopped(LossError):
    """The process took too long or died; another one has taken its place."""


class Workers:
    """A fixed number of processes, each answering one request at a time.

    `respond` is a top-level function from JSON to JSON; `deadline` is how many seconds it may take.
    """

    def __init__(self, count: int = 2, deadline: float = 8.0, respond: Callable[[Any], Any] = answer) -> None:
        self.count = count
        self.deadline = deadline
        self._respond = respond
        self._free: queue.Queue[_Worker] = queue.Queue()
        self._all: list[_Worker] = []
        self._lock = threading.Lock()
        self._open = False

    def start(self) -> None:
        """Start the processes; they come up while the server already listens."""
        self._open = True
        for _ in range(self.count):
            self._free.put(self._fresh())

    def stop(self) -> None:
        """End the processes, busy or not."""
        with self._lock:
            self._open = False
            for worker in self._all:
                worker.kill()
            self._all.clear()

    def ask(self, request: Any) -> Any:
        """The answer to one request; waits for a free process. Raises Refused or Stopped."""
        worker = self._free.get()
        try:
            return worker.ask(request, self.deadline)
        except Stopped:
            worker = self._replace(worker)
            raise
        finally:
            self._free.put(worker)

    def _fresh(self) -> _Worker:
        worker = _Worker(self._respond)
        self._all.append(worker)
        return worker

    def _replace(self, worker: _Worker) -> _Worker:
        with self._lock:  # ended by one thread: a pipe closed twice closes whatever has its number by then
            worker.kill()
            if not self._open:
                return worker
            self._all.remove(worker)
            return self._fresh()


class _Worker:
    def __init__(self, respond: Callable[[Any], Any]) -> None:
        # spawn: a fork of a process with threads may inherit a lock that nobody ever opens
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, respond), daemon=True)
        self._process.start()
        theirs.close()
        self._ready = False

    def ask(self, request: Any, deadline: float) -> Any:
        try:
            if not self._ready:
                self._receive(START)
                self._ready = True
            self._pipe.send_bytes(json.dumps(request).encode())
            kind, content = self._receive(deadline)
        except (EOFError, OSError):
            raise Stopped("the checker crashed on this formula and was started anew") from None
        if kind == "refused":
            raise Refused(content)
        if kind == "failed":
            raise Stopped(f"the checker failed on this formula: {content}")
        return content

    def _receive(self, deadline: float) -> Any:
        if not self._pipe.poll(deadline):
            raise Stopped(f"the checker took more than {deadline:g} seconds on this formula and was started anew")
        return json.loads(self._pipe.recv_bytes())

    def kill(self) -> None:
        self._process.kill()
        self._process.join(5)
        self._pipe.close()


def _serve(pipe: Connection, respond: Callable[[Any], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's, which ends this process
    _limit_memory()
    if respond is answer:  # load everything once, so that the first formula is answered as fast as the next
        answer({"formula": "bce", "beside": "mse"})
    pipe.send_bytes(b"[]")
    while True:
        try:
            request = json.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            return
        try:
            reply: tuple[str, Any] = ("answer", respond(request))
        except LossError as error:
            reply = ("refused", str(error))
        except Exception as error:  # the last border of this process: the page must hear of it
            reply = ("failed", type(error).__name__)
        pipe.send_bytes(json.dumps(reply).encode())


def _limit_memory() -> None:
    """A formula that needs gigabytes ends its own process, not the machine."""
    if sys.platform != "linux":
        return
    import resource

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY if hard < 0 else min(MEMORY, hard), hard))
