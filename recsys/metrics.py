"""The one place where scores become numbers.

Ranking metrics are means over users (or queries) that have a positive row; among equal scores the worse row stands
first, so a constant score earns nothing. `@k` looks at the first k rows of a user; without it, at all. Metrics of a
prediction take `sigmoid(score)`, and call it positive above 1/2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lossdsl.recsys.dataset import Array, DataError, Rows
from lossdsl.recsys.ranks import grouped_auc, rank_auc, ranking, ranking_unsorted, sort_keys, sorted_auc

Metric = Callable[[Rows, Array], float]


def auc(rows: Rows, score: Array) -> float:
    """Share of (positive, negative) row pairs in the right order, ties half; `nan` without both classes or with NaNs.

    >>> import numpy as np
    >>> from lossdsl.recsys.dataset import Rows
    >>> from lossdsl.recsys.metrics import auc
    >>> auc(Rows([0, 0, 1], [0, 1, 2], [1, 0, 0]), np.array([0.2, 0.1, 0.2]))
    0.75
    """
    score = np.asarray(score)
    if score.dtype == np.float32:
        keys = np.empty(len(score), np.int64)
        if not sort_keys(np.ascontiguousarray(score).view(np.int32), rows.label, keys):
            return float("nan")
        keys.sort()
        return float(sorted_auc(keys))
    order = np.argsort(score, kind="stable")
    if len(order) and np.isnan(score[order[-1]]):
        return float("nan")
    return float(rank_auc(order, score, rows.label, 0, len(order)))


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


# In the order in which the kernel returns them.
RANKING = ("ndcg", "recall@", "hr", "mrr", "map", "precision@")


def _ranked(place: int, k: int) -> Metric:
    def metric(rows: Rows, score: Array) -> float:
        score = np.asarray(score)
        # Full rankings have a few positives among millions of rows: counting what is better than those needs no sort.
        few = np.count_nonzero(rows.label > 0) * 50 < len(score)
        if few and not np.isnan(score).any() and (np.diff(rows.user) >= 0).all():
            return float(ranking_unsorted(score, rows.label, rows.user, k)[place])
        order = np.lexsort((rows.label, -score, rows.user))
        return float(ranking(order, rows.label, rows.user, k)[place])

    return metric


def _predicted(name: str) -> Metric:
    def metric(rows: Rows, score: Array) -> float:
        from sklearn import metrics as sk

        label = (rows.label > 0).astype(np.float64)
        pred = 1 / (1 + np.exp(-np.clip(np.asarray(score, np.float64), -700, 700)))
        if name == "rmse":
            return float(np.sqrt(sk.mean_squared_error(label, pred)))
        if name == "mae":
            return float(sk.mean_absolute_error(label, pred))
        if name == "log_loss":
            return float(sk.log_loss(label, pred, labels=[0, 1]))
        guess = pred > 0.5
        if name == "accuracy":
            return float(sk.accuracy_score(label, guess))
        function = {"f1": sk.f1_score, "precision": sk.precision_score, "recall": sk.recall_score}[name]
        return float(function(label, guess, zero_division=0.0))

    return metric


PREDICTED = ("rmse", "mae", "log_loss", "f1", "accuracy", "precision", "recall")
METRICS: dict[str, Metric] = {"auc": auc, "gauc": gauc, **{name: _predicted(name) for name in PREDICTED}}
NAMES = ("auc", "gauc", "ndcg@k", "recall@k", "hr@k", "mrr", "map", "precision@k", *PREDICTED)

# Errors rather than gains.
LOWER_IS_BETTER = frozenset({"rmse", "mae", "log_loss"})


def metric(name: str) -> Metric:
    """The metric of that name, such as `auc`, `ndcg@10` or `mrr`.

    >>> import numpy as np
    >>> from lossdsl.recsys.dataset import Rows
    >>> from lossdsl.recsys.metrics import metric
    >>> metric("recall@2")(Rows([0, 0, 0], [0, 1, 2], [1, 0, 1]), np.array([0.3, 0.2, 0.1]))
    0.5
    """
    if name in METRICS:
        return METRICS[name]
    base, at, depth = name.partition("@")
    kind = base + "@" if at and base in ("recall", "precision") else base
    if kind in RANKING and (not at or depth.isdecimal() and int(depth) > 0):
        return _ranked(RANKING.index(kind), int(depth) if at else 0)
    raise DataError(f"no metric is called `{name}`; there are {', '.join(NAMES)}")


def compute(name: str, rows: Rows, score: Array) -> float:
    """The metric of that name."""
    return metric(name)(rows, score)


def measure(rows: Rows, score: Array, names: tuple[str, ...]) -> dict[str, float]:
    """Several metrics of the same scores."""
    return {name: compute(name, rows, score) for name in names}


def per_user(name: str, rows: Rows, score: Array) -> dict[int, float]:
    """Not a mean: the metric of each user who has one, for `gauc` and the ranking metrics, as user → value."""
    base = metric(name)
    order = np.argsort(rows.user, kind="stable")
    user = rows.user[order]
    cuts = np.flatnonzero(np.r_[True, user[1:] != user[:-1]])
    out = {}
    for mine in np.split(order, cuts[1:]):
        value = base(rows.take(mine), np.asarray(score)[mine])
        if value == value:
            out[int(rows.user[mine[0]])] = value
    return out
