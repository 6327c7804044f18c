"""Kernels: derivatives and intervals against numbers of 60 digits, limits at the ends."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lossdsl.verifier import constants
from lossdsl.verifier.intervals import Interval, Intervals, exact_value
from lossdsl.verifier.kernels import Kernels, Quotient, sign_at
from lossdsl.verifier.limits import Malformed
from lossdsl.verifier.polynomials import BITS, MASK, ONE, Poly, read

PRECISE = mpmath.mp.clone()
PRECISE.dps = 60
ROWS: list[Any] = [
    {"log": "x"},
    {"log": "-x+1"},
    {"root": ["x", 3]},
    {"exp": ["x*k0", "2"]},
    {"exp": ["k1", "x+1"]},
    {"root": ["x^2+k3", 2]},
    {"log": "k5+1"},
    {"log": "2"},
]
TABLE = Kernels(ROWS)
places = st.fractions(Fraction(1, 1000), Fraction(999, 1000), max_denominator=1000)
monomials = st.lists(st.integers(0, len(ROWS)), max_size=4).map(lambda vs: sum(1 << BITS * v for v in vs))
polys = st.dictionaries(monomials, st.integers(-9, 9).filter(bool), min_size=1, max_size=4).map(
    lambda terms: Poly(terms, 4)
)


def value(f: Poly, x: Any, kernels: list[Any] | None = None) -> Any:
    kernels = numbers(x) if kernels is None else kernels
    total = PRECISE.mpf(0)
    for monomial, c in f.terms.items():
        product = PRECISE.mpf(c)
        for v, number in enumerate([x, *kernels]):
            product *= number ** ((monomial >> (BITS * v)) & MASK)
        total += product
    return total


def numbers(x: Any) -> list[Any]:
    out: list[Any] = []
    for kernel in TABLE.items:
        padded = [*out, *[PRECISE.mpf(1)] * (len(ROWS) - len(out))]
        n, d = value(kernel.n, x, padded), value(kernel.d, x, padded)
        if kernel.kind == "log":
            out.append(PRECISE.log(n))
        else:
            out.append(PRECISE.exp(n / d) if kernel.kind == "exp" else PRECISE.root(n, kernel.order))
    return out


def real(q: Fraction) -> Any:
    return PRECISE.mpf(q.numerator) / q.denominator


def holds(box: Interval, number: Any) -> bool:
    slack = (1 + abs(number)) * PRECISE.mpf(10) ** -40
    return bool(real(exact_value(box[0])) <= number + slack and number - slack <= real(exact_value(box[1])))


def slope(f: Poly, x: Fraction) -> Any:
    return PRECISE.diff(lambda t: value(f, t), real(x), h=PRECISE.mpf(10) ** -25)


@settings(max_examples=40, deadline=None)
@given(polys, polys, places)
def test_slopes(f: Poly, g: Poly, x: Fraction) -> None:
    n, d = TABLE.slope(f)
    below = value(d, real(x))
    assert below > 0
    assert abs(value(n, real(x)) / below - slope(f, x)) < (1 + abs(slope(f, x))) * PRECISE.mpf(10) ** -15
    bottom = value(g, real(x))
    assume(abs(bottom) > 1e-3)
    found = TABLE.derivative(Quotient(f, g))
    below = value(found.d, real(x))
    assert below > 0 or g.constant is not None
    expected = (slope(f, x) * bottom - value(f, real(x)) * slope(g, x)) / bottom**2
    assert abs(value(found.n, real(x)) / below - expected) < (1 + abs(expected)) * PRECISE.mpf(10) ** -12


@settings(max_examples=60, deadline=None)
@given(polys, places, st.fractions(0, Fraction(1, 100)), st.fractions(0, 1))
def test_intervals_hold_values_and_slopes(f: Poly, x: Fraction, width: Fraction, t: Fraction) -> None:
    high = min(x + width, Fraction(9999, 10000))
    arithmetic = Intervals(64)
    box = TABLE.on(arithmetic.hull(x, high), arithmetic)
    inside = x + (high - x) * t
    assert holds(box.poly(f), value(f, real(inside)))
    low_slope = box.slope(f)
    found = slope(f, inside)
    wide = (1 + abs(found)) * PRECISE.mpf(10) ** -12
    assert real(exact_value(low_slope[0])) <= found + wide and found - wide <= real(exact_value(low_slope[1]))


@settings(max_examples=60, deadline=None)
@given(polys, places)
def test_folding_and_exact_values(f: Poly, x: Fraction) -> None:
    folded = TABLE.fold(f)
    assert folded.highest(3) < 3 and folded.highest(6) < 2
    assert abs(value(folded, real(x)) - value(f, real(x))) < (1 + abs(value(f, real(x)))) * PRECISE.mpf(10) ** -40
    found = sign_at(TABLE, f, x)
    if found:
        assert value(f, real(x)) * found > 0


LIMITS = {
    ("x*k0", 0): 0,
    ("x*k0^3+2", 0): 2,
    ("k0", 0): None,
    ("k1", 0): 0,
    ("k1", 1): None,
    ("x*k1-k1", 1): 0,
    ("k2", 0): 0,
    ("k3", 0): 1,
    ("k3", 1): 1,
    ("k4-1", 0): 0,
    ("k4", 1): None,
    ("k5", 0): 1,
    ("x^2-2*x+1", 1): 0,
    ("k0*k1", 0): None,
    ("x*k0*k1", 0): 0,
    ("x*k0*k4", 1): None,
}


@pytest.mark.parametrize("text, end", LIMITS)
def test_limits_at_the_ends(text: str, end: int) -> None:
    found = TABLE.at(read(text), Fraction(end))
    assert (None if found is None else constants.known(found)) == LIMITS[text, end]


def test_what_is_exactly_zero() -> None:
    assert sign_at(TABLE, read("k0-k1"), Fraction(1, 2)) == 0
    assert sign_at(TABLE, read("k0+k7"), Fraction(1, 2)) == 0
    assert sign_at(TABLE, read("2*k2-1"), Fraction(1, 8)) == 0
    assert sign_at(TABLE, read("k0-k1"), Fraction(1, 2) + Fraction(1, 10**60)) == 1
    assert sign_at(TABLE, ONE, Fraction(1, 2)) == 1


NO_KERNELS: list[Any] = [
    {}, {"log": "0"}, {"log": "k9"}, {"exp": "x"}, {"exp": ["1", "-1"]}, {"root": ["x", 1]}, {"sin": "x"}, 3,
    {"root": ["x", True]}, {"log": "x", "exp": ["1", "1"]},
]  # fmt: skip


@pytest.mark.parametrize("row", NO_KERNELS)
def test_what_is_no_kernel(row: Any) -> None:
    with pytest.raises(Malformed):
        Kernels([*ROWS, row])
