"""Jets on boxes hold the value, the slope and the bend at every place in them."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lossdsl.formula import Formula
from lossdsl.grammar.parser import read
from lossdsl.testing import formulas
from lossdsl.verifier.boxes import region
from lossdsl.verifier.intervals import Unbounded, exact_value
from lossdsl.verifier.jets import Jets, smooth, unbroken
from lossdsl.verifier.limits import Rejected
from lossdsl.verifier.spans import Span
from lossdsl.verifier.terms import spell

ROOM = 1e-9


def holds(span: Span, x: float) -> bool:
    low = -mpmath.inf if span.low.infinite else float(exact_value(span.low.at))
    high = mpmath.inf if span.high.infinite else float(exact_value(span.high.at))
    room = ROOM * (1 + abs(x))
    return low - room <= x <= high + room


def middle(span: Span) -> float:
    return float((exact_value(span.low.at) + exact_value(span.high.at)) / 2)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(formulas(4, domain_safe=True, variables=("pred", "label", "score")), st.data())
def test_a_box_holds_what_its_places_have(formula: Formula, data: st.DataObject) -> None:
    terms = spell(formula.tree, None)
    in_score = data.draw(st.booleans())
    jets = Jets(terms, in_score)
    shares = st.fractions(Fraction(1, 50), Fraction(49, 50), max_denominator=97)
    place, label = data.draw(shares), data.draw(shares)
    width = data.draw(st.sampled_from([Fraction(1, 100), Fraction(1, 10), Fraction(1, 2)]))
    box = {"pred": (max(place - width, Fraction(0)), min(place + width, Fraction(1))), "label": (Fraction(0), label)}
    point = {"pred": (place, place), "label": (label, label)}
    there, exactly = region(jets.spans, box), region(jets.spans, point)
    assert there is not None and exactly is not None
    try:
        small, large = jets.on(exactly), jets.on(there)
    except (Rejected, Unbounded):
        assume(False)
    for inner, outer in zip(small, large):
        if not (inner.low.infinite or inner.high.infinite):
            assert holds(outer, middle(inner))


@pytest.mark.parametrize(
    "text",
    [
        "bce", "mse", "focal", "exponential", "sumr", "softplus(-(2*label-1)*score)", "tanh(score)*label",
        "pred^0.7*(2-label)", "pred^pred", "log(2+pred*label)^3", "(1+label-pred)^2.5/(1+pred)", "sqrt(pred^2+1)*score",
    ],
)  # fmt: skip
@pytest.mark.parametrize("in_score", [False, True])
def test_derivatives_are_those_of_the_value(text: str, in_score: bool) -> None:
    """Against differences of the values at places next to each other."""
    terms = spell(read(text).tree, None)
    assert unbroken(terms)
    jets = Jets(terms, in_score)
    for place, label in ((Fraction(1, 7), Fraction(1, 3)), (Fraction(5, 8), Fraction(7, 8))):
        # On the axis of score the places next to it are taken there.
        step = 1e-3

        def at(x: float, label: Fraction = label) -> tuple[float, ...]:
            q = Fraction(1 / (1 + float(mpmath.exp(-x)))) if in_score else Fraction(x)
            there = region(jets.spans, {"pred": (q, q), "label": (label, label)})
            assert there is not None
            return tuple(middle(span) for span in jets.on(there))

        x = float(mpmath.log(float(place / (1 - place)))) if in_score else float(place)
        before, here, after = at(x - step), at(x), at(x + step)
        for i in (0, 1):
            assert abs((after[i] - before[i]) / (2 * step) - here[i + 1]) < 1e-3 * (1 + abs(here[i + 1]))


def test_kinks_bend_up_or_down_without_end() -> None:
    def bend(text: str) -> Span:
        jets = Jets(spell(read(text).tree, 1), False)
        there = region(jets.spans, {"pred": (Fraction(1, 4), Fraction(3, 4))})
        assert there is not None
        return jets.on(there)[2]

    for text in ("abs(pred-0.5)", "max(pred, 1-pred)", "relu(pred-0.5)", "max(pred, 0.5)^2", "exp(abs(pred-0.5))"):
        assert bend(text).never_negative and bend(text).high.infinite
        assert bend(f"-({text})").never_positive
    for text in ("min(pred, 0.5)", "-abs(pred-0.5)", "-sqrt((pred-0.5)^2)", "sqrt((pred-0.5)^2)", "sign(pred-0.5)"):
        assert not bend(text).never_negative
    assert not smooth(spell(read("sqrt((pred-0.5)^2)").tree, 1))
    assert smooth(spell(read("bce").tree, None))
