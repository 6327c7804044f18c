"""What a certificate may cost: it is a file from a user, so everything in it is bounded before it is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MAX_BYTES = 32_000_000
MAX_ENTRIES = 1000
MAX_KERNELS = 48
MAX_BREAKPOINTS = 200
MAX_FACTS = 4000
MAX_CUTS = 4000
MAX_TERMS = 20_000
MAX_EXPONENT = 4000
MAX_DIGITS = 1000
MAX_BITS = 100_000
MAX_POWER = 200
MAX_ORDER = 64
MAX_STURM_DEGREE = 400
MAX_WORK = 60_000_000
"""Most counted steps for one formula; a step is about a product of two coefficients, an interval operation twenty."""


class Rejected(Exception):
    """A claim of the certificate that could not be confirmed: what, and where."""

    def __init__(self, why: str, where: str = "") -> None:
        super().__init__(f"{where}: {why}" if where else why)
        self.why = why
        self.where = where


class Malformed(Exception):
    """The file is no certificate that can be read."""


class Work:
    """Counts the steps of one formula."""

    def __init__(self, steps: int = MAX_WORK) -> None:
        self.left = steps


_WORK: ContextVar[Work | None] = ContextVar("lossdsl_verifier_work", default=None)


@contextmanager
def working(steps: int = MAX_WORK) -> Iterator[Work]:
    """Within it, `spend` counts down from `steps`."""
    work = Work(steps)
    token = _WORK.set(work)
    try:
        yield work
    finally:
        _WORK.reset(token)


def spend(steps: int) -> None:
    """Take `steps` off; `Rejected` when none are left."""
    work = _WORK.get()
    if work is not None:
        work.left -= steps
        if work.left < 0:
            raise Rejected("the certificate takes more work to check than is allowed")
