"""Writes the trials of the published method down: in order, each with the prover's key, and when there is time.

A key costs as much as a quarter of a training, and nothing that follows depends on it, so it is made while a worker
would otherwise wait for the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from lossdsl.search.ledger import Ledger, Trial
from lossdsl.search.proxy import Keys
from lossdsl.search.run import Progress
from lossdsl.search.space import Graph


class Scribe:
    """A queue of trials before a ledger; whoever puts one in calls `write` before the ledger is saved or closed.

    >>> import tempfile
    >>> from lossdsl.search.ledger import Ledger, Trial, read_trials
    >>> from lossdsl.search.proxy import Keys
    >>> from lossdsl.search.run import Progress
    >>> from lossdsl.search.scribe import Scribe
    >>> from lossdsl.search.space import Space
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Ledger.create(folder + "/run", "") as ledger:
    ...         scribe = Scribe(ledger, Keys(Space()))
    ...         trial = Trial(1, "pred", None, "filtered", None, 0, 0, "step")
    ...         scribe.add(trial, "pred", Progress(1, 0, {}, None, 0.0))
    ...         scribe.write()
    ...     [trial.hash == Keys(Space()).of_text("pred") for trial in read_trials(folder + "/run")]
    [True]
    """

    def __init__(self, ledger: Ledger, keys: Keys, report: Callable[[Progress], None] = lambda progress: None) -> None:
        self.ledger, self.keys, self.report = ledger, keys, report
        self._waiting: deque[tuple[Trial, Graph | str, Progress]] = deque()

    def add(self, trial: Trial, spelling: Graph | str, progress: Progress) -> None:
        """Put a trial in, without its key, and the graph or text that the key is made of."""
        self._waiting.append((trial, spelling, progress))

    @property
    def waiting(self) -> int:
        """How many trials are not written yet."""
        return len(self._waiting)

    def write_one(self) -> bool:
        """Write the first of those that wait; False where none does."""
        if not self._waiting:
            return False
        trial, spelling, progress = self._waiting.popleft()
        key = self.keys.of_text(spelling) if isinstance(spelling, str) else self.keys.of(spelling)
        self.ledger.append(replace(trial, hash=key))
        self.report(progress)
        return True

    def write(self) -> None:
        """Write all that wait."""
        while self.write_one():
            pass
