"""Intervals over labels and predictions hold every slope and second derivative in their box."""

from __future__ import annotations

import importlib
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf

from lossdsl.formula import Formula, parse
from lossdsl.prover.plane import Box, Plane
from lossdsl.testing import formulas

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))
oracle = importlib.import_module("oracle")
sys.path.pop(0)

TEXTS = [
    *("mse", "bce", "focal", "huber", "maxr", "sumr", "logmin", "hinge", "squared_hinge", "exponential", "ccl"),
    *("abs(label-pred)^1.5", "if(label < pred, (label-pred)^2, label*pred)", "max(label, pred)*min(pred, label)"),
    *("softplus(score) - label*score", "tanh(label*score)", "clamp(pred, 0.25, 0.75)^label", "pinv(pred-label)"),
    *("sqrt(label+pred)", "reciprocal(1+pred*label)", "log(1-pred)*log(pred)", "plog(score)", "expm1(score-label)"),
]


def inside(text: str, seed: int, in_score: bool) -> int:
    """Holds boxes against slopes and their differences in 220 digits; returns how many places could be looked at."""
    formula = parse(text, "lossdsl")
    plane = Plane(formula.tree.root, {b.name: b.low for b in formula.tree.where}, in_score)
    judge = oracle.Oracle(formula)

    def slope_at(pred: Any) -> Any:
        found = judge(judge.place(pred), mpf(y))[1]
        return (
            found if judge.score == in_score else found * pred * (1 - pred) if in_score else found / pred / (1 - pred)
        )

    dice, seen = random.Random(seed), 0
    for _ in range(12):
        p, y = dice.choice([dice.random(), 1e-9 * dice.random(), 1 - 1e-9 * dice.random()]), dice.random()
        y = dice.choice([y, 0.0, 1.0, min(1.0, p + 1e-6)])
        width = 10.0 ** -dice.randint(0, 8)
        left, right = dice.random() * width, dice.random() * width
        labels = max(0.0, y - left), min(1.0, y + right)
        boxes = [
            Box.of_preds(labels, (max(0.0, p - right), min(1.0, p + left))),
            Box.of_distances(labels, (y - p - right - 1e-15, y - p + left + 1e-15)),
        ]
        step = mpf(10) ** -60 * mpf(p) * (1 - mpf(p))
        try:
            before, slope, after = (slope_at(mpf(p) + k * step) for k in (-1, 0, 1))
        except (oracle.NotFinite, oracle.OutOfSight):
            continue
        bend = (after - before) / (2 * step) * (mpf(p) * (1 - mpf(p)) if in_score else 1)
        for box in boxes:
            _, slopes, bends = plane.at(box)
            seen += 1
            for value, (low, high) in ((slope, slopes), (bend, bends)):
                slack = (abs(value) + 1) * mpf(10) ** -40
                assert low - slack <= value <= high + slack, (text, box)
    return seen


@pytest.mark.parametrize("in_score", [False, True])
@pytest.mark.parametrize("text", TEXTS)
def test_boxes_hold_slopes_and_bends(text: str, in_score: bool) -> None:
    assert inside(text, 1, in_score) > 3


@given(formulas(depth=3, domain_safe=True, variables=("pred", "label", "score")), st.integers(0, 10**6), st.booleans())
@settings(max_examples=60, deadline=None)
def test_boxes_hold_those_of_any_formula(formula: Formula, seed: int, in_score: bool) -> None:
    inside(str(formula), seed, in_score)


def test_a_difference_has_one_sign_next_to_the_diagonal() -> None:
    for text, slope in (("abs(label-pred)", (-1.0, -1.0)), ("max(label, pred)", (0.0, 0.0))):
        plane = Plane(parse(text).tree.root, {}, in_score=False)
        assert plane.slope(Box.of_distances((0.0, 1.0), (0.0, 1.0))) == slope
    low, high = Plane(parse("(pred-label)^2").tree.root, {}, False).slope(Box.of_distances((0.0, 1.0), (0.0, 0.5)))
    assert low == pytest.approx(-1) and high == 0


def test_a_kink_in_the_box_leaves_both_slopes_open_and_the_bend_unknown() -> None:
    plane = Plane(parse("abs(pred-0.5)").tree.root, {}, in_score=False)
    _, slope, bend = plane.at(Box.of_preds((0.0, 1.0), (0.25, 0.75)))
    assert slope == (-1.0, 1.0) and bend[0] == -float("inf")
