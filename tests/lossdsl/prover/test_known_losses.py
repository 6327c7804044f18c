"""The known answers: what is true of losses that everybody knows, worked out by hand or taken from the literature."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lossdsl.checking import check
from lossdsl.lowering import lower
from lossdsl.report import Report
from lossdsl.targets.numpy import evaluate

EPS = "where eps = 1e-6"
BOOSTING = "label*sqrt((1-pred)/pred) + (1-label)*sqrt(pred/(1-pred))"
GCE = "label*(1-pred^0.5)/0.5 + (1-label)*(1-(1-pred)^0.5)/0.5"
WEIGHTED = "-3*label*log(pred) - (1-label)*log(1-pred)"
SPHERICAL = "-(label*pred + (1-label)*(1-pred))/sqrt(pred^2 + (1-pred)^2)"

COLUMNS = ("monotone", "convex_pred", "convex_score", "proper", "calibrated")
# P proved, Ps strictly, R refuted. For properness see Reid and Williamson (2010).
TABLE = {
    "mse": "Ps P R P P",
    "bce": "Ps P P P P",
    "focal": "Ps P R R P",
    "max(0, 1-(2*label-1)*pred)": "Ps P R R P",
    "maxr": "Ps P R R R",
    "sumr": "Ps P R R R",
    "logmin": "Ps R R R R",
    BOOSTING: "Ps R P P P",
    GCE: "Ps P R R P",
    WEIGHTED: "Ps P P R R",
    SPHERICAL: "Ps R R P P",
    "abs(label-pred)": "Ps P R R P",
    "hinge": "P R P R P",
    "squared_hinge": "P P P R P",
    "exponential": "Ps P P R P",
    "huber": "Ps P R R P",
    "softplus(score) - label*score": "Ps P P P P",
    "exp(-(2*label-1)*pred)": "Ps P R R R",
    "-(label-pred)^2": "R R R R R",
    "pred^2": "R P R R R",
    "(pred-0.5)^2": "R P R R R",
}


def mark(report: Report, name: str) -> str:
    finding = report.properties[name]
    return finding.status[0].upper() + ("s" if name == "monotone" and finding.strict else "")


@pytest.mark.parametrize("text", TABLE)
def test_known_answers(text: str) -> None:
    report = check(text, timeout=None)
    assert " ".join(mark(report, name) for name in COLUMNS) == TABLE[text]


VERDICTS = {
    "bce": "valid", "mse": "valid", "focal": "valid", "hinge": "valid", "squared_hinge": "valid", "maxr": "valid",
    "sumr": "valid", "logmin": "valid", "huber": "valid", "exponential": "valid", "bpr": "valid", "ccl": "valid",
    "predpredlabel": "invalid", "-log(pred)": "invalid", "pred*label": "invalid", "label^2": "invalid",
    "(pred-0.5)^2": "invalid", "label*(1-pred)": "invalid", "(label-pred)/(label-pred)": "invalid",
    "log(pred-label)": "invalid", "label/(pred-0.5)": "invalid", "clamp(-(2*label-1)*pred, -0.9, 0.9)": "valid",
    "label*exp(1/pred) + (1-label)*pred": "valid", "focal where gamma = 0.7": "valid", "focal where gamma = 0": "valid",
    "(label-pred)^2 + 0.001*exp(40*pred)*label": "invalid",
}  # fmt: skip


@pytest.mark.parametrize("text", VERDICTS)
def test_verdicts(text: str) -> None:
    assert check(text, timeout=None).verdict == VERDICTS[text]


BOUNDS = {
    "mse": (8 / 27, 2), "bce": (1, 1e6), "abs(label-pred)": (0.25, 1), WEIGHTED: (3, 3e6), "hinge": (1, 1e6),
    "focal": (None, 1e6), "sumr": (None, 2.5e11), "maxr": (2.5e5, 2.5e11), "logmin": (None, 5e5),
}  # fmt: skip


@pytest.mark.parametrize("text", BOUNDS)
def test_largest_slopes(text: str) -> None:
    words = check(text, timeout=None).properties["bounded_gradient"].detail.split("within ")
    in_score, in_pred = BOUNDS[text]
    assert float(words[2].split()[0]) == pytest.approx(in_pred, rel=1e-3)
    assert in_score is None or float(words[1].split()[0]) == pytest.approx(in_score, rel=1e-3)


STEEP = [
    "exp(-10*pred)*label + exp(-10*(1-pred))*(1-label)", "exp(-6*pred)*label + exp(-6*(1-pred))*(1-label)",
    "exp(-3*pred)*label + (1-label)*exp(3*pred)", "(label-pred)^2*exp(abs(label-pred))", "focal",
    "focal where gamma = 1", "-label*log(1e-10+pred) - (1-label)*log(1e-10+1-pred)", "maxr",
]  # fmt: skip


@pytest.mark.parametrize("text", STEEP)
def test_no_slope_is_beyond_the_bound_and_one_is_near_it(text: str) -> None:
    words = check(text, timeout=None).properties["bounded_gradient"].detail.split("within ")
    in_score, in_pred = float(words[1].split()[0]), float(words[2].split()[0])
    score, pred = np.linspace(-30, 30, 60_001), np.linspace(1e-6, 1 - 1e-6, 9_999)
    for program, places, bound in (
        (lower(text, "score"), score, in_score),
        (lower(text, "pred"), np.concatenate([np.geomspace(1e-6, 0.5), pred]), in_pred),
    ):
        slopes = [np.abs(evaluate(program, places, np.full(places.shape, label))[1]).max() for label in (0.0, 1.0)]
        assert max(slopes) <= bound * (1 + 1e-12) and bound < max(slopes) * (1 + 3e-4)


def test_false_anywhere_on_the_open_interval_is_refuted_there() -> None:
    report = check("(pred-label)^2 + 1e4*label*max(pred-(1-1e-7), 0)", timeout=None)
    finding = report.properties["monotone"]
    assert (report.verdict, finding.status) == ("invalid", "refuted")
    assert finding.witness is not None
    assert 1 - Fraction(1, 10**7) < Fraction(str(finding.witness.at["pred"])) < 1


def test_a_place_where_nothing_is_defined_counts_though_both_sides_are() -> None:
    report = check("label*log(abs(pred-0.5)) + pred", timeout=None)
    finding = report.properties["domain"]
    assert finding.status == "refuted"
    assert finding.witness is not None and finding.witness.at["pred"] == "1/2"
    assert finding.blame == "log(abs(pred-0.5))"


def test_what_is_multiplied_by_zero_still_has_to_be_defined() -> None:
    for text in (
        "(label-pred)^2 + 0*log(pred-0.5)",
        "(label-pred)^2 + (pred-pred)/(pred-pred)",
        "max(pred, 2)*label/label",
    ):
        assert check(text, timeout=None).properties["domain"].status == "refuted", text


def test_a_jump_on_a_single_place_is_seen() -> None:
    report = check("pred*(1-label) + label*if((pred-0.5)^2 <= 0, 7, 1-pred)", timeout=None)
    finding = report.properties["gradient"]
    assert finding.status == "refuted"
    assert finding.witness is not None and finding.witness.at["pred"] == "1/2"


def test_kinks_are_exact_or_isolated() -> None:
    assert check("huber", timeout=None).kinks == ()
    assert check("max(0, 0.3-pred)*label + (1-label)*pred", timeout=None).kinks == ({"label": "1", "pred": "3/10"},)
    (kink,) = check("max(pred^2, 0.5)*(1-label) + label*(1-pred)", timeout=None).kinks
    low, high = (Fraction(x) for x in kink["pred"])
    assert low < high and low**2 < Fraction(1, 2) < high**2
    (kink,) = check("max(exp(-score), score)*label + (1-label)*score", timeout=None).kinks
    low, high = (Fraction(x) for x in kink["score"])
    assert low < Fraction(567143290409783873, 10**18) < high


def test_square_roots_of_squares_are_sizes() -> None:
    report = check("sqrt((label-0.5-(pred-0.5))^2)", timeout=None)
    assert report.verdict == "valid"
    report = check("sqrt((pred-0.5)^2)*label + pred*(1-label)", timeout=None)
    assert report.properties["monotone"].status == "refuted"
    assert {"label": "1", "pred": "1/2"} in report.kinks


def test_score_formulas_have_witnesses_on_the_score_axis() -> None:
    finding = check("hinge where margin = 1", timeout=None).properties["no_dead_zone"]
    assert finding.status == "refuted"
    assert finding.witness is not None and set(finding.witness.at) == {"label", "score", "margin"}


def test_pairs_without_label_are_judged_at_label_one() -> None:
    alone, as_pairs = (
        check("-logsigmoid(score)", timeout=None),
        check("-logsigmoid(score)", pairwise=True, timeout=None),
    )
    assert (alone.verdict, as_pairs.verdict) == ("invalid", "valid")
    assert alone.properties["uses_label"].mend == "for pairs, add --pairwise"
    assert "uses_label" not in as_pairs.properties


TORN = [
    "pinv(abs(score))", "pinv(abs(pred-0.5))", "plog(abs(pred-0.5))", "psqrt(abs(pred-0.5))", "sign(max(pred-0.5, 0))",
    "if(abs(pred-0.5) <= 0, 1, 2)", "if(relu(pred-0.5) <= 0, 1, 2)", "sign(min(pred-0.5, 0))", "pinv(sqrt(abs(score)))",
    "pinv(square(pred-0.5))", "sign(abs(max(pred, 0.5)-0.5))",
]  # fmt: skip


@pytest.mark.parametrize("text", TORN)
def test_a_switch_where_another_part_has_its_kink(text: str) -> None:
    finding = check(text, timeout=None).properties["gradient"]
    assert finding.status == "refuted"
    assert finding.witness is not None
    assert finding.witness.at["score" if "score" in text else "pred"] == ("0" if "score" in text else "1/2")


@pytest.mark.parametrize("text", ["abs(abs(pred-0.5))", "max(abs(pred-0.5), 0)", "if(abs(pred-0.5) <= 0, 0, pred-0.5)"])
def test_a_switch_that_changes_nothing_tears_nothing(text: str) -> None:
    assert check(text, timeout=None).properties["gradient"].status == "proved"
