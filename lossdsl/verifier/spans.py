"""Sets of reals from one end to another, each end open or closed, or infinite: what numbers of a range can come to.

Ends are rounded outward; where an end is open, no value is equal to it. So `pred` in (0, 1) has a log that is negative,
and its inverse is above 1 without an upper end.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from lossdsl.verifier.intervals import NOTHING, Dyadic, Intervals, Unbounded, compare
from lossdsl.verifier.limits import Rejected, spend

BITS = 96


@dataclass(frozen=True)
class End:
    """A number, or, where `infinite`, infinity with the sign of that number; `open`: it is not reached."""

    at: Dyadic
    open: bool = False
    infinite: bool = False

    @property
    def sign(self) -> int:
        return (self.at[0] > 0) - (self.at[0] < 0)


@dataclass(frozen=True)
class Span:
    """All numbers between two ends."""

    low: End
    high: End

    @property
    def above(self) -> bool:
        """Whether all of it is positive."""
        return self.low.sign > 0 or (self.low.sign == 0 and self.low.open)

    @property
    def below(self) -> bool:
        """Whether all of it is negative."""
        return self.high.sign < 0 or (self.high.sign == 0 and self.high.open)

    @property
    def never_negative(self) -> bool:
        return self.low.sign >= 0

    @property
    def never_positive(self) -> bool:
        return self.high.sign <= 0

    @property
    def sign(self) -> int | None:
        """The one sign of all of it, None where there are several."""
        if self.above or self.below:
            return 1 if self.above else -1
        return 0 if self.low.sign == 0 == self.high.sign else None


BOTTOM, TOP = End((-1, 0), True, True), End((1, 0), True, True)
NIL = End(NOTHING)
ALL = Span(BOTTOM, TOP)
ZERO = Span(NIL, NIL)
ONE = Span(End((1, 0)), End((1, 0)))


def order(a: End, b: End) -> int:
    """The sign of a - b, infinite ones of one sign being equal."""
    if a.infinite or b.infinite:
        u, v = (end.sign if end.infinite else 0 for end in (a, b))
        return (u > v) - (u < v)
    return compare(a.at, b.at)


def lower(a: End, b: End) -> End:
    """The lower of two low ends; of equal ones the one that is reached."""
    found = order(a, b)
    return a if found < 0 or (found == 0 and not a.open) else b


def higher(a: End, b: End) -> End:
    """The higher of two high ends."""
    found = order(a, b)
    return a if found > 0 or (found == 0 and not a.open) else b


def hull(a: Span, b: Span) -> Span:
    """All that lies in one of two spans, or between them."""
    return Span(lower(a.low, b.low), higher(a.high, b.high))


def opposite(a: Span) -> Span:
    """All numbers of a span with the other sign."""
    low, high = a.high, a.low
    return Span(
        End((-low.at[0], low.at[1]), low.open, low.infinite), End((-high.at[0], high.at[1]), high.open, high.infinite)
    )


class Spans(Intervals):
    """Arithmetic on spans.

    >>> from fractions import Fraction
    >>> spans = Spans()
    >>> share = spans.between(Fraction(0), Fraction(1), True, True)
    >>> spans.log_of(share).sign, spans.inverse_of(share).sign
    (-1, 1)
    """

    def __init__(self, bits: int = BITS) -> None:
        super().__init__(bits)

    def between(self, low: Fraction, high: Fraction, open_low: bool = False, open_high: bool = False) -> Span:
        """From one rational to another."""
        return Span(End(self.rational(low)[0], open_low), End(self.rational(high)[1], open_high))

    def point(self, q: Fraction | int) -> Span:
        return self.between(Fraction(q), Fraction(q))

    def plus(self, a: Span, b: Span) -> Span:
        spend(20)
        if a == ZERO or b == ZERO:
            return b if a == ZERO else a
        return Span(self._total(a.low, b.low, BOTTOM), self._total(a.high, b.high, TOP))

    def _total(self, a: End, b: End, far: End) -> End:
        if a.infinite or b.infinite:
            return far
        (m, e), (n, f) = a.at, b.at
        m, n, e = (m << (e - f), n, f) if e > f else (m, n << (f - e), e)
        return End(self._rounded(m + n, e, far is TOP), a.open or b.open)

    def _rounded(self, m: int, e: int, up: bool) -> Dyadic:
        return self.up(m, e) if up else self.down(m, e)

    def times(self, a: Span, b: Span) -> Span:
        spend(60)
        if a == ZERO or b == ZERO:
            return ZERO
        corners = [(u, v) for u in (a.low, a.high) for v in (b.low, b.high)]
        low, high = self._corner(*corners[0], False), self._corner(*corners[0], True)
        for u, v in corners[1:]:
            low = lower(low, self._corner(u, v, False))
            high = higher(high, self._corner(u, v, True))
        return Span(low, high)

    def _corner(self, u: End, v: End, up: bool) -> End:
        zeros = [end for end in (u, v) if end.sign == 0]
        if zeros:
            # However large the other one is: zero times a number is zero, and it is reached where a zero is.
            return End(NOTHING, all(end.open for end in zeros))
        if u.infinite or v.infinite:
            return TOP if u.sign * v.sign > 0 else BOTTOM
        return End(self._rounded(u.at[0] * v.at[0], u.at[1] + v.at[1], up), u.open or v.open)

    def inverse_of(self, a: Span) -> Span:
        if not (a.above or a.below):
            raise Rejected("a divisor may be zero")
        spend(30)
        far = TOP if a.above else BOTTOM
        return Span(self._inverse_end(a.high, far, False), self._inverse_end(a.low, far, True))

    def _inverse_end(self, a: End, far: End, up: bool) -> End:
        if a.infinite:
            return End(NOTHING, True)
        return far if a.sign == 0 else End(self._divide((1, 0), a.at, up), a.open)

    def exp_of(self, a: Span) -> Span:
        spend(400)
        low, high = End(NOTHING, True), TOP
        if not a.low.infinite:
            try:
                low = End(self._exp(a.low.at)[0], a.low.open)
            except Unbounded:
                low = ONE.low  # a number so large that it is not computed
        if not a.high.infinite:
            try:
                high = End(self._exp(a.high.at)[1], a.high.open)
            except Unbounded:
                high = TOP
        elif a.high.sign < 0:
            raise Rejected("an empty span")
        return Span(low if low.sign else End(NOTHING, True), high)

    def log_of(self, a: Span) -> Span:
        if not a.above:
            raise Rejected("the argument of a log may be zero or negative")
        spend(400)
        low = BOTTOM if a.low.sign == 0 else End(self._log(a.low.at)[0], a.low.open)
        high = TOP if a.high.infinite else End(self._log(a.high.at)[1], a.high.open)
        return Span(low, high)

    def whole_power(self, a: Span, n: int) -> Span:
        """a^n for a whole n >= 0."""
        if n == 0:
            return ONE
        if n % 2 == 0:
            a = self.size(a)
        return Span(self._power_end(a.low, n, False), self._power_end(a.high, n, True))

    def _power_end(self, a: End, n: int, up: bool) -> End:
        return a if a.infinite else End(self._power(a.at, n, up), a.open)

    def broken_power(self, a: Span, q: Fraction) -> Span:
        """a^q for other q and a that is not negative, not zero either where q is negative."""
        if q < 0:
            return self.inverse_of(self.broken_power(a, -q))
        if not a.never_negative:
            raise Rejected("the base of a power may be negative")
        factor = self.point(q)
        if a.above:
            return self.exp_of(self.times(factor, self.log_of(a)))
        if a.high.sign == 0:
            return ZERO
        return Span(NIL, self.exp_of(self.times(factor, self.log_of(Span(a.high, a.high)))).high)

    def size(self, a: Span) -> Span:
        """The span of absolute values."""
        if a.never_negative or a.never_positive:
            return a if a.never_negative else opposite(a)
        return Span(NIL, higher(opposite(a).high, a.high))

    def largest(self, a: Span, b: Span) -> Span:
        """The span of max(a, b)."""
        low = b.low if order(a.low, b.low) < 0 or (order(a.low, b.low) == 0 and b.low.open) else a.low
        return Span(low, higher(a.high, b.high))

    def smallest(self, a: Span, b: Span) -> Span:
        return opposite(self.largest(opposite(a), opposite(b)))
