"""Convexity by composition: what is called convex is, at every label."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from lossdsl.checking import check
from lossdsl.formula import Formula, parse
from lossdsl.lowering import lower
from lossdsl.prover.between import with_pred
from lossdsl.prover.composition import convex
from lossdsl.prover.plane import Plane
from lossdsl.targets.numpy import evaluate
from lossdsl.testing import formulas

IN_SCORE = ["hinge", "squared_hinge", "exponential", "bce", "softplus(score) - label*score", "-label*logsigmoid(score)",
            "abs(score-label)", "(score-label)^4", "max(score, -score, label)", "relu(score)^1.5"]  # fmt: skip
NOT_IN_SCORE = ["mse", "pred", "score^3", "-score^2", "exp(-score^2)", "min(score, -score)", "(2*label-1)*score^2",
                "score*exp(score)", "tanh(score)", "log(1+score^2)", "1/(1+score^2)", "sqrt(score^2)*(label-0.5)",
                "(score^2-1)^2", "abs(score^2-1)", "-relu(score)^1.5"]  # fmt: skip
IN_PRED = [
    "mse",
    "bce",
    "abs(label-pred)",
    "1/pred",
    "-sqrt(pred)",
    "pred^1.5",
    "1/(1-pred)",
    "exp(-pred)",
    "-log(pred)",
]
NOT_IN_PRED = ["sqrt(pred)", "log(pred)", "pred*(1-pred)", "(2*label-1)*pred^2", "(pred^2-label)^2", "-1/pred", "score"]


def plane(text: str, in_score: bool) -> Plane:
    tree = parse(text).tree
    return Plane(with_pred(tree.root), {b.name: b.low for b in tree.where}, in_score)


@pytest.mark.parametrize("text", IN_SCORE)
def test_convex_in_score(text: str) -> None:
    assert convex(plane(text, True))
    assert not bends_down(parse(text), True)


@pytest.mark.parametrize("text", IN_PRED)
def test_convex_in_pred(text: str) -> None:
    assert convex(plane(text, False))
    assert not bends_down(parse(text), False)


@pytest.mark.parametrize(("text", "in_score"), [*((t, True) for t in NOT_IN_SCORE), *((t, False) for t in NOT_IN_PRED)])
def test_nothing_is_said_of_others(text: str, in_score: bool) -> None:
    assert not convex(plane(text, in_score))


def bends_down(formula: Formula, in_score: bool) -> bool:
    """Whether the slope falls anywhere on a grid of labels and places."""
    program = lower(formula.tree, "score")
    parameters = {b.name: float(b.low) for b in formula.tree.where}
    score = np.linspace(-12, 12, 481)
    pred = 1 / (1 + np.exp(-score))
    for label in (0.0, 0.2, 0.5, 0.9, 1.0):
        with np.errstate(all="ignore"):
            _, slope = evaluate(program, score, np.full_like(score, label), parameters)
        slope = slope if in_score else slope / (pred * (1 - pred))
        steps = np.diff(slope[np.isfinite(slope)])
        if (steps < -1e-6 * (1 + np.abs(slope[np.isfinite(slope)]).max())).any():
            return True
    return False


@given(formulas(depth=3, domain_safe=True, variables=("pred", "label", "score")))
@settings(max_examples=150, deadline=None)
def test_what_is_called_convex_does_not_bend_down(formula: Formula) -> None:
    for in_score in (False, True):
        if convex(Plane(with_pred(formula.tree.root), {}, in_score)):
            assert not bends_down(formula, in_score)


@pytest.mark.parametrize("text", ["hinge", "squared_hinge", "exponential"])
def test_soft_labels_are_decided(text: str) -> None:
    assert check(text, label="[0,1]", timeout=None).properties["convex_score"].status == "proved"
