"""Zeros of a function whose slope is simpler than itself: between two zeros of the slope it has one zero at most.

Of log(1 + 1/x) - 3, say, the slope is a quotient of polynomials in x alone, whose zeros are known exactly. Between
these, and the ends of the piece, the function is strictly monotone, so that its signs next to both ends of such a
stretch say whether there is a zero. No box is needed but to narrow a zero that is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite, sqrt
from typing import TYPE_CHECKING

from flint import arb, fmpq

from lossdsl.prover.constants import vanishes_at
from lossdsl.prover.ends import BITS, PRED_0, PRED_1, SCORE_HIGH, SCORE_LOW, End
from lossdsl.prover.limits import Undecided
from lossdsl.prover.numeric import Chart, precision, sign_of_ball
from lossdsl.prover.points import Point, algebraic_roots, by_place, float_of, rational_point
from lossdsl.prover.polynomials import Poly, only_x, univariate

if TYPE_CHECKING:
    from lossdsl.prover.roots import Search
    from lossdsl.prover.signs import Signs

MOST_STRETCHES = 6
MOST_KERNELS = 2
"""The slope of what has more of them, numbers such as log 2 aside, is hardly ever simple."""
HALVINGS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
HALF = fmpq(1, 2)
GUESSES = 16


def zeros_by_slope(signs: Signs, g: Poly, low: Point, high: Point, search: Search) -> list[Point] | None:
    """All zeros in (low, high) of a polynomial in x and kernels; None where the slope is no simpler, or signs are open.

    `search` is what narrows a zero in a bracket.
    """
    try:
        turns = _turns(signs, g, low, high)
        if turns is None:
            return None
        found = [t for t, sign in turns[1:-1] if sign == 0]
        for (left, a), (right, b) in zip(turns, turns[1:]):
            # From a zero on, what is strictly monotone has no other one.
            if a and b and a != b:
                zero = _between(signs, g, search, (left, a), (right, b))
                if zero is None:
                    return None
                found.append(zero)
    except (Undecided, ZeroDivisionError, ValueError, OverflowError):
        return None
    return found


def _turns(signs: Signs, g: Poly, low: Point, high: Point) -> list[tuple[Point, int]] | None:
    """The ends of the piece and the places where the slope is zero, each with the sign of the function there.

    At an end of the piece the sign is that next to it, or 0 if the function goes to zero there as it is continuous.
    """
    if any(kernel.kind == "free" for kernel in signs.field.kernels):
        return None
    degrees = g.degrees()
    if sum(1 for i in range(len(signs.field.kernels)) if degrees[i + 1] and signs.chart.varies(i)) > MOST_KERNELS:
        return None
    slope = signs.field.poly_slope(g)
    if slope.is_zero:
        return None
    inner: list[Point] = []
    if only_x(slope.n):
        for factor, _ in signs.field.factor(slope.n)[1]:
            inner += signs.inside(algebraic_roots(univariate(factor)), low, high)
        if len(inner) >= MOST_STRETCHES:
            return None
        inner.sort(key=by_place)
    elif signs.structural(slope.n, low, high) is None:
        return None
    out = []
    for place, way in ((low, 1), *((p, 0) for p in inner), (high, -1)):
        sign = _sign_next_to(signs, g, place, way)
        if sign is None:
            return None
        out.append((place, sign))
    return out


def _sign_next_to(signs: Signs, g: Poly, place: Point, way: int) -> int | None:
    """The sign of g at a place where it is continuous, or next to an open end of the axis; None if it is not known."""
    end = _open_end(signs, place, way)
    if end is not None:
        return _sign_at_end(signs, g, end)
    q = place.rational
    if q is None and divmod(g, place.vanishing)[1].is_zero():
        return 0
    for bits in (128, 256, 512):
        with precision(bits):
            chart, t = signs.locate(place)
            value = chart.poly_value(g, t)
        # A ball is finite only if all logs, exponentials and roots in it are, as far as the ball around the place goes.
        if not value.is_finite():
            return None
        sign = sign_of_ball(value)
        if sign is not None:
            return sign
        if q is not None and bits == 256 and vanishes_at(signs.field, g, q, signs.budget):
            return 0
        if q is None and bits < 512:
            place.tighten()
    return None


def _open_end(signs: Signs, place: Point, way: int) -> End | None:
    """The end of the axis that a place is."""
    if place.side:
        return SCORE_LOW if place.side < 0 else SCORE_HIGH
    if not signs.score and way and place.rational in (0, 1):
        return PRED_0 if place.rational == 0 else PRED_1
    return None


def _sign_at_end(signs: Signs, g: Poly, end: End) -> int | None:
    """The sign next to an open end, by the leading term where it can be read off."""
    border = signs.ends.borders.get(end)
    if border is not None:
        with precision(BITS):
            lead = border.polynomial(g)
            if lead is not None and lead[2].is_finite():
                sign = sign_of_ball(lead[2])
                if sign:
                    return -sign if lead[1] % 2 else sign  # log t is negative
    near = signs.ends.sign_near(g, end)
    return None if near is None else near[0] or None


def _about(chart: Chart, g: Poly, t: float) -> float:
    """The value at a place in floats, which proves nothing."""
    with precision(96):
        return float(chart.poly_value(g, arb(t)).mid())


def _between(signs: Signs, g: Poly, search: Search, low: tuple[Point, int], high: tuple[Point, int]) -> Point | None:
    """The only zero between two places next to which g has the signs given, which differ."""
    (left, a), (right, b) = low, high
    if not signs.score and left.high < HALF < right.low:
        middle = signs.at_number(g, HALF)
        if middle == 0:
            return rational_point(HALF)
        if middle == a:
            left = rational_point(HALF)
        else:
            right = rational_point(HALF)
    mirrored = not signs.score and left.high >= HALF
    first: fmpq | None = None if left.side else left.high
    last: fmpq | None = None if right.side else right.low
    if mirrored:
        assert first is not None and last is not None
        first, last, a = 1 - last, 1 - first, b
    bracket = _Bracket(first, last, a, lambda q: signs.at_number(g, 1 - q if mirrored else q))
    zero = bracket.run()
    if zero is not None:
        return rational_point(1 - zero if mirrored else zero)
    if bracket.low is None or bracket.high is None:
        return None
    ends = [fmpq(*t.as_integer_ratio()) for t in (bracket.low, bracket.high)]
    outer = (1 - ends[1], 1 - ends[0]) if mirrored else (ends[0], ends[1])
    chart = signs.mirrored if mirrored else signs.chart
    bracket.narrow(chart, g)
    before = len(search.found)
    search._bracket(chart, bracket.low, bracket.high, mirrored)
    if len(search.found) != before + 1:
        return None
    found = search.found[-1]
    if found.outer is not None:
        found.outer = outer  # it is monotone on all of that, and found again in another piece it has to be known again
    return found


class _Bracket:
    """Two floats, strictly between two bounds, on which a monotone function has the signs that it has at the bounds."""

    def __init__(self, first: fmpq | None, last: fmpq | None, sign: int, sign_at: Callable[[fmpq], int]) -> None:
        self.first, self.last = first, last
        self.sign = sign  # at the first bound; None for a bound is infinity
        self.sign_at = sign_at
        self.low: float | None = None
        self.high: float | None = None

    def run(self) -> fmpq | None:
        """Looks for them; a place where the function is zero, if one is met."""
        for tries in (iter((self._start(),)), self._down(), self._up()):
            for t in tries:
                zero = self._look(t)
                if zero is not None:
                    return zero
                if self.low is not None and self.high is not None:
                    break
        # Next to an end distances are narrowed by ratio, as the zero may be many powers of two away from it.
        for _ in range(40):
            low, high = self.low, self.high
            if low is None or high is None or not (self.first == 0 and high > 4 * low > 0):
                break
            zero = self._look(sqrt(low) * sqrt(high))
            if zero is not None:
                return zero
        return None

    def narrow(self, chart: Chart, g: Poly) -> None:
        """Makes the bracket narrow by the rule of false position on floats: a guess, whose two sides are looked at."""
        low, high = self._found()
        u, v = _about(chart, g, low), _about(chart, g, high)
        last = 0
        for _ in range(GUESSES):
            if not (u * v < 0 and isfinite(u) and isfinite(v)):
                return
            t = high - v * (high - low) / (v - u)
            if not low < t < high:
                break
            w = _about(chart, g, t)
            if w == 0:
                break
            # The end that stays twice counts for half: so both sides close in (the Illinois rule).
            if (w > 0) == (v > 0):
                moved, high, v, u = high - t, t, w, u / 2 if last > 0 else u
                last = 1
            else:
                moved, low, u, v = t - low, t, w, v / 2 if last < 0 else v
                last = -1
            if moved < 1e-13 * abs(t):
                break
        for width in (4e-16, 1e-12):
            step = width * abs(t)
            for s in (t - step, t + step):
                low, high = self._found()
                if low < s < high and self._look(s) is not None:
                    return
            low, high = self._found()
            if high - low < 3 * step:
                return

    def _found(self) -> tuple[float, float]:
        assert self.low is not None and self.high is not None
        return self.low, self.high

    def _look(self, t: float) -> fmpq | None:
        q = fmpq(*t.as_integer_ratio())
        if (self.first is not None and q <= self.first) or (self.last is not None and q >= self.last):
            return None
        sign = self.sign_at(q)
        if sign == 0:
            return q
        if sign == self.sign:
            self.low = t if self.low is None else max(t, self.low)
        else:
            self.high = t if self.high is None else min(t, self.high)
        return None

    def _start(self) -> float:
        if self.first is None:
            return 0.0 if self.last is None or self.last > 0 else float_of(self.last) - 1
        if self.last is None:
            return 0.0 if self.first < 0 else float_of(self.first) + 1
        return float_of((self.first + self.last) / 2)

    def _down(self) -> Iterator[float]:
        """Places closer and closer to the first bound, as long as no place is known on its side of the zero."""
        if self.low is None and self.high is not None:
            base, at = self.high, fmpq(*self.high.as_integer_ratio())
            for k in HALVINGS:
                yield base - k if self.first is None else float_of(self.first + (at - self.first) / 2**k)

    def _up(self) -> Iterator[float]:
        """The same towards the last bound."""
        if self.high is None and self.low is not None:
            base, at = self.low, fmpq(*self.low.as_integer_ratio())
            for k in HALVINGS:
                yield base + k if self.last is None else float_of(self.last - (self.last - at) / 2**k)
