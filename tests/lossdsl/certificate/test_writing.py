"""Certificates of random formulas: what is written is confirmed, and nothing is claimed beyond the report."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings

import lossdsl
from lossdsl.certificate import certify, document
from lossdsl.formula import Formula
from lossdsl.testing import formulas
from lossdsl.verifier import verify


@pytest.mark.parametrize("label", ["{0,1}", "[0,1]"])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(formulas(3, domain_safe=True, variables=("pred", "label", "score")))
def test_random_formulas(label: str, formula: Formula) -> None:
    report = lossdsl.check(formula, timeout=None, label=label)
    proved = {name for name, finding in report.properties.items() if finding.status == "proved"}
    entry = certify(formula, report, label=label, seconds=5.0)
    claimed = set(entry["proved"])
    assert claimed <= proved
    assert claimed | set(entry["not certified"]) == proved
    outcome = verify(document([entry]))
    assert not outcome.entries[0].failed
    assert set(outcome.entries[0].verified) == claimed


def test_one_label_alone() -> None:
    one = certify(lossdsl.parse("bce"), lossdsl.check("bce", label="{1}"), label="{1}")
    assert one["labels"] == [1] and "monotone" in one["proved"] and "uses_label" not in one["proved"]


def test_a_wrong_report_is_not_believed() -> None:
    """A property that is not there cannot be certified, whatever the prover said."""
    claimed, true = lossdsl.check("bce"), lossdsl.check("predpredlabel")
    entry = certify(lossdsl.parse("predpredlabel"), claimed)
    false = {name for name, finding in true.properties.items() if finding.status == "refuted"}
    assert not set(entry["proved"]) & false
    assert "monotone" in entry["not certified"]


LEAST = {"bce": 1.0, "mse": 8 / 27, "huber": 0.125, "focal": 1.1288, "(label-pred)^4": 0.32768}


@pytest.mark.parametrize("formula", LEAST)
def test_bounds_are_close_to_the_least_ones(formula: str) -> None:
    """The largest slope in score, by hand: of mse 2 p^2 (1-p) at p = 2/3, of the fourth power 4 p^4 (1-p) at 4/5."""
    claim = certify(lossdsl.parse(formula), lossdsl.check(formula))["proved"]["bounded_gradient"]
    assert LEAST[formula] * 0.9999 <= Fraction(claim["bound"]) <= LEAST[formula] * 1.011
