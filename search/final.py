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
from lossdsl.recsys.significance import Bootstrap, Difference, difference
from lossdsl.recsys.trainer import Trainer
from lossdsl.search.bench import SAMPLED, Bench, Tabled, shortened
from lossdsl.search.calibration import beyond
from lossdsl.search.folds import with_negatives
from lossdsl.search.screen import screen
from lossdsl.search.settings import Settings

FIRST_SEED = 1000


def fresh_seeds(settings: Settings) -> range:
    """Seeds that a search with these settings trains nothing with: one to choose L2 with, then those of the test.

    They begin before `FIRST_SEED`, or behind the search's own where those would meet them.

    >>> from lossdsl.search.final import fresh_seeds
    >>> from lossdsl.search.settings import Settings
    >>> fresh_seeds(Settings()), fresh_seeds(Settings(seed=997))
    (range(999, 1005), range(1001, 1007))
    """
    count = 1 + settings.training.test_seeds
    last = settings.seed + settings.ladder.final_seeds
    first = FIRST_SEED - 1
    if settings.seed < first + count and first <= last:
        first = last + 1
    return range(first, first + count)


def patience_of(settings: Settings) -> tuple[int, int]:
    """The epochs that the fair test allows, and its patience: more than the search, which compares at equal epochs.

    >>> from lossdsl.search.final import patience_of
    >>> from lossdsl.search.settings import Settings
    >>> patience_of(Settings())
    (200, 15)
    """
    training = settings.training
    patiences = training.patience, training.test_patience
    return training.epochs * training.test_stretch, max(patiences) if all(patiences) else 0  # 0 means never


@dataclass(frozen=True)
class Tested:
    """A loss on the test rows.

    `l2` is what validation chose, `values` the metric of every seed at its best validation epoch; `unfinished` counts
    the seeds whose best epoch was the last allowed.
    """

    name: str
    formula: str
    l2: float
    values: tuple[float, ...]
    scores: tuple[NDArray[Any], ...]
    unfinished: int = 0

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.values))


class FinalTest:
    """Tests losses on rows that the search has never seen; `recommender` is how to train, if not as the bench does.

    What L2 and epoch are chosen by is made of train and validation alone: a negative that is sampled for validation
    may be an item that its user has in the test, as it may for whoever cannot know the test yet.
    """

    def __init__(self, data: Dataset, bench: Bench, recommender: Recommender | None = None) -> None:
        self.data, self.bench, self.training = data, bench, bench.calibrated().training
        self.validation, self.test = self._chosen_by(), data.test
        if bench.implicit:
            self.test = evaluation_rows(data, "test", task="implicit", count=0)
        elif bench.pairwise and not data.documents:  # a document of another query is no negative
            known = (data.train, data.validation, data.test)
            self.test = with_negatives(data.test, known, data.items, SAMPLED, bench.settings.seed + 1)
        self.train = shortened(data.train, self.training.test_rows, bench.settings.seed)
        epochs, patience = patience_of(bench.settings)
        self.recommender: Recommender = recommender or replace(bench.recommender, epochs=epochs, patience=patience)

    def _chosen_by(self) -> Rows:
        """The rows of validation, and what they are ranked among; with the numbers that the whole data gives to ids."""
        bench, data, seen = self.bench, self.data, self.bench.data
        if bench.implicit:
            rows = evaluation_rows(seen, "validation", task="implicit", count=0)
        elif bench.pairwise and not data.documents:
            known = (seen.train, seen.validation)
            rows = with_negatives(seen.validation, known, seen.items, SAMPLED, bench.settings.seed)
        else:
            return data.validation
        return Rows(data.user_index(seen.user_ids)[rows.user], data.item_index(seen.item_ids)[rows.item], rows.label)

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
        first, *seeds = fresh_seeds(self.bench.settings)
        l2 = beyond(lambda l2: self._train(objective, l2, first)[0], self.training.final_l2)
        _, values, scores, late = zip(*(self._train(objective, l2, seed) for seed in seeds))
        return Tested(name, str(formula), l2, values, scores, sum(late))

    def _train(self, objective: Objective, l2: float, seed: int) -> tuple[float, float, NDArray[Any], bool]:
        """Best validation metric, test metric and scores at that epoch, and whether that was the last one allowed."""
        trainer = Trainer(objective, self.data, replace(self.recommender, l2=l2), seed=seed)
        course = follow(trainer, lambda: trainer.scores(self.test), train=self.train, rows=self.validation)
        if course.kept is None:  # it exploded before it was through with an epoch
            return -np.inf, np.nan, np.full(len(self.test), np.nan), False
        last = course.best_epoch == self.recommender.epochs
        return course.best, metrics.compute(self.bench.metric, self.test, course.kept), course.kept, last

    def difference(self, a: Tested, b: Tested) -> Difference:
        """How much better `a` is than `b`, with its interval; NaN where a training of either has exploded."""
        if not all(np.isfinite(score).all() for score in (*a.scores, *b.scores)):
            return Difference(np.nan, np.nan, np.nan, np.nan)
        bootstrap = Bootstrap(self.test, self.bench.metric)
        return difference(bootstrap.replicates(a.scores), bootstrap.replicates(b.scores))
