"""Reads ratings from the files in which people have them, and says in one sentence what is wrong with a file."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lossdsl.recsys import features, letor, splits, tables
from lossdsl.recsys.dataset import SPLITS, Columns, DataError, Dataset, from_columns, without_repeats

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

    Known: a folder of `NAME.train.csv`, `NAME.validation.csv`, `NAME.test.csv` (tab-separated `uid iid label`);
    RecBole's `.inter`; MovieLens' `u.data`, `ratings.dat` and `ratings.csv`; `.csv`, `.tsv` and `.parquet` with named
    columns; LETOR's folders of documents. `changes` are fields of `Reading`. Raises `DataError` with one sentence.

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
    if reading.seed < 0:
        raise DataError(f"the seed of a split is 0 or more, not {reading.seed}")
    if math.isnan(reading.threshold):
        raise DataError("the threshold has to be a number, not nan; see --threshold")
    if str(source) == "demo":
        from lossdsl.recsys.demo import demo

        fixed = [name for name in vars(reading) if name != "seed"]
        return _heeded(demo(reading.seed), reading, "it is built in", *fixed)
    path = Path(source)
    if str(source) == "ml-100k" and not path.exists():
        from lossdsl.recsys.fetch import movielens_100k

        path = movielens_100k()
    if path.is_dir():
        return _folder(path, reading)
    if path.is_file():
        return _file(path, reading)
    raise DataError(f"{source}: no such data; give `demo`, `ml-100k`, a file or a folder")


def _heeded(data: Dataset, reading: Reading, why: str, *fixed: str) -> Dataset:
    """The data with a note on each of the fields that were set and mean nothing for its form."""
    changed = [name for name in fixed if getattr(reading, name) != getattr(USUAL_READING, name)]
    notes = (f"--{'split-seed' if name == 'seed' else name} has no effect on {data.name}: {why}" for name in changed)
    return replace(data, notes=(*data.notes, *notes))


def _folder(path: Path, reading: Reading) -> Dataset:
    documents = letor.folder(path, reading.fold)
    if documents is not None:
        fixed = [name for name in vars(reading) if name not in ("fold", "features")]
        return _heeded(documents, reading, "documents come cut and labelled", *fixed)
    for pattern in ("*.train.csv", "u.data", "*.inter", "ratings.csv", "ratings.dat"):
        found = sorted(path.glob(pattern))
        if len(found) > 1:
            raise DataError(f"{path}: several data sets stand here: {', '.join(p.name for p in found)}; name one")
        if found:
            return _file(found[0], reading)
    known = (
        "*.train.csv, u.data, *.inter, ratings.csv, ratings.dat, S1.txt to S5.txt, train.txt with vali.txt and test.txt"
    )
    raise DataError(f"{path}: no data in a known form here; looked for {known}")


def _file(path: Path, reading: Reading) -> Dataset:
    if path.name.endswith(".train.csv"):
        return _triples(path, reading)
    if path.name == "u.data":
        return _rated("ml-100k", path, _table(path, "\t", RAW), reading)
    if path.suffix == ".dat":
        return _rated(path.stem, path, _table(path, "::", RAW), reading)
    if path.suffix == ".inter":
        table = _table(path, "\t")
        # RecBole writes the type behind the name: `user_id:token`.
        table.columns = [str(name).split(":", 1)[0] for name in table.columns]
        return _rated(path.stem, path, table, reading)
    if path.suffix in (".csv", ".tsv"):
        return _rated(path.stem, path, _table(path, _separator(path)), reading)
    if path.suffix == ".parquet":
        return _rated(path.stem, path, tables.read_parquet(path), reading)
    if letor.looks_like_letor(path):
        raise DataError(f"{path}: documents come as a folder: S1.txt to S5.txt, or train.txt, vali.txt and test.txt")
    raise DataError(f"{path}: not a form that is known; give *.train.csv, u.data, .inter, .dat, .csv, .tsv or .parquet")


RAW = ["user", "item", "rating", "timestamp"]


def _table(path: Path, sep: str, names: list[str] | None = None) -> Any:
    table = tables.read_table(path, sep=sep, names=names)
    table.attrs["header"] = names is None
    return table


def _separator(path: Path) -> str:
    """The most frequent of tab, comma and semicolon in the first line."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            head = file.readline(100_000)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    return max("\t,;", key=lambda mark: (head.count(mark), mark == ","))


def _triples(train: Path, reading: Reading) -> Dataset:
    name = train.name.removesuffix(".train.csv")
    user, item, label = reading.user or "uid", reading.item or "iid", reading.label or "label"
    parts: list[Columns] = []
    first: Any = None
    for split in SPLITS:
        path = train.with_name(f"{name}.{split}.csv")
        if not path.is_file():
            raise DataError(f"{path}: no such file; train, validation and test have to stand side by side")
        table = tables.read_table(path, sep="\t")
        first = table if first is None else first
        for column, flag in ((user, "--user"), (item, "--item"), (label, "--label")):
            tables.need(table, column, path, flag=flag)
        labels = tables.numbers(table, label, path)
        odd = np.flatnonzero(~np.isin(labels, (0.0, 1.0)))
        if len(odd):
            row = int(odd[0])
            raise DataError(f"{path}:{tables.line(path, row, True)}: the label {labels[row]:g} is neither 0 nor 1")
        context = None
        if reading.features and features.named(first, "c_"):
            context = features.encode(table, features.named(first, "c_"), path, like=first)
        parts.append(Columns(tables.ids(table, user, path), tables.ids(table, item, path), labels, None, context))
    data = from_columns(name, *parts, duplicates=reading.duplicates)
    fixed = ("threshold", "split", "seed", "time", "fold")
    data = _heeded(data, reading, "its three files are cut and labelled", *fixed)
    return _with_features(data, train.parent, name, user, item) if reading.features else data


def _with_features(data: Dataset, folder: Path, name: str, user: str, item: str) -> Dataset:
    found: dict[str, Any] = {}
    for side, key, prefix, ids in (("user", user, "u_", data.user_ids), ("item", item, "i_", data.item_ids)):
        path = folder / f"{name}.{side}.csv"
        if path.is_file():
            found[f"{side}_features"] = features.side_table(path, key, prefix, ids)
    if not found and data.train.context is None:
        raise DataError(f"{folder}: no features here; looked for {name}.user.csv, {name}.item.csv and columns `c_…`")
    return replace(data, **found)


# The usual names of the columns, the first that is there wins.
USUAL = {
    "user": ("user_id", "user", "userId", "uid", "UserID", "u_id_c"),
    "item": ("item_id", "item", "movieId", "iid", "ItemID", "i_id_c"),
    "label": ("label", "rating", "Rating", "score"),
    "time": ("timestamp", "time", "Timestamp"),
}


def _column(table: Any, kind: str, asked: str | None, path: Path, *, optional: bool = False) -> str | None:
    if asked is not None:
        tables.need(table, asked, path, flag=f"--{kind}")
        return asked
    for name in USUAL[kind]:
        if name in table.columns:
            return name
    if optional:
        return None
    tables.need(table, USUAL[kind][0], path, flag=f"--{kind}")
    return None


def _rated(name: str, path: Path, table: Any, reading: Reading) -> Dataset:
    """Cuts a table of ratings into splits."""
    header = bool(table.attrs.get("header", True))
    user = _column(table, "user", reading.user, path)
    item = _column(table, "item", reading.item, path)
    label = _column(table, "label", reading.label, path)
    time = _column(table, "time", reading.time, path, optional=True)
    assert user and item and label
    ratings = tables.numbers(table, label, path, header=header)
    # A column of 0 and 1 is labels already; anything else is a rating.
    rated = not np.isin(ratings, (0.0, 1.0)).all()
    labels = (ratings > reading.threshold).astype(np.float64) if rated else ratings
    if not labels.any():
        why = f"no {label} is above --threshold {reading.threshold:g}" if rated else f"every {label} is 0"
        raise DataError(f"{name}: there is no positive row to train on: {why}")
    names = features.named(table, "c_") if reading.features else []
    if reading.features and not names:
        raise DataError(f"{path}: no feature column; those of a row begin with `c_`")
    rows = Columns(
        tables.ids(table, user, path, header=header),
        tables.ids(table, item, path, header=header),
        labels,
        None if time is None else tables.numbers(table, time, path, header=header),
        # Until it is known which rows are trained on: where each of them stands.
        np.arange(len(table))[:, None] if names else None,
    )
    if reading.duplicates != "keep":
        rows = without_repeats(f"{path}", splits.in_time(rows), reading.duplicates)
    splitter = splits.SPLITTERS[reading.split]
    parts = splitter(rows, seed=reading.seed) if reading.split == "random" else splitter(rows)
    if names:
        places = [np.asarray(part.context, np.int64)[:, 0] for part in parts]
        encoded = features.encode(table, names, path, like=table.iloc[places[0]])
        train, validation, test = (replace(part, context=encoded[place]) for part, place in zip(parts, places))
        parts = train, validation, test
    data = _heeded(from_columns(name, *parts, duplicates="keep"), reading, "it has no folds", "fold")
    return data if reading.split == "random" else _heeded(data, reading, "nothing is drawn for its split", "seed")


__all__ = ["Reading", "load"]
