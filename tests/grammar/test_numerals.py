"""Decimal literals."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.grammar.numerals import BadNumber, read_decimal, write_constant, write_decimal

WRITTEN = {
    "0": "0", "00.00e7": "0", "1": "1", "42": "42", "10000": "10000", "100000": "1e5", "12345678": "12345678",
    "0.5": "0.5", "0.05": "0.05", "0.001": "0.001", "0.0001": "1e-4", "0.00025": "0.00025", "1e-6": "1e-6",
    "0.999999": "0.999999", "2.50": "2.5", "1e60": "1e60", "1e-60": "1e-60",
}  # fmt: skip


@pytest.mark.parametrize("text", WRITTEN)
def test_shortest_text(text: str) -> None:
    assert write_decimal(read_decimal(text)) == WRITTEN[text]


@given(st.decimals(min_value=0, max_value=10**30, allow_nan=False, allow_infinity=False, places=9))
def test_written_numbers_read_back_exactly(value: object) -> None:
    exact = Fraction(str(value))
    text = write_decimal(exact)
    assert text is not None
    assert read_decimal(text) == exact


@given(st.integers(1, 10**40 - 1), st.integers(-60, 20))
def test_every_literal_within_the_limits_can_be_written(digits: int, power: int) -> None:
    try:
        exact = read_decimal(f"{digits}e{power}")
    except BadNumber as error:
        assert error.kind == "power"
        return
    assert exact == Fraction(digits) * Fraction(10) ** power
    text = write_decimal(exact)
    assert text is not None and read_decimal(text) == exact


@given(st.fractions())
def test_constants_of_where(value: Fraction) -> None:
    text = write_constant(value)
    if text is not None:
        sign, _, rest = text.rpartition("-") if text.startswith("-") else ("", "", text)
        above, _, below = rest.partition("/")
        read = read_decimal(above) / (read_decimal(below) if below else 1)
        assert (-read if text.startswith("-") else read) == value


@pytest.mark.parametrize(
    "text, kind", [("1e61", "power"), ("1e-61", "power"), ("9" * 41, "digits"), ("1e99999999999", "power")]
)
def test_limits(text: str, kind: str) -> None:
    with pytest.raises(BadNumber) as caught:
        read_decimal(text)
    assert caught.value.kind == kind


def test_a_huge_exponent_costs_nothing() -> None:
    with pytest.raises(BadNumber):
        read_decimal("1e" + "9" * 7000)
    with pytest.raises(BadNumber):
        read_decimal("9" * 8000)


@pytest.mark.parametrize("value", [Fraction(1, 3), Fraction(-1), Fraction(1, 7**200), Fraction(10**61)])
def test_no_literal(value: Fraction) -> None:
    assert write_decimal(value) is None
