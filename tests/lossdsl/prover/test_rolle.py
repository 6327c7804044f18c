"""Zeros found between the zeros of a slope are the ones that the boxes find, and none is missed."""

from __future__ import annotations

from fractions import Fraction

import pytest
from flint import fmpq
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.formula import parse
from lossdsl.prover.analysis import AtLabel, analyse
from lossdsl.prover.limits import Budget, Undecided
from lossdsl.prover.points import MINUS_INFINITY, ONE_END, PLUS_INFINITY, ZERO_END, Point, compare, float_of
from lossdsl.prover.rolle import zeros_by_slope
from lossdsl.prover.roots import Search
from lossdsl.prover.signs import Signs

NUMBERS = st.fractions(-4, 4, max_denominator=12)
PRED = ("log(pred)", "log(1-pred)", "exp(pred)", "exp(-pred)", "log(pred+{c})", "sqrt(pred+{c})", "1/pred", "pred^2")
SCORE = ("exp(score)", "exp(-score)", "softplus(score)", "log(2+score^2)", "score^2", "score^3")
ZEROS = (
    ("log(pred) + pred", 1), ("log(2*pred) - 2*pred + 1.1", 2), ("log(2*pred) - 2*pred + 1", 1),
    ("log(2*pred) - 2*pred + 0.9", 0), ("exp(-1/pred) - 1e-30", 1), ("log(1/pred) - 60", 1), ("log(1-pred) + 30", 1),
    ("log(pred)*pred + 0.2", 2), ("exp(pred) - 1 - pred", 0), ("log(pred/(1-pred))", 1), ("log(pred) + 1e-9", 1),
    ("exp(score) - 5", 1), ("exp(score) + 5", 0), ("softplus(score) - 1e-9", 1),
    ("exp(score) + score - 40", 1),
)  # fmt: skip


def numerators(text: str) -> tuple[Signs, list[tuple[object, Point, Point]]]:
    """Factors of a loss that are not in x alone, and the pieces on which it stands."""
    root = parse(text).tree.root
    analysis = analyse(root, (Fraction(1),), {}, "score" in text, Budget())
    out = []
    for piece in analysis.sides[0].pieces:
        out += [(g, piece.low, piece.high) for g, _ in analysis.field.factor(piece.value.n)[1]]
    return analysis.signs, out


@pytest.mark.parametrize(("text", "count"), ZEROS)
def test_zeros_are_counted(text: str, count: int) -> None:
    signs, ((g, low, high),) = numerators(text)
    assert (low, high) in ((ZERO_END, ONE_END), (MINUS_INFINITY, PLUS_INFINITY))
    found = zeros_by_slope(signs, g, low, high, Search(signs, g, low, high))
    assert found is None or len(found) == count
    assert len(signs.roots(g, low, high)) == count
    for zero in found or ():
        below, above = zero.low - fmpq(1, 10**40), zero.high + fmpq(1, 10**40)
        if zero.rational is None:
            assert signs.at_number(g, below) * signs.at_number(g, above) == -1
            assert zero.high - zero.low < fmpq(1, 10**14) * max(abs(zero.low), abs(zero.high))


def test_most_of_these_take_no_boxes() -> None:
    assert sum(by_slope(text) is not None for text, _ in ZEROS) >= len(ZEROS) - 2


def by_slope(text: str) -> list[Point] | None:
    signs, ((g, low, high),) = numerators(text)
    return zeros_by_slope(signs, g, low, high, Search(signs, g, low, high))


@given(st.data())
def test_boxes_find_the_same_zeros(data: st.DataObject) -> None:
    score = data.draw(st.booleans())
    parts = data.draw(st.lists(st.sampled_from(SCORE if score else PRED), min_size=1, max_size=2))
    shift = data.draw(st.fractions(Fraction(1, 12), 3, max_denominator=12))
    text = "+".join(f"({data.draw(NUMBERS)})*" + part.format(c=f"({shift})") for part in parts)
    text += f"+({data.draw(NUMBERS)})*{'score' if score else 'pred'}+({data.draw(NUMBERS)})"
    cap = data.draw(st.none() | st.fractions(Fraction(1, 10), Fraction(9, 10), max_denominator=12))
    text = text if cap is None else f"max({text}, {cap})"
    try:
        signs, rows = numerators(text)
        for g, low, high in rows:
            found = zeros_by_slope(signs, g, low, high, Search(signs, g, low, high))
            if found is None:
                continue
            boxed, short = Search(signs, g, low, high).run()
            if short:
                continue
            assert len(found) == len(boxed), text
            for a, b in zip(sorted(found, key=middle), sorted(boxed, key=middle)):
                assert compare(a, b) == 0 or abs(middle(a) - middle(b)) < 1e-12 * max(1, abs(middle(a))), text
    except (AtLabel, Undecided):
        return


def middle(place: Point) -> float:
    return float_of((place.low + place.high) / 2)
