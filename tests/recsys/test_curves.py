"""Tables of slopes: close where they answer, silent at kinks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.formula import parse
from lossdsl.lowering import lower
from lossdsl.recsys.curves import CELLS, SPAN, Curves, curves, evaluate
from lossdsl.recsys.slopes import row_slopes

LOSSES = ["bce", "mse", "hinge", "squared_hinge", "focal", "maxr", "sumr", "logmin", "huber", "exponential"]


def look_up(made: Curves, score: np.ndarray, label: int) -> np.ndarray:
    """The naive twin of what the kernel does with a table."""
    place = (score + SPAN) / (2 * SPAN) * CELLS
    cell = np.clip(place.astype(int), 0, CELLS - 1)
    value, rise = made.cells[label, cell].T
    return value + (place - cell) * rise


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("label", [0, 1])
def test_a_cell_that_answers_is_right(name: str, label: int) -> None:
    program = lower(parse(name), axis="score")
    made = curves(program)
    score = np.random.default_rng(0).uniform(-SPAN, SPAN, 5000)
    table = look_up(made, score, label)
    exact = evaluate(made.tape, score, float(label))
    answered = np.isfinite(table)
    assert answered.mean() > 0.9
    scale = np.abs(exact[np.abs(score) < 2]).mean()
    np.testing.assert_allclose(table[answered], exact[answered], rtol=2e-4, atol=2e-6 * scale)


@settings(max_examples=60, deadline=None)
@given(st.integers(-1900, 1900), st.integers(1, 100))
def test_a_jump_is_left_to_the_tape(hundredths: int, height: int) -> None:
    at = hundredths / 100
    made = curves(lower(parse(f"max(score - ({at!r}), 0)*{height}"), axis="score"))
    cell = int((at + SPAN) / (2 * SPAN) * CELLS)
    near = made.cells[1, max(cell - 1, 0) : cell + 2, 0]
    assert np.isnan(near).any()
    assert np.isnan(made.cells[1, 1:-1, 0]).sum() <= 2


def test_float64_has_no_table() -> None:
    assert curves(lower(parse("bce"), axis="score"), dtype="float64").cells.shape == (2, 0, 2)


@pytest.mark.parametrize("text", [*LOSSES, "score^2", "sqrt(1 + score^2)", "score*tanh(score/1e6)", "1/(100 - score)",
                                  "clamp(1/(pred+1e-6), 1e-5, 1e5)"])  # fmt: skip
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_outside_a_slope_that_rests_is_known_and_any_other_is_left_to_the_tape(text: str, label: float) -> None:
    made = curves(lower(parse(text), axis="score"))
    random = np.random.default_rng(0)
    far = SPAN * 1.02 ** random.uniform(0, 1500, 300)
    score = np.concatenate([far, -far, [19.999, -19.999, 101.0]])
    table, exact = look_up(made, score, int(label)), evaluate(made.tape, score, label)
    scale = np.abs(evaluate(made.tape, random.uniform(-2, 2, 500), label)).mean()
    answered = np.isfinite(table)
    np.testing.assert_allclose(table[answered], exact[answered], rtol=2e-4, atol=2e-6 * scale)


def test_what_rests_is_answered() -> None:
    cut = curves(lower(parse("clamp(pred, 1e-5, 1)"), axis="score"))
    assert (cut.cells[:, 0] == 0).all()
    assert np.isfinite(curves(lower(parse("bce"), axis="score")).cells[:, [0, -1]]).all()
    assert np.isnan(curves(lower(parse("score^2"), axis="score")).cells[:, [0, -1]]).all()


@pytest.mark.parametrize("text", ["bce", "score^2", "clamp(pred, 1e-5, 1)"])
def test_a_score_that_is_nan_has_no_slope_and_an_infinite_one_that_of_the_far_end(text: str) -> None:
    made = curves(lower(parse(text), axis="score"))
    score = np.array([np.nan, np.inf, -np.inf, np.nan, 1e30, -1e30], np.float32)
    label = np.array([1, 1, 0, 0, 1, 0], np.float32)
    slopes = score.copy()
    row_slopes(slopes, label, made.table())
    want = evaluate(made.tape, score, label) / len(score)
    np.testing.assert_allclose(slopes, want.astype(np.float32), rtol=2e-4, atol=1e-8)
    assert np.isnan(slopes[[0, 3]]).all()


# Steep enough for a cell to miss it by some 3e-4; a pole in the very middle of a cell, where the slope is infinite.
@pytest.mark.parametrize("text", ["-logsigmoid(5*score)", "1/(score - 0.0048828125)"])
def test_a_cell_that_is_not_quite_straight_is_left_to_the_tape(text: str) -> None:
    made = curves(lower(parse(text), axis="score"))
    score = np.random.default_rng(0).uniform(-SPAN, SPAN, 5000)
    table, exact = look_up(made, score, 1), evaluate(made.tape, score, 1.0)
    answered = np.isfinite(table)
    assert 0.1 < answered.mean() < 0.99
    near = np.abs(score[answered]) < 2
    np.testing.assert_allclose(table[answered][near], exact[answered][near], rtol=2e-4, atol=1e-5)


def test_a_rise_beyond_float32_is_left_to_the_tape() -> None:
    made = curves(lower(parse("1e41*score^2"), axis="score"))
    assert np.isnan(made.cells[1]).all() and not np.isinf(made.cells).any()


def test_each_score_is_evaluated_with_its_own_label() -> None:
    steps = curves(lower(parse("focal"), axis="score")).tape
    random = np.random.default_rng(0)
    score, label = random.normal(size=5000), random.integers(0, 2, 5000)
    want = np.where(label == 1, evaluate(steps, score, 1.0), evaluate(steps, score, 0.0))
    np.testing.assert_array_equal(evaluate(steps, score, label), want)
