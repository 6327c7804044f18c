"""Where candidates are trained and measured: the data without its test, the folds, and how to train."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lossdsl.errors import LossError
from lossdsl.formula import parse
from lossdsl.recsys import metrics
from lossdsl.recsys.curves import Curves
from lossdsl.recsys.dataset import DataError, Dataset, Rows
from lossdsl.recsys.negatives import Known, full_ranking
from lossdsl.recsys.objective import Objective
from lossdsl.recsys.settings import Settings as Recommender
from lossdsl.recsys.trainer import Diverged, State, Trainer
from lossdsl.search.calibration import FINAL, LADDER, around, climb, rounded
from lossdsl.search.folds import View, blind, joined, protocol_folds, rolled_views, telling, with_negatives
from lossdsl.search.settings import Settings

# Trained once in every view: views differ in how hard they are, and rewards have to be comparable whatever was
# measured.
YARDSTICK = "-log(label*pred + (1-label)*(1-pred))"
# No step of the calibration begins after so many rows of training. Rows, as what a search does must not depend on how
# fast a machine is; on MovieLens-100k it takes a sixth of them.
CALIBRATION_ROWS = 200_000_000
# Negatives that are sampled for each validation row of a pairwise model; the file's own give too few pairs to measure.
SAMPLED = 10


@dataclass(frozen=True)
class Fit:
    """One training: the metric after every epoch on every evaluation set, and the rows it cost.

    `note` says how it exploded; `given_up` that it was below the first rung.
    """

    history: NDArray[np.float64]
    rows: int
    note: str = ""
    given_up: bool = False

    @property
    def epochs(self) -> int:
        """How many epochs it took."""
        return len(self.history)

    @property
    def curve(self) -> NDArray[np.float64]:
        """The mean metric over the evaluation sets after each epoch."""
        return self.history.mean(axis=1)

    @property
    def best(self) -> float:
        """The best mean metric, at whichever epoch; minus infinity where nothing was measured."""
        return float(self.curve.max()) if len(self.history) else -np.inf


@dataclass(frozen=True)
class Job:
    """A candidate to be trained; text and numbers only, so that it can go to another process or machine.

    Training with the first L2 is given up after `first_epochs` epochs below `first_bar`; where it stays below `bar`,
    neither the other L2 values nor the other views are tried.
    """

    formula: str
    l2: tuple[float, ...]
    seeds: tuple[int, ...]
    first_bar: float = -np.inf
    bar: float = -np.inf
    first_epochs: int = 0


@dataclass(frozen=True)
class Result:
    """What a job gave: `reward` is the mean over seeds and views at the L2 that is best in the first view.

    `first` is the metric of the first view at the first rung, `values` has the means over the views by seed.
    """

    reward: float
    first: float
    l2: float
    rows: int
    epochs: int
    seconds: float
    note: str = ""
    values: tuple[float, ...] = ()


class Tabled(Objective):
    """An objective whose slope tables are made once, however many trainings use it."""

    def curves(self, *, pairs: bool, dtype: str) -> Curves | None:
        known: dict[tuple[bool, str], Curves | None] = self.__dict__.setdefault("_tables", {})
        if (pairs, dtype) not in known:
            known[pairs, dtype] = super().curves(pairs=pairs, dtype=dtype)
        return known[pairs, dtype]


class Bench:
    """Trains candidates on one data set; safe to share between threads, and cheap to build again in a process.

    >>> from lossdsl.recsys.data import load
    >>> from lossdsl.search.bench import Bench, Job
    >>> from lossdsl.search.settings import Settings
    >>> bench = Bench(load("demo"), Settings())
    >>> result = bench.run(Job("-log(label*pred + (1-label)*(1-pred))", (1e-4,), (0,), first_epochs=2))
    >>> 0.5 < result.reward < 1
    True
    """

    def __init__(self, data: Dataset, settings: Settings) -> None:
        self.settings = settings
        self.data = blind(data)
        training = settings.training
        self.pairwise = settings.model == "ranknet"
        self.implicit = settings.task == "implicit"
        self.views = self._views()
        if not self.evaluations:
            raise LossError(f"{data.name}: the validation rows hold one label only, so there is nothing to measure")
        if training.train_rows and not self.pairwise and training.train_rows < len(self.train):
            self.limit: int | None = training.train_rows
        else:
            self.limit = None
        self.recommender = Recommender(
            model=settings.model,
            dim=training.dim,
            layers=training.layers if training.layers[0] else None,
            init_std=training.init_std,
            optimizer=training.optimizer,
            lr=training.lr,
            batch_size=training.batch_size or None,
            epochs=training.epochs,
            patience=training.patience,
            task=settings.task,
            train_neg=training.train_neg,
        ).resolve(documents=data.documents)
        # Where torch trains, threads would wait for one another; the other engines let go of the interpreter.
        start = "-logsigmoid(score)" if self.pairwise else "(label-pred)^2"
        self.engine: str = Trainer(start, self.data, self.recommender).engine.name
        self._kept = threading.local()
        self._lock = threading.RLock()
        self._shifts: tuple[float, ...] = (0.0,) if len(self.views) == 1 else ()
        assert self.recommender.metric is not None
        self.metric: str = self.recommender.metric

    @property
    def train(self) -> Rows:
        """The rows that the first view trains on."""
        return self.views[0].train

    @property
    def evaluations(self) -> tuple[Rows, ...]:
        """What the first view is measured on."""
        return self.views[0].evaluations

    def _views(self) -> tuple[View, ...]:
        training, count, data = self.settings.training, self.settings.ladder.folds, self.data
        if not self.implicit and not self.pairwise:
            return rolled_views(data.train, data.validation, count)
        if data.documents:  # one of another query is no negative, and no query has a last one
            return (View(shortened(data.train, training.train_rows, self.settings.seed), (data.validation,)),)
        train, extra = protocol_folds(liked(data.train) if self.implicit else data.train, count)
        evaluations: tuple[Rows, ...] = (data.validation, *extra)
        if self.implicit:
            # One ranking that has the positives of all folds: in a ranking of its own, each would take those of the
            # others for items that are not liked.
            ranked = full_ranking(liked(joined(evaluations)), Known(data.users, data.items, train), data.users)
            evaluations = (few_users(ranked, training.eval_users, self.settings.seed),)
        else:
            known = (data.train, data.validation)
            evaluations = tuple(
                with_negatives(rows, known, data.items, SAMPLED, self.settings.seed) for rows in evaluations
            )
            train = shortened(train, training.train_rows, self.settings.seed)
        return (View(train, telling(evaluations)),)

    def warm(self) -> None:
        """Train on a handful of rows: whatever is compiled when it is first used is compiled now."""
        loss = "-logsigmoid(score)" if self.pairwise else "(label-pred)^2"
        trainer = Trainer(loss, self.data, self.recommender)
        for rows in (some_users(self.train, 100, 0), self.train):
            try:
                trainer.epoch(rows)
            except DataError:  # among a handful, there may be no pair
                continue
            except Diverged:
                pass
            break
        self.measured(trainer)

    def run(self, job: Job) -> Result:
        """Train a candidate as its job says."""
        started = time.perf_counter()
        try:
            objective = Tabled(parse(job.formula, dialect="lossdsl"))
        except LossError as error:
            return Result(-np.inf, -np.inf, 0.0, 0, 0, time.perf_counter() - started, str(error))
        shifts = self._levelled()
        found = self._first_view(objective, job, shifts[0])
        if found.values and found.reward >= job.bar:
            found = self._other_views(objective, job.seeds, found, shifts)
        return replace(found, seconds=time.perf_counter() - started)

    def _first_view(self, objective: Objective, job: Job, shift: float) -> Result:
        """Every L2 with every seed, as far as the bars of the job allow.

        An L2 with which a training explodes is none to choose; where there is no other, there is no reward.
        """
        best, chosen = -np.inf, job.l2[0]
        values: tuple[float, ...] = ()
        first = -np.inf
        rows = epochs = 0
        note = ""
        for l2 in job.l2:
            fits: list[Fit] = []
            for seed in job.seeds:
                start = not fits and l2 == job.l2[0]
                fit = self.fit(objective, l2, seed, job.first_epochs, job.first_bar if start else -np.inf)
                rows, epochs = rows + fit.rows, epochs + fit.epochs
                fits.append(fit)
                if start:
                    first = float(fit.curve[: max(job.first_epochs, 1)].max()) if fit.epochs else -np.inf
                if fit.given_up:
                    return Result(fit.best + shift, first, l2, rows, epochs, 0.0, "below the first rung")
                if fit.note:
                    break
            note = note or fits[-1].note
            found = tuple(fit.best + shift for fit in fits)
            mean = -np.inf if fits[-1].note else float(np.mean(found))
            if mean > best:
                best, chosen, values = mean, l2, found
            if mean < job.bar:
                break
        return Result(best, first, chosen, rows, epochs, 0.0, "" if values else note, values)

    def _other_views(
        self, objective: Objective, seeds: tuple[int, ...], found: Result, shifts: tuple[float, ...]
    ) -> Result:
        """The same seeds in the other views, at the L2 that was best in the first; the reward is the mean of all."""
        rows, epochs, note, table = found.rows, found.epochs, "", [found.values]
        for view, shift in zip(self.views[1:], shifts[1:]):
            fits = [self.fit(objective, found.l2, seed, view=view) for seed in seeds]
            rows, epochs = rows + sum(fit.rows for fit in fits), epochs + sum(fit.epochs for fit in fits)
            table.append(tuple(fit.best + shift for fit in fits))
            note = note or next((fit.note for fit in fits if fit.note), "")
        values = tuple(np.mean(table, axis=0).tolist())
        reward = -np.inf if note else float(np.mean(values))  # what explodes in a view has no reward
        return Result(reward, found.first, found.l2, rows, epochs, 0.0, note, values)

    def calibrated(self, workers: int = 1) -> Settings:
        """The settings, with the L2 values that they left open: those are found now, unless they were before.

        Where only the values of the last rung are open, they lie around the first one of the ladder.
        """
        with self._lock:
            training = self.settings.training
            if not (training.l2 and training.final_l2):
                unit = training.l2[0] if training.l2 else self._suiting(workers)
                training = replace(
                    training, l2=training.l2 or around(unit, LADDER), final_l2=training.final_l2 or around(unit, FINAL)
                )
                self.settings = replace(self.settings, training=training)
            return self.settings

    def _suiting(self, workers: int) -> float:
        """The L2 that the yardstick does best with, as a mean over the views, as it stands in a run's settings."""
        rows = 0
        with ThreadPoolExecutor(1 if self.engine == "torch" else max(1, workers)) as pool:

            def value(l2: float) -> float:
                nonlocal rows
                fits = self._yardstick(l2, pool.map)
                rows += sum(fit.rows for fit in fits)
                return float(np.mean([fit.best for fit in fits]))

            found = climb(value, self.settings.training.l2_start, lambda: rows >= CALIBRATION_ROWS)
        return rounded(found)

    def _yardstick(self, l2: float, each: Callable[..., Iterable[Fit]] = map) -> list[Fit]:
        """The yardstick's training in every view."""
        objective, seed = Tabled(YARDSTICK), self.settings.seed
        return list(each(lambda view: self.fit(objective, l2, seed, view=view), self.views))

    def _levelled(self) -> tuple[float, ...]:
        """What is added to a metric in each view, so that the yardstick has the same in all of them."""
        with self._lock:
            if not self._shifts:
                level = np.array([fit.best for fit in self._yardstick(self.calibrated().training.l2[0])])
                self._shifts = tuple((level.mean() - level).tolist())
            return self._shifts

    def measured(self, trainer: Trainer, view: View | None = None) -> list[float]:
        """The metric on every set of a view."""
        view = view or self.views[0]
        parts = view.split(trainer.scores(view.together))
        return [metrics.compute(self.metric, rows, part) for rows, part in zip(view.evaluations, parts)]

    def _fresh(self, objective: Objective, l2: float, seed: int) -> Trainer:
        """A trainer at its start. A thread keeps that of the search's own seed: a new one costs as much as an epoch."""
        if seed != self.settings.seed or self.engine != "fused":
            return Trainer(objective, self.data, replace(self.recommender, l2=l2), seed=seed)
        kept: tuple[Trainer, State] | None = getattr(self._kept, "trainer", None)
        if kept is None:
            trainer = Trainer(objective, self.data, replace(self.recommender, l2=l2), seed=seed)
            self._kept.trainer = (trainer, trainer.state())
            return trainer
        trainer, start = kept
        trainer.again(start, objective, l2)
        return trainer

    def fit(
        self,
        objective: Objective,
        l2: float,
        seed: int,
        first_epochs: int = 0,
        first_bar: float = -np.inf,
        *,
        view: View | None = None,
    ) -> Fit:
        """One training from a fresh recommender to its early stop, in the first view if no other is named."""
        view = view or self.views[0]
        trainer = self._fresh(objective, l2, seed)
        history: list[list[float]] = []
        top, since, rows, note, given_up = -np.inf, 0, 0, "", False
        for epoch in range(self.recommender.epochs):
            try:
                trainer.epoch(view.train, limit=self.limit)
            except Diverged as error:
                note = str(error)
                break
            rows += self.limit or len(view.train)
            history.append(self.measured(trainer, view))
            now = float(np.mean(history[-1]))
            top, since = (now, 0) if now > top else (top, since + 1)
            if epoch + 1 == first_epochs and top < first_bar:
                given_up = True
                break
            if since >= self.recommender.patience > 0:
                break
        return Fit(np.array(history, np.float64).reshape(len(history), len(view.evaluations)), rows, note, given_up)


def liked(rows: Rows) -> Rows:
    """The positives alone."""
    return rows.take(rows.label > 0)


def some_users(rows: Rows, count: int, seed: int) -> Rows:
    """All rows of so many users, drawn by the seed, that about `count` come together.

    >>> from lossdsl.recsys.dataset import Rows
    >>> from lossdsl.search.bench import some_users
    >>> len(some_users(Rows([0, 0, 1, 1, 2, 2], [0, 1, 0, 1, 0, 1], [1, 0, 1, 0, 1, 0]), 4, 0))
    4
    """
    rng = np.random.default_rng([seed, 12])
    counts = np.bincount(rows.user)
    order = rng.permutation(len(counts))
    enough = order[: int(np.searchsorted(np.cumsum(counts[order]), count)) + 1]
    return rows.take(np.isin(rows.user, enough))


def shortened(rows: Rows, count: int, seed: int) -> Rows:
    """As `some_users`, where `count` is fewer than all and not 0."""
    return some_users(rows, count, seed) if 0 < count < len(rows) else rows


def few_users(rows: Rows, count: int, seed: int) -> Rows:
    """The rows of `count` users, drawn by the seed; all where `count` is 0."""
    users = np.unique(rows.user)
    if not 0 < count < len(users):
        return rows
    return rows.take(np.isin(rows.user, np.random.default_rng([seed, 13]).permutation(users)[:count]))
