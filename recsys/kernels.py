"""BiasedMF's whole epoch as one compiled loop: gather, dot, slope of the loss, scatter, optimizer; the GIL is released.

All parameters lie in one flat array `w`: user vectors, item vectors, user biases, item biases, the global bias. The
loss arrives as data (`lossdsl.recsys.curves`), so a new formula compiles nothing.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from lossdsl.recsys.tape import run_at

# No `nnan` and `ninf` among the fast-math flags: a NaN has to reach the weights, where it is noticed.
JIT: dict[str, Any] = dict(
    cache=True,
    nogil=True,
    boundscheck=False,
    error_model="numpy",
    fastmath={"reassoc", "contract", "nsz", "arcp", "afn"},
)


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
def scores(w: Any, users: int, items: int, dim: int, user: Any, item: Any, out: Any) -> None:
    """Writes the score of each (user, item) row to `out`."""
    a, b = users * dim, items * dim
    vu = w[:a].reshape((users, dim))
    vi = w[a : a + b].reshape((items, dim))
    bu = w[a + b : a + b + users]
    bi = w[a + b + users : a + b + users + items]
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


GD, ADAM, ADAGRAD = 0, 1, 2


@numba.njit(cache=True, nogil=True, fastmath=True)
def _largest(w: Any) -> Any:
    # The one place where NaN may be ignored: it makes this loop a vector loop, and a NaN shows in the slopes anyway.
    size = w.dtype.type(0.0)
    for k in range(w.shape[0]):
        size = max(size, abs(w[k]))
    return size


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
    batch: int,
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

    With `g' = clip(gradient + inside * w) + decay * w`: gradient descent (`kind` 0) is `w -= lr * g'`; Adam (1; β 0.9,
    0.999; ε 1e-8) and Adagrad (2; ε 1e-10) keep their moments in `first` and `second`. `g` comes and leaves as zeros.
    `clip` 0 clips nothing. Returns the number of steps made so far.

    `cells[label, k]` holds the slope at the left edge of cell k of `[-span, span]` and the rise to its right edge, or
    NaN where the tape has to be run; no cells mean that it always has to.
    """
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
    pick = np.empty(batch, np.int64)
    old = np.empty((batch if sparse else 0, dim), w.dtype)
    n = order.shape[0]
    count = cells.shape[1]
    inverse = w.dtype.type(count / (2.0 * span))
    offset = w.dtype.type(count / 2.0)
    edge = w.dtype.type(count - 0.5)
    width = regs.shape[1]
    scale = one  # in sparse gradient descent the parameters are `scale * w`
    shrink = w.dtype.type(1.0 - lr * (decay + inside))
    rate = w.dtype.type(lr)
    outer = w.dtype.type(decay)
    inner = w.dtype.type(inside)
    top = w.dtype.type(clip)
    for pos in range(0, n, batch):
        m = min(batch, n - pos)
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
        # Scores become slopes: from the table, and from the tape where the table says NaN.
        hard = 0
        if count == 0:
            for j in range(m):
                pick[j] = j
            hard = m
        else:
            for j in range(m):
                x = z[j] * inverse + offset
                if not x > zero:  # NaN comes this way too
                    x = zero
                if x > edge:
                    x = edge
                cell = np.uint64(x)
                f = x - w.dtype.type(cell)
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
        total = zero
        careful = False
        everywhere = False
        if sparse and clip > 0.0:
            # No entry of the gradient is larger than the sum of the slopes times the largest parameter.
            steep = 0.0
            for j in range(m):
                steep += abs(z[j])
            steep /= m
            if pos % (32 * batch) == 0:
                size = _largest(w) * scale
            careful = not (max(1.0, size) * steep + inside * size < clip)
            # Rows that the batch does not touch are clipped too, if what L2 alone asks of them is too much.
            everywhere = not inside * size < clip
            size += lr * max(1.0, size) * steep
        if careful:
            fresh = scale * shrink
            mean = w.dtype.type(1.0 / m)
            for j in range(m):
                u = us[j]
                i = ts[j]
                s = z[j] * mean
                c = s * scale
                for k in range(dim):
                    gu[u, k] += c * vi[i, k]
                for k in range(dim):
                    gi[i, k] += c * vu[u, k]
                hu[u] += s
                hi[i] += s
                total += s
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
                if met[u] != pos:
                    met[u] = pos
                    for k in range(dim):
                        x = vu[u, k] * scale
                        vu[u, k] = (x - rate * (max(-top, min(top, gu[u, k] + inner * x)) + outer * x)) / fresh
                        gu[u, k] = zero
                    x = bu[u] * scale
                    bu[u] = (x - rate * (max(-top, min(top, hu[u] + inner * x)) + outer * x)) / fresh
                    hu[u] = zero
                if met[np.uint64(users) + i] != pos:
                    met[np.uint64(users) + i] = pos
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
            per_row = w.dtype.type(lr / m) / fresh
            for j in range(m):
                u = us[j]
                for k in range(dim):
                    old[j, k] = vu[u, k]
                z[j] *= per_row
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
        if sparse:
            if scale < 1e-3:
                for k in range(w.shape[0]):
                    w[k] *= scale
                scale = one
            continue
        mean = w.dtype.type(1.0 / m)
        for j in range(m):
            u = us[j]
            i = ts[j]
            c = z[j] * mean
            for k in range(dim):
                gu[u, k] += c * vi[i, k]
            for k in range(dim):
                gi[i, k] += c * vu[u, k]
            hu[u] += c
            hi[i] += c
            total += c
        g[last] += total
        step += 1
        if clip > 0.0:
            for k in range(w.shape[0]):
                g[k] = max(-top, min(top, g[k] + inner * w[k]))
        if kind == 1:
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
    if scale != one:
        for k in range(w.shape[0]):
            w[k] *= scale
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


@numba.njit(**JIT)
def ranking(order: Any, label: Any, group: Any, depth: int) -> Any:
    """Means over groups with a positive row: NDCG, recall, hit rate, reciprocal rank, average precision, precision.

    `order` sorts by group, then from the best score to the worst. `depth` 0 looks at all rows of a group. The gain of a
    row is `2**label - 1`, its discount `1 / log2(rank + 1)`; positives are the rows with a label above 0.
    """
    out = np.zeros(6)
    count = 0
    n = order.shape[0]
    start = 0
    while start < n:
        end = start
        liked = 0
        while end < n and group[order[end]] == group[order[start]]:
            if label[order[end]] > 0:
                liked += 1
            end += 1
        if liked == 0:
            start = end
            continue
        count += 1
        size = end - start
        top = size if depth == 0 else min(depth, size)
        gains = np.empty(size)
        for j in range(size):
            gains[j] = 2.0 ** label[order[start + j]] - 1.0
        best = np.sort(gains)
        gained = 0.0
        ideal = 0.0
        hits = 0
        first = 0
        precision = 0.0
        for j in range(top):
            discount = 1.0 / np.log2(j + 2.0)
            gained += gains[j] * discount
            ideal += best[size - 1 - j] * discount
            if gains[j] > 0:
                hits += 1
                precision += hits / (j + 1.0)
                if first == 0:
                    first = j + 1
        out[0] += gained / ideal
        out[1] += hits / liked
        out[2] += 1.0 if hits > 0 else 0.0
        out[3] += 1.0 / first if first > 0 else 0.0
        out[4] += precision / min(liked, top)
        out[5] += hits / (size if depth == 0 else depth)
        start = end
    if count == 0:
        out[:] = np.nan
    else:
        out /= count
    return out
