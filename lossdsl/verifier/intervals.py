"""Interval arithmetic, rounded outward, on numbers m * 2^e with whole m and e.

Only whole-number arithmetic of Python is trusted: exp, log and roots are computed in fixed point with a stated error.
An interval is a pair of such numbers; there are no infinite ones, an operation without a finite result raises
`Unbounded`.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from lossdsl.verifier.limits import spend

Dyadic = tuple[int, int]
Interval = tuple[Dyadic, Dyadic]
MAX_SCALE = 60_000
NOTHING: Dyadic = (0, 0)


class Unbounded(Exception):
    """No finite interval holds the result."""


def compare(a: Dyadic, b: Dyadic) -> int:
    """The sign of a - b."""
    (m, e), (n, f) = a, b
    if e > f:
        m <<= e - f
    else:
        n <<= f - e
    return (m > n) - (m < n)


def exact_value(a: Dyadic) -> Fraction:
    """The number as a fraction."""
    m, e = a
    return Fraction(m << e) if e >= 0 else Fraction(m, 1 << -e)


class Intervals:
    """The arithmetic at a precision of `bits` significant bits.

    >>> from fractions import Fraction
    >>> from lossdsl.verifier.intervals import Intervals, exact_value
    >>> low, high = Intervals(64).log(Intervals(64).rational(Fraction(2)))
    >>> round(float(exact_value(low)), 12), exact_value(low) < exact_value(high)
    (0.69314718056, True)
    """

    def __init__(self, bits: int = 80) -> None:
        self.bits = bits

    # -- single numbers ----------------------------------------------------------------------------------------------

    def down(self, m: int, e: int) -> Dyadic:
        """The number, rounded down to the precision."""
        excess = m.bit_length() - self.bits
        if excess > 0:
            m >>= excess
            e += excess
        if e > MAX_SCALE or e < -MAX_SCALE:
            return self._far(m, e, up=False)
        return (m, e) if m else NOTHING

    def up(self, m: int, e: int) -> Dyadic:
        """The number, rounded up to the precision."""
        excess = m.bit_length() - self.bits
        if excess > 0:
            m = -(-m >> excess)
            e += excess
        if e > MAX_SCALE or e < -MAX_SCALE:
            return self._far(m, e, up=True)
        return (m, e) if m else NOTHING

    def _far(self, m: int, e: int, up: bool) -> Dyadic:
        if m == 0:
            return NOTHING
        if e > 0:
            raise Unbounded("a number is too large")
        if (m > 0) == up:
            return (1 if m > 0 else -1, -MAX_SCALE + self.bits)
        return NOTHING

    def _divide(self, a: Dyadic, b: Dyadic, up: bool) -> Dyadic:
        (m, e), (n, f) = a, b
        if n < 0:
            m, n = -m, -n
        shift = max(0, self.bits + 2 + n.bit_length() - m.bit_length())
        m <<= shift
        return self.up(-(-m // n), e - f - shift) if up else self.down(m // n, e - f - shift)

    # -- intervals ---------------------------------------------------------------------------------------------------

    def rational(self, q: Fraction | int) -> Interval:
        """The narrowest interval around a rational."""
        a, b = (q.numerator, 0), (q.denominator, 0)
        return self._divide(a, b, False), self._divide(a, b, True)

    def hull(self, low: Fraction, high: Fraction) -> Interval:
        """The interval from one rational to another."""
        return self.rational(low)[0], self.rational(high)[1]

    def add(self, u: Interval, v: Interval) -> Interval:
        spend(20)
        (m, e), (n, f) = u[0], v[0]
        low = self.down((m << (e - f)) + n, f) if e > f else self.down(m + (n << (f - e)), e)
        (m, e), (n, f) = u[1], v[1]
        high = self.up((m << (e - f)) + n, f) if e > f else self.up(m + (n << (f - e)), e)
        return low, high

    def neg(self, u: Interval) -> Interval:
        (m, e), (n, f) = u
        return (-n, f), (-m, e)

    def sub(self, u: Interval, v: Interval) -> Interval:
        return self.add(u, self.neg(v))

    def mul(self, u: Interval, v: Interval) -> Interval:
        spend(20)
        a, b = u
        c, d = v
        if a[0] >= 0:
            if c[0] >= 0:
                low, high = (a, c), (b, d)
            elif d[0] <= 0:
                low, high = (b, c), (a, d)
            else:
                low, high = (b, c), (b, d)
        elif b[0] <= 0:
            if c[0] >= 0:
                low, high = (a, d), (b, c)
            elif d[0] <= 0:
                low, high = (b, d), (a, c)
            else:
                low, high = (a, d), (a, c)
        elif c[0] >= 0:
            low, high = (a, d), (b, d)
        elif d[0] <= 0:
            low, high = (b, c), (a, c)
        else:
            return self._union(self.mul((a, a), v), self.mul((b, b), v))
        return (
            self.down(low[0][0] * low[1][0], low[0][1] + low[1][1]),
            self.up(high[0][0] * high[1][0], high[0][1] + high[1][1]),
        )

    def _union(self, u: Interval, v: Interval) -> Interval:
        return (u[0] if compare(u[0], v[0]) <= 0 else v[0]), (u[1] if compare(u[1], v[1]) >= 0 else v[1])

    def union(self, u: Interval, v: Interval) -> Interval:
        """The narrowest interval that holds both."""
        return self._union(u, v)

    def larger(self, u: Interval, v: Interval) -> Interval:
        """The interval of max(u, v)."""
        return (u[0] if compare(u[0], v[0]) >= 0 else v[0]), (u[1] if compare(u[1], v[1]) >= 0 else v[1])

    def magnitude(self, u: Interval) -> Interval:
        """The interval of the absolute value."""
        if u[0][0] >= 0:
            return u
        if u[1][0] <= 0:
            return self.neg(u)
        return NOTHING, self.neg((u[0], u[0]))[0] if compare((-u[0][0], u[0][1]), u[1]) > 0 else u[1]

    def scale(self, c: int, u: Interval) -> Interval:
        """A whole number times an interval."""
        (m, e), (n, f) = u if c >= 0 else (u[1], u[0])
        return self.down(c * m, e), self.up(c * n, f)

    def inverse(self, u: Interval) -> Interval:
        spend(30)
        if u[0][0] <= 0 <= u[1][0]:
            raise Unbounded("a divisor may be zero")
        return self._divide((1, 0), u[1], False), self._divide((1, 0), u[0], True)

    def power(self, u: Interval, n: int) -> Interval:
        """A whole power, n >= 0."""
        if n == 0:
            return self.rational(1)
        if n % 2 == 0:
            u = self.magnitude(u)
        return self._power(u[0], n, False), self._power(u[1], n, True)

    def _power(self, a: Dyadic, n: int, up: bool) -> Dyadic:
        # For a >= 0, or n odd: then the power grows with a, and rounding its size one way is consistent.
        grow = up if a[0] >= 0 else not up
        step = self.up if grow else self.down
        base, result = (abs(a[0]), a[1]), (1, 0)
        while n:
            spend(5)
            if n & 1:
                result = step(result[0] * base[0], result[1] + base[1])
            n >>= 1
            if n:
                base = step(base[0] * base[0], 2 * base[1])
        return result if a[0] >= 0 else (-result[0], result[1])

    def log(self, u: Interval) -> Interval:
        if u[0][0] <= 0:
            raise Unbounded("the argument of a log may be zero or negative")
        spend(400)
        return self._log(u[0])[0], self._log(u[1])[1]

    def _log(self, a: Dyadic) -> Interval:
        m, e = a
        k = m.bit_length() + e
        # t = m / 2^(bit length) lies in [1/2, 1); move it to [0.7, 1.4].
        shift = m.bit_length()
        if m * 10 < 7 << shift:
            k -= 1
            shift -= 1
        near = abs(m - (1 << shift))
        if k == 0 and near == 0:
            return (NOTHING, NOTHING)
        # Close to 1 the log is small, and needs as many digits more.
        extra = shift - near.bit_length() if k == 0 else 0
        work = self.bits + 40 + extra
        z = ((m - (1 << shift)) << work) // (m + (1 << shift))
        total = _atanh(z, work)
        # 2 atanh z + k log 2; each series errs by less than 2^(bit length of work) units in the last place.
        error = (2 + abs(k)) << 12
        total = 2 * total + k * _log_two(work)
        return self.down(total - error, -work), self.up(total + error, -work)

    def exp(self, u: Interval) -> Interval:
        spend(400)
        return self._exp(u[0])[0], self._exp(u[1])[1]

    def _exp(self, a: Dyadic) -> Interval:
        m, e = a
        if m == 0:
            return self.rational(1)
        if m.bit_length() + e > 15:
            if m > 0:
                raise Unbounded("an exponential is too large")
            return NOTHING, (1, -32000)
        work = self.bits + 60
        fixed = (m << (work + e)) if work + e >= 0 else m >> -(work + e)
        ln2 = _log_two(work)
        k = (2 * fixed + ln2) // (2 * ln2)
        rest = fixed - k * ln2
        # |rest| <= 0.35 up to the error of k log 2; k < 2^16, so that the error is below 2^30 units.
        term = total = 1 << work
        n = 1
        while term:
            term = (term * rest) >> work
            # A negative term would stay -1 for ever under >>.
            term = -(-term // n) if term < 0 else term // n
            total += term
            n += 1
        error = 1 << 34
        return self.down(total - error, k - work), self.up(total + error, k - work)

    def root(self, u: Interval, n: int) -> Interval:
        """The n-th root of an interval without negative numbers."""
        if u[0][0] < 0:
            raise Unbounded("the argument of a root may be negative")
        spend(400)
        return self._root(u[0], n, False), self._root(u[1], n, True)

    def _root(self, a: Dyadic, n: int, up: bool) -> Dyadic:
        m, e = a
        if m == 0:
            return NOTHING
        shift = max(0, n * (self.bits + 2) - m.bit_length())
        shift += (e - shift) % n
        m <<= shift
        r = whole_root(m, n)
        if up:
            return self.up(r if r**n == m else r + 1, (e - shift) // n)
        return self.down(r, (e - shift) // n)


def whole_root(m: int, n: int) -> int:
    """The largest whole number whose n-th power is at most m >= 0."""
    if m < 2:
        return m
    r = 1 << -(-m.bit_length() // n)
    while True:
        better = ((n - 1) * r + m // r ** (n - 1)) // n
        if better >= r:
            return r
        r = better


def _atanh(z: int, work: int) -> int:
    """atanh of z / 2^work for |z| < 0.21 * 2^work; errs by less than 2^11 units for work below 2^12."""
    square = (z * z) >> work
    power, total, n = z, z, 3
    while abs(power) > 1:
        power = (power * square) >> work
        total += power // n
        n += 2
    return total


@lru_cache(maxsize=64)
def _log_two(work: int) -> int:
    """log 2 in units of 2^-work; errs by less than 2^11 units."""
    return 2 * _atanh((1 << work) // 3, work) if work else 0


def sign(u: Interval) -> int | None:
    """The certain sign of what is in an interval; 0 for exactly zero, None where it is open."""
    if u[0][0] > 0:
        return 1
    if u[1][0] < 0:
        return -1
    return 0 if u[0][0] == 0 == u[1][0] else None
