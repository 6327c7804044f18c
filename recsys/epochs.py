"""BiasedMF's whole epoch as one compiled loop: gather, dot, slope of the loss, scatter, optimizer; the GIL is released.

All parameters lie in one flat array `w`: user vectors, item vectors, user biases, item biases, the global bias. There
are two loops: `descent`, whose steps touch what a batch touches, and `dense`, whose steps move every parameter.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from lossdsl.recsys.kernels import JIT
from lossdsl.recsys.slopes import PAIRS_AT_ONCE, room, slopes, sum_pairs
from lossdsl.recsys.steps import clipped, largest, move


class Feed(NamedTuple):
    """The rows of an epoch. Batch t is `order[cuts[t] : cuts[t + 1]]`.

    With `part` the loss is that of pairs: group g is `order[part[g] : part[g + 1]]`, and batch t has the groups from
    `groups[t]` to `groups[t + 1]`.
    """

    user: Any
    item: Any
    label: Any
    order: Any
    cuts: Any
    part: Any
    groups: Any


# The functions below are written into the loops that call them, once a batch each: an array handed over is counted, and
# counting is an atomic operation, too slow for every row.


@numba.njit(inline="always")
def _parts(w: Any, users: int, items: int, dim: int) -> Any:
    """All vectors as rows of one table, the users' first, and all biases likewise."""
    both = users + items
    return w[: both * dim].reshape((both, dim)), w[both * dim : both * dim + both]


@numba.njit(inline="always")
def _longest(cuts: Any) -> int:
    size = 0
    for t in range(cuts.shape[0] - 1):
        size = max(size, cuts[t + 1] - cuts[t])
    return size


@numba.njit(inline="always")
def _gather(feed: Any, users: int, pos: int, m: int, us: Any, ts: Any, y: Any) -> None:
    """Of a batch the rows of the table that are its users' and its items', and its labels."""
    for j in range(m):
        r = np.uint64(feed.order[pos + j])
        us[j] = np.uint64(feed.user[r])
        ts[j] = np.uint64(feed.item[r]) + np.uint64(users)
        y[j] = feed.label[r]


@numba.njit(inline="always")
def _score(rows: Any, bias: Any, base: Any, us: Any, ts: Any, m: int, scale: Any, old: Any, z: Any) -> None:
    """Scores of a batch, and in `old` the users' vectors as they were before its step."""
    both = scale * scale
    for j in range(m):
        u = us[j]
        i = ts[j]
        acc = z.dtype.type(0.0)
        # Put aside while they are in the registers anyway; a pass of its own costs a twelfth of the epoch.
        for k in range(rows.shape[1]):
            p = rows[u, k]
            old[j, k] = p
            acc += p * rows[i, k]
        z[j] = acc * both + (bias[u] + bias[i] + base) * scale


@numba.njit(inline="always")
def _scatter(
    rows: Any, bias: Any, us: Any, ts: Any, m: int, z: Any, per_row: Any, scale: Any, own: Any, old: Any
) -> Any:
    """A step along the gradient of a batch, from what its vectors were before it; returns that of the global bias."""
    total = z.dtype.type(0.0)
    for j in range(m):
        u = us[j]
        i = ts[j]
        s = z[j] * per_row
        c = s * scale
        for k in range(rows.shape[1]):
            rows[u, k] -= c * rows[i, k]
        bias[u] -= s * own
        total += s * own
    # A user and an item may come again within the batch, so the items wait until all users have read them.
    for j in range(m):
        i = ts[j]
        s = z[j] * per_row
        c = s * scale
        for k in range(rows.shape[1]):
            rows[i, k] -= c * old[j, k]
        bias[i] -= s
    return total


@numba.njit(inline="always")
def _gradient(
    rows: Any, slope: Any, steep: Any, us: Any, ts: Any, m: int, z: Any, norm: Any, scale: Any, own: Any
) -> Any:
    """Adds the gradient of a batch to `slope` (vectors) and `steep` (biases); returns that of the global bias."""
    total = z.dtype.type(0.0)
    for j in range(m):
        u = us[j]
        i = ts[j]
        s = z[j] * norm
        c = s * scale
        for k in range(rows.shape[1]):
            slope[u, k] += c * rows[i, k]
        for k in range(rows.shape[1]):
            slope[i, k] += c * rows[u, k]
        steep[u] += s * own
        steep[i] += s
        total += s * own
    return total


@numba.njit(inline="always")
def _clip(w: Any, g: Any, begin: Any, size: int, scale: Any, fresh: Any, pace: Any) -> None:
    """A clipped step of some parameters, whose unit is `scale` before and `fresh` after it; `g` leaves as zeros."""
    kind = w.dtype.type
    for k in range(begin, begin + size):
        new = clipped(w[k] * scale, g[k], kind(pace.lr), kind(pace.decay), kind(pace.inside), kind(pace.clip))
        w[k] = new / fresh
        g[k] = 0


@numba.njit(**JIT)
def descent(w: Any, g: Any, users: int, items: int, dim: int, feed: Any, pace: Any, table: Any) -> None:
    """An epoch of gradient descent: for each batch a step along the gradient of its mean loss.

    The parameters are `scale * w` within the epoch, so L2 costs one number a step. `g` is used for clipping alone, and
    comes and leaves as zeros, or empty.
    """
    rows, bias = _parts(w, users, items, dim)
    clips = pace.clip > 0.0
    slope, steep = _parts(g if clips else w, users, items, dim)
    batch = _longest(feed.cuts)
    one = w.dtype.type(1.0)
    z = np.empty(batch, w.dtype)
    y = np.empty(batch, w.dtype)
    us = np.empty(batch, np.uint64)
    ts = np.empty(batch, np.uint64)
    paired = feed.part.shape[0] > 0
    space = room(batch, PAIRS_AT_ONCE if paired else 0, z)
    own = one * 0 if paired else one  # a pair of one user says nothing of the user's bias, nor of the global one
    old = np.empty((batch, dim), w.dtype)
    met = np.full(users + items if clips else 0, -1, np.int64)
    size = float(largest(w)) if clips else 0.0
    looked = 0
    last = w.shape[0] - 1
    scale = one
    shrink = w.dtype.type(1.0 - pace.lr * (pace.decay + pace.inside))
    rate = w.dtype.type(pace.lr)
    for t in range(feed.cuts.shape[0] - 1):
        pos = feed.cuts[t]
        m = feed.cuts[t + 1] - pos
        _gather(feed, users, pos, m, us, ts, y)
        _score(rows, bias, w[last], us, ts, m, scale, old, z)
        norm = w.dtype.type(1.0 / m)
        if paired:
            count = sum_pairs(z, y, feed.part, feed.groups[t], feed.groups[t + 1], pos, space, table)
            if count == 0:
                continue
            norm = w.dtype.type(1.0 / count)
        else:
            slopes(z, y, m, space.pick, table)
        careful = False
        everywhere = False
        if clips:
            # No entry of the gradient is larger than the sum of the slopes times the largest parameter.
            most = 0.0
            for j in range(m):
                most += abs(z[j])
            most *= norm
            # The bound of the parameters grows by what the steps can do. Where it says too much, a look at all of them
            # makes it exact again; looking costs as much as a batch.
            for _ in range(2):
                careful = not (max(1.0, size) * most + pace.inside * size < pace.clip)
                if not careful or t - looked < 32:
                    break
                size = largest(w) * scale
                looked = t
            # Rows that the batch does not touch are clipped too, if what L2 alone asks of them is too much.
            everywhere = not pace.inside * size < pace.clip
            size += pace.lr * (pace.clip if careful else max(1.0, size) * most)
        fresh = scale * shrink
        if not careful:
            # new = shrink * old - lr * gradient, in units of the new scale; vectors bring one factor of the old scale.
            w[last] -= _scatter(rows, bias, us, ts, m, z, rate * norm / fresh, scale, own, old)
        else:
            g[last] = _gradient(rows, slope, steep, us, ts, m, z, norm, scale, own)
            if everywhere:
                _clip(w, g, 0, w.shape[0], scale, fresh, pace)
            else:
                for j in range(2 * m):
                    at = np.int64(us[j] if j < m else ts[j - m])
                    if met[at] != t:
                        met[at] = t
                        _clip(w, g, at * dim, dim, scale, fresh, pace)
                        _clip(w, g, (users + items) * dim + at, 1, scale, fresh, pace)
                _clip(w, g, last, 1, scale, fresh, pace)
        scale = fresh
        if scale < 1e-3:
            for k in range(w.shape[0]):
                w[k] *= scale
            scale = one
    if scale != one:
        for k in range(w.shape[0]):
            w[k] *= scale


@numba.njit(**JIT)
def dense(
    kind: int, w: Any, g: Any, first: Any, second: Any, step: int,
    users: int, items: int, dim: int, feed: Any, pace: Any, table: Any,
) -> int:  # fmt: skip
    """An epoch of an optimizer that moves every parameter at every step; returns the number of steps made so far.

    `g` comes and leaves as zeros; see `lossdsl.recsys.steps` for the moments.
    """
    rows, bias = _parts(w, users, items, dim)
    slope, steep = _parts(g, users, items, dim)
    batch = _longest(feed.cuts)
    one = w.dtype.type(1.0)
    z = np.empty(batch, w.dtype)
    y = np.empty(batch, w.dtype)
    us = np.empty(batch, np.uint64)
    ts = np.empty(batch, np.uint64)
    paired = feed.part.shape[0] > 0
    space = room(batch, PAIRS_AT_ONCE if paired else 0, z)
    own = one * 0 if paired else one  # as in `descent`
    last = w.shape[0] - 1
    for t in range(feed.cuts.shape[0] - 1):
        pos = feed.cuts[t]
        m = feed.cuts[t + 1] - pos
        _gather(feed, users, pos, m, us, ts, y)
        for j in range(m):
            u = us[j]
            i = ts[j]
            acc = rows[u, 0] * rows[i, 0]
            for k in range(1, dim):
                acc += rows[u, k] * rows[i, k]
            z[j] = acc + bias[u] + bias[i] + w[last]
        norm = w.dtype.type(1.0 / m)
        if paired:
            count = sum_pairs(z, y, feed.part, feed.groups[t], feed.groups[t + 1], pos, space, table)
            if count == 0:
                continue
            norm = w.dtype.type(1.0 / count)
        else:
            slopes(z, y, m, space.pick, table)
        g[last] += _gradient(rows, slope, steep, us, ts, m, z, norm, one, own)
        step += 1
        move(kind, w, g, first, second, step, pace)
    return step
