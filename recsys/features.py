"""Feature columns `u_…` of users, `i_…` of items and `c_…` of rows, as numbers a model can take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lossdsl.recsys import tables
from lossdsl.recsys.dataset import Array, DataError

# More kinds than this are an id, not a feature.
KINDS = 100


def named(table: Any, prefix: str) -> list[str]:
    """The columns that begin with the prefix, in the order of the file."""
    return [str(name) for name in table.columns if str(name).startswith(prefix)]


def side_table(path: Path, key: str, prefix: str, known: Array, sep: str = "\t") -> Array:
    """The features of all `known` ids from a table with one row an id; ids without a row get zeros."""
    table = tables.read_table(path, sep=sep)
    ids = tables.ids(table, key, path)
    columns = named(table, prefix)
    if not columns:
        raise DataError(f"{path}: no feature column; they begin with `{prefix}`")
    if len(np.unique(ids)) < len(ids):
        value, count = np.unique(ids, return_counts=True)
        raise DataError(f"{path}: {key} {value[count > 1][0]} has several rows")
    values = encode(table, columns, path)
    if known.dtype.kind == "U":
        ids = ids.astype(str)
    elif ids.dtype.kind == "U":
        raise DataError(f"{path}: the {key} `{ids[0]}` is no number, as the ids of the rows are")
    order = np.argsort(ids)
    place = np.minimum(np.searchsorted(ids[order], known), len(ids) - 1)
    found = ids[order][place] == known
    out = np.zeros((len(known), values.shape[1]), np.float32)
    out[found] = values[order][place[found]]
    return out


def encode(table: Any, columns: list[str], path: Path, *, like: Any = None) -> Array:
    """Numbers scaled to mean 0 and deviation 1; kinds (text, or a name that ends in `_c`) as one column each.

    `like` is the table that decides means and kinds, by default the same one: what is unknown there becomes zeros.
    """
    like = table if like is None else like
    parts = []
    for name in columns:
        base = tables.need(like, name, path)
        cells = tables.need(table, name, path)
        if name.endswith("_c") or base.dtype.kind not in "iuf":
            kinds = sorted(base.astype(str).unique())
            if len(kinds) > KINDS:
                raise DataError(f"{path}: the feature {name} has {len(kinds)} kinds; at most {KINDS} make sense")
            parts.append((cells.astype(str).to_numpy()[:, None] == np.array(kinds)[None, :]).astype(np.float32))
        else:
            numbers = tables.numbers(table, name, path)
            mean, deviation = float(base.mean()), float(base.std(ddof=0))
            parts.append(((numbers - mean) / (deviation or 1.0)).astype(np.float32)[:, None])
    return np.concatenate(parts, axis=1)
