"""The curves are the function that is trained: checked against SymPy's derivative and 30-digit arithmetic."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import lossdsl
from lossdsl.curves import grid, trace
from lossdsl.errors import LossError

POINTS = (0.1, 0.35, 0.77)
TABLE = ["bce", "mse", "focal", "maxr", "sumr", "logmin", "hinge", "exponential", "score*pred", "label*score^2 - pred"]


def exact(text: str, axis: str, label: int, at: float) -> tuple[float, float]:
    """Value and slope of the SymPy tree, the slope as a difference quotient in 50 digits."""
    import sympy

    expression = lossdsl.parse(text).expr
    known = {str(s): s for s in expression.free_symbols}

    def value(x: mpmath.mpf) -> mpmath.mpf:
        pred = x if axis == "pred" else 1 / (1 + mpmath.exp(-x))
        score = mpmath.log(x / (1 - x)) if axis == "pred" else x
        values = {"pred": pred, "score": score, "label": mpmath.mpf(label)}
        wanted = {known[n]: sympy.Float(v, 60) for n, v in values.items() if n in known}
        return mpmath.mpf(str(sympy.N(expression.subs(wanted), 50)))

    with mpmath.workdps(50):
        x, h = mpmath.mpf(at), mpmath.mpf(10) ** -14
        return float(value(x)), float((value(x + h) - value(x - h)) / (2 * h))


@pytest.mark.parametrize("axis", ["pred", "score"])
@pytest.mark.parametrize("text", TABLE)
def test_curves_are_the_formula(text: str, axis: str) -> None:
    curves = trace(text, axis=axis)  # type: ignore[arg-type]
    for curve in curves.curves:
        for part in POINTS:
            index = int(part * len(curve.x))
            value, slope = exact(text, axis, curve.label or 0, float(curve.x[index]))
            assert curve.value[index] == pytest.approx(value, rel=1e-8, abs=1e-10)
            assert curve.slope[index] == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(
    "text, axis, labels",
    [
        ("bce", "pred", (1, 0)),
        ("hinge", "score", (1, 0)),
        ("pred*score*label", "pred", (1, 0)),
        ("bpr", "score", (None,)),
        ("-log(pred)", "pred", (None,)),
    ],
)
def test_axis_and_labels_follow_the_formula(text: str, axis: str, labels: tuple[int | None, ...]) -> None:
    curves = trace(text)
    assert (curves.axis, curves.labels) == (axis, labels)


def test_a_pair_has_one_curve_that_is_the_mean_of_both_sides() -> None:
    (pair,) = trace("bce", pairwise=True).curves
    one, nil = trace("bce", axis="score").curves
    np.testing.assert_allclose(pair.value, (one.value + nil.value[::-1]) / 2, rtol=1e-12)


def test_a_range_is_drawn_at_its_middle() -> None:
    middle = trace("focal where gamma in [1, 3]").curves
    for a, b in zip(middle, trace("focal").curves):
        np.testing.assert_array_equal(a.value, b.value)


def test_no_value_no_line() -> None:
    (curve,) = trace("log(pred - 0.5)").curves
    assert np.isnan(curve.value[curve.x <= 0.5]).all() and np.isnan(curve.slope[curve.x <= 0.5]).all()
    assert np.isfinite(curve.value[curve.x > 0.5]).all()


def test_the_grid_has_the_round_numbers() -> None:
    assert {0.25, 0.5, 0.75} <= set(grid("pred").tolist())
    assert 0.0 in grid("score").tolist()
    assert grid("pred").min() > 0 and grid("pred").max() < 1 and (np.diff(grid("pred")) > 0).all()


@pytest.mark.parametrize("text", [*TABLE, "bpr", "1/(pred-0.5)", "log(-pred)", "3", "log(pred-0.5)", "exp(exp(score))"])
@pytest.mark.parametrize("quantity", ["value", "slope"])
def test_a_frame_is_always_a_frame(text: str, quantity: str) -> None:
    low, high = trace(text).frame(quantity)
    assert np.isfinite([low, high]).all() and low < high and low <= 0 <= high


def test_the_frame_leaves_a_pole_out() -> None:
    assert trace("bce").frame("value")[1] < 5
    low, high = trace("1/(pred-0.5)").frame("value")  # 400 at the nearest points of the grid
    assert -250 < low < -10 and 10 < high < 250


@pytest.mark.parametrize(
    "keywords, message",
    [({"axis": "label"}, "`label` is no axis"), ({"titles": ["a", "b"]}, "1 losses, but 2 titles")],
)
def test_wrong_use_is_told(keywords: dict[str, object], message: str) -> None:
    with pytest.raises(LossError, match=message):
        trace("bce", **keywords)  # type: ignore[arg-type]


def test_nothing_to_draw() -> None:
    with pytest.raises(LossError, match="no loss to draw"):
        trace()


def test_words_say_what_the_picture_shows() -> None:
    assert trace("bpr").describe() == (
        "Value and slope of bpr along score. A pair: value from 8 to 0, slope from -1 to 0."
    )


@pytest.mark.parametrize(
    "text, reach",
    [
        ("-log(1e-10 + sigmoid(score))", 40),
        ("bpr", 8),
        ("hinge", 8),
        ("exponential", 8),
        ("mse", 8),
        ("score*0", 8),
        ("log(score)", 8),
    ],
)
def test_it_looks_farther_where_a_slope_dies_out_there(text: str, reach: float) -> None:
    assert trace(text, axis="score").reach == reach
