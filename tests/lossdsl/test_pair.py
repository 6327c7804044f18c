"""The loss of a pair written out, against the Program that trains pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from lossdsl.errors import LossError
from lossdsl.formula import Formula, parse
from lossdsl.lowering import lower
from lossdsl.pair import paired
from lossdsl.targets.numpy import evaluate
from lossdsl.testing import formulas

SCORES = np.linspace(-5, 5, 21)


def agree(formula: Formula) -> None:
    trained = evaluate(lower(formula, "score", pairwise=True), SCORES, np.ones(21))
    for in_score in (False, True):
        written = evaluate(lower(paired(formula.tree, in_score=in_score), "score"), SCORES, np.ones(21))
        for one, other in zip(trained, written):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("text", ["bce", "mse", "bpr", "hinge", "focal where gamma = 1", "pred*score + label", "label"])
def test_what_is_written_is_what_is_trained(text: str) -> None:
    agree(parse(text))


@given(formulas(depth=3))
def test_of_any_formula(formula: Formula) -> None:
    with np.errstate(all="ignore"):
        try:
            lower(formula, "score", pairwise=True)
            value = evaluate(lower(formula, "score", pairwise=True), SCORES, np.ones(21))[0]
        except LossError:
            return
        if np.isfinite(value).all() and np.abs(value).max() < 1e6:
            written = evaluate(lower(paired(formula.tree), "score"), SCORES, np.ones(21))[0]
            np.testing.assert_allclose(value, written, rtol=1e-5, atol=1e-6)
