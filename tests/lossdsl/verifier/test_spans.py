"""Spans hold what they should: every result of numbers that lie in them, open ends included."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.verifier.intervals import exact_value
from lossdsl.verifier.limits import Rejected
from lossdsl.verifier.spans import ALL, ONE, ZERO, Span, Spans, hull, opposite

SPANS = Spans()
numbers = st.fractions(-4, 4, max_denominator=16)


def inside(q: Fraction, span: Span) -> bool:
    """Whether a number lies in a span."""
    low, high = exact_value(span.low.at), exact_value(span.high.at)
    above = span.low.infinite or q > low or (q == low and not span.low.open)
    return above and (span.high.infinite or q < high or (q == high and not span.high.open))


@st.composite
def spans(draw: st.DrawFn) -> tuple[Span, Fraction]:
    """A span and a number in it."""
    low, high = sorted((draw(numbers), draw(numbers)))
    if low == high:
        return SPANS.point(low), low
    share = draw(st.sampled_from([Fraction(0), Fraction(1, 1000), Fraction(1, 3), Fraction(1)]))
    q = low + share * (high - low)
    open_low, open_high = draw(st.booleans()) and q > low, draw(st.booleans()) and q < high
    span = SPANS.between(low, high, open_low, open_high)
    if draw(st.integers(0, 5)) == 0:
        span = Span(span.low, ALL.high)
    if draw(st.integers(0, 5)) == 0:
        span = Span(ALL.low, span.high)
    return span, q


@given(spans(), spans())
def test_arithmetic(one: tuple[Span, Fraction], other: tuple[Span, Fraction]) -> None:
    (a, p), (b, q) = one, other
    assert inside(p, a) and inside(q, b)
    assert inside(p + q, SPANS.plus(a, b))
    assert inside(p * q, SPANS.times(a, b))
    assert inside(-p, opposite(a))
    assert inside(abs(p), SPANS.size(a))
    assert inside(max(p, q), SPANS.largest(a, b)) and inside(min(p, q), SPANS.smallest(a, b))
    assert inside(p, hull(a, b)) and inside(q, hull(a, b))
    for n in range(4):
        assert inside(p**n, SPANS.whole_power(a, n))
    if a.above or a.below:
        assert inside(1 / p, SPANS.inverse_of(a))
    assert a.sign in (None, (p > 0) - (p < 0))


@given(spans())
def test_functions(one: tuple[Span, Fraction]) -> None:
    a, p = one
    near = SPANS.exp_of(a)
    assert near.above and inside(Fraction(math.exp(p)), hull(near, SPANS.point(Fraction(math.exp(p)))))
    low = 0.0 if near.low.infinite else float(exact_value(near.low.at))
    high = math.inf if near.high.infinite else float(exact_value(near.high.at))
    assert low <= math.exp(p) * (1 + 1e-12) and math.exp(p) * (1 - 1e-12) <= high
    if a.above:
        log = SPANS.log_of(a)
        assert log.low.infinite or float(exact_value(log.low.at)) <= math.log(p) + 1e-12
        assert log.high.infinite or float(exact_value(log.high.at)) >= math.log(p) - 1e-12
    if a.never_negative:
        for q in (Fraction(1, 2), Fraction(7, 3)):
            power = SPANS.broken_power(a, q)
            assert float(exact_value(power.low.at)) <= float(p) ** float(q) + 1e-12
            assert power.high.infinite or float(exact_value(power.high.at)) >= float(p) ** float(q) - 1e-12


def test_open_ends_settle_signs() -> None:
    share = SPANS.between(Fraction(0), Fraction(1), True, True)
    closed = SPANS.between(Fraction(0), Fraction(1))
    assert share.sign == 1 and closed.sign is None and ZERO.sign == 0
    assert SPANS.log_of(share).sign == -1
    assert SPANS.plus(ONE, opposite(share)).sign == 1 and SPANS.plus(ONE, opposite(closed)).sign is None
    assert SPANS.times(share, share).sign == 1 and SPANS.times(share, closed).sign is None
    assert SPANS.times(SPANS.inverse_of(share), closed).never_negative


@pytest.mark.parametrize("q", [Fraction(0), Fraction(-1)])
def test_what_has_no_result_is_refused(q: Fraction) -> None:
    reach = SPANS.between(q, Fraction(1))
    with pytest.raises(Rejected):
        SPANS.log_of(reach)
    with pytest.raises(Rejected):
        SPANS.inverse_of(reach)
    with pytest.raises(Rejected):
        SPANS.broken_power(reach, Fraction(-1, 2))
    if q < 0:
        with pytest.raises(Rejected):
            SPANS.broken_power(reach, Fraction(1, 2))
