"""What a search may look at: train and validation only, and further folds cut from train the way the test was cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lossdsl.recsys.dataset import Columns, Dataset, Rows, from_columns


def blind(data: Dataset) -> Dataset:
    """The data set without its test rows: nothing that a search does can depend on them, not even the number of items.

    The validation rows stand where the test rows were.
    """
    if data.documents or data.user_features is not None or data.item_features is not None:
        return replace(data, test=data.validation)
    train, validation = (
        Columns(data.user_ids[rows.user], data.item_ids[rows.item], rows.label, None, rows.context)
        for rows in (data.train, data.validation)
    )
    return from_columns(data.name, train, validation, validation, notes=data.notes, duplicates="keep")


def protocol_folds(train: Rows, count: int, *, least: int = 5) -> tuple[Rows, tuple[Rows, ...]]:
    """Train cut into a smaller train and `count` folds, made as validation and test are: leave one out on positives.

    Fold j of a user is the j-th last positive and the negatives after it, up to the next positive. A user gives rows to
    the folds only where `least` rows stay behind. The rows of `train` are in time order.

    >>> from lossdsl.recsys.dataset import Rows
    >>> from lossdsl.search.folds import protocol_folds
    >>> train = Rows([0] * 7, [0, 1, 2, 3, 4, 5, 6], [1, 1, 0, 1, 1, 0, 1])
    >>> rest, folds = protocol_folds(train, 2, least=2)
    >>> rest.item.tolist(), [fold.item.tolist() for fold in folds]
    ([0, 1, 2, 3], [[6], [4, 5]])
    """
    if count == 0:
        return train, ()
    n = len(train)
    order = np.argsort(train.user, kind="stable")
    user, liked = train.user[order], train.label[order] > 0.5
    # Positives of the user from a row on, itself included: counted from the end of each user's rows.
    total = np.cumsum(liked)
    last = np.searchsorted(user, user, side="right") - 1
    behind = total[last] - total + liked
    fold = np.empty(n, np.int64)
    fold[order] = np.where(liked, behind, behind + 1)
    kept = fold > count
    users = int(train.user.max()) + 1
    enough = np.bincount(train.user[kept], minlength=users) >= least
    fold = np.where(enough[train.user], fold, count + 1)
    return train.take(fold > count), tuple(train.take(fold == j) for j in range(1, count + 1))


def with_negatives(rows: Rows, known: tuple[Rows, ...], items: int, count: int, seed: int) -> Rows:
    """The rows, and for each of them `count` items that its user has met in none of `known`, as negatives.

    A user's own sampled negatives are all different. Where fewer unseen items are left, those are taken.
    """
    rng = np.random.default_rng([seed, 11])
    seen: dict[int, set[int]] = {}
    for part in (rows, *known):
        for user, item in zip(part.user.tolist(), part.item.tolist()):
            seen.setdefault(user, set()).add(item)
    users: list[int] = []
    sampled: list[int] = []
    for user in rows.user.tolist():
        met = seen[user]
        for _ in range(min(count, items - len(met))):
            item = int(rng.integers(items))
            while item in met:
                item = int(rng.integers(items))
            met.add(item)
            users.append(user)
            sampled.append(item)
    return Rows(
        np.concatenate([rows.user, np.array(users, np.int32)]),
        np.concatenate([rows.item, np.array(sampled, np.int32)]),
        np.concatenate([rows.label, np.zeros(len(users), np.float32)]),
    )
