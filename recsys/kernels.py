"""Small compiled loops: a shuffle that is the same everywhere, masks of dropout, and scores of BiasedMF."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

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


@numba.njit(inline="always")
def chance(place: Any, seed: Any) -> Any:
    """Sixteen bits that depend on a place and a seed (the finalizer of MurmurHash3): no state, so a vector loop."""
    x = np.uint32(np.uint32(place) ^ np.uint32(seed))
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x85EBCA6B))
    x = np.uint32(x ^ (x >> np.uint32(13)))
    x = np.uint32(x * np.uint32(0xC2B2AE35))
    return np.uint32(x ^ (x >> np.uint32(16))) >> np.uint32(16)


@numba.njit(**JIT)
def dropout_mask(out: Any, seed: Any, drawn: Any, share: int, value: float) -> None:
    """Fills `out` with `value` (in `share` of 65536 places) and 0."""
    one = out.dtype.type(value)
    zero = out.dtype.type(0.0)
    least = np.uint32(share)
    start = np.uint32(drawn)
    for k in range(out.shape[0]):
        out[k] = one if chance(np.uint32(start + np.uint32(k)), seed) < least else zero


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
