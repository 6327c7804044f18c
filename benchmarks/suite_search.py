"""Candidates a second: the published method and the practical search, beside plain PyTorch loops in the same run.

The published split where LOSSDSL_DATA (or shared/data beside the repository) has it, else `demo`. Each loop trains one
candidate after another as one would write it with PyTorch's own loss, autograd and optimizer, on as many batches of an
epoch as fit into its seconds; a candidate of the loop trains on as many rows as one of the search. Where others use the
machine the wall clock says little, so processor time is printed too: what two cores would do with nobody else on them,
were they busy all the time. Overhead is the share of the workers' time in which they do not train, whatever the reason:
sampling, filters, duplicates, the ledger, or waiting for another worker; `still` is the share of the wall time in which
nothing trains at all. A training that was begun before its turn and never asked for is not counted as one: its time is
overhead, and still. A training that waits for a processor or for the interpreter counts as training; `strict` is the
overhead were only processor time of trainings counted, so whoever takes the machine's processors adds to it.

A candidate of deepmodel or ranknet costs the search fewer rows than the whole epoch by which a plain loop would judge
it; `rung_study.py` says how well either orders losses, and that is printed beside the ratio of candidates a minute.
Beside the practical search stands what `rank_study.py` says of its ladder, and how many trainings it brings to the end:
a candidate that is good in the first view has several, one for each L2 and view.
`--only preset` (practical, deepmodel, ranknet) runs one row.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rank_study
import torch
from run import Figure, data_folder
from rung_study import RUNGS
from scipy.stats import spearmanr

from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.models import BiasedMF
from lossdsl.recsys.settings import Settings as Recommender
from lossdsl.recsys.trainer import Trainer
from lossdsl.search import evaluator
from lossdsl.search.bench import Bench, Fit, some_users
from lossdsl.search.ledger import Trial, read_trials
from lossdsl.search.presets import for_model, preset
from lossdsl.search.session import search
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign

SECONDS, LOOP = 40, 10


@dataclass(frozen=True)
class Course:
    """What a search did: per second of the wall, and of a processor."""

    trained: float
    full: float
    trainings: float
    rows: float
    overhead: float
    still: float
    strict: float
    by_processor: float
    full_by_processor: float


def plain_mf(data: Dataset, settings: Settings) -> float:
    """Rows a second of a plain loop over BiasedMF."""
    training = settings.training
    model = BiasedMF(data.users, data.items, training.dim)
    kind = torch.optim.SGD if training.optimizer == "gd" else torch.optim.Adam
    optimizer = kind(model.parameters(), lr=0.01, weight_decay=1e-4)
    user, item, label = (torch.from_numpy(c.copy()) for c in (data.train.user, data.train.item, data.train.label))
    order = torch.randperm(len(user), generator=torch.Generator().manual_seed(0))

    def step(start: int) -> int:
        rows = order[start : start + (training.batch_size or 512)]
        optimizer.zero_grad()
        score = model(user[rows].long(), item[rows].long())
        torch.nn.functional.binary_cross_entropy_with_logits(score, label[rows]).backward()
        optimizer.step()
        return len(rows)

    return pace(step, len(order))


def plain_tower(data: Dataset, settings: Settings) -> float:
    """Rows a second of a plain loop over DeepModel, or over RankNet with a batch of pairs scored row by row."""
    recommender = Recommender(model=settings.model, dim=settings.training.dim)
    model = Trainer("bce", data, recommender, engine="torch").engine.model.train()  # type: ignore[union-attr]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5)
    rows = some_users(data.train, settings.training.train_rows, 0)
    user, item, label = (torch.from_numpy(c.copy()) for c in (rows.user, rows.item, rows.label))
    user, item = user.long(), item.long()
    order = torch.randperm(len(user), generator=torch.Generator().manual_seed(0))
    if settings.model == "deepmodel":

        def step(start: int) -> int:
            batch = order[start : start + 512]
            optimizer.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(
                model(user[batch], item[batch]), label[batch]
            ).backward()
            optimizer.step()
            return len(batch)

        return pace(step, len(order))
    better, worse = _pairs(rows.user, rows.label)

    def of_pairs(start: int) -> int:
        # As many rows as pairs: every row is compared once in an epoch.
        a, b = (torch.from_numpy(side[start % len(better) : start % len(better) + 128]) for side in (better, worse))
        optimizer.zero_grad()
        torch.nn.functional.softplus(model(user[b], item[b]) - model(user[a], item[a])).mean().backward()
        optimizer.step()
        return len(a)

    return pace(of_pairs, len(better))


def _pairs(user: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every row one of the same user with the other label: the better ones, the worse ones."""
    better, worse = [], []
    for one in np.unique(user):
        mine = np.flatnonzero(user == one)
        good, bad = mine[label[mine] > 0], mine[label[mine] == 0]
        if len(good) and len(bad):
            better += [*good, *good[np.arange(len(bad)) % len(good)]]
            worse += [*bad[np.arange(len(good)) % len(bad)], *bad]
    order = np.random.default_rng(0).permutation(len(better))
    return np.array(better)[order], np.array(worse)[order]


def pace(step: Callable[[int], int], most: int) -> float:
    """Rows a second of processor time, from as many steps as fit into LOOP seconds."""
    step(0)
    begin, busy, done = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - begin < LOOP and done < most:
        done += step(done)
    return done / (time.process_time() - busy)


class Meter:
    """When something trained while it was open, from the first training on."""

    def __enter__(self) -> Meter:
        self._real = evaluator.carry_out
        self._spans: list[tuple[float, float, tuple[str, float]]] = []
        self._used: list[tuple[float, tuple[str, float]]] = []
        self._fit, self._fits = Bench.fit, list[tuple[float, float]]()

        def fit(bench: Bench, *args: Any, **named: Any) -> Fit:
            since = time.perf_counter()
            result = self._fit(bench, *args, **named)
            if not result.note and not result.given_up:
                self._fits.append((since, time.perf_counter()))
            return result

        def timed(bench: Any, job: Any) -> Any:
            since, before = time.perf_counter(), time.thread_time()
            result = self._real(bench, job)
            what = (job.formula, round(result.seconds, 4))
            self._spans.append((since, time.perf_counter(), what))
            self._used.append((time.thread_time() - before, what))
            return result

        evaluator.carry_out = timed  # type: ignore[assignment]
        Bench.fit = fit  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        evaluator.carry_out = self._real
        Bench.fit = self._fit  # type: ignore[method-assign]

    def trainings(self, seconds: float) -> int:
        """How many trainings came to their end within so many seconds of the first one (none of worker processes)."""
        begin = min((since for since, _ in self._fits), default=0.0)
        return sum(till <= begin + seconds for _, till in self._fits)

    def used(self, trials: Iterable[Trial]) -> float:
        """Seconds of a processor that the trials' trainings used in this process."""
        logged = {(trial.formula, trial.seconds) for trial in trials}
        return sum(seconds for seconds, what in self._used if what in logged)

    def until(self, seconds: float, trials: Iterable[Trial]) -> float:
        """Seconds among the first so many with a training that is one of the trials' (none of worker processes)."""
        logged = {(trial.formula, trial.seconds) for trial in trials}
        end = min((since for since, _, _ in self._spans), default=0.0) + seconds
        reached = total = 0.0
        for since, till, what in sorted(self._spans):
            if what in logged:
                since, till = max(since, reached), min(till, end)
                total += max(0.0, till - since)
                reached = max(reached, till)
        return total


def course(settings: Settings, data: Dataset, workers: int, seconds: float = SECONDS) -> Course:
    """Run a search and count."""
    with tempfile.TemporaryDirectory() as folder:
        # Compiles the kernels.
        search(settings, run_dir=Path(folder) / "warm", data=data, budget="60trials", workers=1)
        busy = 0.0
        stop = time.process_time()

        def told(_: object) -> None:
            nonlocal busy
            busy = time.process_time() - stop

        run, meter = Path(folder) / "run", Meter()
        with meter:
            search(settings, run_dir=run, data=data, budget=f"{seconds}s", workers=workers, progress=told)
        trials = list(read_trials(run))
    trained = [t for t in trials if t.fate == "trained"]
    full = sum(t.why is None for t in trained)
    wall = trials[-1].at
    training = sum(t.seconds for t in trained) / workers
    return Course(
        len(trained) / wall,
        full / wall,
        meter.trainings(wall) / wall,
        sum(t.rows for t in trained) / wall,
        max(0.0, 1 - training / wall),
        max(0.0, 1 - meter.until(wall, trained) / wall),
        max(0.0, 1 - meter.used(trained) / workers / wall),
        workers * len(trained) / busy,
        workers * full / busy,
    )


def correlation(model: str, settings: Settings) -> str:
    """What the study says of the search's rung and of a plain loop's epoch."""
    path = Path(__file__).parent / "results" / f"rung_study_{model}.jsonl"
    if not path.exists():
        return ""
    done, training = [json.loads(line) for line in path.read_text().splitlines()], settings.training
    full, wanted = [row["full"] for row in done], (training.train_rows, training.batch_size or 512, training.lr)
    rung = next((rung for rung in RUNGS if rung[:3] == wanted), None)
    if rung is None:
        return ""
    ours = [max(row["x".join(map(str, rung))]["values"][: training.epochs]) for row in done]
    rho = [spearmanr(ours, full).statistic]
    for plain in RUNGS[:2]:  # at the rate that is usual, and at the best one
        rho.append(spearmanr([row["x".join(map(str, plain))]["values"][0] for row in done], full).statistic)
    return "Spearman with full training {:.2f}, a plain epoch {:.2f}, at its best rate {:.2f}".format(*rho)


def run(only: str = "") -> list[Figure]:
    """Measure and print the table, or one row of it."""
    torch.set_num_threads(1)
    folder = data_folder()
    path = folder / "ml100k01-1-5" if folder else None
    data = load(path if path is not None and path.is_dir() else "demo")
    workers = min(2, os.cpu_count() or 1)
    kinds = {
        "preset": preset("autolossgen"),
        "practical": Settings(),
        "deepmodel": for_model(Settings(), "deepmodel"),
        "ranknet": for_model(Settings(), "ranknet"),
    }
    if only:
        kinds = {only: kinds[only]}
    figures = []
    print(f"{data.name}, {len(data.train):,} rows, {workers} workers\n")
    for name, settings in kinds.items():
        dear = settings.model != "biasedmf"
        settings = assign(settings, "training.test_seeds=1")
        found = course(settings, data, workers)
        loop = plain_tower(data, settings) if dear else plain_mf(data, settings)
        # Per processor second on both sides: candidates of equal work.
        speed = found.rows / found.trained * found.by_processor / workers
        print(f"{name:<10} {found.trained:8.2f} candidates/s ({found.by_processor:.1f} by processor time), "
              f"{found.full:.2f} of them to the end ({found.full_by_processor:.1f}), "
              f"overhead {found.overhead:.0%} (strict {found.strict:.0%}), still {found.still:.0%}; "
              f"{speed:,.0f} rows a processor second, plain loop {loop:,.0f}")  # fmt: skip
        figures += [
            Figure(f"{name}-trained", found.trained, "candidates/s"),
            Figure(f"{name}-trained-cpu", found.by_processor, "candidates/s", f"{workers} cores, by processor time"),
            Figure(f"{name}-full", found.full, "trainings/s"),
            Figure(f"{name}-full-cpu", found.full_by_processor, "trainings/s", f"{workers} cores, by processor time"),
            Figure(f"{name}-rows", speed / loop, "ratio", "rows a processor second of the plain PyTorch loop"),
            Figure(f"{name}-overhead", found.overhead, "share", "the workers' time"),
            Figure(f"{name}-overhead-strict", found.strict, "share", "the workers' time, trainings by processor time"),
            Figure(f"{name}-still", found.still, "share", "wall time"),
        ]
        if dear:
            # Per processor second, the plain loop's candidate an epoch over all rows.
            faster = found.by_processor / workers / (loop / len(data.train))
            said = correlation(settings.model, settings)
            print(f"{'':<10} {60 * found.trained:.0f} candidates a minute, {faster:.1f} times the plain loop's; {said}")
            figures.append(Figure(f"{name}-candidates", faster, "ratio", "a whole epoch of the plain loop"))
        if name == "practical":
            print(f"{'':<10} {found.trainings:.1f} trainings to the end a second")
            figures.append(Figure("practical-trainings", found.trainings, "trainings to the end/s", "goal 6"))
            rows = rank_study.kept()
            print(f"{'':<10} the ladder, over the {len(rows)} random valid losses that rank_study.py has tuned:")
            figures.append(Figure("rank-spearman", rank_study.report(rows), "Spearman, goal 0.8"))
    return figures
