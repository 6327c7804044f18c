"""The NumPy target against 120 digits, and what it refuses."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.errors import LossError
from lossdsl.formula import Formula, parse
from lossdsl.lowering import lower
from lossdsl.targets.numpy import evaluate
from lossdsl.testing import formulas

SCORES = (-100.0, -50.0, -20.0, -3.0, -0.25, 0.125, 1.0, 5.0, 20.0, 50.0, 100.0)
PREDS = (1e-30, 1e-6, 0.03125, 0.3, 0.5, 0.7, 0.99, 1 - 1e-6)
DTYPES = (np.float64, np.float32)


@settings(max_examples=150, deadline=None)
@given(
    formula=formulas(depth=4, domain_safe=True),
    axis=st.sampled_from(("pred", "score")),
    label=st.sampled_from((0.0, 1.0)),
    dtype=st.sampled_from(DTYPES),
)
def test_value_and_slope_stay_within_the_rounding_of_their_steps(
    precise: SimpleNamespace, formula: Formula, axis: str, label: float, dtype: type
) -> None:
    try:
        program = lower(formula, axis)  # type: ignore[arg-type]
    except LossError:
        return
    points = np.array(PREDS if axis == "pred" else SCORES, dtype=dtype)
    found = evaluate(program, points, np.full(points.shape, label, dtype))
    for at, point in enumerate(points):
        limits = precise.bound(program, float(point), label, dtype)
        try:
            true = precise.truth(formula.tree, axis, float(point), label)
        except precise.Unclear:
            continue
        for got, right, limit in zip((found[0][at], found[1][at]), true, limits):
            slack = 8 * limit + abs(right) * 1e-90  # the truth has its own last digit
            assert abs(float(got) - right) <= slack or np.isinf(limit), (str(formula), axis, point, label, right)


NAMED = ("bce", "mse", "focal", "maxr", "sumr", "logmin", "hinge", "squared_hinge", "exponential", "huber", "bpr")


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("dtype", DTYPES)
def test_named_losses_are_right_to_a_few_units_at_far_scores(precise: SimpleNamespace, name: str, dtype: type) -> None:
    formula = parse(name)
    program = lower(formula, "score")
    scores = np.array([0.5, -0.5, 20, -20, 50, -50, 100, -100], dtype)
    for label in (0.0, 1.0):
        value, slope = evaluate(program, scores, np.full(scores.shape, label, dtype))
        for at, score in enumerate(scores):
            # maxr: label 0 and a pred of 1e-44 are one number beside 1e-6, so rounding meets the kink there
            limits = precise.bound(program, float(score), label, dtype)
            true = precise.truth(formula.tree, "score", float(score), label)
            for got, right, limit in zip((value[at], slope[at]), true, limits):
                if dtype is np.float32 and abs(score) > 87:  # pred itself is a subnormal number here
                    assert abs(float(got) - right) <= 8 * limit
                elif limit < np.inf:
                    assert precise.ulps(float(got), right, dtype) < 16, (name, score, label, float(got), right)


def test_named_losses_are_judged_at_the_far_scores(precise: SimpleNamespace) -> None:
    """The test above skips only what rounding decides; for the stable ones that is nothing."""
    for name in ("bce", "mse", "focal", "exponential"):
        program = lower(name, "score")
        for score in (20.0, -20.0, 50.0, -50.0, 80.0, -80.0):
            for label in (0.0, 1.0):
                assert max(precise.bound(program, score, label, np.float32)) < np.inf, (name, score, label)


def test_dtype_shape_and_broadcast() -> None:
    program = lower("mse", "pred")
    value, slope = evaluate(program, np.full((41,), 0.5, np.float32), np.array([[0.0], [1.0]]))
    assert value.dtype == slope.dtype == np.float32
    assert value.shape == slope.shape == (2, 41)
    assert evaluate(lower("1", "pred"), [0.5, 0.25])[1].tolist() == [0.0, 0.0]


def test_pred_at_the_ends_is_projected_and_beyond_refused() -> None:
    program = lower("-label*log(pred)", "pred")
    value, slope = evaluate(program, np.array([0.0, 1.0]), 1.0)
    assert np.isfinite(value).all() and np.isfinite(slope).all()
    assert value[0] == -np.log(np.finfo(float).tiny)
    with pytest.raises(LossError, match="score"):
        evaluate(program, [1.5], 1.0)
    with pytest.raises(LossError, match="label"):
        evaluate(program, [0.5])


def test_open_parameters_come_as_an_argument() -> None:
    program = lower("focal", "pred", free=("gamma",))
    assert program.parameters == ("gamma",)
    twice = evaluate(program, [0.3], 1.0, {"gamma": 2.0})
    fixed = evaluate(lower("focal", "pred"), [0.3], 1.0)
    assert np.allclose(twice, fixed, rtol=1e-14)
    with pytest.raises(LossError, match="gamma"):
        evaluate(program, [0.3], 1.0)
