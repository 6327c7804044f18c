"""Places on the axis: exact rationals, roots of polynomials, roots of functions in a bracket that can be tightened."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cmp_to_key
from typing import Any

from flint import arb, ctx, fmpq, fmpz_poly

from lossdsl.prover.limits import Undecided
from lossdsl.prover.polynomials import Poly, PolyKey, linear, multivariate, poly_key, terms_of

ROOT_BITS = 128
FINEST = 400
"""A bracket is never made narrower than two to the minus this, relative to its place."""


class Point:
    """A place on the axis, known to lie in [low, high]; `low == high` where it is rational.

    `vanishing` is a polynomial that is zero there. Two points with the same `key` are the same place. `side` is -1 or 1
    for the infinite ends.
    """

    __slots__ = ("low", "high", "_poly", "key", "side", "_tighten", "bits", "outer")

    def __init__(
        self,
        low: fmpq,
        high: fmpq,
        poly: Poly = None,
        key: object = None,
        side: int = 0,
        tighten: Callable[[Point], None] | None = None,
    ) -> None:
        self.low = low
        self.high = high
        self._poly = poly
        self.key = key
        self.side = side
        self._tighten = tighten
        self.bits = ROOT_BITS
        # Where the function of a bracket is known to be strictly monotone, so that it has this zero alone there.
        self.outer: tuple[fmpq, fmpq] | None = None

    @property
    def rational(self) -> fmpq | None:
        """The exact value, where it is rational."""
        return self.low if self.side == 0 and self.low == self.high else None

    @property
    def vanishing(self) -> Poly:
        """A polynomial that is zero at this place."""
        return linear(self.low) if self._poly is None else self._poly

    def tighten(self) -> None:
        """Makes the bracket narrower."""
        if self._tighten is None:
            raise Undecided("two places on the axis cannot be told apart")
        self._tighten(self)

    def ball(self) -> arb:
        """A ball that holds the place, at the precision of the moment."""
        if self.low == self.high:
            return arb(self.low)
        return arb(self.low).union(arb(self.high))

    def __repr__(self) -> str:
        if self.side:
            return "inf" if self.side > 0 else "-inf"
        return str(self.low) if self.low == self.high else f"({float_of(self.low)}, {float_of(self.high)})"


def float_of(q: fmpq) -> float:
    return int(q.p) / int(q.q)  # rounded once, from whole numbers of any length


def rational_point(q: fmpq) -> Point:
    return Point(q, q, key=("rational", int(q.p), int(q.q)))


MINUS_INFINITY = Point(fmpq(0), fmpq(0), side=-1)
PLUS_INFINITY = Point(fmpq(0), fmpq(0), side=1)
ZERO_END = rational_point(fmpq(0))
ONE_END = rational_point(fmpq(1))


def compare(a: Point, b: Point) -> int:
    """-1, 0 or 1 for the order of two places; tightens brackets that overlap."""
    if a is b:
        return 0
    if a.side or b.side:
        return (a.side > b.side) - (a.side < b.side)
    for _ in range(200):
        if a.high < b.low:
            return -1
        if b.high < a.low:
            return 1
        if a.key == b.key or (a.low == a.high == b.low == b.high) or _same_zero(a, b):
            return 0
        if a.high == b.low and (a.low < a.high or b.low < b.high) and not _touch(a, b):
            return -1
        if b.high == a.low and (a.low < a.high or b.low < b.high) and not _touch(b, a):
            return 1
        wide = a if a.high - a.low >= b.high - b.low else b
        wide.tighten()
    raise Undecided("two kinks cannot be told apart")


def _same_zero(a: Point, b: Point) -> bool:
    """Whether two brackets hold the one zero that their function has where it is monotone."""
    if a.outer is None or b.outer is None or a.vanishing != b.vanishing:
        return False
    return bool(a.outer[0] <= b.low and b.high <= a.outer[1])


def _touch(a: Point, b: Point) -> bool:
    """Whether a's high end is b's low end and both brackets may still hold that very number."""
    # The ends of a bracket are never the root itself, save where low == high: see `signs`.
    return a.low == a.high and b.low == b.high


by_place: Any = cmp_to_key(compare)


def simplest_between(low: fmpq, high: fmpq) -> fmpq:
    """The rational of least denominator strictly between two rationals.

    >>> from flint import fmpq
    >>> simplest_between(fmpq(0), fmpq(1)), simplest_between(fmpq(999, 1000), fmpq(1))
    (1/2, 1000/1001)
    """
    # Walks the continued fraction that both share; Stern and Brocot's tree with whole runs taken at once.
    floor = low.floor()
    if floor + 1 < high:
        return fmpq(floor + 1)
    rest = low - floor
    if rest == 0:
        n = int((1 / (high - floor)).floor()) + 1
        return fmpq(floor) + fmpq(1, n)
    upper = high - floor
    inner = simplest_between(1 / upper, 1 / rest)
    return fmpq(floor) + 1 / inner


def between(a: Point, b: Point) -> fmpq:
    """A short rational strictly between two places."""
    if a.side < 0 and b.side > 0:
        return fmpq(0)
    if a.side < 0:
        return fmpq(b.low.floor() - 1)
    if b.side > 0:
        return fmpq(a.high.floor() + 1)
    for _ in range(60):
        if a.high < b.low:
            return simplest_between(a.high, b.low)
        wide = a if a.high - a.low >= b.high - b.low else b
        wide.tighten()
    raise Undecided("a piece is too thin to find a number in it")


_ROOTS: dict[PolyKey, list[Point]] = {}


def algebraic_roots(g: fmpz_poly) -> list[Point]:
    """The real roots of an irreducible polynomial, in order."""
    if g.degree() < 1:
        return []
    if g.degree() == 1:
        return [rational_point(fmpq(-int(g[0]), int(g[1])))]
    poly = multivariate(g)
    key = poly_key(poly)
    found = _ROOTS.get(key)
    if found is None:
        if len(_ROOTS) > 4096:
            _ROOTS.clear()
        found = _ROOTS[key] = [
            Point(low, high, poly, ("algebraic", key, i), tighten=_tighten_algebraic)
            for i, (low, high) in enumerate(_isolate(g, ROOT_BITS))
        ]
    return found


def _isolate(g: fmpz_poly, bits: int) -> list[tuple[fmpq, fmpq]]:
    old = ctx.prec
    ctx.prec = bits
    try:
        reals = [z for z, _ in g.complex_roots() if isinstance(z, arb) or z.imag.is_zero()]
        balls = [z if isinstance(z, arb) else z.real for z in reals]
        # The ends of a ball are rounded at the precision of the moment.
        brackets = [(dyadic(z.lower()), dyadic(z.upper())) for z in balls]
    finally:
        ctx.prec = old
    return sorted(brackets, key=lambda b: Fraction(int(b[0].p), int(b[0].q)))


def _tighten_algebraic(point: Point) -> None:
    assert isinstance(point.key, tuple)
    bits = point.bits * 2
    if bits > 8 * ROOT_BITS:
        raise Undecided("two places on the axis cannot be told apart")
    g = fmpz_poly(_dense(point.vanishing))
    point.low, point.high = _isolate(g, bits)[point.key[2]]
    point.bits = bits


def _dense(f: Poly) -> list[int]:
    out = [0] * (f.degrees()[0] + 1)
    for monomial, c in terms_of(f):
        out[monomial[0]] = int(c)
    return out


def dyadic(x: arb) -> fmpq:
    """The exact value of a ball without radius."""
    mantissa, exponent = x.man_exp()
    m, e = int(mantissa), int(exponent)
    return fmpq(m * 2**e) if e >= 0 else fmpq(m, 2 ** (-e))
