"""How sure a difference of two losses is: users and seeds are both drawn anew, for seeds alone say little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from lossdsl.recsys import metrics
from lossdsl.recsys.dataset import Array, Rows
from lossdsl.recsys.kernels import JIT


@dataclass(frozen=True, eq=False)
class Replicates:
    """Bootstrap means of a metric, `values[replicate]`, and the mean as measured."""

    mean: float
    values: Array

    @property
    def interval(self) -> tuple[float, float]:
        """The middle 95 % of the replicates."""
        low, high = np.quantile(self.values, (0.025, 0.975))
        return float(low), float(high)


class Bootstrap:
    """The same draws of users for everything that is compared, so that differences are paired.

    In each replicate the users of the test rows are drawn with replacement, and for each loss its seeds too.

    >>> import numpy as np
    >>> from lossdsl.recsys.dataset import Rows
    >>> from lossdsl.recsys.significance import Bootstrap
    >>> rows = Rows(np.repeat(np.arange(50), 4), np.arange(200), np.tile([1, 0, 0, 1], 50))
    >>> draws = Bootstrap(rows, "auc", replicates=200).replicates([rows.label.astype(float)])
    >>> draws.mean, draws.interval
    (1.0, (1.0, 1.0))
    """

    def __init__(self, rows: Rows, metric: str, *, replicates: int = 1000, seed: int = 0) -> None:
        self.rows = rows
        self.metric = metric
        self.random = np.random.default_rng([seed, 11])
        users, self.place = np.unique(rows.user, return_inverse=True)
        self.weights = self.random.multinomial(len(users), np.full(len(users), 1 / len(users)), size=replicates)
        self.users = users

    def replicates(self, scores: Sequence[Array]) -> Replicates:
        """`scores` are those of each seed."""
        table = np.stack([self._one(np.asarray(score)) for score in scores], axis=1)
        drawn = self.random.integers(0, len(scores), (len(table), len(scores)))
        mean = float(np.mean([metrics.compute(self.metric, self.rows, np.asarray(score)) for score in scores]))
        return Replicates(mean, np.take_along_axis(table, drawn, axis=1).mean(axis=1))

    def _one(self, score: Array) -> Array:
        if self.metric == "auc":
            out = np.full(len(self.weights), np.nan)
            if np.isnan(score).any():
                return out
            order = np.argsort(score, kind="stable")
            _weighted_auc(order, score, self.rows.label, self.place, self.weights, out)
            return out
        if self.metric in metrics.PREDICTED:
            return self._by_rows(score)
        each = metrics.per_user(self.metric, self.rows, score)
        known = np.array([user in each for user in self.users.tolist()])
        values = np.array([each.get(user, 0.0) for user in self.users.tolist()])
        return (self.weights * values).sum(axis=1) / np.maximum(1, (self.weights * known).sum(axis=1))

    def _by_rows(self, score: Array) -> Array:
        """A metric that is no mean over users is computed on rows repeated as their users were drawn."""
        order = np.argsort(self.place, kind="stable")
        starts = np.searchsorted(self.place[order], np.arange(len(self.users) + 1))
        out = []
        for weight in self.weights:
            picked = np.concatenate(
                [np.tile(order[starts[u] : starts[u + 1]], weight[u]) for u in np.flatnonzero(weight).tolist()]
            )
            out.append(metrics.compute(self.metric, self.rows.take(picked), score[picked]))
        return np.array(out)


@numba.njit(**JIT)
def _weighted_auc(order: Any, score: Any, label: Any, place: Any, weights: Any, out: Any) -> None:
    n = order.shape[0]
    for b in range(weights.shape[0]):
        below = 0.0
        wins = 0.0
        liked = 0.0
        i = 0
        while i < n:
            j = i
            here = 0.0
            others = 0.0
            while j < n and score[order[j]] == score[order[i]]:
                w = weights[b, place[order[j]]]
                if label[order[j]] > 0.5:
                    here += w
                else:
                    others += w
                j += 1
            wins += here * (below + 0.5 * others)
            below += others
            liked += here
            i = j
        out[b] = wins / (liked * below) if liked > 0 and below > 0 else np.nan


@dataclass(frozen=True)
class Difference:
    """A minus B, its 95 % interval, and the two-sided p-value, before and after Holm's correction."""

    mean: float
    low: float
    high: float
    p: float
    p_holm: float = float("nan")


def difference(a: Replicates, b: Replicates) -> Difference:
    """From replicates over the same draws of users."""
    apart = a.values - b.values
    apart = apart[np.isfinite(apart)]
    low, high = np.quantile(apart, (0.025, 0.975))
    # One is added to both counts: a p-value of nought would claim more than the replicates can say.
    side = min((apart <= 0).sum(), (apart >= 0).sum())
    p = min(1.0, 2 * (side + 1) / (len(apart) + 1))
    return Difference(a.mean - b.mean, float(low), float(high), float(p))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction for many comparisons.

    >>> from lossdsl.recsys.significance import holm
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    out = [0.0] * len(p_values)
    worst = 0.0
    for rank, k in enumerate(order.tolist()):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[k]))
        out[k] = worst
    return out
