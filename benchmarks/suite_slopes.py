"""Three ways to a loss's slope in the fused epoch: the table, the tape, machine code by pointer. What each costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from run import Figure

from lossdsl.lowering import lower
from lossdsl.recsys.curves import curves
from lossdsl.recsys.slopes import row_slopes
from lossdsl.targets.llvm import compile_ir, kernel
from lossdsl.targets.llvm_ir import ir

LOSSES = ("bce", "mse", "hinge", "focal", "maxr", "exponential")
COUNT, ROUNDS = 4096, 200


def run() -> list[Figure]:
    """Prints the table, returns the figures."""
    random = np.random.default_rng(0)
    score = random.standard_normal(COUNT).astype(np.float32) * 2
    label = random.integers(0, 2, COUNT).astype(np.float32)
    print(
        f"nanoseconds a row, {COUNT} rows a call, float32; and milliseconds until a new formula can be trained with\n"
    )
    print(f"{'':<14}{'table':>8}{'tape':>8}{'code':>8}    {'table':>8}{'tape':>8}{'code':>8}")
    figures = []
    for name in LOSSES:
        program = lower(name, axis="score")
        ready = [
            best(lambda p=program: curves(p, dtype="float32"), 3),
            best(lambda p=program: curves(p, dtype="float64"), 3),
            best(lambda p=program: compile_ir(ir(p, "sum", None, "fresh")), 3),
        ]
        table, tape = (curves(program, dtype=dtype).table() for dtype in ("float32", "float64"))
        code = kernel(program).function
        z, out = score.copy(), np.empty_like(score)

        def looked_up(table: Any = table, z: Any = z) -> None:
            z[:] = score
            row_slopes(z, label, table)

        def interpreted(table: Any = tape, z: Any = z) -> None:
            z[:] = score
            row_slopes(z, label, table)

        def called(code: Any = code, out: Any = out) -> None:
            code(score.ctypes.data, label.ctypes.data, out.ctypes.data, COUNT, 1.0)

        each = [best(work, ROUNDS) / COUNT for work in (looked_up, interpreted, called)]
        print(
            f"{name:<14}"
            + "".join(f"{t * 1e9:8.2f}" for t in each)
            + "    "
            + "".join(f"{t * 1e3:8.2f}" for t in ready)
        )
        for way, seconds in zip(("table", "tape", "code"), each):
            figures.append(Figure(f"slopes_{name}_{way}", seconds * 1e9, "ns/row"))
    return figures


def best(work: Callable[[], Any], rounds: int) -> float:
    """Seconds of the quickest of some calls: others on the machine only ever add to it."""
    work()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)
