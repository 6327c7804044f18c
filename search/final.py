"""The fair test at the end: the found loss and a known one on the test rows, tuned alike, with the same seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossdsl.formula import Formula, parse
from lossdsl.grammar.tree import Tree
from lossdsl.recsys import metrics
from lossdsl.recsys.course import follow
from lossdsl.recsys.dataset import Dataset, Rows
from lossdsl.recsys.negatives import evaluation_rows
from lossdsl.recsys.objective import Objective
from lossdsl.recsys.settings import Settings as Recommender
from lossdsl.recsys.trainer import Trainer
from lossdsl.search.bench import SAMPLED, Bench, Tabled, some_users
from lossdsl.search.calibration import beyond
from lossdsl.search.folds import with_negatives
from lossdsl.search.screen import screen

# Seeds of the test begin here, so that none of them was used while searching.
FIRST_SEED = 1000
_RESAMPLES = 400


@dataclass(frozen=True)
class Tested:
    """A loss on the test rows.

    `l2` is what validation chose, `values` the metric of every seed at its best validation epoch.
    """

    name: str
    formula: str
    l2: float
    values: tuple[float, ...]
    scores: tuple[NDArray[Any], ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.values))


@dataclass(frozen=True)
class Difference:
    """Mean difference of two losses and its 95 % interval by bootstrap over users and seeds."""

    mean: float
    low: float
    high: float


class FinalTest:
    """Tests losses on rows that the search has never seen; `recommender` is how to train, if not as the bench does."""

    def __init__(self, data: Dataset, bench: Bench, recommender: Recommender | None = None) -> None:
        self.data, self.bench, self.training = data, bench, bench.calibrated().training
        self.validation, self.test = data.validation, data.test
        if bench.implicit:
            self.validation, self.test = (
                evaluation_rows(data, split, task="implicit", count=0) for split in ("validation", "test")
            )
        elif bench.pairwise:
            known = (data.train, data.validation, data.test)
            seed = bench.settings.seed
            self.validation = with_negatives(data.validation, known, data.items, SAMPLED, seed)
            self.test = with_negatives(data.test, known, data.items, SAMPLED, seed + 1)
        rows = self.training.test_rows
        self.train = some_users(data.train, rows, bench.settings.seed) if 0 < rows < len(data.train) else data.train
        patient = replace(bench.recommender, patience=max(bench.recommender.patience, 5))
        self.recommender: Recommender = recommender or patient

    def run(self, name: str, text: str, *, scale: bool = True) -> Tested:
        """Choose L2 on validation, then train with every seed of the test.

        `scale` brings the loss to the mean slope that the search gives to its own, so that L2 means the same for both.
        """
        formula = parse(text)
        if scale:
            screened = screen(formula.tree.root, pairwise=self.bench.pairwise, max_size=10**6)
            if not screened.why:
                formula = Formula.from_tree(Tree(screened.trained, formula.tree.where))
        objective = Tabled(formula)
        l2 = beyond(lambda l2: self._train(objective, l2, FIRST_SEED - 1)[0], self.training.final_l2)
        runs = [self._train(objective, l2, FIRST_SEED + k) for k in range(self.training.test_seeds)]
        return Tested(name, str(formula), l2, tuple(run[1] for run in runs), tuple(run[2] for run in runs))

    def _train(self, objective: Objective, l2: float, seed: int) -> tuple[float, float, NDArray[Any]]:
        """Best validation metric, and test metric and scores at that epoch."""
        trainer = Trainer(objective, self.data, replace(self.recommender, l2=l2), seed=seed)
        course = follow(trainer, lambda: trainer.scores(self.test), train=self.train, rows=self.validation)
        if course.kept is None:  # it exploded before it was through with an epoch
            return -np.inf, np.nan, np.full(len(self.test), np.nan)
        return course.best, metrics.compute(self.bench.metric, self.test, course.kept), course.kept

    def difference(self, a: Tested, b: Tested) -> Difference:
        """How much better `a` is than `b`; users and seeds are drawn again, the same for both."""
        mean = a.mean - b.mean
        rng = np.random.default_rng(0)
        if self.bench.metric != "auc":
            gaps = [self._gaps(one, two) for one, two in zip(a.scores, b.scores)]
            drawn = [
                float(rng.choice(gap, len(gap)).mean())
                for gap in (gaps[int(rng.integers(len(gaps)))] for _ in range(2000))
            ]
            low, high = np.quantile(drawn, [0.025, 0.975])
            return Difference(mean, float(low), float(high))
        users, place = np.unique(self.test.user, return_inverse=True)
        order = np.argsort(place, kind="stable")
        start = np.searchsorted(place[order], np.arange(len(users) + 1))
        drawn = []
        for _ in range(_RESAMPLES):
            pick = rng.integers(len(users), size=len(users))
            index = np.concatenate([order[start[u] : start[u + 1]] for u in pick.tolist()])
            # A user drawn twice counts as two users.
            user = np.repeat(np.arange(len(pick), dtype=np.int32), start[pick + 1] - start[pick])
            rows = Rows(user, self.test.item[index], self.test.label[index])
            seed = int(rng.integers(len(a.scores)))
            one, two = (metrics.compute(self.bench.metric, rows, t.scores[seed][index]) for t in (a, b))
            if np.isfinite(one) and np.isfinite(two):
                drawn.append(one - two)
        low, high = np.quantile(drawn, [0.025, 0.975]) if drawn else (np.nan, np.nan)
        return Difference(mean, float(low), float(high))

    def _gaps(self, one: NDArray[Any], two: NDArray[Any]) -> NDArray[np.float64]:
        """The difference of each user's metric; users without one are left out."""
        ours, theirs = (metrics.per_user(self.bench.metric, self.test, score) for score in (one, two))
        return np.array([ours[user] - theirs[user] for user in ours if user in theirs], np.float64)
