"""Same and different, both proved."""

from __future__ import annotations

import numpy as np
import pytest

from lossdsl.equivalence import equivalent, slope_key
from lossdsl.formula import parse
from lossdsl.lowering import lower
from lossdsl.targets.numpy import evaluate

SAME = [
    ("pred*label", "label*pred"), ("(label-pred)^2", "2*(pred-label)^2 + label"), ("log(1/pred)", "-log(pred)"),
    ("bce", "softplus(score) - label*score"), ("focal where gamma = 0", "bce"), ("log(pred)/log(2)", "log(pred)"),
    ("bpr", "-log(pred)"), ("hinge", "max(0, 1-(2*label-1)*log(pred/(1-pred)))"), ("sqrt(pred)", "pred^0.5"),
    ("exp(pred)^2", "exp(2*pred)"), ("exp(score/2)", "sqrt(exp(score))"), ("tanh(score/2)", "2*pred"),
    ("abs(pred-label)", "sqrt((pred-label)^2)"), ("max(pred, 0.3)", "0.3 + relu(pred-0.3)"), ("label", "1"),
    ("1/(1+sqrt(pred))", "(1-sqrt(pred))/(1-pred)"), ("logsigmoid(score)", "log(sigmoid(score))"),
]  # fmt: skip
DIFFERENT = [
    ("mse", "bce"), ("mse", "-(label-pred)^2"), ("focal where gamma = 0.7", "focal where gamma = 0.8"),
    ("max(pred, 0.3)", "max(pred, 0.31)"), ("label*pred + (1-label)*2*pred", "label*pred + (1-label)*pred"),
    ("pred", "pred + 1e-9*pred^2"), ("hinge", "squared_hinge"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), SAME)
def test_same(a: str, b: str) -> None:
    assert equivalent(a, b) is True
    pairs = "bpr" in (a, b) or None
    assert slope_key(a, pairwise=pairs) == slope_key(b, pairwise=pairs) is not None


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_different(a: str, b: str) -> None:
    assert equivalent(a, b) is False
    assert slope_key(a) != slope_key(b)


def test_what_is_undefined_has_no_key() -> None:
    assert slope_key("log(pred-0.5)") is None
    assert equivalent("log(pred-0.5)", "2*log(pred-0.5)") is None
    assert equivalent("log(pred-0.5)", "log(pred-0.5)") is True


PAIRS = [
    ("bpr", "bce", True), ("-label*logsigmoid(score)", "bce", True), ("mse", "(1-pred)^2", True),
    ("hinge", "relu(1-score)", True), ("-label*log(pred)", "-(1-label)*log(1-pred)", True),
    ("bce", "2*bce + label", True), ("bpr", "mse", False), ("focal", "bce", False),
    ("exponential", "exp(-2*score)", False),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b", "same"), PAIRS)
def test_as_pairs_the_loss_of_the_pair_counts(a: str, b: str, same: bool) -> None:
    first, second = (
        parse(text) if text != "2*bce + label" else parse(f"2*({parse('bce')}) + label") for text in (a, b)
    )
    assert equivalent(first, second, pairwise=True) is equivalent(second, first, pairwise=True) is same
    score = np.linspace(-3.9, 0.9, 33)
    slopes = [evaluate(lower(one, "score", pairwise=True), score, np.ones(33))[1] for one in (first, second)]
    ratio = slopes[0] / slopes[1]
    assert bool(np.ptp(ratio) < 1e-9) is same
