"""What holds at all labels in [0, 1]: known answers, and nothing that a grid of labels and predictions contradicts."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

from lossdsl.checking import check
from lossdsl.formula import Formula, parse
from lossdsl.lowering import LoweringError, lower
from lossdsl.prover.between import of_difference
from lossdsl.report import Report
from lossdsl.targets.numpy import evaluate
from lossdsl.testing import formulas

NAMES = ("uses_pred", "gradient", "minimum", "no_dead_zone", "bounded_gradient", "convex_pred")
LETTERS = {"proved": "P", "refuted": "R", "undecided": "?"}
LOGCOSH = "softplus(2*(pred-label)) - (pred-label)"
KNOWN = {
    "mse": "PPPPPP",
    "bce": "PPPPPP",
    "huber": "PPPPPP",
    "huber where delta = 0.1": "PPPPPP",
    "abs(pred-label)": "PPPPPP",
    "abs(sigmoid(score)-label)": "PPPPPP",
    "abs(pred-label)^1.5": "PPPPPP",
    LOGCOSH: "PPPPPP",
    "log(1+(pred-label)^2)": "PPPPPP",
    "sqrt((pred-label)^2+0.01)": "PPPPPP",
    "(label-pred)^2*(1+label)": "PPPPPP",
    "maxr": "PPPPPP",
    "focal": "PPRPPP",
    "predpredlabel": "PPRPPP",
    # Flat around the label.
    "max(abs(pred-label), 0.01)": "PPPRPP",
}
LEFT_OPEN = {"sumr": "??R?P?", "logmin": "PPR?PR"}


def soft(text: str) -> Report:
    return check(text, label="[0,1]", timeout=None)


def letters(report: Report) -> str:
    return "".join(LETTERS[report.properties[name].status] for name in NAMES)


@pytest.mark.parametrize("text", KNOWN)
def test_known_answers(text: str) -> None:
    report = soft(text)
    assert letters(report) == KNOWN[text]
    assert contradictions(parse(text), report) == []


@pytest.mark.parametrize("text", LEFT_OPEN)
def test_what_is_left_open_is_not_wrong(text: str) -> None:
    report = soft(text)
    for name, letter in zip(NAMES, LEFT_OPEN[text]):
        assert letter == "?" or LETTERS[report.properties[name].status] == letter
    assert contradictions(parse(text), report) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        # What fails at a label or near a label that nobody tries.
        ("(label-pred)^2*(label-0.3)^2 + 0*label", "uses_pred"),
        ("(label-pred)^2*(label-0.3)^2", "no_dead_zone"),
        ("abs(label-pred) + relu(abs(pred-0.8)-abs(label-0.3)*10-0.1)*(-3)", "minimum"),
        ("max(abs(pred-label), relu(0.02-10*abs(label-0.3)))", "no_dead_zone"),
        ("max(abs(pred-label), relu(0.004-10*abs(label-0.3)))", "no_dead_zone"),
        ("max(abs(pred-label), relu(1/256-100*abs(label-0.3)))", "no_dead_zone"),
        (
            "max(label-0.3, 0)*relu(pred-label) + abs(label-pred)*0.1*max(0.3-label,0) + relu(label-pred)",
            "no_dead_zone",
        ),
        ("relu(pred-label) + max(0,abs(label-0.003)-0.001)*relu(label-pred)", "no_dead_zone"),
        # The same as the third with |x| as a root of x^2.
        (
            "sqrt((label-pred)^2) + relu(0.004-10*abs(label-0.3))"
            " + sqrt((sqrt((label-pred)^2)-relu(0.004-10*abs(label-0.3)))^2)",
            "no_dead_zone",
        ),
        ("sqrt(abs(label-pred)+(label-0.3)^2)", "bounded_gradient"),
        ("abs(label-pred) - 0.9*relu(0.1-abs(label-0.3))*relu(pred-0.5)*20", "convex_score"),
        ("(pred-label)^2 + if(label-pred > 0.3, 1, 0)", "gradient"),
    ],
)
def test_what_fails_at_one_label_is_not_proved(text: str, name: str) -> None:
    assert soft(text).properties[name].status != "proved"


@pytest.mark.parametrize("text", ["exponential", "hinge", "squared_hinge", "ccl"])
def test_a_score_with_a_lower_loss_than_at_the_label(text: str) -> None:
    witness = soft(text).properties["minimum"].witness
    assert witness is not None
    label, score = float(Fraction(str(witness.at["label"]))), float(Fraction(str(witness.at["score"])))
    program = lower(parse(text).tree, "score")
    parameters = {b.name: float(b.low) for b in parse(text).tree.where}
    loss, _ = evaluate(program, np.array([score, np.log(label / (1 - label))]), np.full(2, label), parameters)
    assert loss[0] < loss[1]


def test_a_kink_at_the_label_that_points_away() -> None:
    witness = soft("logmin").properties["minimum"].witness
    assert witness is not None and witness.at["label"] == witness.at["pred"] == "1/32"


def contradictions(formula: Formula, report: Report) -> list[str]:
    """What a grid shows to be false of what was proved."""
    found = report.properties
    score = "score" in formula.source
    try:
        program = lower(formula.tree, "score" if score else "pred")
    except LoweringError:  # such as expm1(1e6), which floats cannot hold
        return []
    pred = np.concatenate([np.linspace(0.001, 0.999, 999), [1e-6, 1e-4, 1 - 1e-4, 1 - 1e-6]])
    pred.sort()
    far = np.array([1e-15, 1e-12, 1e-9, 1 - 1e-9, 1 - 1e-12, 1 - 1e-15])
    out = []
    for label in np.concatenate([np.linspace(0, 1, 41), [0.3, 1 / 3, 1e-3, 1e-6]]):
        place = np.log(pred / (1 - pred)) if score else pred
        with np.errstate(all="ignore"):
            loss, slope = evaluate(program, place, np.full_like(place, label))
        in_pred = slope / (pred * (1 - pred)) if score else slope
        in_score = in_pred * pred * (1 - pred)
        scale = 1e-9 * (1 + np.abs(loss).max())
        proved = [name for name in NAMES if found[name].status == "proved"]
        if "uses_pred" in proved and not (np.abs(in_pred) > 0).any():
            # relu(plog(pred)) rests but next to 1.
            there = evaluate(program, np.log(far / (1 - far)) if score else far, np.full_like(far, label))[1]
            if not (np.abs(there) > 0).any():
                out.append(f"uses_pred at {label}")
        if "minimum" in proved:
            goal = np.argmin(np.abs(pred - label))
            if loss[goal] > loss.min() + scale + 0.0011 * np.abs(in_pred[max(0, goal - 2) : goal + 3]).max():
                out.append(f"minimum at {label}")
        if "no_dead_zone" in proved:
            flat = np.abs(in_pred[2:-2]) < 1e-6
            if any(flat[k : k + 11].all() for k in range(len(flat) - 11)):
                out.append(f"no_dead_zone at {label}")
        if "bounded_gradient" in proved:
            bound = re.search(
                r"slope in score stays within (?:a bound of )?([0-9.e+-]+)", found["bounded_gradient"].detail
            )
            if bound is not None and np.abs(in_score).max() > float(bound[1]) * 1.006:
                out.append(f"bounded_gradient at {label}: {np.abs(in_score).max()}")
        if "convex_pred" in proved and (np.diff(in_pred) < -1e-6 * (1 + np.abs(in_pred).max())).any():
            out.append(f"convex_pred at {label}")
    return out


@given(formulas(depth=3, domain_safe=True))
@settings(max_examples=30, deadline=None)
def test_no_proof_is_contradicted(formula: Formula) -> None:
    assert contradictions(formula, check(formula, label="[0,1]", timeout=2.0, properties=NAMES)) == []


def test_a_loss_of_the_difference_is_one_curve() -> None:
    for text in ("mse", "huber", "abs(sigmoid(score)-label)"):
        assert of_difference(parse(text).tree.root) is not None
    for text in ("bce", "(label-pred)^2*label", "(label-pred)^2 + score", "pred"):
        assert of_difference(parse(text).tree.root) is None
