"""BiasedMF's whole epoch as one compiled loop: gather, dot, slope of the loss, scatter, optimizer; the GIL is released.

All parameters lie in one flat array `w`: user vectors, item vectors, user biases, item biases, the global bias. The
loss arrives as data (`lossdsl.recsys.curves`), so a new formula compiles nothing.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from lossdsl.recsys.tape import interpret

# No `nnan` and `ninf` among the fast-math flags: a NaN has to reach the weights, where it is noticed.
JIT: dict[str, Any] = dict(
    cache=True,
    nogil=True,
    boundscheck=False,
    error_model="numpy",
    fastmath={"reassoc", "contract", "nsz", "arcp", "afn"},
)

ADAM, ADAGRAD = 1, 2


@numba.njit(**JIT)
def shuffle(order: Any, seed: Any) -> None:
    """Shuffles `order` in place (Fisher and Yates; SplitMix64 as source), the same on every machine."""
    state = np.uint64(seed)
    for i in range(order.shape[0] - 1, 0, -1):
        state = state + np.uint64(0x9E3779B97F4A7C15)
        z = state
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        # The upper 32 bits times the range, shifted down: no modulo, and a bias under range / 2**32.
        j = np.int64(((z >> np.uint64(32)) * np.uint64(i + 1)) >> np.uint64(32))
        t = order[i]
        order[i] = order[j]
        order[j] = t


@numba.njit(**JIT)
def _views(w: Any, users: int, items: int, dim: int) -> Any:
    a, b = users * dim, items * dim
    vectors_u = w[:a].reshape((users, dim))
    vectors_i = w[a : a + b].reshape((items, dim))
    return vectors_u, vectors_i, w[a + b : a + b + users], w[a + b + users : a + b + users + items]


@numba.njit(**JIT)
def scores(w: Any, users: int, items: int, dim: int, user: Any, item: Any, out: Any) -> None:
    """Writes the score of each (user, item) row to `out`."""
    vu, vi, bu, bi = _views(w, users, items, dim)
    base = w[w.shape[0] - 1]
    for j in range(user.shape[0]):
        u = np.uint64(user[j])
        i = np.uint64(item[j])
        p = vu[u]
        q = vi[i]
        acc = p[0] * q[0]
        for k in range(1, dim):
            acc += p[k] * q[k]
        out[j] = acc + bu[u] + bi[i] + base


@numba.njit(**JIT)
def slopes(z: Any, y: Any, m: int, cells: Any, span: float, code: Any, constant: Any, regs: Any, pick: Any) -> None:
    """Replaces the first `m` scores in `z` by the loss's slope there, at the labels `y`.

    A cell of the table holds the slope at its left edge and the rise to its right edge, or NaN where a straight line is
    not good enough and the Program has to be evaluated; the outermost two cells always hold NaN.
    """
    n = cells.shape[1]
    hard = 0
    if n == 0:
        for j in range(m):
            pick[j] = j
        hard = m
    else:
        inverse = z.dtype.type(n / (2.0 * span))
        offset = z.dtype.type(n / 2.0)
        top = z.dtype.type(n - 0.5)
        for j in range(m):
            x = z[j] * inverse + offset
            if not x > 0:  # NaN comes this way too
                x = z.dtype.type(0.5)
            if x > top:
                x = top
            cell = np.uint64(x)
            f = x - z.dtype.type(cell)
            label = np.uint64(y[j] > 0.5)
            g = cells[label, cell, 0] + f * cells[label, cell, 1]
            if g == g:
                z[j] = g
            else:
                pick[hard] = j
                hard += 1
    width = regs.shape[1]
    done = 0
    while done < hard:
        block = min(width, hard - done)
        for b in range(block):
            regs[0, b] = z[pick[done + b]]
            regs[1, b] = y[pick[done + b]]
        where = interpret(code, constant, regs, block)
        for b in range(block):
            z[pick[done + b]] = regs[where, b]
        done += block


@numba.njit(**JIT)
def epoch_gd(
    w: Any, users: int, items: int, dim: int, user: Any, item: Any, label: Any, order: Any, batch: int,
    lr: float, decay: float, cells: Any, span: float, code: Any, constant: Any, regs: Any,
) -> None:
    """One epoch of plain gradient descent; what L2 does to the untouched rows is one factor, applied late."""
    vu, vi, bu, bi = _views(w, users, items, dim)
    last = w.shape[0] - 1
    one = w.dtype.type(1.0)
    z = np.empty(batch, w.dtype)
    y = np.empty(batch, w.dtype)
    us = np.empty(batch, np.uint64)
    ts = np.empty(batch, np.uint64)
    pick = np.empty(batch, np.int64)
    old = np.empty((batch, dim), w.dtype)
    scale = one  # the parameters are `scale * w`
    shrink = w.dtype.type(1.0 - lr * decay)
    n = order.shape[0]
    pos = 0
    while pos < n:
        m = min(batch, n - pos)
        square = scale * scale
        for j in range(m):
            r = np.uint64(order[pos + j])
            u = np.uint64(user[r])
            i = np.uint64(item[r])
            us[j] = u
            ts[j] = i
            y[j] = label[r]
            acc = w.dtype.type(0.0)
            for k in range(dim):
                acc += vu[u, k] * vi[i, k]
            z[j] = acc * square + (bu[u] + bi[i] + w[last]) * scale
        slopes(z, y, m, cells, span, code, constant, regs, pick)
        # new = shrink * old - lr * gradient, in units of the new scale; vectors carry one factor of the old scale.
        fresh = scale * shrink
        step = w.dtype.type(lr / m) / fresh
        total = w.dtype.type(0.0)
        for j in range(m):
            # A row that comes twice in a batch has to give its old value twice.
            u = us[j]
            for k in range(dim):
                old[j, k] = vu[u, k]
            z[j] *= step
            total += z[j]
        for j in range(m):
            u = us[j]
            i = ts[j]
            c = z[j] * scale
            for k in range(dim):
                vu[u, k] -= c * vi[i, k]
            bu[u] -= z[j]
        for j in range(m):
            i = ts[j]
            c = z[j] * scale
            for k in range(dim):
                vi[i, k] -= c * old[j, k]
            bi[i] -= z[j]
        w[last] -= total
        scale = fresh
        if scale < 1e-3:
            for k in range(w.shape[0]):
                w[k] *= scale
            scale = one
        pos += m
    if scale != one:
        for k in range(w.shape[0]):
            w[k] *= scale


@numba.njit(**JIT)
def _gradient(
    w: Any, g: Any, users: int, items: int, dim: int, user: Any, item: Any, label: Any, order: Any, pos: int, m: int,
    z: Any, y: Any, pick: Any, cells: Any, span: float, code: Any, constant: Any, regs: Any,
) -> None:
    """Adds the gradient of the mean loss of rows `order[pos : pos + m]` to `g`."""
    vu, vi, bu, bi = _views(w, users, items, dim)
    gu, gi, hu, hi = _views(g, users, items, dim)
    last = w.shape[0] - 1
    for j in range(m):
        r = np.uint64(order[pos + j])
        u = np.uint64(user[r])
        i = np.uint64(item[r])
        y[j] = label[r]
        acc = w.dtype.type(0.0)
        for k in range(dim):
            acc += vu[u, k] * vi[i, k]
        z[j] = acc + bu[u] + bi[i] + w[last]
    slopes(z, y, m, cells, span, code, constant, regs, pick)
    mean = w.dtype.type(1.0 / m)
    total = w.dtype.type(0.0)
    for j in range(m):
        r = np.uint64(order[pos + j])
        u = np.uint64(user[r])
        i = np.uint64(item[r])
        c = z[j] * mean
        for k in range(dim):
            gu[u, k] += c * vi[i, k]
        for k in range(dim):
            gi[i, k] += c * vu[u, k]
        hu[u] += c
        hi[i] += c
        total += c
    g[last] += total


@numba.njit(**JIT)
def epoch_clipped(
    w: Any, g: Any, users: int, items: int, dim: int, user: Any, item: Any, label: Any, order: Any, batch: int,
    lr: float, decay: float, decay_inside: float, clip: float,
    cells: Any, span: float, code: Any, constant: Any, regs: Any,
) -> None:
    """Gradient descent with each entry of the gradient clipped: w -= lr * (clip(gradient + inside * w) + decay * w).

    `g` comes and leaves as zeros. Rows that a batch does not touch only shrink; they are shrunk when next met, so the
    gradient of a row is clipped in true units.
    """
    z = np.empty(batch, w.dtype)
    y = np.empty(batch, w.dtype)
    pick = np.empty(batch, np.int64)
    vu, vi, bu, bi = _views(w, users, items, dim)
    gu, gi, hu, hi = _views(g, users, items, dim)
    last = w.shape[0] - 1
    seen_u = np.zeros(users, np.int64)
    seen_i = np.zeros(items, np.int64)
    n = order.shape[0]
    steps = (n + batch - 1) // batch
    shrink = 1.0 - lr * (decay + decay_inside)
    powers = np.empty(steps + 1, w.dtype)
    power = 1.0
    for t in range(steps + 1):
        powers[t] = power
        power *= shrink
    rate = w.dtype.type(lr)
    outside = w.dtype.type(decay)
    inside = w.dtype.type(decay_inside)
    top = w.dtype.type(clip)
    for t in range(steps):
        pos = t * batch
        m = min(batch, n - pos)
        for j in range(m):
            r = np.uint64(order[pos + j])
            u = np.uint64(user[r])
            i = np.uint64(item[r])
            if seen_u[u] < t:
                late = powers[t - seen_u[u]]
                for k in range(dim):
                    vu[u, k] *= late
                bu[u] *= late
                seen_u[u] = t
            if seen_i[i] < t:
                late = powers[t - seen_i[i]]
                for k in range(dim):
                    vi[i, k] *= late
                bi[i] *= late
                seen_i[i] = t
        _gradient(
            w, g, users, items, dim, user, item, label, order, pos, m, z, y, pick, cells, span, code, constant, regs
        )
        for j in range(m):
            r = np.uint64(order[pos + j])
            u = np.uint64(user[r])
            i = np.uint64(item[r])
            if seen_u[u] == t:
                for k in range(dim):
                    x = max(-top, min(top, gu[u, k] + inside * vu[u, k]))
                    vu[u, k] -= rate * (x + outside * vu[u, k])
                    gu[u, k] = 0
                x = max(-top, min(top, hu[u] + inside * bu[u]))
                bu[u] -= rate * (x + outside * bu[u])
                hu[u] = 0
                seen_u[u] = t + 1
            if seen_i[i] == t:
                for k in range(dim):
                    x = max(-top, min(top, gi[i, k] + inside * vi[i, k]))
                    vi[i, k] -= rate * (x + outside * vi[i, k])
                    gi[i, k] = 0
                x = max(-top, min(top, hi[i] + inside * bi[i]))
                bi[i] -= rate * (x + outside * bi[i])
                hi[i] = 0
                seen_i[i] = t + 1
        x = max(-top, min(top, g[last] + inside * w[last]))
        w[last] -= rate * (x + outside * w[last])
        g[last] = 0
    for u in range(users):
        late = powers[steps - seen_u[u]]
        for k in range(dim):
            vu[u, k] *= late
        bu[u] *= late
    for i in range(items):
        late = powers[steps - seen_i[i]]
        for k in range(dim):
            vi[i, k] *= late
        bi[i] *= late


@numba.njit(**JIT)
def epoch_dense(
    kind: int, w: Any, g: Any, first: Any, second: Any, step: int,
    users: int, items: int, dim: int, user: Any, item: Any, label: Any, order: Any, batch: int,
    lr: float, decay: float, decay_inside: float, clip: float,
    cells: Any, span: float, code: Any, constant: Any, regs: Any,
) -> int:
    """One epoch of Adam (β 0.9, 0.999, ε 1e-8) or Adagrad (ε 1e-10), whose steps move every parameter.

    `g` comes and leaves as zeros, `first` and `second` are the running moments; returns the number of steps so far.
    """
    z = np.empty(batch, w.dtype)
    y = np.empty(batch, w.dtype)
    pick = np.empty(batch, np.int64)
    n = order.shape[0]
    outside = w.dtype.type(decay)
    inside = w.dtype.type(decay_inside)
    top = w.dtype.type(clip if clip > 0 else np.inf)
    zero = w.dtype.type(0.0)
    pos = 0
    while pos < n:
        m = min(batch, n - pos)
        _gradient(
            w, g, users, items, dim, user, item, label, order, pos, m, z, y, pick, cells, span, code, constant, regs
        )
        if clip > 0:
            for k in range(w.shape[0]):
                g[k] = max(-top, min(top, g[k] + inside * w[k]))
        step += 1
        if kind == 1:
            b1 = w.dtype.type(0.9)
            b2 = w.dtype.type(0.999)
            c1 = w.dtype.type(1.0 - 0.9)
            c2 = w.dtype.type(1.0 - 0.999)
            rate = w.dtype.type(lr / (1.0 - 0.9**step))
            root = w.dtype.type(1.0 / np.sqrt(1.0 - 0.999**step))
            tiny = w.dtype.type(1e-8)
            for k in range(w.shape[0]):
                x = g[k] + outside * w[k]
                g[k] = zero
                a = b1 * first[k] + c1 * x
                b = b2 * second[k] + c2 * x * x
                first[k] = a
                second[k] = b
                w[k] -= rate * a / (np.sqrt(b) * root + tiny)
        else:
            rate = w.dtype.type(lr)
            tiny = w.dtype.type(1e-10)
            for k in range(w.shape[0]):
                x = g[k] + outside * w[k]
                g[k] = zero
                b = second[k] + x * x
                second[k] = b
                w[k] -= rate * x / (np.sqrt(b) + tiny)
        pos += m
    return step


@numba.njit(**JIT)
def rank_auc(order: Any, score: Any, label: Any, start: int, end: int) -> float:
    """AUC of the rows `order[start:end]`, which are sorted by score; ties count half; NaN if a class is missing."""
    below = 0.0
    wins = 0.0
    liked = 0.0
    i = start
    while i < end:
        j = i
        here = 0.0
        while j < end and score[order[j]] == score[order[i]]:
            if label[order[j]] > 0.5:
                here += 1.0
            j += 1
        others = (j - i) - here
        wins += here * (below + 0.5 * others)
        below += others
        liked += here
        i = j
    if liked == 0.0 or below == 0.0:
        return np.nan
    return wins / (liked * below)


@numba.njit(**JIT)
def grouped_auc(order: Any, score: Any, label: Any, group: Any) -> float:
    """Mean AUC over groups that have both classes; `order` sorts by group, then by score."""
    total = 0.0
    count = 0
    start = 0
    n = order.shape[0]
    while start < n:
        end = start
        while end < n and group[order[end]] == group[order[start]]:
            end += 1
        value = rank_auc(order, score, label, start, end)
        if value == value:
            total += value
            count += 1
        start = end
    return total / count if count > 0 else np.nan
