"""A progress bar on stderr where that is a terminal, and silence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Step:
    """Called, it moves the bar on by one; threads may call it. `total` tells how many steps there are."""

    def __init__(self, progress: Progress | None = None, task: TaskID | None = None) -> None:
        self._progress = progress
        self._task = task

    def __call__(self) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task)

    def total(self, count: int) -> None:
        """Says how long the bar is."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, total=count)


@contextmanager
def bar(what: str, total: int | None) -> Iterator[Step]:
    """A bar for as long as the block runs.

    >>> from lossdsl.cli.progress import bar
    >>> with bar("training", 2) as step:
    ...     step()
    """
    if not sys.stderr.isatty():
        yield Step()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Step(progress, progress.add_task(what, total=total))
