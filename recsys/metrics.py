"""The one place where scores become numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lossdsl.recsys.dataset import Array, DataError, Rows
from lossdsl.recsys.kernels import grouped_auc, rank_auc

Metric = Callable[[Rows, Array], float]


def auc(rows: Rows, score: Array) -> float:
    """Share of (positive, negative) row pairs in the right order, ties half; `nan` if a class is missing.

    >>> import numpy as np
    >>> from lossdsl.recsys.dataset import Rows
    >>> from lossdsl.recsys.metrics import auc
    >>> auc(Rows([0, 0, 1], [0, 1, 2], [1, 0, 0]), np.array([0.2, 0.1, 0.2]))
    0.75
    """
    order = np.argsort(score, kind="stable")
    return float(rank_auc(order, np.asarray(score), rows.label, 0, len(order)))


def gauc(rows: Rows, score: Array) -> float:
    """Mean over users of the AUC of the user's own rows; users without both classes do not count.

    >>> import numpy as np
    >>> from lossdsl.recsys.dataset import Rows
    >>> from lossdsl.recsys.metrics import gauc
    >>> gauc(Rows([0, 0, 1, 1, 2], [0, 1, 0, 1, 0], [1, 0, 1, 0, 1]), np.array([0.2, 0.1, 0.1, 0.1, 5.0]))
    0.75
    """
    order = np.lexsort((score, rows.user))
    return float(grouped_auc(order, np.asarray(score), rows.label, rows.user))


METRICS: dict[str, Metric] = {"auc": auc, "gauc": gauc}


def compute(metric: str, rows: Rows, score: Array) -> float:
    """The metric of that name."""
    if metric not in METRICS:
        raise DataError(f"no metric is called `{metric}`; there are {', '.join(METRICS)}")
    return METRICS[metric](rows, score)


# Errors rather than gains.
LOWER_IS_BETTER = frozenset({"rmse", "mae", "log_loss"})


def measure(rows: Rows, score: Array, names: tuple[str, ...]) -> dict[str, float]:
    """Several metrics of the same scores."""
    return {name: compute(name, rows, score) for name in names}
