"""The course of one training: epochs until the patience is spent, and what was kept at the best one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from lossdsl.recsys import metrics
from lossdsl.recsys.dataset import Rows
from lossdsl.recsys.trainer import Diverged, Trainer

T = TypeVar("T")
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True, eq=False)
class Course(Generic[T]):
    """The metric on validation after each epoch, the best epoch (from 1; 0 where none was), and what was kept there.

    `stopped` says why the training ended early by misfortune.
    """

    history: tuple[float, ...]
    best_epoch: int
    kept: T | None
    stopped: str

    @property
    def best(self) -> float:
        """The metric at the best epoch; NaN where none was."""
        return self.history[self.best_epoch - 1] if self.best_epoch else float("nan")


def follow(
    trainer: Trainer,
    keep: Callable[[], T],
    progress: Progress | None = None,
    *,
    train: Rows | None = None,
    rows: Rows | str = "validation",
) -> Course[T]:
    """Trains until the patience or the epochs are spent; `keep` is called whenever validation got better.

    `train` are the rows to train on, if not all of the data's; `rows` stand for validation where a caller has them
    already for many trainings.
    """
    settings = trainer.settings
    sign = -1.0 if settings.metric in metrics.LOWER_IS_BETTER else 1.0
    history: list[float] = []
    best, best_epoch, kept, stopped = -float("inf"), 0, None, ""
    for epoch in range(1, settings.epochs + 1):
        try:
            trainer.epoch(train)
        except Diverged as error:
            stopped = str(error)
            break
        value = trainer.evaluate(rows)
        if math.isnan(value):  # by the rows, not the scores: those are looked at after every epoch
            stopped = f"{settings.metric} cannot be measured on the validation rows"
            break
        history.append(value)
        if progress is not None:
            progress(trainer.seed, epoch, value)
        if sign * value > best:
            best, best_epoch, kept = sign * value, epoch, keep()
        elif settings.patience and epoch - best_epoch >= settings.patience:
            break
    return Course(tuple(history), best_epoch, kept, stopped)
