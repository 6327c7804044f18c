"""Ticks are round numbers in the frame; a scale keeps order and its ends."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.scales import scale, ticks, write

NUMBERS = st.floats(-1e9, 1e9)


@given(NUMBERS, st.floats(1e-6, 1e9), st.none() | st.floats(1e-3, 1e3), st.floats(0, 1), st.floats(0, 1))
def test_a_scale_keeps_order(low: float, size: float, unit: float | None, a: float, b: float) -> None:
    high = low + size
    to = scale(low, high, unit)
    assert to(low) == 0
    if size > 1e-6 * abs(low):
        assert to(high) == pytest.approx(1)
    a, b = sorted((low + a * size, low + b * size))
    assert to(a) <= to(b)


@given(NUMBERS, st.floats(1e-3, 1e9))
def test_ticks_lie_in_the_frame_and_are_few(low: float, size: float) -> None:
    found = ticks(low, low + size)
    assert 2 <= len(found) <= 12
    slack = 1e-6 * (abs(low) + size)
    assert all(low - slack <= y <= low + size + slack for y in found)
    steps = [b - a for a, b in zip(found, found[1:])]
    assert all(math.isclose(s, steps[0], rel_tol=1e-3, abs_tol=slack) for s in steps)


@given(st.floats(1, 1e12), st.floats(1e-6, 1))
def test_ticks_of_a_logarithmic_scale_are_powers_of_ten(high: float, unit: float) -> None:
    found = ticks(-high, high, unit)
    assert 0 in found and found == sorted(found) and len(found) <= 11
    assert all(y == 0 or math.log10(abs(y)) == pytest.approx(round(math.log10(abs(y)))) for y in found)


@pytest.mark.parametrize(
    "number, text",
    [(0.25, "0.25"), (-4.0, "−4"), (1000.0, "1000"), (20000.0, "2·10⁴"), (1e-5, "10⁻⁵"), (-1e6, "−10⁶"), (0.0, "0")],
)
def test_numbers_are_short(number: float, text: str) -> None:
    assert write(number) == text
