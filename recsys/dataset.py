"""What is trained on: three splits of (user, item, label) rows with dense ids, and the way back to the ids as read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lossdsl.errors import LossError

Array = npt.NDArray[Any]
Ints = Array  # int32 once it is in Rows
Floats = Array  # float32 there

SPLITS = ("train", "validation", "test")


class DataError(LossError):
    """Data that cannot be trained on, said in one sentence."""


def _frozen(array: Array, dtype: Any) -> Array:
    out = np.ascontiguousarray(array, dtype=dtype)
    if out is array or out.base is not None:
        out = out.copy()
    out.flags.writeable = False
    return out


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one split, as columns of one length; `user` and `item` count from 0, `context` holds features of the row.

    >>> from lossdsl.recsys.dataset import Rows
    >>> len(Rows([0, 0], [1, 2], [1.0, 0.0]))
    2
    """

    user: Ints
    item: Ints
    label: Floats
    context: Floats | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "user", _frozen(self.user, np.int32))
        object.__setattr__(self, "item", _frozen(self.item, np.int32))
        object.__setattr__(self, "label", _frozen(self.label, np.float32))
        if self.context is not None:
            object.__setattr__(self, "context", _frozen(self.context, np.float32))
        if not len(self.user) == len(self.item) == len(self.label):
            raise DataError("the columns of a split differ in length")

    def __len__(self) -> int:
        return len(self.user)

    def take(self, index: Array) -> Rows:
        """The rows at these positions (or under this mask), in that order."""
        context = None if self.context is None else self.context[index]
        return Rows(self.user[index], self.item[index], self.label[index], context)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Train, validation and test rows over one set of users and items.

    `user_ids[k]` is the id, as read, of user k; an item of a data set of documents is a row of `item_features`, and
    its user is the query. Build one with `lossdsl.recsys.data.load` or `from_columns`.
    """

    name: str
    train: Rows
    validation: Rows
    test: Rows
    user_ids: Array
    item_ids: Array
    user_features: Floats | None = None
    item_features: Floats | None = None
    documents: bool = False
    notes: tuple[str, ...] = field(default=())

    @property
    def users(self) -> int:
        """How many users (or queries) there are."""
        return len(self.user_ids)

    @property
    def items(self) -> int:
        """How many items (or documents) there are."""
        return len(self.item_ids)

    def split(self, name: str) -> Rows:
        """The rows of `train`, `validation` or `test`."""
        if name not in SPLITS:
            raise DataError(f"no split is called `{name}`; there are {', '.join(SPLITS)}")
        rows: Rows = getattr(self, name)
        return rows

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change when any id, label, feature or split changes."""
        digest = hashlib.sha256()
        for ids in (self.user_ids, self.item_ids):
            digest.update(("\n".join(map(str, ids.tolist())) + "\n\n").encode())
        for name in SPLITS:
            rows = self.split(name)
            for column in (rows.user, rows.item, rows.label, rows.context):
                digest.update(b"-" if column is None else np.ascontiguousarray(column).tobytes())
        for features in (self.user_features, self.item_features):
            digest.update(b"-" if features is None else np.ascontiguousarray(features).tobytes())
        return digest.hexdigest()[:16]

    def user_index(self, ids: Sequence[Any] | Array) -> Ints:
        """Positions of users given by the ids they were read with; one that was never seen raises `DataError`."""
        return _index(ids, self.user_ids, "user")

    def item_index(self, ids: Sequence[Any] | Array) -> Ints:
        """Positions of items given by the ids they were read with; one that was never seen raises `DataError`."""
        return _index(ids, self.item_ids, "item")


def _index(ids: Sequence[Any] | Array, known: Array, kind: str) -> Ints:
    wanted = np.atleast_1d(np.asarray(ids))
    if known.dtype.kind == "U" and wanted.dtype.kind != "U":
        wanted = wanted.astype(str)
    elif known.dtype.kind == "i" and wanted.dtype.kind == "U":
        try:
            wanted = wanted.astype(np.int64)
        except ValueError:
            raise DataError(f"unknown {kind} `{wanted[0]}`: ids here are numbers") from None
    place = np.searchsorted(known, wanted)
    place[place == len(known)] = 0
    wrong = np.flatnonzero(known[place] != wanted) if len(known) else np.arange(len(wanted))
    if len(wrong):
        raise DataError(f"unknown {kind} `{wanted[wrong[0]]}`: it is in none of the splits")
    return place.astype(np.int32)


@dataclass(frozen=True, eq=False)
class Columns:
    """Rows as read: ids of any kind, one label a row, and the second of the interaction where it is known."""

    user: Array
    item: Array
    label: Array
    time: Array | None = None
    context: Floats | None = None

    def __len__(self) -> int:
        return len(self.user)

    def take(self, index: Array) -> Columns:
        """The rows at these positions (or under this mask)."""
        return Columns(
            self.user[index],
            self.item[index],
            self.label[index],
            None if self.time is None else self.time[index],
            None if self.context is None else self.context[index],
        )


def from_columns(
    name: str,
    train: Columns,
    validation: Columns,
    test: Columns,
    *,
    notes: tuple[str, ...] = (),
    duplicates: str = "error",
    graded: bool = False,
) -> Dataset:
    """Maps ids of all splits to 0, 1, 2, … in sorted order and checks that the rows can be trained and tested on.

    >>> import numpy as np
    >>> from lossdsl.recsys.dataset import Columns, from_columns
    >>> who, label = np.array(["ann", "bob"]), np.array([1, 0])
    >>> parts = [Columns(who, np.array(items), label) for items in ([7, 9], [9, 7], [12, 12])]
    >>> data = from_columns("tiny", *parts)
    >>> data.users, data.items, data.user_index(["bob"]).tolist()
    (2, 3, [1])
    """
    parts = dict(zip(SPLITS, (train, validation, test)))
    for split, columns in parts.items():
        if not len(columns):
            raise DataError(f"{name}: the {split} split has no rows")
    if duplicates != "keep":
        parts = {split: without_repeats(f"{name}: {split}", part, duplicates) for split, part in parts.items()}
    user_ids, users = _dense([columns.user for columns in parts.values()])
    item_ids, items = _dense([columns.item for columns in parts.values()])
    rows = [
        Rows(user, item, columns.label.astype(np.float32), columns.context)
        for user, item, columns in zip(users, items, parts.values())
    ]
    data = Dataset(name, rows[0], rows[1], rows[2], user_ids=user_ids, item_ids=item_ids, notes=notes)
    if duplicates != "keep":
        _no_leak(data)
    validate(data, graded=graded)
    return data


def validate(data: Dataset, *, graded: bool = False) -> None:
    """Raises `DataError` where training or testing on `data` would mean nothing."""
    for split in SPLITS:
        rows = data.split(split)
        bad = np.flatnonzero(~np.isfinite(rows.label))
        if len(bad):
            raise DataError(f"{data.name}: row {bad[0] + 1} of {split} has the label {rows.label[bad[0]]}")
        labels = np.unique(rows.label)
        if not graded and not np.isin(labels, (0.0, 1.0)).all():
            odd = labels[~np.isin(labels, (0.0, 1.0))][0]
            raise DataError(f"{data.name}: {split} has the label {odd:g}; labels are 0 and 1")
        if len(labels) == 1:
            what = "negative" if labels[0] > 0 else "positive"
            raise DataError(f"{data.name}: {split} has no {what} row, so nothing can be told apart")
    if len(np.unique(data.train.user)) < 2:
        raise DataError(f"{data.name}: train has one user only; a recommender needs two")
    if data.items < 2:
        raise DataError(f"{data.name}: there is one item only; a recommender needs two")


def _dense(parts: list[Array]) -> tuple[Array, list[Ints]]:
    if any(part.dtype.kind not in "iu" for part in parts):
        parts = [part.astype(str) for part in parts]
    ids, index = np.unique(np.concatenate(parts), return_inverse=True)
    ids.flags.writeable = False
    cuts = np.cumsum([len(part) for part in parts])[:-1]
    return ids, [piece.astype(np.int32) for piece in np.split(index, cuts)]


def without_repeats(where: str, columns: Columns, duplicates: str) -> Columns:
    """Refuses a user's second row of one item (`error`), or keeps the `last` of them only."""
    user = np.unique(columns.user, return_inverse=True)[1].astype(np.int64)
    ids, item = np.unique(columns.item, return_inverse=True)
    key = user * len(ids) + item
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(key[order][1:] == key[order][:-1])
    if not len(same):
        return columns
    if duplicates == "last":
        keep = np.ones(len(columns), bool)
        keep[order[same]] = False
        return columns.take(keep)
    again = int(order[same[0] + 1])
    raise DataError(
        f"{where} has user {columns.user[again]} with item {columns.item[again]} twice; "
        "take the last row of each with --duplicates last, or all with --duplicates keep"
    )


def _no_leak(data: Dataset) -> None:
    """A row of test or validation that is in train too is known already."""
    seen: dict[str, Array] = {}
    for split in SPLITS:
        rows = data.split(split)
        key = rows.user.astype(np.int64) * data.items + rows.item
        for earlier, keys in seen.items():
            both = np.intersect1d(keys, key)
            if len(both):
                user, item = data.user_ids[both[0] // data.items], data.item_ids[both[0] % data.items]
                raise DataError(
                    f"{data.name}: user {user} with item {item} is in {earlier} and in {split}; "
                    "if that is meant, say --duplicates keep"
                )
        seen[split] = key
