"""Documents that answer queries: LETOR's SVMlight files, with graded relevance and a feature row each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lossdsl.errors import MissingExtra
from lossdsl.recsys.dataset import SPLITS, Array, DataError, Dataset, Rows, validate

FOLDS = 5


def looks_like_letor(path: Path) -> bool:
    """Whether the first line reads `GRADE qid:ID 1:… 2:…`."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            words = file.readline(10_000).split(maxsplit=2)
    except OSError:
        return False
    return len(words) >= 2 and words[1].startswith("qid:")


def folder(path: Path, fold: int) -> Dataset | None:
    """A folder of `train.txt`, `vali.txt`, `test.txt`, or of LETOR's five parts `S1.txt` to `S5.txt`, as fold 1 to 5.

    Fold 1 trains on S1, S2 and S3, validates on S4 and tests on S5; fold k rotates by k-1. None: no such folder.
    """
    if all((path / f"S{k}.txt").is_file() for k in range(1, FOLDS + 1)):
        if not 1 <= fold <= FOLDS:
            raise DataError(f"{path}: folds are 1 to {FOLDS}, not {fold}")
        part = [path / f"S{(k + fold - 1) % FOLDS + 1}.txt" for k in range(FOLDS)]
        return documents(f"{path.name.lower()}-fold{fold}", part[:3], part[3:4], part[4:])
    if all((path / name).is_file() for name in ("train.txt", "vali.txt", "test.txt")):
        return documents(path.name.lower(), *([path / f"{name}.txt"] for name in ("train", "vali", "test")))
    return None


def documents(name: str, train: list[Path], validation: list[Path], test: list[Path]) -> Dataset:
    """Reads the files of each split; a query is a user, a document an item with its feature row."""
    parts = dict(zip(SPLITS, (train, validation, test)))
    tables = {split: [_read(path) for path in paths] for split, paths in parts.items()}
    width = max(x.shape[1] for files in tables.values() for x, _, _ in files)
    features = np.concatenate([_wide(x, width) for files in tables.values() for x, _, _ in files])
    queries = {split: np.concatenate([q for _, _, q in files]) for split, files in tables.items()}
    ids = np.unique(np.concatenate(list(queries.values())))
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        shared = np.intersect1d(queries[one], queries[other])
        if len(shared):
            raise DataError(f"{name}: query {shared[0]} is in {one} and in {other}")
    rows = []
    start = 0
    for split, files in tables.items():
        grade = np.concatenate([y for _, y, _ in files])
        if (grade < 0).any():
            raise DataError(f"{name}: {split} has the grade {grade.min():g}; grades begin at 0")
        rows.append(Rows(np.searchsorted(ids, queries[split]), np.arange(start, start + len(grade)), grade))
        start += len(grade)
    data = Dataset(name, rows[0], rows[1], rows[2], ids, np.arange(start), item_features=features, documents=True)
    validate(data, graded=True)
    return data


def _read(path: Path) -> tuple[Array, Array, Array]:
    try:
        from sklearn.datasets import load_svmlight_file
    except ImportError:
        raise MissingExtra("train", "reading documents") from None
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")
    try:
        x, y, query = load_svmlight_file(str(path), query_id=True)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{path}: not a file of documents ({error})") from None
    if not len(y) or len(query) != len(y):
        raise DataError(f"{path}: not every line names its query with `qid:`")
    if not np.isfinite(x.data).all() or not np.isfinite(y).all():
        raise DataError(f"{path}: a feature or grade is no finite number")
    return np.asarray(x.todense(), np.float32), y, query.astype(np.int64)


def _wide(x: Array, width: int) -> Array:
    # A file whose last features are all zero does not mention them.
    return np.pad(x, ((0, 0), (0, width - x.shape[1])))


__all__: list[Any] = ["documents", "folder", "looks_like_letor"]
