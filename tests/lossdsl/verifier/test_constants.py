"""Exact constants: their value, and what they know to be zero."""

from __future__ import annotations

from fractions import Fraction

import mpmath
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.verifier import constants as c

PRECISE = mpmath.mp.clone()
PRECISE.dps = 60
positive = st.fractions(Fraction(1, 50), 50, max_denominator=60).filter(bool)
small = st.fractions(-3, 3, max_denominator=6)


def number(a: c.Constant) -> mpmath.mpf:
    total = PRECISE.mpf(0)
    for product, q in a.items():
        value = PRECISE.mpf(q.numerator) / q.denominator
        for (kind, n), e in product:
            base = PRECISE.log(n) if kind == "log" else PRECISE.e if kind == "e" else PRECISE.mpf(n)
            value *= base ** (PRECISE.mpf(e.numerator) / e.denominator)
        total += value
    return total


def real(q: Fraction) -> mpmath.mpf:
    return PRECISE.mpf(q.numerator) / q.denominator


def close(a: c.Constant | None, value: mpmath.mpf) -> bool:
    return a is not None and bool(abs(number(a) - value) <= (1 + abs(value)) * PRECISE.mpf(10) ** -50)


@given(positive, small, st.integers(2, 5))
def test_values(p: Fraction, q: Fraction, n: int) -> None:
    assert close(c.log(c.rational(p)), PRECISE.log(real(p)))
    assert close(c.root(c.rational(p), n), PRECISE.root(real(p), n))
    log = c.log(c.rational(p))
    assert log is not None
    scaled = c.mul(log, c.rational(q))
    assert scaled is not None
    assert close(c.exp(c.add(scaled, c.rational(q))), PRECISE.exp(real(q) * PRECISE.log(real(p)) + real(q)))
    root = c.root(c.rational(p), n)
    assert root is not None
    assert close(c.mul(root, root), PRECISE.root(real(p), n) ** 2)
    assert close(c.log(root), PRECISE.log(real(p)) / n)


ratios = st.builds(Fraction, st.integers(1, 900), st.integers(1, 900))


@given(ratios, ratios)
def test_logs_add_up(p: Fraction, q: Fraction) -> None:
    parts = [c.log(c.rational(v)) for v in (p, q, 1 / (p * q))]
    total: c.Constant = {}
    for part in parts:
        assert part is not None
        total = c.add(total, part)
    assert total == {}


@given(positive, st.integers(2, 6))
def test_roots_to_their_power(p: Fraction, n: int) -> None:
    root = c.root(c.rational(p), n)
    assert root is not None
    assert c.known(c.power(root, n)) == p


def test_what_has_no_exact_form() -> None:
    assert c.log({}) is None and c.log(c.rational(-1)) is None
    assert c.inverse({}) is None
    log_two = c.log(c.rational(2))
    assert log_two is not None
    assert c.log(log_two) is None and c.exp(c.mul(log_two, log_two) or {}) is None and c.root(log_two, 2) is None
    assert c.known(log_two) is None and c.known({}) == 0
