"""Pairs of one user (or query): every better row with every worse row of its group, each once, ties never."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from lossdsl.recsys.dataset import Array, DataError, Rows
from lossdsl.recsys.kernels import JIT, shuffle


@dataclass(frozen=True, eq=False)
class Groups:
    """Rows gathered by user: group k is `index[start[k] : start[k + 1]]`; users with one label only are left out."""

    index: Array
    start: Array

    @property
    def count(self) -> int:
        """How many groups there are."""
        return len(self.start) - 1


def groups(rows: Rows) -> Groups:
    """Gathers rows by user, in their own order within each.

    >>> from lossdsl.recsys.dataset import Rows
    >>> from lossdsl.recsys.pairs import groups
    >>> groups(Rows([5, 3, 5, 3], [0, 1, 2, 3], [1, 1, 0, 1])).index.tolist()
    [0, 2]
    """
    order = np.argsort(rows.user, kind="stable")
    user = rows.user[order]
    cuts = np.flatnonzero(np.r_[True, user[1:] != user[:-1], True])
    label = rows.label[order]
    high, low = np.maximum.reduceat(label, cuts[:-1]), np.minimum.reduceat(label, cuts[:-1])
    keep = high > low
    if not keep.any():
        raise DataError("no user has rows with different labels, so there is no pair to train on")
    size = np.diff(cuts)
    return Groups(order[np.repeat(keep, size)].astype(np.int32), np.r_[0, np.cumsum(size[keep])].astype(np.int64))


@dataclass(frozen=True, eq=False)
class Plan:
    """An epoch of pairs: row numbers in `order`; group g is `order[part[g] : part[g + 1]]`, batch b the groups from
    `batch[b]` to `batch[b + 1]`."""

    order: Array
    part: Array
    batch: Array

    def batches(self) -> Iterator[tuple[Array, Array]]:
        """Row numbers of each batch, and where its groups begin and end among them."""
        for first, last in zip(self.batch[:-1].tolist(), self.batch[1:].tolist()):
            bounds = self.part[first : last + 1]
            yield self.order[bounds[0] : bounds[-1]], bounds - bounds[0]


def plan(where: Groups, batch: int, seed: int) -> Plan:
    """Draws an epoch: users in random order, rows of each too, in groups of at most `batch` rows that fill up batches.

    A group that fits is never cut, so a query keeps all its pairs; a longer one fills whole batches.
    """
    users = np.arange(where.count, dtype=np.int32)
    shuffle(users, np.uint64(seed))
    order = np.empty(len(where.index), np.int32)
    size = np.diff(where.start)
    pieces = int(((size + batch - 1) // batch).sum())
    part = np.empty(pieces + 1, np.int64)
    batches = np.empty(pieces + 1, np.int64)
    inner = np.uint64(seed) ^ np.uint64(0x5DEECE66D)
    count = _fill(where.index, where.start, users, batch, inner, order, part, batches)
    return Plan(order, part, batches[: count + 1])


@numba.njit(**JIT)
def _fill(index: Any, start: Any, users: Any, batch: int, seed: Any, order: Any, part: Any, batches: Any) -> int:
    pos = 0
    g = 0
    count = 0
    filled = 0
    part[0] = 0
    batches[0] = 0
    for k in range(users.shape[0]):
        u = users[k]
        n = start[u + 1] - start[u]
        for j in range(n):
            order[pos + j] = index[start[u] + j]
        shuffle(order[pos : pos + n], seed + np.uint64(u))
        pieces = (n + batch - 1) // batch
        for p in range(pieces):
            size = min(batch, n - p * batch)
            if filled + size > batch and filled > 0:
                count += 1
                batches[count] = g
                filled = 0
            filled += size
            g += 1
            part[g] = part[g - 1] + size
        pos += n
    if filled > 0:
        count += 1
        batches[count] = g
    return count


def pairs(label: Array, bounds: Array) -> tuple[Array, Array]:
    """Positions (better, worse) of all pairs within the groups that `bounds` cut `label` into.

    >>> import numpy as np
    >>> from lossdsl.recsys.pairs import pairs
    >>> [side.tolist() for side in pairs(np.array([1, 0, 0, 1, 0], np.float32), np.array([0, 3, 5]))]
    [[0, 0, 3], [1, 2, 4]]
    """
    better = np.empty(_count(label, bounds), np.int64)
    worse = np.empty_like(better)
    _list(label, bounds, better, worse)
    return better, worse


@numba.njit(**JIT)
def any_pair(label: Any, bounds: Any) -> bool:
    """Whether any of the groups that `bounds` cut `label` into holds two different labels."""
    for g in range(bounds.shape[0] - 1):
        for i in range(bounds[g] + 1, bounds[g + 1]):
            if label[i] != label[bounds[g]]:
                return True
    return False


@numba.njit(**JIT)
def _count(label: Any, bounds: Any) -> int:
    count = 0
    for g in range(bounds.shape[0] - 1):
        for i in range(bounds[g], bounds[g + 1]):
            for j in range(bounds[g], bounds[g + 1]):
                if label[i] > label[j]:
                    count += 1
    return count


@numba.njit(**JIT)
def _list(label: Any, bounds: Any, better: Any, worse: Any) -> None:
    at = 0
    for g in range(bounds.shape[0] - 1):
        for i in range(bounds[g], bounds[g + 1]):
            for j in range(bounds[g], bounds[g + 1]):
                if label[i] > label[j]:
                    better[at] = i
                    worse[at] = j
                    at += 1
