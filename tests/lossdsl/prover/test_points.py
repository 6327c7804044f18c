"""Places on the axis: order, roots, short rationals between them."""

from __future__ import annotations

from fractions import Fraction

from flint import fmpq, fmpz_poly
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.prover.points import algebraic_roots, between, compare, rational_point, simplest_between

RATIONALS = st.fractions(min_value=0, max_value=1, max_denominator=10**6)


def exact(q: Fraction) -> fmpq:
    return fmpq(q.numerator, q.denominator)


@given(RATIONALS, RATIONALS)
def test_the_simplest_rational_between(a: Fraction, b: Fraction) -> None:
    if a == b:
        return
    low, high = sorted((a, b))
    found = simplest_between(exact(low), exact(high))
    assert exact(low) < found < exact(high)
    # None of a smaller denominator lies between.
    for d in range(1, min(int(found.q), 60)):
        n = int(low * d) + 1
        assert not low < Fraction(n, d) < high


def test_roots_are_in_order_and_inside_their_brackets() -> None:
    roots = algebraic_roots(fmpz_poly([-1, 0, 3, 0, 0, 7]))
    assert [compare(a, b) for a, b in zip(roots, roots[1:])] == [-1] * (len(roots) - 1)
    for root in roots:
        g = fmpz_poly([-1, 0, 3, 0, 0, 7])
        assert g(root.low) * g(root.high) <= 0


def test_close_roots_of_different_polynomials_are_told_apart() -> None:
    (a,) = [r for r in algebraic_roots(fmpz_poly([-2, 0, 1])) if r.low > 0]
    near = rational_point(fmpq(141421356237309504880168872420969807856967187537694, 10**50))
    assert compare(near, a) == -1
    q = between(near, a)
    assert near.low < q and q * q < 2


def test_a_place_is_equal_to_itself_however_it_was_found() -> None:
    first = algebraic_roots(fmpz_poly([-2, 0, 1]))[1]
    second = algebraic_roots(fmpz_poly([-2, 0, 1]))[1]
    assert compare(first, second) == 0
