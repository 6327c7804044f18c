"""Certificates of random formulas for soft labels: what is written is confirmed, and nothing goes beyond the report."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

import lossdsl
from lossdsl.certificate import certify, document
from lossdsl.formula import Formula
from lossdsl.testing import formulas
from lossdsl.verifier import verify


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(formulas(3, domain_safe=True, variables=("pred", "label", "score")))
def test_random_formulas_at_all_labels(formula: Formula) -> None:
    report = lossdsl.check(formula, timeout=None, label="[0,1]")
    proved = {name for name, finding in report.properties.items() if finding.status == "proved"}
    entry = certify(formula, report, label="[0,1]", seconds=5.0)
    claimed = set(entry["proved"])
    assert claimed <= proved
    assert claimed | set(entry["not certified"]) == proved
    outcome = verify(document([entry]))
    assert not outcome.entries[0].failed
    assert set(outcome.entries[0].verified) == claimed


RANGED = {
    "focal where gamma in [0, 5]": {"convex_pred", "calibrated", "proper_composite", "bounded_gradient"},
    "hinge where margin in [0.5, 2]": set(),
}


@pytest.mark.parametrize("formula", RANGED)
def test_what_has_no_certificate_is_said(formula: str) -> None:
    entry = certify(lossdsl.parse(formula), lossdsl.check(formula, timeout=None))
    assert set(entry["not certified"]) == RANGED[formula]
    assert verify(document([entry])).entries[0].uncertified == entry["not certified"]


def test_a_pair_of_labels_with_a_range() -> None:
    formula = "-logsigmoid(b*score) where b in [1, 2]"
    report = lossdsl.check(formula, pairwise=True, timeout=None)
    entry = certify(lossdsl.parse(formula), report, pairwise=True)
    assert entry["labels"] == [1] and {"domain", "monotone"} <= set(entry["proved"])
    outcome = verify(document([entry]))
    assert outcome.ok and outcome.entries[0].scope == "label 1, all b in [1, 2]"
