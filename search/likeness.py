"""Duplicates as the published method finds them: slopes at a few points that differ by less than a tolerance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Slopes:
    """Slopes at the points of an outer epoch, and which of them is the first that is like another.

    >>> import numpy as np
    >>> from lossdsl.search.likeness import Slopes
    >>> known = Slopes(2, 1e-4)
    >>> known.add(np.array([1.0, 2.0]))
    >>> known.find(np.array([1.0, 2.00005])), known.find(np.array([1.0, 2.1]))
    (0, -1)
    """

    def __init__(self, points: int, tolerance: float) -> None:
        self.tolerance = tolerance
        self._rows = np.empty((16, points))
        self._count = 0

    def add(self, slope: NDArray[np.float64]) -> None:
        """Put one in."""
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self._count] = slope
        self._count += 1

    def find(self, slope: NDArray[np.float64]) -> int:
        """The place of the first that differs by less than the tolerance everywhere; -1: none does."""
        near = (np.abs(self._rows[: self._count] - slope) < self.tolerance).all(axis=1)
        return int(near.argmax()) if near.any() else -1
