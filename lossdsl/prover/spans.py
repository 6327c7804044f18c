"""Intervals around the terms of a formula on a stretch of the axis: floats, rounded outward at each step.

A glance before the exact algebra: most clamps are never reached, most logarithms stand of something well above zero.
Sums and products rely on IEEE 754 alone; exp, log and powers are balls of FLINT, rounded outward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isnan, nextafter, ulp

from flint import arb, fmpq

from lossdsl.prover.numeric import precision
from lossdsl.prover.points import Point, float_of
from lossdsl.prover.terms import Term

Span = tuple[float, float]
ALL: Span = (-inf, inf)
_FINEST = 64


def outward(low: float, high: float) -> Span:
    """The next floats around two bounds; everything where they say nothing."""
    if isnan(low) or isnan(high):
        return ALL
    return nextafter(low, -inf), nextafter(high, inf)


def exact_span(low: fmpq, high: fmpq) -> Span:
    """Floats around two rationals."""
    return nextafter(_float(low), -inf), nextafter(_float(high), inf)


def _float(q: fmpq) -> float:
    try:
        return float_of(q)
    except OverflowError:
        return inf if q > 0 else -inf


def axis_span(low: Point, high: Point) -> Span:
    """Floats around the places between two others."""
    left = -inf if low.side < 0 else nextafter(_float(low.low), -inf)
    right = inf if high.side > 0 else nextafter(_float(high.high), inf)
    return left, right


def span_of(term: Term, inner: Sequence[Span], axis: Span, free: Mapping[str, tuple[fmpq, fmpq | None]]) -> Span:
    """An interval around a term, from intervals around what it is made of.

    >>> from flint import fmpq
    >>> low, high = span_of(Term("exp", (0,)), [(-1.0, 0.0)], (0.0, 1.0), {})
    >>> 0.367 < low < 0.368, 1 <= high < 1.001
    (True, True)
    """
    op = term.op
    if op == "const":
        assert term.value is not None
        return exact_span(term.value, term.value)
    if op == "x":
        return axis
    if op == "free":
        low, high = free[term.name]
        return exact_span(low, low if high is None else high)[0], inf if high is None else exact_span(high, high)[1]
    a, b = inner[0]
    if op == "add":
        c, d = inner[1]
        return outward(a + c, b + d)
    if op == "mul":
        c, d = inner[1]
        return _product(a, b, c, d)
    if op == "neg":
        return -b, -a
    if op == "inv":
        return _inverse(a, b)
    if op == "exp":
        return _image(arb.exp, a, b, 0.0, inf)
    if op == "log":
        return _image(arb.log, max(a, 0.0), b, -inf, inf) if b > 0 else ALL
    if op == "power":
        assert term.value is not None
        return _power(a, b, term.value)
    if op == "abs":
        return (a, b) if a >= 0 else (-b, -a) if b <= 0 else (0.0, max(-a, b))
    if op == "sign":
        return (1.0, 1.0) if a > 0 else (-1.0, -1.0) if b < 0 else (-1.0, 1.0)
    if op == "tower":
        return 0.0, inf
    c, d = inner[1]
    if op == "max":
        return max(a, c), max(b, d)
    if op == "min":
        return min(a, c), min(b, d)
    e, f = inner[2]  # select: either branch
    return min(c, e), max(d, f)


def _product(a: float, b: float, c: float, d: float) -> Span:
    four = [0.0 if x == 0 or y == 0 else x * y for x in (a, b) for y in (c, d)]  # 0 times all reals is 0
    low, high = outward(min(four), max(four))
    if (a >= 0 and c >= 0) or (b <= 0 and d <= 0):
        low = max(low, 0.0)
    elif (a >= 0 and d <= 0) or (b <= 0 and c >= 0):
        high = min(high, 0.0)
    return low, high


def _inverse(a: float, b: float) -> Span:
    if a > 0:
        return max(0.0, nextafter(1 / b, -inf)), nextafter(1 / a, inf)
    if b < 0:
        return nextafter(1 / b, -inf), min(0.0, nextafter(1 / a, inf))
    # Zero at an end counts as approached: the term has to be defined for the answer to matter.
    if a == 0 and b > 0:
        return max(0.0, nextafter(1 / b, -inf)), inf
    if b == 0 and a < 0:
        return -inf, min(0.0, nextafter(1 / a, inf))
    return ALL


def _image(f, a: float, b: float, least: float, most: float) -> Span:  # type: ignore[no-untyped-def]
    """The image of an interval under exp or log, which rise."""
    with precision(_FINEST):
        low = least if a == -inf or (a == 0 and least == -inf) else _down(f(arb(a)))
        high = most if b == inf else _up(f(arb(b)))
    return max(least, low), high


def _down(v: arb) -> float:
    x = float(v.lower())
    return -inf if isnan(x) else nextafter(x, -inf) if x < inf else 1.7e308


def _up(v: arb) -> float:
    x = float(v.upper())
    return inf if isnan(x) else nextafter(x, inf)


def _power(a: float, b: float, q: fmpq) -> Span:
    if q.q == 1 and q > 0:
        n = int(q.p)
        if n % 2 == 0:
            a, b = (a, b) if a >= 0 else (-b, -a) if b <= 0 else (0.0, max(-a, b))
        return _whole(a, n, -inf), _whole(b, n, inf)
    if a < 0:
        return ALL
    with precision(_FINEST):
        ends = [_raise(t, q) for t in (a, b)]
    low, high = (ends[0][0], ends[1][1]) if q > 0 else (ends[1][0], ends[0][1])
    return max(0.0, low), high


def _raise(t: float, q: fmpq) -> Span:
    if t == 0 or t == inf:
        return (0.0, 0.0) if (t == 0) == (q > 0) else (1.7e308, inf)
    v = (arb(t).log() * arb(q)).exp()
    return _down(v), _up(v)


def _whole(t: float, n: int, way: float) -> float:
    """t^n and a little more in one direction: n roundings are not more than 2n units in the last place."""
    try:
        x = t**n
    except OverflowError:
        x = inf if t > 0 or n % 2 == 0 else -inf
    if abs(x) == inf:
        return x if (x > 0) == (way > 0) else (1.7e308 if x > 0 else -1.7e308)
    return x + (4 * n * ulp(x) if way > 0 else -4 * n * ulp(x))
