"""A search's progress as scalars for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossdsl.errors import LossError, MissingExtra

if TYPE_CHECKING:
    from lossdsl.search.run import Progress

EVERY = 1.0  # seconds of the search between two points of a curve


class Scalars:
    """Turns what a search tells of its progress into points, at the number of the trial.

    `add(name, value, step)` takes them. Shares and rates are those since the point before.
    """

    def __init__(self, add: Callable[[str, float, int], None]) -> None:
        self._add = add
        self._drawn: tuple[float, int, dict[str, int]] | None = None
        self._last: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        """Take note of a trial; a point is drawn once a second at most."""
        self._last = progress
        if self._drawn is None or progress.elapsed - self._drawn[0] >= EVERY:
            self._draw(progress)

    def close(self) -> None:
        """Draw what came after the last point."""
        if self._last is not None and self._drawn is not None and self._last.trials > self._drawn[1]:
            self._draw(self._last)

    def _draw(self, now: Progress) -> None:
        points = {f"fates/{fate}": float(count) for fate, count in now.fates.items()}
        if now.top is not None:
            points["best so far"] = now.top
        if self._drawn is not None:
            since, before, fates = self._drawn
            new, seconds = now.trials - before, now.elapsed - since
            points["valid share"] = 1 - (now.fates["filtered"] - fates["filtered"]) / new
            if seconds > 0:
                points["rate/trained a second"] = (now.fates["trained"] - fates["trained"]) / seconds
                points["rate/proposed a second"] = new / seconds
        for name, value in points.items():
            self._add(name, value, now.trials)
        # The counts of a search are one dictionary that grows.
        self._drawn = now.elapsed, now.trials, dict(now.fates)


@contextmanager
def tensorboard(folder: Path) -> Iterator[Callable[[Progress], None]]:
    """Yields the function that a search tells its progress; it writes an event file in `folder`.

    What a run that died had written after its last state is purged when the run goes on.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError:
        raise MissingExtra("tensorboard", "--tensorboard") from None
    if folder.exists() and not folder.is_dir():
        raise LossError(f"{folder} is a file; --tensorboard wants a folder")
    folder.mkdir(parents=True, exist_ok=True)
    writer: Any = None

    def add(name: str, value: float, step: int) -> None:
        writer.add_scalar(name, value, step)

    scalars = Scalars(add)

    def tell(progress: Progress) -> None:
        nonlocal writer
        if writer is None:
            writer = SummaryWriter(str(folder), purge_step=progress.trials, flush_secs=5)
        scalars(progress)

    try:
        yield tell
    finally:
        scalars.close()
        if writer is not None:
            writer.close()
