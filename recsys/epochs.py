"""BiasedMF's whole epoch as one compiled loop: gather, dot, slope of the loss, scatter, optimizer; the GIL is released.

All parameters lie in one flat array `w`: user vectors, item vectors, user biases, item biases, the global bias. The
loss arrives as data (`lossdsl.recsys.curves`), so a new formula compiles nothing.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from lossdsl.recsys.kernels import JIT
from lossdsl.recsys.tape import run_at

PAIRS_AT_ONCE = 1024

KINDS = {"gd": 0, "adam": 1, "adagrad": 2}


@numba.njit(cache=True, nogil=True, fastmath=True)
def _largest(w: Any) -> Any:
    # The one place where NaN may be ignored: it makes this loop a vector loop, and a NaN shows in the slopes anyway.
    size = w.dtype.type(0.0)
    for k in range(w.shape[0]):
        size = max(size, abs(w[k]))
    return size


@numba.njit(inline="always")
def _slopes(
    z: Any, y: Any, m: int, pick: Any, cells: Any, span: float, address: int, code: Any, constant: Any, regs: Any
) -> None:
    """The first `m` scores become slopes: from the table, and from the tape where the table says NaN."""
    count = cells.shape[1]
    inverse = z.dtype.type(count / (2.0 * span))
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
        where = run_at(address, code, constant, regs, block)
        for b in range(block):
            z[pick[done + b]] = regs[where, b]


@numba.njit(**JIT)
def _pair_slopes(
    z: Any, y: Any, part: Any, begin: int, end: int, pos: int, gz: Any, pz: Any, py: Any, ahead: Any, behind: Any,
    pick: Any, cells: Any, span: float, address: int, code: Any, constant: Any, regs: Any,
) -> int:  # fmt: skip
    """Scores of the rows become sums of the slopes of their pairs; returns the number of pairs.

    Every better row of a group is set against every worse one; `pz` holds a block of score differences.
    """
    rows = part[end] - part[begin]
    for j in range(rows):
        gz[j] = 0
    count = 0
    filled = 0
    for g in range(begin, end):
        for i in range(part[g] - pos, part[g + 1] - pos):
            for j in range(part[g] - pos, part[g + 1] - pos):
                if y[i] > y[j]:
                    pz[filled] = z[i] - z[j]
                    ahead[filled] = i
                    behind[filled] = j
                    filled += 1
                    count += 1
                # The last look empties what is left.
                final = g == end - 1 and i == part[g + 1] - pos - 1 and j == i
                if filled == pz.shape[0] or (final and filled > 0):
                    _slopes(pz, py, filled, pick, cells, span, address, code, constant, regs)
                    for k in range(filled):
                        gz[ahead[k]] += pz[k]
                        gz[behind[k]] -= pz[k]
                    filled = 0
    for j in range(rows):
        z[j] = gz[j]
    return count


@numba.njit(**JIT)
def row_slopes(z: Any, y: Any, cells: Any, span: float, address: int, code: Any, constant: Any, regs: Any) -> None:
    """For models outside of the kernel: scores become slopes of the mean loss."""
    m = z.shape[0]
    pick = np.empty(m, np.int64)
    _slopes(z, y, m, pick, cells, span, address, code, constant, regs)
    mean = z.dtype.type(1.0 / m)
    for j in range(m):
        z[j] *= mean


@numba.njit(**JIT)
def pair_slopes(
    z: Any, y: Any, bounds: Any, cells: Any, span: float, address: int, code: Any, constant: Any, regs: Any
) -> int:
    """For models outside of the kernel: scores become slopes of the mean loss over all pairs; returns their number."""
    gz = np.empty(z.shape[0], z.dtype)
    pz = np.empty(PAIRS_AT_ONCE, z.dtype)
    py = np.ones(PAIRS_AT_ONCE, z.dtype)
    ahead = np.empty(PAIRS_AT_ONCE, np.int64)
    behind = np.empty(PAIRS_AT_ONCE, np.int64)
    pick = np.empty(PAIRS_AT_ONCE, np.int64)
    count = _pair_slopes(
        z, y, bounds, 0, bounds.shape[0] - 1, 0, gz, pz, py, ahead, behind, pick,
        cells, span, address, code, constant, regs,
    )  # fmt: skip
    mean = z.dtype.type(1.0 / max(1, count))
    for j in range(z.shape[0]):
        z[j] *= mean
    return count


@numba.njit(inline="always")
def _step(
    kind: int, w: Any, g: Any, first: Any, second: Any, step: int, lr: float, decay: float, inside: float, clip: float
) -> None:
    """A step of the optimizer over all parameters; `g` leaves as zeros."""
    zero = w.dtype.type(0.0)
    rate = w.dtype.type(lr)
    outer = w.dtype.type(decay)
    inner = w.dtype.type(inside)
    top = w.dtype.type(clip)
    if clip > 0.0:
        for k in range(w.shape[0]):
            g[k] = max(-top, min(top, g[k] + inner * w[k]))
    if kind == 0:
        for k in range(w.shape[0]):
            w[k] -= rate * (g[k] + outer * w[k])
            g[k] = zero
    elif kind == 1:
        b1 = w.dtype.type(0.9)
        b2 = w.dtype.type(0.999)
        c1 = w.dtype.type(1.0 - 0.9)
        c2 = w.dtype.type(1.0 - 0.999)
        fast = w.dtype.type(lr / (1.0 - np.exp(step * np.log(0.9))))
        root = w.dtype.type(1.0 / np.sqrt(-np.expm1(step * np.log(0.999))))
        tiny = w.dtype.type(1e-8)
        for k in range(w.shape[0]):
            x = g[k] + outer * w[k]
            g[k] = zero
            p = b1 * first[k] + c1 * x
            q = b2 * second[k] + c2 * x * x
            first[k] = p
            second[k] = q
            w[k] -= fast * p / (np.sqrt(q) * root + tiny)
    else:
        tiny = w.dtype.type(1e-10)
        for k in range(w.shape[0]):
            x = g[k] + outer * w[k]
            g[k] = zero
            q = second[k] + x * x
            second[k] = q
            w[k] -= rate * x / (np.sqrt(q) + tiny)


@numba.njit(**JIT)
def step_dense(
    kind: int, w: Any, g: Any, first: Any, second: Any, step: int, lr: float, decay: float, inside: float, clip: float
) -> None:
    """For models outside of the kernel: `step` counts from 1."""
    _step(kind, w, g, first, second, step, lr, decay, inside, clip)


@numba.njit(**JIT)
def epoch(
    kind: int,
    w: Any,
    g: Any,
    first: Any,
    second: Any,
    step: int,
    users: int,
    items: int,
    dim: int,
    user: Any,
    item: Any,
    label: Any,
    order: Any,
    cuts: Any,
    part: Any,
    groups: Any,
    lr: float,
    decay: float,
    inside: float,
    clip: float,
    cells: Any,
    span: float,
    address: int,
    code: Any,
    constant: Any,
    regs: Any,
) -> int:
    """One epoch over `order`, in batches: the gradient of the mean loss of a batch, then a step of the optimizer.

    Batch t is `order[cuts[t] : cuts[t + 1]]`. With `part` the loss is that of pairs: group g is
    `order[part[g] : part[g + 1]]`, and batch t has the groups from `groups[t]` to `groups[t + 1]`.

    With `g' = clip(gradient + inside * w) + decay * w`: gradient descent (`kind` 0) is `w -= lr * g'`; Adam (1; β 0.9,
    0.999; ε 1e-8) and Adagrad (2; ε 1e-10) keep their moments in `first` and `second`. `g` comes and leaves as zeros.
    `clip` 0 clips nothing. Returns the number of steps made so far.

    `cells[label, k]` holds the slope at the left edge of cell k of `[-span, span]` and the rise to its right edge, or
    NaN where the tape has to be run; no cells mean that it always has to.
    """
    batch = 0
    for t in range(cuts.shape[0] - 1):
        batch = max(batch, cuts[t + 1] - cuts[t])
    a, b = users * dim, items * dim
    vu = w[:a].reshape((users, dim))
    vi = w[a : a + b].reshape((items, dim))
    bu = w[a + b : a + b + users]
    bi = w[a + b + users : a + b + users + items]
    last = w.shape[0] - 1
    zero = w.dtype.type(0.0)
    one = w.dtype.type(1.0)
    sparse = kind == 0
    # Plain descent without clipping never looks at `g`, and may come with an empty one.
    h = g if g.shape[0] == w.shape[0] else w
    gu = h[:a].reshape((users, dim))
    gi = h[a : a + b].reshape((items, dim))
    hu = h[a + b : a + b + users]
    hi = h[a + b + users : a + b + users + items]
    met = np.full(users + items if sparse and clip > 0.0 else 0, -1, np.int64)
    size = 0.0
    z = np.empty(batch, w.dtype)
    y = np.empty(batch, w.dtype)
    us = np.empty(batch, np.uint64)
    ts = np.empty(batch, np.uint64)
    paired = part.shape[0] > 0
    pick = np.empty(max(batch, PAIRS_AT_ONCE), np.int64)
    room = PAIRS_AT_ONCE if paired else 0
    gz = np.empty(batch if paired else 0, w.dtype)
    pz = np.empty(room, w.dtype)
    py = np.ones(room, w.dtype)
    ahead = np.empty(room, np.int64)
    behind = np.empty(room, np.int64)
    old = np.empty((batch if sparse else 0, dim), w.dtype)
    own = zero if paired else one  # a pair of one user says nothing of the user's bias, nor of the global one
    scale = one  # in sparse gradient descent the parameters are `scale * w`
    shrink = w.dtype.type(1.0 - lr * (decay + inside))
    rate = w.dtype.type(lr)
    outer = w.dtype.type(decay)
    inner = w.dtype.type(inside)
    top = w.dtype.type(clip)
    for t in range(cuts.shape[0] - 1):
        pos = cuts[t]
        m = cuts[t + 1] - pos
        both = scale * scale
        for j in range(m):
            r = np.uint64(order[pos + j])
            u = np.uint64(user[r])
            i = np.uint64(item[r])
            us[j] = u
            ts[j] = i
            y[j] = label[r]
            acc = zero
            for k in range(dim):
                acc += vu[u, k] * vi[i, k]
            z[j] = acc * both + (bu[u] + bi[i] + w[last]) * scale
        norm = w.dtype.type(1.0 / m)
        if paired:
            count = _pair_slopes(
                z, y, part, groups[t], groups[t + 1], pos, gz, pz, py, ahead, behind, pick,
                cells, span, address, code, constant, regs,
            )  # fmt: skip
            if count == 0:
                continue
            norm = w.dtype.type(1.0 / count)
        else:
            _slopes(z, y, m, pick, cells, span, address, code, constant, regs)
        total = zero
        careful = False
        everywhere = False
        if sparse and clip > 0.0:
            # No entry of the gradient is larger than the sum of the slopes times the largest parameter.
            steep = 0.0
            for j in range(m):
                steep += abs(z[j])
            steep *= norm
            if t % 32 == 0:
                size = _largest(w) * scale
            careful = not (max(1.0, size) * steep + inside * size < clip)
            # Rows that the batch does not touch are clipped too, if what L2 alone asks of them is too much.
            everywhere = not inside * size < clip
            size += lr * max(1.0, size) * steep
        if careful:
            fresh = scale * shrink
            for j in range(m):
                u = us[j]
                i = ts[j]
                s = z[j] * norm
                c = s * scale
                for k in range(dim):
                    gu[u, k] += c * vi[i, k]
                for k in range(dim):
                    gi[i, k] += c * vu[u, k]
                hu[u] += s * own
                hi[i] += s
                total += s * own
            if everywhere:
                g[last] = total
                for k in range(w.shape[0]):
                    x = w[k] * scale
                    w[k] = (x - rate * (max(-top, min(top, g[k] + inner * x)) + outer * x)) / fresh
                    g[k] = zero
                scale = fresh
                continue
            for j in range(m):
                u = us[j]
                i = ts[j]
                if met[u] != t:
                    met[u] = t
                    for k in range(dim):
                        x = vu[u, k] * scale
                        vu[u, k] = (x - rate * (max(-top, min(top, gu[u, k] + inner * x)) + outer * x)) / fresh
                        gu[u, k] = zero
                    x = bu[u] * scale
                    bu[u] = (x - rate * (max(-top, min(top, hu[u] + inner * x)) + outer * x)) / fresh
                    hu[u] = zero
                if met[np.uint64(users) + i] != t:
                    met[np.uint64(users) + i] = t
                    for k in range(dim):
                        x = vi[i, k] * scale
                        vi[i, k] = (x - rate * (max(-top, min(top, gi[i, k] + inner * x)) + outer * x)) / fresh
                        gi[i, k] = zero
                    x = bi[i] * scale
                    bi[i] = (x - rate * (max(-top, min(top, hi[i] + inner * x)) + outer * x)) / fresh
                    hi[i] = zero
            x = w[last] * scale
            w[last] = (x - rate * (max(-top, min(top, total + inner * x)) + outer * x)) / fresh
            scale = fresh
        elif sparse:
            # new = shrink * old - lr * gradient, in units of the new scale; vectors bring one factor of the old scale.
            fresh = scale * shrink
            per_row = rate * norm / fresh
            for j in range(m):
                u = us[j]
                for k in range(dim):
                    old[j, k] = vu[u, k]
                z[j] *= per_row
                total += z[j] * own
            for j in range(m):
                u = us[j]
                i = ts[j]
                c = z[j] * scale
                for k in range(dim):
                    vu[u, k] -= c * vi[i, k]
                bu[u] -= z[j] * own
            for j in range(m):
                i = ts[j]
                c = z[j] * scale
                for k in range(dim):
                    vi[i, k] -= c * old[j, k]
                bi[i] -= z[j]
            w[last] -= total
            scale = fresh
        if sparse:
            if scale < 1e-3:
                for k in range(w.shape[0]):
                    w[k] *= scale
                scale = one
            continue
        for j in range(m):
            u = us[j]
            i = ts[j]
            c = z[j] * norm
            for k in range(dim):
                gu[u, k] += c * vi[i, k]
            for k in range(dim):
                gi[i, k] += c * vu[u, k]
            hu[u] += c * own
            hi[i] += c
            total += c * own
        g[last] += total
        step += 1
        _step(kind, w, g, first, second, step, lr, decay, inside, clip)
    if scale != one:
        for k in range(w.shape[0]):
            w[k] *= scale
    return step
