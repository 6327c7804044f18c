"""What the published method will probably train next, begun while a worker would otherwise wait for the others.

The uniform numbers that draw a graph depend on its number alone, and one step of the controller changes few choices.
So the next groups are drawn before their turn, with the weights of now, and what they would train begins. Their turn
come, they are drawn again with the weights of then; a formula that was trained meanwhile, from the same state of the
recommender, has its result, and the others were trained in vain. What is logged is the same in either case.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lossdsl.search.evaluator import Evaluator
from lossdsl.search.original_bench import Step

GROUPS = 4  # that are looked at ahead, at most
SPARE = 3  # jobs beyond those that keep every worker busy


class Foresight:
    """The jobs of the groups to come; `look` draws the group after so many and says what it would train.

    `known` tells whether slopes were met in this outer epoch; `look` gives None where no group follows.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        look: Callable[[int], Sequence[tuple[Step, NDArray[np.float64]]] | None],
        alike: Callable[[NDArray[np.float64], NDArray[np.float64]], bool],
    ) -> None:
        self.evaluator, self.look, self.alike = evaluator, look, alike
        self._groups: deque[list[tuple[Step, NDArray[np.float64]]]] = deque()
        self._present: list[NDArray[np.float64]] = []
        self._end = False

    def turn(self, slopes: list[NDArray[np.float64]]) -> None:
        """The next group has been drawn, and these are the slopes of what it trains."""
        if self._groups:
            self._groups.popleft()
        self._present = slopes
        self._end = False

    def further(self, jobs: int) -> bool:
        """Look at one more group, where so many jobs are too few; says whether it did."""
        if self._end or not self.evaluator.foresees or jobs >= self.evaluator.workers + SPARE:
            return False
        if len(self._groups) >= GROUPS:
            return False
        found = self.look(len(self._groups))
        if found is None:
            self._end = True
            return False
        before = [*self._present, *(slope for group in self._groups for _, slope in group)]
        fresh: list[tuple[Step, NDArray[np.float64]]] = []
        for job, slope in found:
            if not any(self.alike(slope, other) for other in before):
                before.append(slope)
                fresh.append((job, slope))
        self._groups.append(fresh)
        if fresh:
            self.evaluator.foresee([job for group in self._groups for job, _ in group])
        return True

    def forget(self) -> None:
        """Begin anew: the recommender has changed."""
        self._groups.clear()
        self._present = []
        self._end = False
        self.evaluator.foresee([])
