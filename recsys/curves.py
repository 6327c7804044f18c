"""A pointwise loss on labels 0 and 1 is two curves of the score: tables of their slopes, the Program behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from lossdsl.program import Program
from lossdsl.recsys.dataset import Array
from lossdsl.recsys.slopes import Table
from lossdsl.recsys.tape import BLOCK, Tape, interpret, interpreter, run_at, tape

SPAN = 20.0
CELLS = 4096
# Places outside, each so many times as far out as the one before: up to 1e19.
FAR, FARTHER = 100, 1.5


@dataclass(frozen=True, eq=False)
class Curves:
    """What the fused engine knows of a loss.

    `cells[label, k]` holds the slope at the left edge of cell k of `[-span, span]` and the rise to its right edge, or
    NaN where a straight line misses the curve (a kink, a pole): there the tape is evaluated instead. What lies outside
    counts to the outermost cells, which are NaN unless the slope rests there. Without cells (float64) the tape is
    always evaluated.
    """

    tape: Tape
    cells: Array
    span: float = SPAN

    def table(self) -> Table:
        """All of it as the compiled loops take it, with fresh registers; each thread needs its own."""
        registers = np.empty((self.tape.registers, BLOCK), np.float64)
        return Table(self.cells, self.span, interpreter(), self.tape.code, self.tape.constant, registers)


def curves(program: Program, parameters: Mapping[str, float] | None = None, *, dtype: str = "float32") -> Curves:
    """Tables of the slopes for float32, none for float64.

    >>> from lossdsl.formula import parse
    >>> from lossdsl.lowering import lower
    >>> from lossdsl.recsys.curves import curves
    >>> curves(lower(parse("score^2"), axis="score")).cells.shape
    (2, 4096, 2)
    """
    steps = tape(program, parameters)
    if dtype == "float64":
        return Curves(steps, np.empty((2, 0, 2), np.float64))
    cells = np.empty((2, CELLS, 2), np.float32)
    registers = np.empty((steps.registers, BLOCK), np.float64)
    _fill(interpreter(), steps.code, steps.constant, registers, SPAN, cells)
    return Curves(steps, cells)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill(address: int, code: Any, constant: Any, regs: Any, span: float, cells: Any) -> None:
    """Writes the cells of both labels. One call: a search makes tables for hundreds of losses a second."""
    count = cells.shape[1]
    points = 2 * count + 1  # edges, and the middles between them
    step = span / count
    slope = np.empty(points)
    for label in range(2):
        for start in range(0, points, regs.shape[1]):
            n = min(regs.shape[1], points - start)
            for j in range(n):
                regs[0, j] = (start + j) * step - span
                regs[1, j] = label
            where = run_at(address, code, constant, regs, n)
            for j in range(n):
                slope[start + j] = regs[where, j]
        total = 0.0
        seen = 0
        for k in range(1, points, 2):
            if abs(k * step - span) < 2.0 and np.isfinite(slope[k]):
                total += abs(slope[k])
                seen += 1
        scale = total / seen if seen > 0 else 0.0
        for k in range(count):
            left, middle, right = slope[2 * k], slope[2 * k + 1], slope[2 * k + 2]
            cells[label, k, 0] = left
            cells[label, k, 1] = right - left
            straight = abs((left + right) / 2 - middle) <= 1e-4 * abs(middle) + 1e-6 * scale
            # A float32 overflow of an edge is a cell for the tape, too; an infinite middle is as far as it may miss.
            finite = np.isfinite(cells[label, k, 0]) and np.isfinite(cells[label, k, 1]) and np.isfinite(middle)
            if not (straight and finite and 0 < k < count - 1):
                cells[label, k, 0] = np.nan
                cells[label, k, 1] = np.nan
        # Many a slope rests where pred is cut off or saturates, and bad losses push their scores there.
        for side in range(2):
            sign = 2.0 * side - 1.0
            edge = slope[(points - 1) * side]
            for j in range(FAR + 1):
                regs[0, j] = sign * (span * FARTHER**j if j > 0 else span - step)
                regs[1, j] = label
            where = run_at(address, code, constant, regs, FAR + 1)
            rests = np.isfinite(np.float32(edge))
            for j in range(FAR + 1):
                rests = rests and abs(regs[where, j] - edge) <= 1e-4 * abs(edge) + 1e-6 * scale
            if rests:
                cells[label, (count - 1) * side, 0] = edge
                cells[label, (count - 1) * side, 1] = 0.0


def evaluate(steps: Tape, score: Array, label: Array | float) -> Array:
    """Slopes in score by the interpreter, float64."""
    score = np.asarray(score, np.float64)
    labels = np.broadcast_to(np.asarray(label, np.float64), score.shape)
    regs = np.empty((steps.registers, BLOCK), np.float64)
    out = np.empty(len(score), np.float64)
    for start in range(0, len(score), BLOCK):
        n = min(BLOCK, len(score) - start)
        regs[0, :n] = score[start : start + n]
        regs[1, :n] = labels[start : start + n]
        out[start : start + n] = regs[interpret(interpreter(), steps.code, steps.constant, regs, n), :n]
    return out
