"""Items that a user has not taken: drawn as negatives, or all of them, to rank the taken ones among."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from lossdsl.recsys.dataset import Array, DataError, Dataset, Rows
from lossdsl.recsys.kernels import JIT

SAMPLERS = ("uniform", "popularity")
TRIES = 1000
# Rows of a full ranking that are held at once, of some 30 bytes each.
LARGEST = 100_000_000


class Known:
    """Each user's known positives in the given rows, to be avoided; and how often each item was taken in them."""

    def __init__(self, users: int, items: int, *parts: Rows) -> None:
        liked = [part.take(part.label > 0) for part in parts]
        user = np.concatenate([part.user for part in liked]).astype(np.int64)
        item = np.concatenate([part.item for part in liked]).astype(np.int64)
        key = np.unique(user * items + item)
        self.items = items
        self.item = (key % items).astype(np.int32)
        self.start = np.searchsorted(key // items, np.arange(users + 1))
        self.popularity = np.bincount(item, minlength=items)

    def draw(self, user: Array, count: int, seed: int, sampler: str = "uniform") -> tuple[Array, Array]:
        """`count` items for each entry of `user`, none of them known; returns positions in `user`, and items.

        `popularity` draws an item as often as it was taken, plus once, so that no item is left out. A user who knows
        every item gets none.
        """
        if sampler not in SAMPLERS:
            raise DataError(f"negatives are drawn `uniform` or by `popularity`, not `{sampler}`")
        weight = np.ones(self.items) if sampler == "uniform" else self.popularity + 1.0
        ladder = np.cumsum(weight) / weight.sum()
        items = np.empty(len(user) * count, np.int32)
        _draw(np.asarray(user), count, np.uint64(seed), sampler == "uniform", ladder, self.start, self.item, items)
        place = np.repeat(np.arange(len(user)), count)
        there = items >= 0
        return place[there], items[there]


@numba.njit(**JIT)
def _draw(
    user: Any, count: int, seed: Any, uniform: bool, ladder: Any, start: Any, known: Any, out: Any
) -> None:  # fmt: skip
    state = np.uint64(seed)
    items = ladder.shape[0]
    at = 0
    for r in range(user.shape[0]):
        begin, end = start[user[r]], start[user[r] + 1]
        for _ in range(count):
            out[at] = -1
            # Someone who knows nearly all would be tried for ever: after many misses, the first unknown one in order.
            for _attempt in range(TRIES if end - begin < items else 0):
                state = state + np.uint64(0x9E3779B97F4A7C15)
                z = state
                z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
                z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
                z = z ^ (z >> np.uint64(31))
                if uniform:
                    item: Any = np.int64(((z >> np.uint64(32)) * np.uint64(items)) >> np.uint64(32))
                else:
                    item = np.searchsorted(ladder, np.float64(z >> np.uint64(11)) * 2.0**-53, side="right")
                    item = min(item, items - 1)
                place = begin + np.searchsorted(known[begin:end], item)
                if place >= end or known[place] != item:
                    out[at] = item
                    break
            if out[at] < 0 and end - begin < items:
                item = 0
                place = begin
                while place < end and known[place] == item:
                    item += 1
                    place += 1
                out[at] = item
            at += 1


def without_features(rows: Rows) -> None:
    """Refuses rows with features of their own where others are sampled beside them, of which nobody knows any."""
    if rows.context is not None:
        raise DataError(
            "sampled negatives have no features of a row (columns `c_…`), which the other rows have; "
            "leave out --features, or the columns"
        )


def with_negatives(rows: Rows, known: Known, count: int, seed: int, sampler: str = "uniform") -> Rows:
    """The rows, and after them `count` drawn negatives for each.

    >>> from lossdsl.recsys.dataset import Rows
    >>> from lossdsl.recsys.negatives import Known, with_negatives
    >>> rows = Rows([0, 1], [0, 3], [1, 1])
    >>> more = with_negatives(rows, Known(2, 4, rows), 2, seed=0)
    >>> len(more), bool(((more.user == 1) & (more.item == 3) & (more.label == 0)).any())
    (6, False)
    """
    if count == 0:
        return rows
    without_features(rows)
    place, items = known.draw(rows.user, count, seed, sampler)
    return Rows(
        np.concatenate([rows.user, rows.user[place]]),
        np.concatenate([rows.item, items]),
        np.concatenate([rows.label, np.zeros(len(items), np.float32)]),
    )


def full_ranking(positives: Rows, seen: Known, users: int) -> Rows:
    """Every user of `positives` with every item but those `seen`; label 1 where `positives` has the pair."""
    without_features(positives)
    who = np.unique(positives.user)
    if len(who) * seen.items > LARGEST:
        raise DataError(
            f"ranking {seen.items:,} items for each of {len(who):,} users is too much to hold; "
            "measure among sampled negatives instead (--test-neg 100)"
        )
    grid = np.zeros((len(who), seen.items), np.int8)
    owner = np.repeat(np.arange(users), np.diff(seen.start))
    mine = np.isin(owner, who)
    grid[np.searchsorted(who, owner[mine]), seen.item[mine]] = -1
    liked = positives.take(positives.label > 0)
    grid[np.searchsorted(who, liked.user), liked.item] = 1
    row, item = np.nonzero(grid >= 0)
    return Rows(who[row], item, grid[row, item])


def evaluation_rows(data: Dataset, split: str, *, task: str, count: int, seed: int = 0) -> Rows:
    """What a metric is computed on.

    `explicit`: the rows of the split, each with `count` drawn negatives that no split has as a positive. `implicit`:
    its positives, with `count` negatives each, or for 0 with every item that was not a positive before (full ranking).
    """
    rows = data.split(split)
    everything = (data.train, data.validation, data.test)
    if task == "explicit":
        if count == 0:
            return rows
        return with_negatives(rows, Known(data.users, data.items, *everything), count, seed)
    positives = rows.take(rows.label > 0)
    if count:
        return with_negatives(positives, Known(data.users, data.items, *everything), count, seed)
    before = {"train": (), "validation": (data.train,), "test": (data.train, data.validation)}[split]
    seen = Known(data.users, data.items, *(before or (data.train.take(np.arange(0)),)))
    return full_ranking(positives, seen, data.users)
