"""Losses side by side: the same tuning budget for each, on validation only, then seeds and a paired test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from lossdsl.errors import LossError
from lossdsl.recsys import metrics
from lossdsl.recsys.curves import evaluate
from lossdsl.recsys.dataset import Array, Dataset
from lossdsl.recsys.objective import Objective
from lossdsl.recsys.settings import DEFAULTS, Settings
from lossdsl.recsys.significance import Bootstrap, Difference, Replicates, difference, holm
from lossdsl.recsys.tape import tape
from lossdsl.recsys.trainer import Diverged, Trainer
from lossdsl.recsys.training import single_thread

LEAST_POINTS = 12


@dataclass(frozen=True)
class Point:
    """A place of the tuning grid. `l2` is in units of the loss's own slope: see `slope_scale`."""

    lr: float
    l2: float


def grid(model: str) -> tuple[Point, ...]:
    """The first grid of a tuning: learning rate × L2 in wide steps; `around` then looks closer where it was best.

    >>> from lossdsl.recsys.compare import grid
    >>> len(grid("biasedmf")), len(grid("ranknet"))
    (14, 12)
    """
    if model == "biasedmf":
        return tuple(Point(lr, 2e-5 * 4.0**k) for lr in (0.0015, 0.003) for k in range(-4, 3))
    return tuple(Point(lr, l2) for lr in (0.001, 0.003) for l2 in (0.0, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4))


def around(best: Point, points: Sequence[Point]) -> tuple[Point, ...]:
    """Six values of L2 in steps of √2 around the best one, with every learning rate: BiasedMF's optimum is narrow.

    >>> from lossdsl.recsys.compare import Point, around, grid
    >>> len(around(Point(0.003, 2e-5), grid("biasedmf")))
    12
    """
    lrs = sorted({point.lr for point in points})
    centre = best.l2 or min((point.l2 for point in points if point.l2 > 0), default=1e-6) / 4
    return tuple(Point(lr, centre * 2 ** (k / 2)) for lr in lrs for k in (-3, -2, -1, 1, 2, 3))


def slope_scale(loss: Objective, *, pairs: bool) -> float:
    """Mean size of the slope over scores within 2 of nought, both labels alike.

    A loss times c is the same loss, but meets an L2 of λ as if it were λ/c: without this unit a grid would give each
    loss another range of L2, and call the difference a merit.

    >>> from lossdsl.recsys.compare import slope_scale
    >>> from lossdsl.recsys.objective import Objective
    >>> round(slope_scale(Objective("bce"), pairs=False), 3)
    0.5
    """
    program = loss.pair_program if pairs else loss.program
    if program is None:
        raise LossError("losses are compared as formulas; a callable cannot be looked into")
    score = np.linspace(-2, 2, 401)
    steps = tape(program)
    slopes = np.abs(np.concatenate([evaluate(steps, score, label) for label in (0.0, 1.0)]))
    slopes = slopes[np.isfinite(slopes)]
    scale = float(slopes.mean()) if len(slopes) else 0.0
    return scale if scale > 0 else 1.0


@dataclass(frozen=True, eq=False)
class Trained:
    """One training: best validation metric, its epoch (from 1), whether that was the last one allowed, test scores."""

    value: float
    epoch: int
    last: bool
    stopped: str
    scores: Array


@dataclass(frozen=True, eq=False)
class Cell:
    """One loss on one model and one data set, tuned and tested."""

    loss: str
    name: str
    model: str
    data: str
    point: Point
    edge: bool
    epochs: tuple[int, ...]
    unfinished: int
    metric: str
    values: tuple[float, ...]
    replicates: Replicates
    against: Difference | None = None

    @property
    def mean(self) -> float:
        """The metric on test, mean over seeds."""
        return self.replicates.mean

    def to_dict(self) -> dict[str, Any]:
        """Plain data; `against` is the difference to the first loss."""
        low, high = self.replicates.interval
        out: dict[str, Any] = {
            "loss": self.loss,
            "name": self.name,
            "model": self.model,
            "data": self.data,
            "metric": self.metric,
            "mean": self.mean,
            "low": low,
            "high": high,
            "seed_sd": float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None,
            "lr": self.point.lr,
            "l2_in_slopes": self.point.l2,
            "edge_of_grid": self.edge,
            "best_epochs": list(self.epochs),
            "best_was_last": self.unfinished,
            "values": list(self.values),
        }
        if self.against is not None:
            a = self.against
            out |= {
                "difference": a.mean,
                "difference_low": a.low,
                "difference_high": a.high,
                "p": a.p,
                "p_holm": a.p_holm,
            }
        return out


@dataclass(frozen=True, eq=False)
class Comparison:
    """All cells; within a model and data set each loss is set against the first one."""

    cells: tuple[Cell, ...]
    points: int
    seeds: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `lossdsl compare --json` prints it."""
        return {
            "schema": 1,
            "tuning_points": self.points,
            "seeds": self.seeds,
            "protocol": "tuned on validation, the same grid for each loss in units of its slope; best epoch by "
            "validation; test at the tuned point with fresh seeds; 95 % intervals by bootstrap over users and seeds; "
            "differences paired by user, p-values after Holm",
            "cells": [cell.to_dict() for cell in self.cells],
        }

    def matrix(self) -> tuple[list[str], list[str], Array]:
        """The transfer matrix: losses, places (model on data), and the mean of each."""
        losses = list(dict.fromkeys(cell.name for cell in self.cells))
        places = list(dict.fromkeys(f"{cell.model} on {cell.data}" for cell in self.cells))
        out = np.full((len(losses), len(places)), np.nan)
        for cell in self.cells:
            out[losses.index(cell.name), places.index(f"{cell.model} on {cell.data}")] = cell.mean
        return losses, places, out


def compare(
    losses: Sequence[Any],
    datasets: Sequence[Dataset],
    models: Sequence[str] = ("biasedmf",),
    *,
    settings: Settings = DEFAULTS,
    points: Sequence[Point] | None = None,
    seeds: int = 5,
    tuning_seeds: int = 1,
    workers: int = 1,
    replicates: int = 1000,
    run_dir: str | Path | None = None,
    progress: Callable[[], None] = lambda: None,
    total: Callable[[int], None] = lambda count: None,
) -> Comparison:
    """Tunes every loss over the same number of points, at least twelve, then trains it with fresh seeds and tests it.

    Without `points` the tuning has two rounds for BiasedMF: `grid`, then `around` its best.

    With `run_dir` every finished training is kept there, and a comparison that was broken off goes on from it.
    """
    objectives = [Objective(loss) for loss in losses]
    if len({objective.text for objective in objectives}) < len(objectives):
        raise LossError("the same loss is given twice")
    if len({data.name for data in datasets}) < len(datasets):
        raise LossError("two data sets have the same name")
    grids = {model: tuple(points) if points is not None else grid(model) for model in models}
    if min(map(len, grids.values())) < LEAST_POINTS:
        raise LossError(f"tuning takes at least {LEAST_POINTS} points for each loss; otherwise luck decides")
    places = [(model, data) for model in models for data in datasets]
    closer = {model: points is None and model == "biasedmf" for model in models}
    budget = {
        model: len(grids[model]) + (len(around(grids[model][0], grids[model])) if closer[model] else 0)
        for model in models
    }
    total(sum(len(objectives) * (budget[model] * tuning_seeds + seeds) for model, _ in places))
    cells: list[Cell] = []
    for model, data in places:
        base = replace(settings, model=model)
        with _Workers(data, base, workers, run_dir, progress) as pool:
            rounds = _Rounds(grids[model], closer[model], tuning_seeds)
            cells.extend(_place(objectives, data, base, rounds, seeds, replicates, pool))
    return Comparison(tuple(cells), min(budget.values()), seeds)


@dataclass(frozen=True)
class _Rounds:
    """How a loss is tuned."""

    points: tuple[Point, ...]
    closer: bool
    seeds: int


def _place(
    losses: list[Objective], data: Dataset, base: Settings, rounds: _Rounds, seeds: int, replicates: int, pool: _Workers
) -> list[Cell]:
    watched = Trainer(losses[0], data, base)
    metric = watched.settings.metric
    assert metric is not None
    sign = -1.0 if metric in metrics.LOWER_IS_BETTER else 1.0
    scales = [slope_scale(loss, pairs=bool(watched.settings.pairs)) for loss in losses]

    def job(loss: Objective, scale: float, point: Point, seed: int) -> _Job:
        return _Job(str(loss.formula), replace(base, lr=point.lr, l2=point.l2 * scale), seed)

    def tune(offered: list[tuple[Point, ...]]) -> list[list[tuple[float, Point]]]:
        # Seeds of the tuning and of the test are different, so that the luck of a tuned seed is not counted as merit.
        jobs = [
            job(loss, scale, point, 1000 + seed)
            for loss, scale, points in zip(losses, scales, offered)
            for point in points
            for seed in range(rounds.seeds)
        ]
        values = np.array([sign * trained.value for trained in pool.run(jobs)])
        values = np.nan_to_num(values, nan=-np.inf).reshape(len(losses), -1, rounds.seeds).mean(axis=2)
        return [list(zip(row.tolist(), points)) for row, points in zip(values, offered)]

    def first(found: list[tuple[float, Point]]) -> Point:
        return max(found, key=lambda pair: pair[0])[1]

    tuned = tune([rounds.points] * len(losses))
    if rounds.closer:
        more = tune([around(first(found), rounds.points) for found in tuned])
        tuned = [found + closer for found, closer in zip(tuned, more)]
    best = [first(found) for found in tuned]
    final = [job(loss, scale, point, seed) for loss, scale, point in zip(losses, scales, best) for seed in range(seeds)]
    trained = list(pool.run(final))
    rows = watched.watched("test")
    bootstrap = Bootstrap(rows, metric, replicates=replicates)
    cells = []
    for n, (loss, point) in enumerate(zip(losses, best)):
        mine = [t for t in trained[n * seeds : (n + 1) * seeds] if len(t.scores)]
        if not mine:
            raise Diverged(f"`{loss.text}` blew up with every seed: {trained[n * seeds].stopped}")
        values = tuple(metrics.compute(metric, rows, t.scores) for t in mine)
        tried = sorted({tried.l2 for _, tried in tuned[n]})
        edge = len(tried) > 1 and point.l2 in (tried[0], tried[-1])
        cells.append(
            Cell(
                loss.text, loss.name, base.model, data.name, point, edge, tuple(t.epoch for t in mine),
                sum(t.last for t in mine), metric, values, bootstrap.replicates([t.scores for t in mine]),
            )
        )  # fmt: skip
    apart = [difference(cell.replicates, cells[0].replicates) for cell in cells[1:]]
    corrected = holm([d.p for d in apart])
    return [
        cells[0],
        *(
            replace(cell, against=replace(d, p_holm=p))
            for cell, d, p in zip(cells[1:], apart, corrected)
        ),
    ]  # fmt: skip


@dataclass(frozen=True)
class _Job:
    loss: str
    settings: Settings
    seed: int

    def key(self, fingerprint: str) -> str:
        text = json.dumps([self.loss, self.settings.to_dict(), self.seed, fingerprint], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


class _Workers:
    """Threads for the fused engine, processes for torch, and a folder of what is done already."""

    def __init__(
        self, data: Dataset, base: Settings, workers: int, run_dir: str | Path | None, progress: Callable[[], None]
    ) -> None:
        self.data = data
        self.progress = progress
        self.folder = None if run_dir is None else Path(run_dir) / "trainings"
        fused = base.model == "biasedmf"
        self.pool: Executor | None = None
        if workers > 1 and fused:
            self.pool = ThreadPoolExecutor(workers)
        elif workers > 1:
            self.pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_keep, initargs=(data,))
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *reason: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)

    def run(self, jobs: Sequence[_Job]) -> Iterable[Trained]:
        """The trainings in the order of the jobs."""
        waiting: list[Callable[[], Trained]] = []
        for job in jobs:
            done = self._found(job)
            if done is not None:
                waiting.append(partial(_same, done))
            elif isinstance(self.pool, ProcessPoolExecutor):
                waiting.append(self.pool.submit(_train_kept, job).result)
            elif self.pool is not None:
                waiting.append(self.pool.submit(_train, job, self.data).result)
            else:
                waiting.append(partial(_train, job, self.data))
        for job, result in zip(jobs, waiting):
            trained = result()
            self._store(job, trained)
            self.progress()
            yield trained

    def _path(self, job: _Job) -> Path | None:
        return None if self.folder is None else self.folder / f"{job.key(self.data.fingerprint)}.npz"

    def _found(self, job: _Job) -> Trained | None:
        path = self._path(job)
        if path is None or not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as kept:
                value, epoch, last, stopped, scores = (kept[n] for n in ("value", "epoch", "last", "stopped", "scores"))
                return Trained(float(value), int(epoch), bool(last), str(stopped), scores)
        except Exception:  # a torn file is a training that has to be done again
            return None

    def _store(self, job: _Job, trained: Trained) -> None:
        path = self._path(job)
        if path is None or path.is_file():
            return
        aside = path.with_suffix(".tmp.npz")
        facts: dict[str, Any] = {
            name: np.array(getattr(trained, name)) for name in ("value", "epoch", "last", "stopped", "scores")
        }
        np.savez(aside, **facts)
        aside.replace(path)


def _same(trained: Trained) -> Trained:
    return trained


_kept: list[Dataset] = []


def _keep(data: Dataset) -> None:
    single_thread()
    _kept[:] = [data]


def _train_kept(job: _Job) -> Trained:
    return _train(job, _kept[0])


def _train(job: _Job, data: Dataset) -> Trained:
    trainer = Trainer(job.loss, data, job.settings, seed=job.seed)
    settings = trainer.settings
    sign = -1.0 if settings.metric in metrics.LOWER_IS_BETTER else 1.0
    best, best_epoch, scores, stopped, epoch = -np.inf, 0, np.empty(0), "", 0
    for epoch in range(1, settings.epochs + 1):
        try:
            trainer.epoch()
        except Diverged as error:
            stopped = str(error)
            break
        value = sign * trainer.evaluate("validation")
        if value > best:
            best, best_epoch, scores = value, epoch, trainer.scores("test")
        elif settings.patience and epoch - best_epoch >= settings.patience:
            break
    value = sign * best if best_epoch else float("nan")
    return Trained(value, best_epoch, best_epoch == settings.epochs, stopped, scores)
