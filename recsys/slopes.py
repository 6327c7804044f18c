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
    """The first `m` scores become slopes: from the table, and from the tape where it says NaN, or the score is NaN."""
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
            if s == s and z[j] == z[j]:
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
    """Where a batch of pairs is worked out.

    By row, better rows of a group before worse ones: its number, score, sum of slopes, and the first row that is worse.
    By pair: the difference of scores. By run (one row against neighbours): the row, the first of the others, how many.
    """

    row: Any
    score: Any
    sums: Any
    worse: Any
    difference: Any
    label: Any
    runs: Any
    pick: Any


@numba.njit(inline="always")
def room(rows: int, pairs: int, like: Any) -> Any:
    """Room for batches of up to `rows` rows, `pairs` pairs at once (one row at a time needs `pick` alone)."""
    paired = rows if pairs > 0 else 0
    return Room(
        np.empty(paired, np.int64),
        np.empty(paired, like.dtype),
        np.empty(paired, like.dtype),
        np.empty(paired, np.int64),
        np.empty(pairs, like.dtype),
        np.ones(pairs, like.dtype),
        np.empty((pairs, 3), np.int64),
        np.empty(max(rows, pairs), np.int64),
    )


@numba.njit(inline="always")
def _rank(z: Any, y: Any, begin: int, end: int, space: Any) -> int:
    """Puts the rows of one group in order of their labels, the best first; those from the returned one on are NaN."""
    at = begin
    bound = y.dtype.type(np.nan)
    while at < end:
        top = y.dtype.type(np.nan)
        for j in range(begin, end):
            if not y[j] >= bound and not y[j] <= top:
                top = y[j] if y[j] == y[j] else top
        first = at
        for j in range(begin, end):
            if y[j] == top:
                space.row[at] = j
                space.score[at] = z[j]
                at += 1
        if at == first:
            break
        for k in range(first, at):
            space.worse[k] = at
        bound = top
    known = at
    for j in range(begin, end):
        if y[j] != y[j]:
            space.row[at] = j
            at += 1
    return known


@numba.njit(**JIT)
def _settle(filled: int, runs: int, space: Any, table: Any) -> None:
    """Differences become slopes, which are added up by row."""
    difference = space.difference
    sums = space.sums
    slopes(difference, space.label, filled, space.pick, table)
    at = 0
    for r in range(runs):
        i = space.runs[r, 0]
        first = space.runs[r, 1]
        size = space.runs[r, 2]
        total = difference.dtype.type(0.0)
        for k in range(size):
            total += difference[at + k]
            sums[first + k] -= difference[at + k]
        sums[i] += total
        at += size


@numba.njit(**JIT)
def sum_pairs(z: Any, y: Any, part: Any, begin: int, end: int, pos: int, space: Any, table: Any) -> int:
    """Scores of the rows become sums of the slopes of their pairs; returns the number of pairs.

    Every better row of a group is set against every worse one. Group g are the rows from `part[g] - pos` to
    `part[g + 1] - pos`.
    """
    rows = part[end] - part[begin]
    difference = space.difference
    for j in range(rows):
        space.sums[j] = 0
    count = 0
    filled = 0
    runs = 0
    for g in range(begin, end):
        known = _rank(z, y, part[g] - pos, part[g + 1] - pos, space)
        for i in range(part[g] - pos, known):
            first = space.worse[i]
            while first < known:
                size = min(known - first, difference.shape[0] - filled)
                for k in range(size):
                    difference[filled + k] = space.score[i] - space.score[first + k]
                space.runs[runs, 0] = i
                space.runs[runs, 1] = first
                space.runs[runs, 2] = size
                runs += 1
                filled += size
                first += size
                count += size
                if filled == difference.shape[0]:
                    _settle(filled, runs, space, table)
                    filled = 0
                    runs = 0
    if filled > 0:
        _settle(filled, runs, space, table)
    for k in range(rows):
        z[space.row[k]] = space.sums[k]
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
