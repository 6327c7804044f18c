"""Scores become slopes of the loss, in place: by a table of the slope's curves, and by the tape where the table is
silent. The loss arrives as data, so a new formula compiles nothing."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from lossdsl.recsys.kernels import JIT
from lossdsl.recsys.tape import run_at

PAIRS_AT_ONCE = 1024


class Table(NamedTuple):
    """A loss as the compiled loops take it; the registers are one thread's own.

    `cells[label, k]` holds the slope at the left edge of cell k of `[-span, span]` and the rise to its right edge, or
    NaN where the tape has to be run; no cells mean that it always has to. `address` is the interpreter's.
    """

    cells: Any
    span: float
    address: int
    code: Any
    constant: Any
    registers: Any


@numba.njit(inline="always")
def slopes(z: Any, y: Any, m: int, pick: Any, table: Any) -> None:
    """The first `m` scores become slopes: from the table, and from the tape where the table says NaN."""
    cells = table.cells
    regs = table.registers
    count = cells.shape[1]
    inverse = z.dtype.type(count / (2.0 * table.span))
    offset = z.dtype.type(count / 2.0)
    edge = z.dtype.type(count - 0.5)
    low = z.dtype.type(0.0)
    width = regs.shape[1]
    hard = 0
    if count == 0:
        for j in range(m):
            pick[j] = j
        hard = m
    else:
        for j in range(m):
            x = z[j] * inverse + offset
            if not x > low:  # NaN comes this way too
                x = low
            if x > edge:
                x = edge
            cell = np.uint64(x)
            f = x - z.dtype.type(cell)
            liked = np.uint64(y[j] > 0.5)
            s = cells[liked, cell, 0] + f * cells[liked, cell, 1]
            if s == s:
                z[j] = s
            else:
                pick[hard] = j
                hard += 1
    for done in range(0, hard, width):
        block = min(width, hard - done)
        for b in range(block):
            regs[0, b] = z[pick[done + b]]
            regs[1, b] = y[pick[done + b]]
        where = run_at(table.address, table.code, table.constant, regs, block)
        for b in range(block):
            z[pick[done + b]] = regs[where, b]


class Room(NamedTuple):
    """Where a batch of pairs is worked out: sums of slopes a row, and a block of score differences and their rows."""

    sums: Any
    difference: Any
    label: Any
    ahead: Any
    behind: Any
    pick: Any


@numba.njit(inline="always")
def room(rows: int, pairs: int, like: Any) -> Any:
    """Room for batches of up to `rows` rows, `pairs` pairs at once (one row at a time needs `pick` alone)."""
    return Room(
        np.empty(rows if pairs > 0 else 0, like.dtype),
        np.empty(pairs, like.dtype),
        np.ones(pairs, like.dtype),
        np.empty(pairs, np.int64),
        np.empty(pairs, np.int64),
        np.empty(max(rows, pairs), np.int64),
    )


@numba.njit(**JIT)
def sum_pairs(z: Any, y: Any, part: Any, begin: int, end: int, pos: int, space: Any, table: Any) -> int:
    """Scores of the rows become sums of the slopes of their pairs; returns the number of pairs.

    Every better row of a group is set against every worse one. Group g are the rows from `part[g] - pos` to
    `part[g + 1] - pos`.
    """
    sums = space.sums
    difference = space.difference
    ahead = space.ahead
    behind = space.behind
    rows = part[end] - part[begin]
    for j in range(rows):
        sums[j] = 0
    count = 0
    filled = 0
    for g in range(begin, end):
        for i in range(part[g] - pos, part[g + 1] - pos):
            for j in range(part[g] - pos, part[g + 1] - pos):
                if y[i] > y[j]:
                    difference[filled] = z[i] - z[j]
                    ahead[filled] = i
                    behind[filled] = j
                    filled += 1
                    count += 1
                # The last look empties what is left.
                final = g == end - 1 and i == part[g + 1] - pos - 1 and j == i
                if filled == difference.shape[0] or (final and filled > 0):
                    slopes(difference, space.label, filled, space.pick, table)
                    for k in range(filled):
                        sums[ahead[k]] += difference[k]
                        sums[behind[k]] -= difference[k]
                    filled = 0
    for j in range(rows):
        z[j] = sums[j]
    return count


@numba.njit(**JIT)
def row_slopes(z: Any, y: Any, table: Any) -> None:
    """For models outside of the epochs' loops: scores become slopes of the mean loss."""
    m = z.shape[0]
    slopes(z, y, m, np.empty(m, np.int64), table)
    mean = z.dtype.type(1.0 / m)
    for j in range(m):
        z[j] *= mean


@numba.njit(**JIT)
def pair_slopes(z: Any, y: Any, bounds: Any, table: Any) -> int:
    """For models outside of the epochs' loops: scores become slopes of the mean loss over pairs, which it counts."""
    space = room(z.shape[0], PAIRS_AT_ONCE, z)
    count = sum_pairs(z, y, bounds, 0, bounds.shape[0] - 1, 0, space, table)
    mean = z.dtype.type(1.0 / max(1, count))
    for j in range(z.shape[0]):
        z[j] *= mean
    return count
