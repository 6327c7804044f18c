"""What the engine may spend, in counted steps first, with the clock as a border; and two ways to end early."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lossdsl.grammar.tree import Node

MAX_DEGREE = 80
"""Largest exponent in a numerator or denominator."""
MAX_TERMS = 600
"""Largest number of terms in a numerator or denominator."""
MAX_CELLS = 96
"""Most pieces that one label's curve may fall into."""
MAX_BOXES = 1500
"""Most boxes that one question about a sign may look at."""
MAX_STEPS = 25_000
"""Most counted steps for one formula: a step is about a hundredth of a millisecond."""


class Undecided(Exception):
    """The engine gave up: `str(error)` says on what, in words that a user can read."""


class Undefined(Exception):
    """A sub-expression is not real and finite somewhere: the term, the reason, and where."""

    def __init__(self, why: str, where: Any = None, term: int | None = None, node: Node | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.where = where
        self.term = term
        self.node = node


class Budget:
    """Counts steps, so that the answer depends on the formula and not on the machine; the clock is the last border.

    >>> budget = Budget(steps=10)
    >>> budget.spend(4); budget.left
    6
    """

    def __init__(self, steps: int = MAX_STEPS, seconds: float | None = None) -> None:
        self.left = steps
        self._seconds = seconds
        self._end: float | None = None
        self.resume()

    def resume(self) -> None:
        """Starts the clock, with the seconds that were left when it was stopped."""
        self._end = None if self._seconds is None else time.perf_counter() + self._seconds

    def pause(self) -> None:
        """Stops the clock: what is asked later, such as a sentence of the report, has what time is left."""
        if self._end is not None:
            self._seconds = max(0.0, self._end - time.perf_counter())
            self._end = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """The clock runs inside, and stands still outside."""
        self.resume()
        try:
            yield
        finally:
            self.pause()

    def spend(self, steps: int = 1) -> None:
        """Takes `steps` off; raises `Undecided` when nothing is left or the time is over."""
        self.left -= steps
        if self.left < 0 or (self._end is not None and time.perf_counter() > self._end):
            raise Undecided(self.why_spent)

    @property
    def why_spent(self) -> str:
        """Which limit was reached, `""` where none was: asked while the clock runs."""
        if self.left < 0:
            return "the limit of counted steps was reached"
        late = self._end is not None and time.perf_counter() > self._end
        return "the time limit was reached" if late else ""
