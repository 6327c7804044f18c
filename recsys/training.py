"""The effectiveness test: train with a loss, several seeds, best epoch by validation, judged on test."""

from __future__ import annotations

import os
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

from lossdsl.errors import LossError
from lossdsl.recsys import metrics
from lossdsl.recsys.course import Progress, follow
from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.fused import FusedEngine
from lossdsl.recsys.objective import Objective, as_objective
from lossdsl.recsys.processes import Processes
from lossdsl.recsys.settings import DEFAULTS, Settings
from lossdsl.recsys.statistics import Interval, interval
from lossdsl.recsys.trainer import Diverged, State, Trainer


@dataclass(frozen=True, eq=False)
class Run:
    """One seed: the metric on validation after each epoch, the best epoch (from 1), and test there.

    `last` holds the test metrics after the last epoch. `stopped` says why the seed ended early by misfortune; its
    metrics are those of the best epoch before, if any.
    """

    seed: int
    history: tuple[float, ...]
    best_epoch: int
    metrics: dict[str, float]
    last: dict[str, float]
    state: State | None
    seconds: float
    stopped: str = ""


@dataclass(frozen=True, eq=False)
class TrainResult:
    """What a training gave; `metrics["auc"]` is an `Interval` over seeds."""

    loss: str
    runs: tuple[Run, ...]
    settings: Settings
    engine: str
    protocol: dict[str, Any] = field(default_factory=dict)

    @property
    def history(self) -> tuple[float, ...]:
        """The first seed's validation metric after each epoch."""
        return self.runs[0].history

    @property
    def best_epoch(self) -> list[int]:
        """The best epoch of each seed, from 1; 0 where none was."""
        return [run.best_epoch for run in self.runs]

    @property
    def state(self) -> State | None:
        """The first seed's state at its best epoch."""
        return self.runs[0].state

    @property
    def metrics(self) -> dict[str, Interval]:
        """Each metric on test over the seeds that came to an end."""
        good = [run for run in self.runs if run.metrics]
        if not good:
            return {}
        return {name: interval([run.metrics[name] for run in good]) for name in good[0].metrics}

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `lossdsl train --json` prints it."""
        return {
            "schema": 1,
            "loss": self.loss,
            "metrics": {name: value.to_dict() for name, value in self.metrics.items()},
            "best_epoch": self.best_epoch,
            "last_epoch": {
                name: [run.last.get(name) for run in self.runs] for name in (self.runs[0].last or self.runs[0].metrics)
            },
            "stopped": [run.stopped for run in self.runs],
            "seconds": [round(run.seconds, 3) for run in self.runs],
            "protocol": self.protocol,
        }


def train(
    loss: Any,
    data: Dataset,
    model: str | None = None,
    *,
    settings: Settings = DEFAULTS,
    seed: int = 0,
    seeds: int = 1,
    engine: str = "auto",
    device: str = "cpu",
    workers: int = 1,
    progress: Progress | None = None,
    **changes: Any,
) -> TrainResult:
    """Trains with `loss` on `data`, for `seeds` seeds from `seed` on; `changes` are fields of `Settings`.

    A seed whose parameters explode is reported in its run, and the others go on; if all do, `Diverged` is raised.

    >>> from lossdsl.recsys import load, train
    >>> result = train("bce", load("demo"), "biasedmf", epochs=5, dim=4)
    >>> len(result.history), sorted(result.metrics)
    (5, ['auc', 'gauc'])
    """
    if model is not None:
        changes["model"] = model
    settings = replace(settings, **changes).resolve(documents=data.documents)
    if seeds < 1:
        raise LossError(f"seeds have to be 1 or more, not {seeds}")
    objective = as_objective(loss)
    first = Trainer(objective, data, settings, seed=seed, engine=engine, device=device)
    name = first.engine.name

    def one(number: int) -> Run:
        if number == seed:
            return _run(first, heeded)
        return _run(Trainer(objective, data, settings, seed=number, engine=name, device=device), heeded)

    stop = Event()

    def heeded(number: int, epoch: int, value: float) -> None:
        if stop.is_set():
            raise CancelledError
        if progress is not None:
            progress(number, epoch, value)

    numbers = range(seed, seed + seeds)
    if min(workers, seeds) > 1 and isinstance(first.engine, FusedEngine):
        with ThreadPoolExecutor(workers) as pool:
            try:
                runs = tuple(pool.map(one, numbers))
            except BaseException:
                stop.set()  # the pool waits for its threads, which end with the epoch at hand
                raise
    elif min(workers, seeds) > 1 and objective.formula is not None and device == "cpu":
        # Torch's small operations are bound by the GIL, so here a seed is a process; one thread each is the fastest.
        job = _Job(objective.formula, data, settings, name)
        with Processes(min(workers, seeds), single_thread) as processes:
            done = []
            for run in processes.map(job, numbers):
                done.append(run)
                if progress is not None:
                    for epoch, value in enumerate(run.history, 1):
                        progress(run.seed, epoch, value)
            runs = tuple(done)
    else:
        runs = tuple(one(number) for number in numbers)
    if not any(run.metrics for run in runs):
        raise Diverged(f"every seed stopped: {runs[0].stopped}")
    settings = first.settings
    return TrainResult(objective.text, runs, settings, name, _protocol(data, settings, name, seed, seeds))


@dataclass(frozen=True, eq=False)
class _Job:
    """A seed for another process."""

    loss: Any
    data: Dataset
    settings: Settings
    engine: str

    def __call__(self, seed: int) -> Run:
        return _run(Trainer(self.loss, self.data, self.settings, seed=seed, engine=self.engine), None)


def single_thread() -> None:
    """One thread for torch, unless the user says otherwise: its small operations would only wait for one another."""
    if "OMP_NUM_THREADS" in os.environ:
        return
    import torch

    torch.set_num_threads(1)


def _run(trainer: Trainer, progress: Progress | None) -> Run:
    begin = time.perf_counter()
    course = follow(trainer, trainer.state, progress)
    measured: dict[str, float] = {}
    last: dict[str, float] = {}
    if course.kept is not None:
        if not course.stopped:
            last = metrics.measure(trainer.watched("test"), trainer.scores("test"), _names(trainer))
        trainer.load(course.kept)
        measured = metrics.measure(trainer.watched("test"), trainer.scores("test"), _names(trainer))
    seconds = time.perf_counter() - begin
    return Run(trainer.seed, course.history, course.best_epoch, measured, last, course.kept, seconds, course.stopped)


def _names(trainer: Trainer) -> tuple[str, ...]:
    assert trainer.settings.metric is not None
    usual: tuple[str, ...] = ("auc", "gauc")
    if trainer.data.documents:
        usual = ("ndcg@10", "map", "mrr")
    elif trainer.settings.task == "implicit":
        usual = ("ndcg@20", "recall@20", "mrr")
    return tuple(dict.fromkeys((trainer.settings.metric, *usual)))


def _candidates(settings: Settings) -> str:
    if settings.test_neg:
        return f"the rows of the split, each with {settings.test_neg} sampled negatives"
    return "all items that are new to the user" if settings.task == "implicit" else "the rows of the split"


def _protocol(data: Dataset, settings: Settings, engine: str, seed: int, seeds: int) -> dict[str, Any]:
    return {
        "data": data.name,
        "fingerprint": data.fingerprint,
        "rows": {name: len(data.split(name)) for name in ("train", "validation", "test")},
        "split": "test, at the epoch that was best on validation",
        "candidates": _candidates(settings),
        "seeds": list(range(seed, seed + seeds)),
        "engine": engine,
        "settings": settings.to_dict(),
    }


__all__ = ["Objective", "Run", "TrainResult", "train"]
