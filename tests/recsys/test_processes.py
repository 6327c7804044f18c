"""Processes that train are no business of a Ctrl-C, and do not outlive the one that waits for them."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing import active_children

import pytest

from lossdsl.recsys.processes import Processes


def blocked() -> bool:
    """In a process of the pool: whether it is deaf, from before it imported anything."""
    os.kill(os.getpid(), signal.SIGINT)
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_ctrl_c_goes_past_the_processes() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with Processes(1) as pool:
        assert pool.submit(blocked).result(60) and pool.submit(blocked).result(60)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_whoever_is_interrupted_waits_for_nobody() -> None:
    before = {child.pid for child in active_children()}
    with pytest.raises(KeyboardInterrupt), Processes(2) as pool:
        pool.submit(abs, 1).result(60)
        waiting = [pool.submit(time.sleep, 600) for _ in range(8)]
        begin = time.monotonic()
        raise KeyboardInterrupt
    assert time.monotonic() - begin < 30
    while {child.pid for child in active_children()} > before and time.monotonic() - begin < 30:
        time.sleep(0.05)  # the pool's own thread may be about to bury it
    assert {child.pid for child in active_children()} <= before
    assert waiting[-1].cancelled()
