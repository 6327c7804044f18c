"""The interpreter gives what the NumPy target gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, reject, settings

import lossdsl
from lossdsl.errors import LossError
from lossdsl.formula import parse
from lossdsl.lowering import lower
from lossdsl.program import ARITY
from lossdsl.recsys.curves import evaluate
from lossdsl.recsys.tape import CODES, tape
from lossdsl.targets.numpy import evaluate as reference
from lossdsl.testing import formulas

SCORES = np.r_[np.linspace(-30, 30, 301), 0.0, 1.0, -1.0, 1e-9]


def test_every_operation_of_a_program_has_a_code() -> None:
    assert set(ARITY) - {"input", "parameter"} == set(CODES)


@settings(max_examples=40, deadline=None)
@given(formulas(depth=3, domain_safe=True, variables=("pred", "label", "score")))
def test_slopes_agree_with_the_numpy_target(formula: lossdsl.Formula) -> None:
    try:
        program = lower(formula, axis="score")
    except LossError:
        reject()  # a constant beyond the largest double
    for label in (0.0, 1.0):
        ours = evaluate(tape(program), SCORES, label)
        theirs = reference(program, SCORES, np.full_like(SCORES, label))[1]
        finite = np.isfinite(theirs)
        assume(finite.any())
        # Where a slope is a difference of nearly equal numbers, the order of operations decides its last digits.
        np.testing.assert_allclose(ours[finite], theirs[finite], rtol=1e-9, atol=1e-12 * np.abs(theirs[finite]).max())


KINKED = """score; score*label; max(score, 0) + min(score, label); if(score < 0.5, score^2, 3); abs(score); relu(score);
clamp(score, -1, 1); sign(score)*score; pred^2.5; tanh(score); expm1(pred); log1p(pred); sqrt(pred); psqrt(score);
plog(score); if(score >= label, exp(-score), 1/(1+pred)); softplus(score)""".split(";")


@pytest.mark.parametrize("text", KINKED)
def test_each_operation_at_its_kinks(text: str) -> None:
    program = lower(parse(text), axis="score")
    for label in (0.0, 1.0):
        theirs = reference(program, SCORES, np.full_like(SCORES, label))[1]
        np.testing.assert_allclose(evaluate(tape(program), SCORES, label), theirs, rtol=1e-12, atol=1e-15)


def test_registers_are_used_again() -> None:
    program = lower(parse("+".join(f"exp(score*{k})" for k in range(1, 30))), axis="score")
    assert tape(program).registers < len(program.slope_steps) / 2


def test_a_parameter_without_a_value_is_refused() -> None:
    program = lower(parse("score^2*gamma where gamma = 2"), axis="score", free=("gamma",))
    with pytest.raises(LossError, match="gamma"):
        tape(program)
    assert evaluate(tape(program, {"gamma": 3.0}), np.array([2.0]), 1.0).tolist() == [12.0]


def test_the_axis_has_to_be_the_score() -> None:
    with pytest.raises(LossError, match="axis='score'"):
        tape(lower(parse("bce"), axis="pred"))
