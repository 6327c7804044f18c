"""The many trainings of a comparison: side by side, each kept once it is done, so that a long one can be resumed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from lossdsl.errors import LossError
from lossdsl.recsys.course import follow
from lossdsl.recsys.dataset import Array, Dataset
from lossdsl.recsys.processes import Processes
from lossdsl.recsys.settings import DEFAULTS, Settings
from lossdsl.recsys.trainer import Trainer
from lossdsl.recsys.training import single_thread

KEPT = "trainings.jsonl"


@dataclass(frozen=True, eq=False)
class Trained:
    """One training: best validation metric, its epoch (from 1), whether that was the last one allowed, test scores."""

    value: float
    epoch: int
    last: bool
    stopped: str
    scores: Array


@dataclass(frozen=True)
class Job:
    """One training to do. Only with `test` are the test rows scored: a tuning never sees them."""

    loss: str
    settings: Settings
    seed: int
    test: bool

    def key(self, fingerprint: str) -> str:
        """What makes the training what it is; settings at their default do not count, so that new ones may come."""
        usual = DEFAULTS.to_dict()
        own = {name: value for name, value in self.settings.to_dict().items() if value != usual[name]}
        text = json.dumps([self.loss, own, self.seed, self.test, fingerprint], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def train_job(job: Job, data: Dataset) -> Trained:
    """Trains until the patience or the epochs are spent; the epoch that was best on validation is what counts."""
    trainer = Trainer(job.loss, data, job.settings, seed=job.seed)
    nothing = np.empty(0, np.float32)
    course = follow(trainer, lambda: trainer.scores("test") if job.test else nothing)
    scores = nothing if course.kept is None else course.kept
    last = course.best_epoch == trainer.settings.epochs
    return Trained(course.best, course.best_epoch, last, course.stopped, scores)


class Kept:
    """Finished trainings in a file, one JSON object a line; a line that was torn by a crash is done again."""

    def __init__(self, folder: Path, data: Dataset) -> None:
        self.path = folder / KEPT
        self.data = data
        try:
            folder.mkdir(parents=True, exist_ok=True)
            text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise LossError(f"{self.path}: cannot be used ({error})") from None
        self.done: dict[str, Trained] = {}
        for line in text.splitlines():
            try:
                facts = json.loads(line)
                self.done[facts["key"]] = _trained(facts)
            except (ValueError, KeyError, TypeError):
                continue
        # Without this, what comes next would be glued to a torn line and be lost with it.
        self.torn = bool(text) and not text.endswith("\n")

    def find(self, job: Job) -> Trained | None:
        """The training, if it was done before; one whose scores were dropped since is done again where they count."""
        done = self.done.get(job.key(self.data.fingerprint))
        return None if done is not None and job.test and done.epoch and not len(done.scores) else done

    def add(self, job: Job, trained: Trained) -> None:
        """Writes a training down in one write, so that two comparisons may share a file."""
        if self.find(job) is not None:
            return
        s, key = job.settings, job.key(self.data.fingerprint)
        facts = {
            "key": key, "loss": job.loss, "model": s.model, "data": self.data.name, "lr": s.lr, "l2": s.l2,
            "seed": job.seed, "value": trained.value if trained.epoch else None, "epoch": trained.epoch,
            "last": trained.last, "stopped": trained.stopped,
        }  # fmt: skip
        if len(trained.scores):
            scores = np.ascontiguousarray(trained.scores)
            facts |= {"dtype": scores.dtype.str, "scores": base64.b64encode(scores.tobytes()).decode()}
        line = ("\n" if self.torn else "") + json.dumps(facts) + "\n"
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                whole = os.write(handle, line.encode()) == len(line)
            finally:
                os.close(handle)
        except OSError as error:
            raise LossError(f"{self.path}: cannot be written to ({error.strerror})") from None
        if not whole:
            raise LossError(f"{self.path}: cannot be written to (no space left)")
        self.torn = False
        self.done[key] = trained


def _trained(facts: dict[str, Any]) -> Trained:
    scores = np.empty(0, np.float32)
    if "scores" in facts:
        kind = {"<f4": np.float32, "<f8": np.float64}[facts["dtype"]]
        scores = np.frombuffer(base64.b64decode(facts["scores"], validate=True), kind)
    value = float("nan") if facts["value"] is None else float(facts["value"])
    return Trained(value, int(facts["epoch"]), bool(facts["last"]), str(facts["stopped"]), scores)


class Workers:
    """Does trainings on one data set: threads for the fused engine, which lets go of the GIL, processes for torch."""

    def __init__(
        self, data: Dataset, model: str, workers: int, run_dir: str | Path | None, progress: Callable[[], None]
    ) -> None:
        self.data = data
        self.progress = progress
        self.kept = None if run_dir is None else Kept(Path(run_dir), data)
        self.pool: Executor | None = None
        if workers > 1 and model == "biasedmf":
            self.pool = ThreadPoolExecutor(workers)
        elif workers > 1:
            self.pool = Processes(workers, _keep, (data,))

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(self.pool, Processes):
            self.pool.__exit__(kind, error, trace)
        elif self.pool is not None:
            self.pool.shutdown(cancel_futures=True)  # threads finish the training at hand, of seconds

    def run(self, jobs: Sequence[Job]) -> Iterable[Trained]:
        """The trainings in the order of the jobs."""
        waiting: list[Callable[[], Trained]] = []
        for job in jobs:
            done = None if self.kept is None else self.kept.find(job)
            if done is not None:
                waiting.append(partial(_same, done))
            elif isinstance(self.pool, Processes):
                waiting.append(self.pool.submit(_train_here, job).result)
            elif self.pool is not None:
                waiting.append(self.pool.submit(train_job, job, self.data).result)
            else:
                waiting.append(partial(train_job, job, self.data))
        for job, result in zip(jobs, waiting):
            trained = result()
            if self.kept is not None:
                self.kept.add(job, trained)
            self.progress()
            yield trained


def _same(trained: Trained) -> Trained:
    return trained


_here: list[Dataset] = []


def _keep(data: Dataset) -> None:
    single_thread()
    _here[:] = [data]


def _train_here(job: Job) -> Trained:
    return train_job(job, _here[0])
