"""Sturm's theorem against polynomials whose roots are known."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from lossdsl.verifier.univariate import common, roots_on, roots_within, sign_at

roots = st.lists(st.fractions(-2, 2, max_denominator=12), min_size=1, max_size=6)
ends = st.tuples(*[st.fractions(-3, 3, max_denominator=12)] * 2).filter(lambda p: p[0] < p[1])


def product(rs: list[Fraction], lead: int = 1, extra: tuple[int, ...] = (1,)) -> list[int]:
    f = [lead * c for c in extra]
    for r in rs:
        f = [-r.numerator * a + r.denominator * b for a, b in zip([*f, 0], [0, *f])]
    return f


@given(roots, ends, st.sampled_from([1, -1, 6]), st.sampled_from([(1,), (1, 0, 1), (5, -2, 3)]))
def test_counts_different_roots(
    rs: list[Fraction], at: tuple[Fraction, Fraction], lead: int, extra: tuple[int, ...]
) -> None:
    f = product(rs, lead, extra)
    low, high = at
    assert roots_within(f, low, high) == len({r for r in rs if low < r <= high})
    assert roots_on(f, low, high) == len({r for r in rs if low <= r <= high})


@given(roots, st.fractions(-3, 3, max_denominator=12))
def test_sign(rs: list[Fraction], x: Fraction) -> None:
    f = product(rs)
    value = sum(c * x**i for i, c in enumerate(f))
    assert sign_at(f, x) == (value > 0) - (value < 0)


@given(roots, roots, roots)
def test_common_divisor(a: list[Fraction], b: list[Fraction], c: list[Fraction]) -> None:
    f, g = product(a + b), product(a + c)
    shared = common(f, g)
    expected = list(a)
    left = list(c)
    for r in b:
        if r in left:
            left.remove(r)
            expected.append(r)
    assert len(shared) - 1 == len(expected)
    assert all(sign_at(shared, r) == 0 for r in a)


def test_irrational_roots() -> None:
    assert roots_within([-2, 0, 1], Fraction(1), Fraction(2)) == 1
    assert roots_within([-2, 0, 1], Fraction(-2), Fraction(2)) == 2
    assert roots_within([2, 0, 1], Fraction(-9), Fraction(9)) == 0
