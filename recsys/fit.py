"""A whole training in one call, watched on several sets of rows: what a search does thousands of times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lossdsl.recsys import metrics
from lossdsl.recsys.dataset import Array, Dataset, Rows
from lossdsl.recsys.settings import DEFAULTS, Settings
from lossdsl.recsys.trainer import Diverged, State, Trainer


@dataclass(frozen=True, eq=False)
class Fit:
    """The metric after each epoch on each set, `history[epoch, set]`, and the epoch (from 0) that was best.

    `best` is -1 where the first epoch already blew up; `stopped` says why a training ended by misfortune.
    """

    history: Array
    best: int
    state: State | None
    stopped: str = ""

    @property
    def scores(self) -> Array:
        """The metric on each set at the best epoch; NaN where there is none."""
        row: Array = self.history[self.best] if self.best >= 0 else np.full(self.history.shape[1], np.nan)
        return row


def fit(
    loss: Any,
    data: Dataset,
    evaluations: Sequence[Rows],
    settings: Settings = DEFAULTS,
    *,
    train: Rows | None = None,
    watch: Sequence[int] | None = None,
    seed: int = 0,
    engine: str = "auto",
    keep_state: bool = False,
    **changes: Any,
) -> Fit:
    """Trains on `train` (default: the train split) and measures every set after every epoch.

    The best epoch, and with `patience` the end, is decided by the mean over the sets numbered in `watch` (default:
    all). Nothing is shared between calls and the GIL is released in each epoch, so threads may call it side by side.

    >>> from lossdsl.recsys import load
    >>> from lossdsl.recsys.fit import fit
    >>> data = load("demo")
    >>> fit("bce", data, [data.validation, data.test], epochs=3, dim=4).history.shape
    (3, 2)
    """
    if changes:
        settings = replace(settings, **changes)
    trainer = Trainer(loss, data, settings, seed=seed, engine=engine)
    settings = trainer.settings
    assert settings.metric is not None
    everything = _together(evaluations)
    cuts = np.cumsum([len(rows) for rows in evaluations])[:-1]
    watched = list(range(len(evaluations)) if watch is None else watch)
    history: list[list[float]] = []
    best, top, state, stopped = -1, -np.inf, None, ""
    for epoch in range(settings.epochs):
        try:
            trainer.epoch(train)
        except Diverged as error:
            stopped = str(error)
            break
        parts = np.split(trainer.scores(everything), cuts)
        measured = [metrics.compute(settings.metric, rows, part) for rows, part in zip(evaluations, parts)]
        history.append(measured)
        value = float(np.mean([measured[k] for k in watched]))
        value = -value if settings.metric in metrics.LOWER_IS_BETTER else value
        if value > top:
            best, top = epoch, value
            state = trainer.state() if keep_state else None
        elif settings.patience and epoch - best >= settings.patience:
            break
    return Fit(np.array(history).reshape(-1, len(evaluations)), best, state, stopped)


def _together(parts: Sequence[Rows]) -> Rows:
    contexts = [rows.context for rows in parts if rows.context is not None]
    return Rows(
        np.concatenate([rows.user for rows in parts]),
        np.concatenate([rows.item for rows in parts]),
        np.concatenate([rows.label for rows in parts]),
        np.concatenate(contexts) if len(contexts) == len(parts) else None,
    )
