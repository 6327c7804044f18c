"""How far a search has come, on stderr: a live line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lossdsl.search.run import Progress

_EVERY = 10.0  # seconds between lines where nothing can be overwritten


def line(progress: Progress) -> str:
    """The present state in one line."""
    fates = progress.fates
    rate = progress.trained / progress.elapsed if progress.elapsed > 0 else 0.0
    text = (
        f"{progress.elapsed:.0f} s  {progress.trials} trials  {progress.trained} trained ({rate:.1f}/s)  "
        f"{fates['filtered']} filtered  {fates['duplicate']} duplicate"
    )
    if fates["failed"]:
        text += f"  {fates['failed']} failed"
    if progress.top is not None:
        text += f"  best {progress.top:.4f}"
    return text


@contextmanager
def shown() -> Iterator[Callable[[Progress], None]]:
    """Yields the function that a search tells its progress."""
    if not sys.stderr.isatty():
        last = time.monotonic()

        def tell(progress: Progress) -> None:
            nonlocal last
            if time.monotonic() - last >= _EVERY:
                last = time.monotonic()
                print(line(progress), file=sys.stderr, flush=True)

        yield tell
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(Text("searching …"), console=Console(stderr=True), refresh_per_second=4, transient=True) as live:
        yield lambda progress: live.update(Text(line(progress)))
