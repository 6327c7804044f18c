"""A Dask scheduler and its workers, each a process of its own that listens on 127.0.0.1 alone and ends by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

LIFE = "600s"
HERE = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")


def _start(program: str, log: Path, *options: str) -> subprocess.Popen[bytes]:
    # A worker shares the caches of compiled code; its log is read where a test fails.
    command = [sys.executable, "-m", f"distributed.cli.{program}", *HERE, *options]
    with log.open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "OMP_NUM_THREADS": "1"})


class Cluster:
    """A scheduler with `workers` processes of one thread each; leaving it ends them all."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.scheduler = _start("dask_scheduler", folder / "scheduler.log", "--port", "0",
                                "--scheduler-file", str(self.file), "--idle-timeout", LIFE)  # fmt: skip
        self.workers: list[subprocess.Popen[bytes]] = []
        self.address = self._address()
        for _ in range(workers):
            self.add()

    def _address(self) -> str:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.scheduler.poll() is None:
            try:
                return str(json.loads(self.file.read_text())["address"])
            except (OSError, ValueError, KeyError):
                time.sleep(0.05)
        raise RuntimeError((self.folder / "scheduler.log").read_text())

    def add(self) -> None:
        """One worker more."""
        log = self.folder / f"worker{len(self.workers)}.log"
        options = ("--nthreads", "1", "--no-nanny", "--death-timeout", "30", "--lifetime", LIFE)
        self.workers.append(_start("dask_worker", log, self.address, *options))

    def kill(self, number: int) -> None:
        """kill -9 of a worker."""
        self.workers[number].kill()
        self.workers[number].wait()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()
