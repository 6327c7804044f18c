"""Losses side by side: the same tuning budget for each, on validation only, then seeds and a paired test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lossdsl.errors import LossError
from lossdsl.recsys import metrics
from lossdsl.recsys.comparison import Cell, Comparison
from lossdsl.recsys.dataset import Array, Dataset, Rows
from lossdsl.recsys.objective import Objective
from lossdsl.recsys.settings import DEFAULTS, Settings
from lossdsl.recsys.significance import Bootstrap, difference, holm
from lossdsl.recsys.trainer import Diverged, Trainer
from lossdsl.recsys.trainings import Job, Trained, Workers
from lossdsl.recsys.tuning import LEAST_POINTS, Point, around, grid, slope_scale

Data = Dataset | tuple[Dataset, ...]


def compare(
    losses: Sequence[Any],
    datasets: Sequence[Data],
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

    Without `points` the tuning has two rounds for BiasedMF: `grid`, then `around` its best. A tuple of data sets is
    taken as folds: each is tuned and trained by itself, and their test rows are judged together.

    With `run_dir` every finished training is kept there, and a comparison that was broken off goes on from it.

    >>> from lossdsl.recsys import load
    >>> from lossdsl.recsys.compare import compare
    >>> from lossdsl.recsys.settings import Settings
    >>> quick = Settings(dim=2, epochs=1, batch_size=2048)
    >>> result = compare(["bce", "mse"], [load("demo")], settings=quick, seeds=1, replicates=50)
    >>> [cell.name for cell in result.cells], result.points
    (['bce', 'mse'], 26)
    """
    objectives = [Objective(loss) for loss in losses]
    if len({objective.text for objective in objectives}) < len(objectives):
        raise LossError("the same loss is given twice")
    folded = [data if isinstance(data, tuple) else (data,) for data in datasets]
    if len({_name(folds) for folds in folded}) < len(folded):
        raise LossError("two data sets have the same name")
    grids = {model: tuple(points) if points is not None else grid(model) for model in models}
    if min(map(len, grids.values())) < LEAST_POINTS:
        raise LossError(f"tuning takes at least {LEAST_POINTS} points for each loss; otherwise luck decides")
    closer = {model: points is None and model == "biasedmf" for model in models}
    budget = {
        model: len(grids[model]) + (len(around(grids[model][0], grids[model])) if closer[model] else 0)
        for model in models
    }
    places = [(model, folds) for model in models for folds in folded]
    total(sum(len(folds) * len(objectives) * (budget[model] * tuning_seeds + seeds) for model, folds in places))
    cells: list[Cell] = []
    for model, folds in places:
        base = replace(settings, model=model)
        rounds = _Rounds(grids[model], closer[model], tuning_seeds)
        tests = []
        for data in folds:
            with Workers(data, model, workers, run_dir, progress) as pool:
                tests.append(_test(objectives, data, base, rounds, seeds, pool))
        cells.extend(_judge(objectives, model, _name(folds), tests, replicates))
    return Comparison(tuple(cells), min(budget.values()), seeds)


def _name(folds: tuple[Dataset, ...]) -> str:
    return folds[0].name if len(folds) == 1 else f"{folds[0].name.partition('-fold')[0]}, {len(folds)} folds"


@dataclass(frozen=True)
class _Rounds:
    """How a loss is tuned."""

    points: tuple[Point, ...]
    closer: bool
    seeds: int


@dataclass(frozen=True, eq=False)
class _Test:
    """What one data set gave: its test rows, and of each loss the point, whether it is an edge, and the trainings."""

    rows: Rows
    users: int
    metric: str
    points: list[Point]
    edges: list[bool]
    trained: list[list[Trained]]


def _test(losses: list[Objective], data: Dataset, base: Settings, rounds: _Rounds, seeds: int, pool: Workers) -> _Test:
    """Tunes each loss on validation, and trains it with fresh seeds at the best point."""
    watched = Trainer(losses[0], data, base)
    metric = watched.settings.metric
    assert metric is not None
    sign = -1.0 if metric in metrics.LOWER_IS_BETTER else 1.0
    scales = [slope_scale(loss, pairs=bool(watched.settings.pairs)) for loss in losses]

    def job(loss: Objective, scale: float, point: Point, seed: int, test: bool) -> Job:
        return Job(str(loss.formula), replace(base, lr=point.lr, l2=point.l2 * scale), seed, test)

    def tune(offered: list[tuple[Point, ...]]) -> list[list[tuple[float, Point]]]:
        # Seeds of the tuning and of the test are different, so that the luck of a tuned seed is not counted as merit.
        jobs = [
            job(loss, scale, point, 1000 + seed, test=False)
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
    edges = []
    for found, point in zip(tuned, best):
        tried = sorted({tried.l2 for _, tried in found})
        # Nothing lies below an L2 of nought, so that is no edge.
        edges.append(len(tried) > 1 and (point.l2 == tried[-1] or point.l2 == tried[0] > 0))
    jobs = [
        job(loss, scale, point, seed, test=True)
        for loss, scale, point in zip(losses, scales, best)
        for seed in range(seeds)
    ]
    trained = list(pool.run(jobs))
    apart = [trained[n * seeds : (n + 1) * seeds] for n in range(len(losses))]
    return _Test(watched.watched("test"), data.users, metric, best, edges, apart)


def _judge(losses: list[Objective], model: str, data: str, tests: list[_Test], replicates: int) -> list[Cell]:
    """The test rows of all folds together: intervals, and differences to the first loss."""
    rows, metric = _together(tests), tests[0].metric
    bootstrap = Bootstrap(rows, metric, replicates=replicates)
    cells = []
    for n, loss in enumerate(losses):
        seeds = list(zip(*(test.trained[n] for test in tests)))
        whole = [folds for folds in seeds if all(len(trained.scores) for trained in folds)]
        if not whole:
            why = next(trained.stopped for folds in seeds for trained in folds if trained.stopped)
            raise Diverged(f"`{loss.text}` stopped with every seed: {why}")
        scores: list[Array] = [np.concatenate([trained.scores for trained in folds]) for folds in whole]
        every = [trained for folds in whole for trained in folds]
        cells.append(
            Cell(
                loss=loss.text,
                name=loss.name,
                model=model,
                data=data,
                points=tuple(test.points[n] for test in tests),
                edge=any(test.edges[n] for test in tests),
                epochs=tuple(trained.epoch for trained in every),
                unfinished=sum(trained.last for trained in every),
                exploded=len(seeds) - len(whole),
                metric=metric,
                values=tuple(metrics.compute(metric, rows, score) for score in scores),
                replicates=bootstrap.replicates(scores),
            )
        )
    apart = [difference(cell.replicates, cells[0].replicates) for cell in cells[1:]]
    corrected = holm([d.p for d in apart])
    against = [replace(d, p_holm=p) for d, p in zip(apart, corrected)]
    return [cells[0], *(replace(cell, against=d) for cell, d in zip(cells[1:], against))]


def _together(tests: list[_Test]) -> Rows:
    """One set of test rows; a user of another fold is another user."""
    if len(tests) == 1:
        return tests[0].rows
    first = np.cumsum([0, *(test.users for test in tests)])
    return Rows(
        np.concatenate([test.rows.user + start for test, start in zip(tests, first)]),
        np.concatenate([test.rows.item for test in tests]),
        np.concatenate([test.rows.label for test in tests]),
    )
