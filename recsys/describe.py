"""A data set in a few numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossdsl.recsys.dataset import SPLITS, Dataset, Rows


def describe(data: Dataset) -> dict[str, Any]:
    """Users, items, fingerprint, and rows, share of positives and users of each split, as plain data.

    >>> from lossdsl.recsys.data import load
    >>> from lossdsl.recsys.describe import describe
    >>> describe(load("demo"))["users"]
    500
    """
    return {
        "schema": 1,
        "name": data.name,
        "users": data.users,
        "items": data.items,
        "documents": data.documents,
        "features": {
            "user": 0 if data.user_features is None else data.user_features.shape[1],
            "item": 0 if data.item_features is None else data.item_features.shape[1],
            "context": 0 if data.train.context is None else data.train.context.shape[1],
        },
        "fingerprint": data.fingerprint,
        "splits": {name: _split(data.split(name)) for name in SPLITS},
        "notes": list(data.notes),
    }


def _split(rows: Rows) -> dict[str, Any]:
    users, index = np.unique(rows.user, return_inverse=True)
    liked = np.bincount(index, weights=rows.label > 0)
    count = np.bincount(index)
    return {
        "rows": len(rows),
        "positive": float((rows.label > 0).mean()),
        "users": len(users),
        "items": len(np.unique(rows.item)),
        "both": int(((liked > 0) & (liked < count)).sum()),
    }
