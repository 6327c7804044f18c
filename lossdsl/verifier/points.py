"""Where (0, 1) is cut: rationals, and the only root of a polynomial within an interval."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from lossdsl.verifier import univariate
from lossdsl.verifier.intervals import Intervals, Unbounded, sign
from lossdsl.verifier.kernels import Kernels, sign_at
from lossdsl.verifier.limits import MAX_BREAKPOINTS, MAX_DIGITS, Malformed, Rejected
from lossdsl.verifier.polynomials import Poly, read


@dataclass(frozen=True)
class Point:
    """A place in [low, high]; the only root there of `poly`, unless low == high."""

    low: Fraction
    high: Fraction
    poly: Poly | None = None

    @property
    def rational(self) -> Fraction | None:
        return self.low if self.low == self.high else None

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"a root in ({float(self.low):.9g}, {float(self.high):.9g})"


START, END = Point(Fraction(0), Fraction(0)), Point(Fraction(1), Fraction(1))


def fraction(text: object) -> Fraction:
    """A rational written as `-3/4`; `Malformed` where it is none.

    >>> fraction("3/4")
    Fraction(3, 4)
    """
    if not isinstance(text, str) or not 0 < len(text) <= 2 * MAX_DIGITS:
        raise Malformed("a number is a text such as 3/4")
    top, _, bottom = text.partition("/")
    for part in (top.removeprefix("-"), bottom or "1"):
        if not part.isdecimal() or not part.isascii() or len(part) > MAX_DIGITS:
            raise Malformed(f"no number: {text[:20]!r}")
    if int(bottom or 1) == 0:
        raise Malformed("a number with the divisor 0")
    return Fraction(int(top), int(bottom or 1))


def read_points(rows: object, table: Kernels) -> list[Point]:
    """The breakpoints of a certificate, with 0 in front and 1 behind; `Rejected` where one is not what it claims."""
    if not isinstance(rows, list) or len(rows) > MAX_BREAKPOINTS:
        raise Malformed("the breakpoints are a list of limited length")
    points = [START]
    for i, row in enumerate(rows):
        point = _read(row, table, f"breakpoint {i}")
        if not (points[-1].high < point.low or (points[-1].high == point.low and _apart(points[-1], point))):
            raise Rejected("it does not lie behind the one before", f"breakpoint {i}")
        points.append(point)
    if not points[-1].high < 1:
        raise Rejected("it does not lie below 1", f"breakpoint {len(rows) - 1}")
    return [*points, END]


def _apart(a: Point, b: Point) -> bool:
    # The ends of an isolating interval are no roots, so that a shared end still separates the two.
    return a.rational is None or b.rational is None


def _read(row: object, table: Kernels, where: str) -> Point:
    if isinstance(row, str):
        q = fraction(row)
        return Point(q, q)
    if not isinstance(row, dict) or set(row) != {"root of", "in"}:
        raise Malformed("a breakpoint is a number, or a root with its interval")
    if not isinstance(row["in"], list) or len(row["in"]) != 2:
        raise Malformed("a breakpoint is a number, or a root with its interval")
    poly = read(row["root of"], len(table.items))
    low, high = fraction(row["in"][0]), fraction(row["in"][1])
    if not 0 < low < high < 1:
        raise Rejected("its interval does not lie inside (0, 1)", where)
    if poly.variables() in ([], [0]):
        dense = poly.dense()
        if univariate.sign_at(dense, low) * univariate.sign_at(dense, high) == 0:
            raise Rejected("an end of its interval is a root", where)
        count = univariate.roots_within(dense, low, high)
        if count != 1:
            raise Rejected(f"the polynomial has {count} roots in the interval, not one", where)
        return Point(low, high, poly)
    signs = sign_at(table, poly, low), sign_at(table, poly, high)
    if None in signs or signs[0] != -(signs[1] or 0) or not signs[0]:
        raise Rejected("no change of sign from one end of the interval to the other", where)
    if not one_signed_slope(table, poly, low, high):
        raise Rejected("the slope of the polynomial may be zero in the interval", where)
    return Point(low, high, poly)


def one_signed_slope(table: Kernels, poly: Poly, low: Fraction, high: Fraction) -> int:
    """The sign of the derivative on all of [low, high], 0 where it cannot be made out."""
    arithmetic = Intervals()
    try:
        return sign(table.on(arithmetic.hull(low, high), arithmetic).slope(poly)) or 0
    except Unbounded:
        return 0
