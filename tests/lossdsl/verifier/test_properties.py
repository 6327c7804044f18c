"""What single demands of a property keep out: losses that meet all the others, with the evidence for that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import lossdsl
from lossdsl.certificate import certify, document
from lossdsl.verifier import verify

VALID = ("domain", "uses_pred", "uses_label", "gradient", "monotone")


def forged(formula: str, *names: str) -> dict[str, Any]:
    """The entry of a formula after a report that has the properties of bce with these names, true or not.

    Evidence is searched for all that a claim asks for, as far as there is some.
    """
    report = lossdsl.check("bce")
    report = replace(report, properties={n: f for n, f in report.properties.items() if n in (*VALID, *names)})
    return certify(lossdsl.parse(formula), report)


def why_not(entry: dict[str, Any], name: str) -> str:
    """Why a claim that is put into an entry fails, the checksum being right."""
    assert "domain" in entry["proved"] and "monotone" in entry["proved"]
    assert name not in entry["proved"]
    reasons = set()
    for claim in ({}, {"strict": True}, {"strict": False}):
        entry["proved"][name] = claim
        (checked,) = verify(document([entry])).entries
        assert set(checked.failed) == {name}
        reasons.add(checked.failed[name])
    assert len(reasons) == 1
    return reasons.pop()


FALSE = {
    "(1-2*label)*(pred-0.5)^3 + relu((1-2*label)*(pred-0.5))^2": ("calibrated", "may rest at 1/2"),
    "(1-2*label)*pred + label*relu(0.5-pred)": ("calibrated", "not shown to be zero at 1/2"),
    "(1-label)*(2*pred-pred^2/2) - label*pred": ("proper_composite", "falls in cell 0"),
    "(1-label)*(pred + pred^2/2) - label*(pred + relu(pred-0.5))": ("proper_composite", "may fall at 1/2"),
    "(1-2*label)*pred": ("proper_composite", "may stand still in cell 0"),
    "(1-2*label)*pred + relu(pred-0.5)^2": ("proper_composite", "may stand still in cell 0"),
}


@pytest.mark.parametrize("formula", FALSE)
def test_what_one_demand_alone_keeps_out(formula: str) -> None:
    name, reason = FALSE[formula]
    assert lossdsl.check(formula).properties[name].status != "proved"
    assert reason in why_not(forged(formula, name), name)


def test_a_cell_across_one_half_says_nothing_of_calibration() -> None:
    formula = "(1-label)*2*pred - label*pred"
    assert lossdsl.check(formula).properties["calibrated"].status == "refuted"
    entry = forged(formula)
    assert not entry["breakpoints"]
    assert why_not(entry, "calibrated") == "a cell reaches across 1/2"
