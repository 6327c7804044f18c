"""What a process does for an order in these tests: sleep, end at once, or end the process.

Processes load it by name, and nothing of the project with it: they start at once.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple


class Order(NamedTuple):
    """Stands for a job."""

    words: str
    number: int


class Done(NamedTuple):
    """Stands for a result."""

    number: int
    note: str = ""


def start(*_: object) -> None:
    """Nothing to get ready."""


def act(order: Order) -> Done:
    """`sleep SECONDS`, `kill`, `once FILE`, which kills where there is no such file yet, or anything else."""
    word, _, rest = order.words.partition(" ")
    if word == "sleep":
        time.sleep(float(rest))
    elif word == "kill" or (word == "once" and not Path(rest).exists()):
        if rest:
            Path(rest).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Done(order.number)
