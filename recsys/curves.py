"""A pointwise loss on labels 0 and 1 is two curves of the score: tables of their slopes, the Program behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lossdsl.program import Program
from lossdsl.recsys.dataset import Array
from lossdsl.recsys.slopes import Table
from lossdsl.recsys.tape import BLOCK, Tape, interpret, interpreter, tape

SPAN = 20.0
CELLS = 4096


@dataclass(frozen=True, eq=False)
class Curves:
    """What the fused engine knows of a loss.

    `cells[label, k]` holds the slope at the left edge of cell k of `[-span, span]` and the rise to its right edge, or
    NaN where a straight line misses the curve (a kink, a pole) and outside: there the tape is evaluated instead.
    Without cells (float64) it always is.
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
    edges = np.linspace(-SPAN, SPAN, CELLS + 1)
    middle = (edges[:-1] + edges[1:]) / 2
    cells = np.empty((2, CELLS, 2), np.float32)
    for label in (0, 1):
        slope = evaluate(steps, edges, float(label))
        between = evaluate(steps, middle, float(label))
        near = np.abs(between[np.abs(middle) < 2])
        with np.errstate(all="ignore"):
            scale = np.mean(near[np.isfinite(near)]) if np.isfinite(near).any() else 0.0
            miss = np.abs((slope[:-1] + slope[1:]) / 2 - between)
            good = miss <= 1e-4 * np.abs(between) + 1e-6 * scale
            cells[label, :, 0] = slope[:-1]
            cells[label, :, 1] = np.diff(slope)
        cells[label, ~good] = np.nan
    cells[:, [0, -1]] = np.nan
    # A float32 overflow of an edge is a cell for the Program, too.
    cells[~np.isfinite(cells).all(axis=2)] = np.nan
    return Curves(steps, cells)


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
