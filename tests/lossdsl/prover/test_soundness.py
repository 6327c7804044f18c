"""No proof is contradicted, every witness shows what it says, by values in 120 digits that the engine did not make."""

from __future__ import annotations

import importlib
import random
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from mpmath import mpf

from lossdsl.checking import check
from lossdsl.errors import LossError
from lossdsl.formula import Formula, parse
from lossdsl.report import Witness

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


def load(name: str) -> ModuleType:
    """A file of benchmarks/, which is no package."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


oracle, objections, randoms = load("oracle"), load("objections"), load("randoms")


def judge(formula: Formula, seed: int) -> list[str]:
    report = check(formula, timeout=None)
    return [f"{formula}: {text}" for text in objections.objections(formula, report, random.Random(seed))]


def batch(first: int, count: int, largest: int) -> list[str]:
    out: list[str] = []
    for number in range(first, first + count):
        try:
            formula = parse(randoms.formula(random.Random(number), largest), "lossdsl")
        except LossError:
            continue
        out += judge(formula, number)
    return out


@pytest.mark.parametrize("block", range(8))
def test_random_formulas(block: int) -> None:
    assert batch(1000 * block, 40, 5) == []


@pytest.mark.parametrize("dialect", ["autolossgen", "autolossgen-plain"])
@pytest.mark.parametrize("block", range(3))
def test_random_lines_of_the_search_log(dialect: str, block: int) -> None:
    found: list[str] = []
    for number in range(25):
        dice = random.Random(1000 * block + number)
        found += judge(parse(randoms.log_line(dice, dice.randint(2, 6)), dialect), number)
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize("block", range(30))
def test_many_random_formulas(block: int) -> None:
    assert batch(100_000 + 1000 * block, 100, 9) == []


@pytest.mark.parametrize(
    ("text", "proofs_of", "name"),
    [
        ("(pred-0.5)^2", "mse", "monotone"),
        ("label*(1-pred) + (1-label)*pred*(pred-0.9)", "mse", "minimum"),
        # The limit is far away from the label in all that a place close to it shows.
        ("label*min(pred, 2 + 1/log(1-pred)) + (1-label)*pred", "mse", "minimum"),
        ("min(score^2, 4) + 1/(1+score^2)", "score^2", "minimum"),
        # Falls on its way to the label, but not without end.
        ("(1-label)*(max(log(pred), -2000) - exp(9/(1-pred))) + label*(1-pred)", "mse", "minimum"),
        ("(1-label)*(1/(2-log(pred)) - 9*pred) + label*(1-pred)", "mse", "minimum"),
        ("(1-label)*(max(score, -1e6) - exp(score)) - label*score", "score^2", "minimum"),
        ("(1-label)*(log(2+1/(1+score^2)) - exp(score)) - label*score", "score^2", "minimum"),
        ("log(pred-0.5) + label", "bce", "domain"),
        ("1/(log(pred) - log(pred)) + label", "bce", "domain"),
        ("abs(pred-0.5)*label - abs(pred-0.4)", "bce", "convex_pred"),
    ],
)
def test_the_oracle_objects_to_a_false_proof(text: str, proofs_of: str, name: str) -> None:
    formula = parse(text, "lossdsl")
    report = check(proofs_of, timeout=None)
    report.properties[name] = replace(report.properties[name], status="proved")
    assert any(name in found for found in objections.objections(formula, report, random.Random(1)))


def test_the_oracle_objects_to_a_false_interval() -> None:
    report = check("mse", timeout=None)
    witness = Witness({"label": "0", "pred": ["1/4", "1/3"]}, "kink", "")
    report.properties["convex_pred"] = replace(report.properties["convex_pred"], status="refuted", witness=witness)
    found = objections.objections(parse("mse", "lossdsl"), report, random.Random(1))
    assert found == ["convex_pred: the slope does not fall over the interval"]


def test_the_oracle_objects_to_a_false_imbalance() -> None:
    report = check("mse", timeout=None)
    witness = Witness({"pred": "1/3"}, "1", "")
    report.properties["proper"] = replace(report.properties["proper"], status="refuted", witness=witness)
    found = objections.objections(parse("mse", "lossdsl"), report, random.Random(1))
    assert found == ["proper: balanced at the witness 1/3"]


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        # 1 - sigmoid(5e29) is above zero, and zero in 220 digits.
        ("autolossgen-plain", "1 / ((- (Sigmoid ((Sigmoid ((pred * label)) * 1 / (pred)))) + label))"),
        # Goes to zero at the label as slowly as 1 / log^2.
        ("lossdsl", "relu(pinv(min(square(score),expm1(score))))"),
        ("lossdsl", "label/log(1-pred)^2 + (1-label)/log(pred)^2"),
        # Falls without end next to the label, but slowly, and fast at the other end.
        ("lossdsl", "((score-(2*label-1))-exp(score))"),
        ("autolossgen-plain", "(Log (pred) + (pred * 1 / (Log ((1 * pred)))))"),
        # The witness is the place of a jump, which the digits of another precision would miss.
        ("lossdsl", "label*(1-pred)*if(1e-6 < pred, 1, -1) + (1-label)*pred"),
        # Flat where two parts meet, one of which is not.
        ("autolossgen", "Sigmoid (min(min(min(pred , pred) , (pred * 1 / (1 / (1)))) , 1))"),
        # Steepest at pred = 1.7e-10, in a piece that does not reach the end.
        ("autolossgen", "Sigmoid (((pred * 1 / (min(pred , label))) * 1 / (pred)))"),
        # A kink of size exp(-1e5), known as an interval.
        ("autolossgen", "(pred + (1 + (1 * Sigmoid ((pred + 1 / (pred))))))"),
        ("lossdsl", "label*(1-pred) + (1-label)*pred*(sigmoid(pinv((1e-6/(1-pred)))))"),
        # A pole at label 0 whose residue the label multiplies by zero.
        ("lossdsl", "label*(((1e-6)^3/(((1-pred))^1.5-1e-6))) + (1-label)*pred"),
        ("lossdsl", "label*log(pred) - (1-label)*log(1-pred)*(3/(3-(label/(1-pred))))"),
        # Equal but for the last digits.
        ("lossdsl", "abs(label-pred)*((log(2)/if(pred < (1e-6)^0.5, pred, label)))"),
        ("lossdsl", "label*(1-pred) + (1-label)*(sign(if(1-((1-pred)) < pred, pred, label)))"),
        # A kink in an interval over which the slope rises far more.
        ("lossdsl", "label - (1-label)*log(1-pred)*((exp(1e-6)+min(plog(pred),(1-pred))))"),
        ("lossdsl", "label*(1-pred) - (1-label)*log(1-pred) + 0.1*(min(1e-6,log1p((1-pred))))"),
        # The slope rises by 90,909 and falls again within 1e-10, both in the interval.
        ("autolossgen", "Sigmoid (min(pred , Log (((1 * pred) * 1 / (min(label , pred))))))"),
        # The slope is zero on both sides of the two kinks, which are 5e-12 apart.
        ("autolossgen", "min(1 / ((((pred * label) * 1 / (pred))) ^ 2) , 1)"),
        # Off balance by exp(-1e6).
        ("lossdsl", "-label*log(pred)*(1) - (1-label)*log(1-pred)*(sigmoid(1/((1e-6/(1e-6/1e-6)))))"),
        # What is left of two numbers of 400,000 digits.
        ("lossdsl", "(label-pred)^2*((softplus((1-pred))+expm1(reciprocal(1e-6))))"),
        # A value of its own at a single place that is no rational.
        ("lossdsl", "-label*log(pred) - (1-label)*log(1-pred) + 0.1*(sign(plog(square((log1p(0.5)-pred)))))"),
        # As good as the witness from there to sigmoid(sigmoid(1)), but for rounding.
        ("autolossgen-plain", "(min(label , pred) * 1 / (min(Sigmoid (Sigmoid (max(label , 1))) , pred)))"),
    ],
)
def test_the_oracle_does_not_object_to_what_is_true(dialect: str, text: str) -> None:
    assert judge(parse(text, dialect), 3) == []


@pytest.mark.parametrize(
    ("text", "slope"),
    [
        ("abs(pred-0.5)", 0),
        ("max(pred, 0.5, 1-pred)", 0),
        ("min(max(pred, 0.5), 0.5)", 0),
        ("relu(pred-0.5)", 0.5),
        ("clamp(2*pred, 1, 3)", 1),
        ("min(2*pred-1, abs(pred-0.5))", 1.5),
        ("max(pred, pred^2 + 0.25)", 1),
    ],
)
def test_slopes_at_a_kink_are_the_mean_of_both_sides(text: str, slope: float) -> None:
    judged = oracle.Oracle(parse(text, "lossdsl"))
    assert judged(mpf(1) / 2, 1)[1] == slope
    h = mpf(10) ** -60
    difference = (judged(mpf(1) / 2 + h, 1)[0] - judged(mpf(1) / 2 - h, 1)[0]) / (2 * h)
    assert abs(difference - slope) < mpf(10) ** -50


@pytest.mark.parametrize("text", ["1/(1-sigmoid(1/pred))", "log(1-tanh(1/pred))", "plog(exp(-1/pred)+2-2)"])
def test_what_is_lost_beside_a_number_is_no_zero(text: str) -> None:
    with pytest.raises(oracle.OutOfSight):
        oracle.Oracle(parse(text, "lossdsl"))(mpf(10) ** -30, 1)


@pytest.mark.parametrize("text", ["1/(pred-pred)", "log(pred-1)", "1/(0.5-0.5*label)", "sqrt(sigmoid(1/pred)-2)"])
def test_what_is_not_finite_is_told(text: str) -> None:
    with pytest.raises(oracle.NotFinite):
        oracle.Oracle(parse(text, "lossdsl"))(mpf(10) ** -30, 1)


@pytest.mark.parametrize(
    "text",
    [
        # The second piece begins at score 16, beyond 1-1e-6: zero slopes before it say nothing of the whole interval.
        "(1-label)*max(psqrt(score)*0.5, 2) + label*(1-pred)",
        "label*plog(pinv(1) - (1/1+label)) + (1-label)*max(psqrt(score)*0.5, 1+1)",
    ],
)
def test_a_slope_that_wakes_up_next_to_an_end_is_not_called_zero(text: str) -> None:
    assert check(text).properties["uses_pred"].status != "refuted"


# The exact form gives up on it; then places are looked at, of which 9/16 is one.
OPAQUE = "log((1+pred+exp(pred)+log(2+pred)+exp(pred^2)+exp(pred^3))^16)"
ON_A_BORDER = {
    f"if((pred-0.5625)^2 <= 0, 2*pred-0.625, 0.5) - pred + 0*{OPAQUE}": {"monotone": "refuted"},
    f"if((pred-0.5625)^2 <= 0, pred-0.0625, 0.5) + 0*{OPAQUE}": {"uses_pred": "proved", "monotone": "refuted"},
}


@pytest.mark.parametrize("text", ON_A_BORDER)
def test_a_place_on_the_border_of_a_branch_says_nothing_of_the_slope(text: str) -> None:
    """At 9/16 alone another branch holds, with the same value and another slope: the loss is 0.5 - pred, or 0.5."""
    report = check(text, pairwise=True, timeout=None)
    for name, wrong in ON_A_BORDER[text].items():
        assert report.properties[name].status != wrong


def test_parts_that_jump_at_the_label_do_not_meet_there() -> None:
    """At label 0.4, the loss is 10.4 wherever pred is less."""
    loss = (
        "max(10*sign(label-pred) + (3*max(pred,label) - 2*label), 10*sign(pred-label) + (3*label-2*pred))"
        " + max(abs(label-0.4)-0.01, 0)*pred"
    )
    found = check(loss, label="[0,1]", timeout=None, properties=("no_dead_zone",)).properties["no_dead_zone"]
    assert found.status != "proved"


def test_a_least_value_is_strict_where_the_loss_is_strictly_proper() -> None:
    loss = (
        "(1-label)*if(pred > 0.5, pred^3/3-pred^2/4+1/48, 0)"
        " - label*if(pred > 0.5, 0.75*pred^2-pred^3/3-0.5*pred+5/48, 0)"
    )  # 0 on the whole of (0, 1/2] whatever the label
    found = check(loss, label="[0,1]", timeout=None, properties=("minimum",)).properties["minimum"]
    assert not found.strict
    sure = check("bce", label="[0,1]", timeout=None, properties=("minimum",)).properties["minimum"]
    assert (sure.status, sure.strict) == ("proved", True)
