"""Intervals hold the true value, whatever is done with them."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.verifier.intervals import Interval, Intervals, Unbounded, compare, exact_value, sign, whole_root

PRECISE = mpmath.mp.clone()
PRECISE.dps = 130
rationals = st.builds(
    lambda n, d, e: Fraction(n, d) * Fraction(10) ** e,
    st.integers(-9999, 9999),
    st.integers(1, 999),
    st.integers(-25, 25),
)
bits = st.sampled_from([24, 64, 80, 200])


def real(q: Fraction) -> mpmath.mpf:
    return PRECISE.mpf(q.numerator) / q.denominator


def holds(box: Interval, value: mpmath.mpf) -> bool:
    slack = abs(value) * PRECISE.mpf(10) ** -120
    return bool(real(exact_value(box[0])) <= value + slack and value - slack <= real(exact_value(box[1])))


@given(rationals, rationals, bits)
def test_sums_products_and_quotients(p: Fraction, q: Fraction, n: int) -> None:
    a = Intervals(n)
    u, v = a.rational(p), a.rational(q)
    assert holds(u, real(p))
    assert holds(a.add(u, v), real(p) + real(q))
    assert holds(a.sub(u, v), real(p) - real(q))
    assert holds(a.mul(u, v), real(p) * real(q))
    assert holds(a.magnitude(u), abs(real(p)))
    assert holds(a.larger(u, v), max(real(p), real(q)))
    assert holds(a.union(u, v), real(p)) and holds(a.union(u, v), real(q))
    assert holds(a.scale(-7, u), -7 * real(p))
    if q:
        assert holds(a.inverse(v), 1 / real(q))


inside = st.tuples(rationals, rationals, st.fractions(0, 1))


@given(inside, inside)
def test_products_of_wide_intervals(
    first: tuple[Fraction, Fraction, Fraction], second: tuple[Fraction, Fraction, Fraction]
) -> None:
    arithmetic = Intervals(64)
    (a, b), s = sorted(first[:2]), first[2]
    (c, d), t = sorted(second[:2]), second[2]
    x, y = a + (b - a) * s, c + (d - c) * t
    u, v = arithmetic.hull(a, b), arithmetic.hull(c, d)
    assert holds(arithmetic.mul(u, v), real(x) * real(y))
    assert holds(arithmetic.add(u, v), real(x) + real(y))
    assert holds(arithmetic.magnitude(u), abs(real(x)))
    for n in (0, 1, 2, 3, 6):
        assert holds(arithmetic.power(u, n), real(x) ** n)


@settings(max_examples=150)
@given(rationals, bits)
def test_exponential(q: Fraction, n: int) -> None:
    arithmetic = Intervals(n)
    if q > 20000:
        return
    box = arithmetic.exp(arithmetic.rational(q))
    if q > -20000:
        assert holds(box, PRECISE.exp(real(q)))
    if -1 < q < 1:
        assert exact_value(box[1]) - exact_value(box[0]) < Fraction(1, 2 ** (n - 8))


@settings(max_examples=150)
@given(rationals.filter(lambda q: q > 0), bits)
def test_logarithm(q: Fraction, n: int) -> None:
    arithmetic = Intervals(n)
    assert holds(arithmetic.log(arithmetic.rational(q)), PRECISE.log(real(q)))


@given(st.integers(1, 200), st.sampled_from([1, -1]), bits)
def test_logarithm_close_to_one(k: int, way: int, n: int) -> None:
    q = 1 + way * Fraction(1, 2**k)
    if q <= 0:
        return
    arithmetic = Intervals(n)
    box = arithmetic.log(arithmetic.rational(q))
    assert holds(box, PRECISE.log(real(q)))
    if k < n:
        assert sign(box) == way


@given(rationals.filter(lambda q: q >= 0), st.integers(2, 12), bits)
def test_roots(q: Fraction, order: int, n: int) -> None:
    arithmetic = Intervals(n)
    assert holds(arithmetic.root(arithmetic.rational(q), order), PRECISE.root(real(q), order))


@given(st.integers(0, 10**40), st.integers(2, 9))
def test_whole_root(m: int, n: int) -> None:
    r = whole_root(m, n)
    assert r**n <= m < (r + 1) ** n


def test_what_has_no_finite_result() -> None:
    arithmetic = Intervals()
    wide = arithmetic.hull(Fraction(-1), Fraction(1))
    with pytest.raises(Unbounded):
        arithmetic.inverse(wide)
    with pytest.raises(Unbounded):
        arithmetic.log(arithmetic.hull(Fraction(0), Fraction(1)))
    with pytest.raises(Unbounded):
        arithmetic.root(wide, 2)
    with pytest.raises(Unbounded):
        arithmetic.exp(arithmetic.rational(10**9))
    assert holds(arithmetic.exp(arithmetic.rational(-(10**9))), PRECISE.mpf(0) + PRECISE.mpf(2) ** -40000)


def test_tiny_numbers_are_rounded_outward() -> None:
    arithmetic = Intervals(64)
    tiny = arithmetic.exp(arithmetic.rational(-30000))
    for _ in range(3):
        tiny = arithmetic.mul(tiny, tiny)
    assert compare(tiny[0], (0, 0)) >= 0 and compare(tiny[1], (0, 0)) > 0
