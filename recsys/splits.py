"""Ways to cut rows into train, validation and test; none looks at the future of a row that it tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lossdsl.recsys.dataset import Array, Columns, DataError

Parts = tuple[Columns, Columns, Columns]


def leave_one_out(rows: Columns, *, least: int = 5) -> Parts:
    """AutoLossGen's split on positives, per user in time order.

    Test is from the last positive on, validation from the one before it, the rest is train. Users with fewer than
    `least` rows or without a positive stay in train; the negatives in between stay where they fall.
    Source: Li et al., AutoLossGen, SIGIR 2022, §5.1.

    >>> import numpy as np
    >>> from lossdsl.recsys.dataset import Columns
    >>> from lossdsl.recsys.splits import leave_one_out
    >>> rows = Columns(np.zeros(6, int), np.arange(6), np.array([1, 0, 1, 0, 1, 0]), np.arange(6))
    >>> [part.item.tolist() for part in leave_one_out(rows)]
    [[0, 1], [2, 3], [4, 5]]
    """
    rows = in_time(rows)
    user = np.unique(rows.user, return_inverse=True)[1]
    order = np.argsort(user, kind="stable")
    start = np.searchsorted(user[order], np.arange(user.max(initial=-1) + 2))
    part = np.zeros(len(rows), np.int8)
    for begin, end in zip(start[:-1].tolist(), start[1:].tolist()):
        mine = order[begin:end]
        liked = np.flatnonzero(rows.label[mine] > 0)
        if len(mine) < least or not len(liked):
            continue
        if len(liked) > 1:
            part[mine[liked[-2] :]] = 1
        part[mine[liked[-1] :]] = 2
    return _parts(rows, part)


def rolled_back(rows: Columns, positives: int) -> Columns:
    """The rows as they stood before each user's last `positives` positives: those and all after them are left out.

    `leave_one_out(rolled_back(rows, k))` for k = 0, 1, 2, … are splits one after another in time, whose tests have no
    row in common.

    >>> import numpy as np
    >>> from lossdsl.recsys.dataset import Columns
    >>> from lossdsl.recsys.splits import rolled_back
    >>> rows = Columns(np.zeros(6, int), np.arange(6), np.array([1, 0, 1, 0, 1, 0]), np.arange(6))
    >>> rolled_back(rows, 1).item.tolist(), rolled_back(rows, 2).item.tolist()
    ([0, 1, 2, 3], [0, 1])
    """
    rows = in_time(rows)
    user = np.unique(rows.user, return_inverse=True)[1]
    order = np.argsort(user, kind="stable")
    liked = rows.label[order] > 0
    total = np.cumsum(liked)
    last = np.searchsorted(user[order], user[order], side="right") - 1
    # Of a user's positives, those after a row and itself: a row is kept where at least so many come after it.
    kept = np.empty(len(rows), bool)
    kept[order] = total[last] - total >= positives
    return rows.take(kept)


def temporal(rows: Columns, *, validation: float = 0.1, test: float = 0.1) -> Parts:
    """One cut in time for everyone: the latest `test` share, before it the `validation` share, the rest is train."""
    _shares(validation, test)
    if rows.time is None:
        raise DataError("a temporal split needs a timestamp in every row")
    return _parts(in_time(rows), _tail(len(rows), validation, test))


def at_random(rows: Columns, *, validation: float = 0.1, test: float = 0.1, seed: int = 0) -> Parts:
    """Rows drawn for each part without regard to user or time; the order of the rows is kept."""
    _shares(validation, test)
    part = np.empty(len(rows), np.int8)
    part[np.random.default_rng(seed).permutation(len(rows))] = _tail(len(rows), validation, test)
    return _parts(rows, part)


def per_user(rows: Columns, *, validation: float = 0.1, test: float = 0.1) -> Parts:
    """The latest share of each user's rows; users whose share is less than one row stay in train.

    >>> import numpy as np
    >>> from lossdsl.recsys.dataset import Columns
    >>> from lossdsl.recsys.splits import per_user
    >>> rows = Columns(np.zeros(10, int), np.arange(10), np.ones(10), np.arange(10))
    >>> [part.item.tolist() for part in per_user(rows, validation=0.2, test=0.1)]
    [[0, 1, 2, 3, 4, 5, 6], [7, 8], [9]]
    """
    _shares(validation, test)
    rows = in_time(rows)
    user = np.unique(rows.user, return_inverse=True)[1]
    order = np.argsort(user, kind="stable")
    count = np.bincount(user)
    start = np.cumsum(count) - count
    rank = np.empty(len(rows), np.int64)
    rank[order] = np.arange(len(rows)) - np.repeat(start, count)
    left = count[user] - rank  # 1 for the user's last row
    last = np.floor(count[user] * test + 1e-9)
    before = np.floor(count[user] * validation + 1e-9)
    part = np.where(left <= last, 2, np.where(left <= last + before, 1, 0)).astype(np.int8)
    return _parts(rows, part)


SPLITTERS: dict[str, Callable[..., Parts]] = {
    "leave-one-out": leave_one_out,
    "temporal": temporal,
    "random": at_random,
    "per-user": per_user,
}


def in_time(rows: Columns) -> Columns:
    """The rows in the order of their timestamps, ties in the order of the file; unchanged where there are none."""
    if rows.time is None:
        return rows
    return rows.take(np.argsort(rows.time, kind="stable"))


def _shares(validation: float, test: float) -> None:
    if not (0 < validation < 1 and 0 < test < 1 and validation + test < 1):
        raise DataError(f"shares of validation {validation:g} and test {test:g} leave nothing to train on")


def _tail(count: int, validation: float, test: float) -> Array:
    part = np.zeros(count, np.int8)
    last = round(count * test)
    part[count - last - round(count * validation) :] = 1
    part[count - last :] = 2
    return part


def _parts(rows: Columns, part: Array) -> Parts:
    return rows.take(part == 0), rows.take(part == 1), rows.take(part == 2)
