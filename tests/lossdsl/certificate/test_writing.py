"""Certificates of random formulas: what is written is confirmed, and nothing is claimed beyond the report."""

from __future__ import annotations

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
