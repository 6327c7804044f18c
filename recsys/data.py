"""Reads ratings from the files in which people have them, and says in one sentence what is wrong with a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lossdsl.recsys import splits, tables
from lossdsl.recsys.dataset import SPLITS, Array, Columns, DataError, Dataset, Floats, from_columns

LIKED = 3.0


@dataclass(frozen=True)
class Reading:
    """How to read what a file does not say itself.

    `threshold`: a rating above it is a positive. `split`: how a single file is cut (`leave-one-out`, `temporal`,
    `random`, `per-user`). `user`, `item`, `label`, `time`: names of columns where they are not the usual ones.
    `duplicates`: `error`, `keep`, or `last` of a user's rows with one item. `fold` and `features` serve documents and
    tables with feature columns.
    """

    threshold: float = LIKED
    split: str = "leave-one-out"
    seed: int = 0
    user: str | None = None
    item: str | None = None
    label: str | None = None
    time: str | None = None
    duplicates: str = "error"
    fold: int = 1
    features: bool = False


USUAL_READING = Reading()


def load(source: str | Path, reading: Reading = USUAL_READING, **changes: Any) -> Dataset:
    """Loads `demo`, `ml-100k`, or a file or folder in one of the known forms.

    Known: a folder of `NAME.train.csv`, `NAME.validation.csv`, `NAME.test.csv` (tab-separated `uid iid label`),
    RecBole's `.inter`, MovieLens' `u.data`. `changes` are fields of `Reading`. Raises `DataError` with one sentence
    otherwise.

    >>> from lossdsl.recsys.data import load
    >>> load("demo").name
    'demo'
    """
    if changes:
        unknown = [name for name in changes if name not in Reading.__dataclass_fields__]
        if unknown:
            raise TypeError(f"load() has no option `{unknown[0]}`")
        reading = Reading(**{**reading.__dict__, **changes})
    if reading.split not in splits.SPLITTERS:
        raise DataError(f"no split is called `{reading.split}`; there are {', '.join(splits.SPLITTERS)}")
    if reading.duplicates not in ("error", "keep", "last"):
        raise DataError(f"duplicates are `error`, `keep` or `last`, not `{reading.duplicates}`")
    if str(source) == "demo":
        from lossdsl.recsys.demo import demo

        return demo(reading.seed)
    path = Path(source)
    if path.is_dir():
        return _folder(path, reading)
    if path.is_file():
        return _file(path, reading)
    raise DataError(f"{source}: no such data; give `demo`, `ml-100k`, a file or a folder")


def _folder(path: Path, reading: Reading) -> Dataset:
    train = sorted(path.glob("*.train.csv"))
    if len(train) > 1:
        raise DataError(f"{path}: several data sets stand in this folder: {', '.join(p.name for p in train)}")
    if train:
        return _triples(train[0], reading)
    for pattern in ("u.data", "*.inter"):
        found = sorted(path.glob(pattern))
        if len(found) == 1:
            return _file(found[0], reading)
        if found:
            raise DataError(f"{path}: several data sets stand in this folder: {', '.join(p.name for p in found)}")
    raise DataError(f"{path}: no data in a known form here; looked for *.train.csv, u.data and *.inter")


def _triples(train: Path, reading: Reading) -> Dataset:
    name = train.name.removesuffix(".train.csv")
    parts = []
    for split in SPLITS:
        path = train.with_name(f"{name}.{split}.csv")
        if not path.is_file():
            raise DataError(f"{path}: no such file; train, validation and test have to stand side by side")
        table = tables.read_table(path, sep="\t")
        user, item, label = reading.user or "uid", reading.item or "iid", reading.label or "label"
        for column in (user, item, label):
            tables.need(table, column, path)
        labels = tables.numbers(table, label, path)
        odd = np.flatnonzero(~np.isin(labels, (0.0, 1.0)))
        if len(odd):
            row = int(odd[0])
            raise DataError(f"{path}:{tables.line(path, row, True)}: the label {labels[row]:g} is neither 0 nor 1")
        parts.append(Columns(tables.ids(table, user, path), tables.ids(table, item, path), labels))
    return from_columns(name, *parts, duplicates=reading.duplicates)


def _file(path: Path, reading: Reading) -> Dataset:
    if path.name.endswith(".train.csv"):
        return _triples(path, reading)
    if path.name == "u.data":
        rows = _rated(path, "\t", ["user", "item", "rating", "timestamp"], reading)
        return _cut("ml-100k", rows, reading)
    if path.suffix == ".inter":
        rows = _rated(path, "\t", None, reading)
        return _cut(path.stem, rows, reading)
    raise DataError(f"{path}: not a form that is known; give *.train.csv, u.data or .inter")


# The usual names of the columns, the first that is there wins.
USUAL = {
    "user": ("user_id", "user", "userId", "uid", "UserID", "u_id_c"),
    "item": ("item_id", "item", "movieId", "iid", "ItemID", "i_id_c"),
    "label": ("label", "rating", "Rating", "score"),
    "time": ("timestamp", "time", "Timestamp"),
}


def _column(table: Any, kind: str, asked: str | None, path: Path, *, optional: bool = False) -> str | None:
    if asked is not None:
        tables.need(table, asked, path)
        return asked
    for name in USUAL[kind]:
        if name in table.columns:
            return name
    if optional:
        return None
    tables.need(table, USUAL[kind][0], path)
    return None


def _rated(path: Path, sep: str, names: list[str] | None, reading: Reading) -> Columns:
    table = tables.read_table(path, sep=sep, names=names)
    # RecBole writes the type behind the name: `user_id:token`.
    table.columns = [str(name).split(":", 1)[0] for name in table.columns]
    header = names is None
    user = _column(table, "user", reading.user, path)
    item = _column(table, "item", reading.item, path)
    label = _column(table, "label", reading.label, path)
    time = _column(table, "time", reading.time, path, optional=True)
    assert user and item and label
    ratings = tables.numbers(table, label, path, header=header)
    # A column of 0 and 1 is labels already; anything else is a rating.
    labels = ratings if np.isin(ratings, (0.0, 1.0)).all() else (ratings > reading.threshold).astype(np.float64)
    return Columns(
        tables.ids(table, user, path, header=header),
        tables.ids(table, item, path, header=header),
        labels,
        None if time is None else tables.numbers(table, time, path, header=header),
    )


def _cut(name: str, rows: Columns, reading: Reading) -> Dataset:
    splitter = splits.SPLITTERS[reading.split]
    parts = splitter(rows, seed=reading.seed) if reading.split == "random" else splitter(rows)
    return from_columns(name, *parts, duplicates=reading.duplicates)


__all__ = ["Array", "Floats", "Reading", "load"]
