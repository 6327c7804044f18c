"""How long a search may go on: minutes, or a number of trials."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lossdsl.errors import LossError

_UNITS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Budget:
    """Seconds, trials or rows of training; the others are None.

    >>> from lossdsl.search.budget import Budget
    >>> Budget.read("10m").seconds, Budget.read("500trials").trials, Budget.read("2000000rows").rows
    (600.0, 500, 2000000)
    """

    seconds: float | None = None
    trials: int | None = None
    rows: int | None = None

    @classmethod
    def read(cls, text: str) -> Budget:
        """A budget as people write it: `90s`, `10m`, `2h`, `500trials`, `2000000rows`."""
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text.lower())
        if match:
            value, unit = float(match[1]), match[2]
            if unit in ("trial", "trials") and value >= 1 and value == int(value):
                return cls(trials=int(value))
            if unit in ("row", "rows") and value >= 1 and value == int(value):
                return cls(rows=int(value))
            if unit in _UNITS and value > 0:
                return cls(seconds=value * _UNITS[unit])
        raise LossError(
            f"a budget is a time such as 90s, 10m or 2h, or a number such as 500trials or 2000000rows, not `{text}`"
        )

    def left(self, trials: int, rows: int) -> int:
        """How many proposals may still be made after so many, which trained on so many rows."""
        if self.rows is not None and rows >= self.rows:
            return 0
        return 10**9 if self.trials is None else max(0, self.trials - trials)


# No clock ends a search that has trained fewer, unless it proposed so many in vain: a slow machine gets a result too.
LEAST_TRAINED, LEAST_PROPOSED = 8, 5000


class Clock:
    """The only reader of the time: says whether the budget is used up, and how far a run has come.

    `spent` are the seconds that a resumed run used before, `now` is what counts them. `held` are the trials that it had
    before: some are made again from the last state, and no clock ends a search before it has them all again.
    """

    def __init__(
        self, budget: Budget, spent: float = 0.0, now: Callable[[], float] = time.monotonic, held: int = 0
    ) -> None:
        self.budget = budget
        self.held = held
        self._now = now
        self._start = now()
        self._spent = spent

    @property
    def elapsed(self) -> float:
        """Seconds since the run began, pauses between its parts left out."""
        return self._spent + self._now() - self._start

    @property
    def here(self) -> float:
        """Seconds since this process began with the run."""
        return self._now() - self._start

    def ends(self, share: float, fates: Mapping[str, int]) -> bool:
        """Whether a search that has come so far is to stop proposing.

        >>> from lossdsl.search.budget import Budget, Clock
        >>> clock = Clock(Budget(seconds=0.0))
        >>> clock.ends(1.0, {"trained": 7, "filtered": 90}), clock.ends(1.0, {"trained": 8, "filtered": 90})
        (False, True)
        """
        proposed = sum(fates.values())
        begun = fates["trained"] >= LEAST_TRAINED or proposed >= LEAST_PROPOSED
        return begun and proposed >= self.held and self.late(share)

    def late(self, share: float = 1.0) -> bool:
        """Whether this share of a budget of time is used up; a resumed run has its whole budget again."""
        return self.budget.seconds is not None and self.here >= share * self.budget.seconds
