"""Certificates for ranges of parameters: what has none is said, and a pair of labels has its own."""

from __future__ import annotations

import pytest

import lossdsl
from lossdsl.certificate import certify, document
from lossdsl.verifier import verify

RANGED = {
    "focal where gamma in [0, 5]": set(),
    "(1-2*label)*pred + 0*sign(pred-w) where w in [0.2, 0.4]": {
        *("gradient", "monotone", "minimum", "no_dead_zone", "bounded_gradient", "convex_pred", "calibrated")
    },
    "hinge where margin in [0.5, 2]": set(),
}


@pytest.mark.parametrize("formula", RANGED)
def test_what_has_no_certificate_is_said(formula: str) -> None:
    entry = certify(lossdsl.parse(formula), lossdsl.check(formula, timeout=None), seconds=None)
    assert set(entry["not certified"]) == RANGED[formula]
    assert verify(document([entry])).entries[0].uncertified == entry["not certified"]


def test_a_pair_of_labels_with_a_range() -> None:
    formula = "-logsigmoid(b*score) where b in [1, 2]"
    report = lossdsl.check(formula, pairwise=True, timeout=None)
    entry = certify(lossdsl.parse(formula), report, pairwise=True, seconds=None)
    assert entry["labels"] == [1] and {"domain", "monotone"} <= set(entry["proved"])
    outcome = verify(document([entry]))
    assert outcome.ok and outcome.entries[0].scope == "label 1, all b in [1, 2]"
