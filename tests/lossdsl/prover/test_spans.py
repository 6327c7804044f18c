"""Intervals and series around the terms as written hold what the terms are, on stretches and at single places."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from flint import arb, arb_series, fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.formula import Formula
from lossdsl.prover.analysis import AtLabel, analyse
from lossdsl.prover.jets import Along, Jets, slope_along
from lossdsl.prover.limits import Budget, Undecided
from lossdsl.prover.numeric import precision
from lossdsl.prover.points import rational_point
from lossdsl.prover.spans import Span, axis_span, span_of
from lossdsl.prover.terms import Term, Terms, specialise
from lossdsl.testing import formulas

EVERY = (
    "add",
    "sub",
    "mul",
    "div",
    "neg",
    "square",
    "log",
    "exp",
    "sqrt",
    "abs",
    "max",
    "min",
    "sigmoid",
    "plog",
    "pow",
)


def spans(terms: Terms, low: fmpq, high: fmpq) -> list[Span]:
    axis = axis_span(rational_point(low), rational_point(high))
    out: list[Span] = []
    for term in terms.items:
        out.append(span_of(term, [out[a] for a in term.args], axis, {}))
    return out


def values(terms: Terms, x: float) -> list[float]:
    """The terms in floats, NaN where they are not defined."""
    out: list[float] = []
    for term in terms.items:
        try:
            out.append(value(term, [out[a] for a in term.args], x))
        except (ValueError, ZeroDivisionError, OverflowError):
            out.append(math.nan)
    return out


def value(term: Term, a: list[float], x: float) -> float:
    exponent = float(Fraction(int(term.value.p), int(term.value.q))) if term.value is not None else 0.0
    if term.op in ("const", "x"):
        return exponent if term.op == "const" else x
    if any(math.isnan(v) for v in a):
        return math.nan
    table = {
        "add": lambda: a[0] + a[1], "mul": lambda: a[0] * a[1], "neg": lambda: -a[0], "inv": lambda: 1 / a[0],
        "exp": lambda: math.exp(a[0]), "log": lambda: math.log(a[0]), "abs": lambda: abs(a[0]),
        "sign": lambda: float((a[0] > 0) - (a[0] < 0)), "max": lambda: max(a), "min": lambda: min(a),
        "power": lambda: math.pow(a[0], exponent), "tower": lambda: math.pow(a[0], a[1]),
    }  # fmt: skip
    return table[term.op]()


@settings(max_examples=150, deadline=None)
@given(formulas(depth=4, operators=EVERY), st.integers(0, 15), st.floats(0, 1))
def test_spans_hold_the_values(formula: Formula, sixteenth: int, share: float) -> None:
    low, high = fmpq(sixteenth, 16), fmpq(sixteenth + 1, 16)
    try:
        terms = specialise(formula.tree.root, Fraction(1), {}, score=False)
    except Undecided:
        return
    x = (sixteenth + min(max(share, 1e-9), 1 - 1e-9)) / 16
    for (a, b), v in zip(spans(terms, low, high), values(terms, x)):
        slack = 1e-9 * (1 + abs(v))
        assert math.isnan(v) or math.isinf(v) or a - slack <= v <= b + slack


@pytest.mark.parametrize(
    ("op", "inner", "value", "want"),
    [
        ("mul", [(-1.0, 2.0), (-3.0, 1.0)], None, (-6.0, 3.0)),
        ("mul", [(0.0, 2.0), (0.0, math.inf)], None, (0.0, math.inf)),
        ("inv", [(0.0, 0.5)], None, (2.0, math.inf)),
        ("inv", [(-1.0, 1.0)], None, (-math.inf, math.inf)),
        ("log", [(0.0, 1.0)], None, (-math.inf, 0.0)),
        ("power", [(-2.0, 1.0)], fmpq(2), (0.0, 4.0)),
        ("power", [(0.25, 4.0)], fmpq(-1, 2), (0.5, 2.0)),
        ("abs", [(-2.0, 1.0)], None, (0.0, 2.0)),
        ("sign", [(-2.0, 1.0)], None, (-1.0, 1.0)),
    ],
)
def test_known_spans(op: str, inner: list[Span], value: fmpq | None, want: Span) -> None:
    low, high = span_of(Term(op, tuple(range(len(inner))), value), inner, (0.0, 1.0), {})
    assert low <= want[0] and want[1] <= high
    assert low == want[0] or abs(low - want[0]) < 1e-9
    assert high == want[1] or abs(high - want[1]) < 1e-9


@settings(max_examples=80, deadline=None)
@given(formulas(depth=4, operators=EVERY), st.integers(1, 62))
def test_jets_and_the_field_agree(formula: Formula, place: int) -> None:
    q = fmpq(2 * place + 1, 128)
    try:
        analysis = analyse(formula.tree.root, (Fraction(1),), {}, False, Budget())
    except (AtLabel, Undecided):
        return
    side = analysis.sides[0]
    try:
        slopes = side.slopes
    except Undecided:  # a value within the limit of degree, whose slope is beyond it
        return
    for i, piece in enumerate(side.pieces):
        jets = side.jets(i)
        if jets is None or not (piece.low.high < q < piece.high.low):
            continue
        found = slope_along(jets, False, False).on(arb(q), False, 0, 128)
        exact = side.signs.value(slopes[i], rational_point(q))
        assert found is None or not exact.is_finite() or found[0].overlaps(exact)


def test_a_series_that_is_too_short_gives_nothing() -> None:
    terms = specialise(Formula.from_tree(_mse()).tree.root, Fraction(1), {}, score=False)
    jets = Jets(terms, {})
    assert Along(lambda x: jets.at(x).derivative(), 1).on(arb(0.25), False, 1, 64) is not None
    # The derivative is known to one order less: without `lost` its last coefficient would read as zero.
    assert Along(lambda x: jets.at(x).derivative(), 0).on(arb(0.25), False, 1, 64) is None


def test_mirrored_charts_turn_odd_derivatives_around() -> None:
    terms = specialise(Formula.from_tree(_mse()).tree.root, Fraction(0), {}, score=False)
    plain, mirrored = (Along(Jets(terms, {}).at).on(arb(t), m, 2, 64) for t, m in ((0.25, False), (0.75, True)))
    assert plain is not None and mirrored is not None
    assert [float(c) for c in plain] == [0.0625, 0.5, 1.0]
    assert [float(c) for c in mirrored] == [0.0625, -0.5, 1.0]
    with precision(64, 3):
        assert Jets(terms, {}).at(arb_series([arb(0.25), 1])).prec == 3


def _mse():  # type: ignore[no-untyped-def]
    from lossdsl.grammar.parser import read

    return read("mse").tree
