"""What a search may look at: train and validation only, and further folds that leave-one-out cuts from train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossdsl.recsys.dataset import Columns, Dataset, Rows, from_columns
from lossdsl.recsys.negatives import without_features


@dataclass(frozen=True, eq=False)
class View:
    """Rows to train on, and what is measured after every epoch on them."""

    train: Rows
    evaluations: tuple[Rows, ...]

    @cached_property
    def together(self) -> Rows:
        """All rows that are measured, set after set."""
        return joined(self.evaluations)

    def split(self, scores: NDArray[Any]) -> list[NDArray[Any]]:
        """Scores of `together`, by set."""
        return np.split(scores, np.cumsum([len(rows) for rows in self.evaluations])[:-1])


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of all parts, one after another."""
    user, item, label = (np.concatenate([getattr(rows, name) for rows in parts]) for name in ("user", "item", "label"))
    contexts = [rows.context for rows in parts if rows.context is not None]
    return Rows(user, item, label, np.concatenate(contexts) if contexts else None)


def rolled_views(train: Rows, validation: Rows, count: int) -> tuple[View, ...]:
    """The protocol as it is now, and as it was before each of the last `count` folds.

    View 0 trains on all of `train` and is measured on `validation`. View j trains on what was there before fold j and
    is measured on the two sets that came next, as a test is: the epoch is chosen on the first, the second is the test.
    A set whose rows all have one label measures nothing and is left out, and so is an earlier view that has no other.

    What a recommender learns from rows long before the ones it is measured on, where those between are missing, says
    little: such folds found losses with light labels the better ones that were the worse ones at the test.

    >>> from lossdsl.recsys.dataset import Rows
    >>> from lossdsl.search.folds import rolled_views
    >>> train = Rows([0] * 8, [0, 1, 2, 3, 4, 5, 6, 7], [1, 0, 1, 0, 1, 0, 1, 0])
    >>> views = rolled_views(train, Rows([0, 0], [8, 9], [1, 0]), 1)
    >>> [(view.train.item.tolist(), [rows.item.tolist() for rows in view.evaluations]) for view in views]
    [([0, 1, 2, 3, 4, 5, 6, 7], [[8, 9]]), ([0, 1, 2, 3, 4, 5], [[6, 7], [8, 9]])]
    """
    earlier = []
    for j in range(1, count + 1):
        rest, folds = protocol_folds(train, j)
        earlier.append(View(rest, telling((folds[-1], (validation, *folds)[j - 1]))))
    return View(train, telling((validation,))), *(view for view in earlier if view.evaluations and len(view.train))


def telling(sets: Sequence[Rows]) -> tuple[Rows, ...]:
    """The sets that have rows of both labels: on others, nothing can be measured."""
    return tuple(rows for rows in sets if len(np.unique(rows.label)) > 1)


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
    """Train cut into a smaller train and `count` folds, made as leave-one-out on positives makes validation and test.

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
    without_features(rows)
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
