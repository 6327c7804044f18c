"""Means with the interval that a few repetitions allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Two-sided 95 % points of Student's t with 1, 2, … degrees of freedom; then the normal one.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
      2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)  # fmt: skip


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval; of a single value there is none, and `low` and `high` are None."""

    mean: float
    low: float | None
    high: float | None
    values: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON takes it."""
        return {"mean": self.mean, "low": self.low, "high": self.high, "values": list(self.values)}

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.mean:.4f}"
        return f"{self.mean:.4f} ± {(self.high - self.low) / 2:.4f}"


def interval(values: Sequence[float]) -> Interval:
    """Mean and Student's 95 % interval.

    >>> from lossdsl.recsys.statistics import interval
    >>> print(interval([0.80, 0.81, 0.82]))
    0.8100 ± 0.0248
    """
    numbers = np.asarray(values, np.float64)
    mean = float(numbers.mean())
    if len(numbers) < 2:
        return Interval(mean, None, None, tuple(map(float, values)))
    t = _T[len(numbers) - 2] if len(numbers) - 2 < len(_T) else 1.96 + 2.5 / (len(numbers) - 1)
    half = float(t * numbers.std(ddof=1) / np.sqrt(len(numbers)))
    return Interval(mean, mean - half, mean + half, tuple(map(float, values)))
