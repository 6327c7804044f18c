"""Places and values as people and scripts read them: exact text for witnesses, short decimals for sentences."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from flint import arb, fmpq

from lossdsl.prover.points import Point, between, float_of, rational_point, simplest_between
from lossdsl.report import Exact

PROBES = tuple(
    fmpq(*x.as_integer_ratio())
    for x in (0.5625, 0.3125, 0.71875, 0.1015625, 0.8984375, 0.03125, 0.96875, 2.0**-7, 1 - 2.0**-7, 2.0**-10,
              1 - 2.0**-10, 2.0**-19, 1 - 2.0**-19, 2.0**-30, 1 - 2.0**-30)
)  # fmt: skip
"""Places to look at first, off centre: at 1/2 many a formula is zero by symmetry."""

SCORE_PROBES = tuple(
    fmpq(*x.as_integer_ratio())
    for x in (0.28125, -0.8125, 1.1875, -2.3125, 3.4375, -5.1875, 7.3125, -9.5625, 13.0625, -13.8125, 21.5625, -21.5625)
)


def exact(point: Point) -> Exact:
    """A place as text: a rational, or two rationals that hold this place alone."""
    q = point.rational
    if q is not None:
        return str(q)
    wide = (point.high - point.low) + fmpq(1, 10**9)
    # Next to pred = 0 or 1 the interval has to stay inside.
    room = min(point.low, 1 - point.high) if 0 < point.low and point.high < 1 else fmpq(1)
    wide = min(wide, room / 1000) if room > 0 else wide
    low, high = point.low - wide, point.high + wide
    return [str(simplest_between(low, point.low)), str(simplest_between(point.high, high))]


def readable(point: Point) -> str:
    """A place as a short decimal, with as many digits as its distance from 0 and 1 needs."""
    if point.side:
        return "infinity" if point.side > 0 else "-infinity"
    x = float_of(point.low + (point.high - point.low) / 2)
    near_one = float_of(1 - point.low)
    if 0 < near_one < 1e-3:
        return f"1 - {near_one:.4g}"
    return f"{x:.6g}"


def number(value: Fraction) -> str:
    """A label or a parameter as text."""
    return str(value)


def decimal(ball: arb, digits: int = 12) -> str:
    """A ball's middle as a short decimal."""
    if not ball.is_finite():
        return "infinite"
    x = float(ball.mid())
    if x == 0 or 1e-300 < abs(x) < 1e300:
        return f"{x:.{digits}g}"
    return str(ball.str(digits, radius=False))


def inside(low: Point, high: Point, score: bool) -> list[fmpq]:
    """The probes that lie strictly between two places."""
    out = []
    for q in SCORE_PROBES if score else PROBES:
        if (low.side < 0 or low.high < q) and (high.side > 0 or q < high.low):
            out.append(q)
    return out


def places(low: Point, high: Point, score: bool) -> Iterator[fmpq]:
    """A short rational between two places, then the probes there."""
    yield between(low, high)
    yield from inside(low, high, score)


def place_of(q: fmpq) -> Point:
    """The place of a rational."""
    return rational_point(q)
