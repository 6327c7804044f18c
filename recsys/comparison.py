"""What a comparison of losses found: cells, their differences, the transfer matrix, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lossdsl.recsys.dataset import Array
from lossdsl.recsys.significance import Difference, Replicates
from lossdsl.recsys.tuning import Point


@dataclass(frozen=True, eq=False)
class Cell:
    """One loss on one model and one data set, tuned and tested.

    `points` holds one point, or one for each fold; `epochs` the best epoch of each training that was tested;
    `unfinished` counts those whose best epoch was the last allowed, `exploded` the seeds that were lost.
    """

    loss: str
    name: str
    model: str
    data: str
    points: tuple[Point, ...]
    edge: bool
    epochs: tuple[int, ...]
    unfinished: int
    exploded: int
    metric: str
    values: tuple[float, ...]
    replicates: Replicates
    against: Difference | None = None

    @property
    def mean(self) -> float:
        """The metric on test, mean over seeds."""
        return self.replicates.mean

    @property
    def seed_sd(self) -> float | None:
        """Standard deviation over seeds; None of a single one."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data; `against` is the difference to the first loss. With folds, `lr` and `l2_in_slopes` are lists."""
        low, high = self.replicates.interval
        lrs, l2s = [point.lr for point in self.points], [point.l2 for point in self.points]
        out: dict[str, Any] = {
            "loss": self.loss,
            "name": self.name,
            "model": self.model,
            "data": self.data,
            "metric": self.metric,
            "mean": self.mean,
            "low": low,
            "high": high,
            "seed_sd": self.seed_sd,
            "lr": lrs[0] if len(lrs) == 1 else lrs,
            "l2_in_slopes": l2s[0] if len(l2s) == 1 else l2s,
            "edge_of_grid": self.edge,
            "best_epochs": list(self.epochs),
            "best_was_last": self.unfinished,
            "exploded": self.exploded,
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

    def places(self) -> list[tuple[str, str]]:
        """Model and data of each table, in order."""
        return list(dict.fromkeys((cell.model, cell.data) for cell in self.cells))

    def at(self, model: str, data: str) -> list[Cell]:
        """The cells of one table."""
        return [cell for cell in self.cells if (cell.model, cell.data) == (model, data)]

    def matrix(self) -> tuple[list[str], list[str], Array]:
        """The transfer matrix: losses, places (model on data), and the mean of each."""
        losses = list(dict.fromkeys(cell.name for cell in self.cells))
        places = [f"{model} on {data}" for model, data in self.places()]
        out = np.full((len(losses), len(places)), np.nan)
        for cell in self.cells:
            out[losses.index(cell.name), places.index(f"{cell.model} on {cell.data}")] = cell.mean
        return losses, places, out
