"""Polynomials: arithmetic against evaluation, text there and back."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.verifier.limits import Malformed, Rejected, working
from lossdsl.verifier.polynomials import BITS, MASK, ONE, ZERO, Poly, X, mirrored, read, variable, whole, write

monomials = st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 3))
polys = st.dictionaries(monomials, st.integers(-99, 99).filter(bool), max_size=7).map(
    lambda rows: Poly({a | b << BITS | c << 2 * BITS: n for (a, b, c), n in rows.items()}, 5)
)
points = st.tuples(*[st.fractions(-3, 3, max_denominator=20)] * 3)


def value(f: Poly, at: tuple[Fraction, ...]) -> Fraction:
    total = Fraction(0)
    for monomial, c in f.terms.items():
        product = Fraction(c)
        for v, x in enumerate(at):
            product *= x ** ((monomial >> (BITS * v)) & MASK)
        total += product
    return total


@given(polys, polys, points)
def test_arithmetic(f: Poly, g: Poly, at: tuple[Fraction, ...]) -> None:
    assert value(f + g, at) == value(f, at) + value(g, at)
    assert value(f - g, at) == value(f, at) - value(g, at)
    assert value(f * g, at) == value(f, at) * value(g, at)
    assert value(f**3, at) == value(f, at) ** 3
    assert value(f.scale(-4), at) == -4 * value(f, at)
    assert value(mirrored(f), (1 - at[0], *at[1:])) == value(f, at)
    assert not (f - f) and (f - f) == ZERO
    parts = f.split(1)
    assert sum((value(part, at) * at[1] ** e for e, part in parts.items()), Fraction(0)) == value(f, at)


@given(polys)
def test_primitive_part(f: Poly) -> None:
    content, g = f.primitive()
    assert g.scale(content) == f
    if f:
        assert g.terms[max(g.terms)] > 0


@pytest.mark.parametrize("n", [-6, -1, 1, 6])
def test_primitive_part_of_one_term_keeps_its_sign(n: int) -> None:
    assert (X**2).scale(n).primitive() == (n, X**2)


@given(polys)
def test_text_reads_back(f: Poly) -> None:
    assert read(write(f)) == f


@given(polys, points)
def test_partial_derivatives(f: Poly, at: tuple[Fraction, ...]) -> None:
    step = Fraction(1, 10**12)
    ahead = (at[0], at[1] + step, at[2])
    assert abs((value(f, ahead) - value(f, at)) / step - value(f.partial(1), at)) < Fraction(1, 10)


BAD = [
    "", "x y", "2**x", "x^", "x*", "*x", "+-x", "x+x", "3x", "k99*x", "x*x", "x^5000", "1.5", "0*x", "(x)", "x-",
    "k1+y", "é", "9" * 2000,
]  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_polynomial(text: str) -> None:
    with pytest.raises(Malformed):
        read(text)


def test_kernels_that_are_not_there() -> None:
    with pytest.raises(Malformed):
        read("k2", 2)


def test_growth_is_bounded() -> None:
    dense = sum((X**i * variable(1) ** i for i in range(60)), ZERO)
    for too_much in (
        lambda: dense**64,
        lambda: (X + ONE) ** 2**21,
        lambda: (X**MASK) * X,
        lambda: whole(10**9000) ** 10,
    ):
        with working(100_000), pytest.raises(Rejected):
            too_much()
