"""Losses that jump: certified where they jump towards the label, and not believed where they do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import lossdsl
from lossdsl.certificate import certify, document
from lossdsl.verifier import verify

TOWARDS = [
    "if(pred < 0.5, 1 + pred, pred + 3)*(1-2*label)",
    "if(pred <= 0.5, 1 + pred, pred + 3)*(1-2*label)",
    "if(pred^2 < 0.3, pred, pred + 1)*(1-2*label)",
    "if(log(pred) < -1, pred, pred + 1)*(1-2*label)",
    "(1-2*label)*(pred + sign(pred-0.3))",
    "(1-2*label)*(pred + abs(sign(pred-0.3) + 1))",
    "(1-2*label)*(pred + max(sign(pred-0.3), 0) + min(sign(pred-0.3), 0.5))",
    "(1-2*label)*(pred + 1/(2 - sign(pred-0.3)))",
    "(1-2*label)*(pred - if(if(pred < 0.3, 0, 1) < 0.5, 1, -1))",
    "(label-pred)^2 + 0.1*(1-2*label)*sign(pred-1/3)",
    "(1-2*label)*psqrt(pred-0.5)",
    "if(score >= 0, score^3 + 1, score)*(1-2*label)",
]


@pytest.mark.parametrize("formula", TOWARDS)
def test_jumps_towards_the_label_are_certified(formula: str) -> None:
    report = lossdsl.check(formula, timeout=None)
    assert report.properties["gradient"].status == "refuted"
    entry = certify(lossdsl.parse(formula), report)
    assert {"monotone", "minimum"} <= set(entry["proved"]), entry["not certified"]
    assert verify(document([entry])).ok


AWAY = [
    "if(pred < 0.5, 1 + pred, pred)*(1-2*label)",
    "if(pred^2 < 0.3, pred, pred - 0.01)*(1-2*label)",
    "(1-2*label)*(pred + if(abs(pred-0.5) <= 0, 1, 0))",
    "(1-2*label)*(pred - if(abs(pred-0.5) <= 0, 1, 0))",
    "(1-2*label)*(pred + abs(sign(pred-0.3)))",
    "(1-2*label)*(pred + exp(sign(pred-0.3)))",
]


@pytest.mark.parametrize("formula", AWAY)
def test_other_jumps_are_not_believed(formula: str) -> None:
    """All but the last jump the wrong way; of that it is not shown where it goes."""
    entry = certify(lossdsl.parse(formula), forged())
    assert "domain" in entry["proved"]
    for name in ("gradient", "monotone", "minimum", "convex_pred", "calibrated", "proper", "proper_composite"):
        assert name not in entry["proved"]
        for claim in ({}, {"strict": True}, {"strict": False}):
            entry["proved"][name] = claim
            assert name in verify(document([entry])).entries[0].failed
        del entry["proved"][name]


def forged() -> Any:
    """The report of a loss with all properties that the tests claim, true or not."""
    report = lossdsl.check("mse")
    return replace(report, properties={n: f for n, f in report.properties.items() if n != "no_dead_zone"})


def test_another_formula_with_the_same_slopes_fails() -> None:
    entry = certify(lossdsl.parse(TOWARDS[0]), lossdsl.check(TOWARDS[0]))
    for text in (
        "if(pred < 0.5, 1 + pred, pred)*(1-2*label)",
        "if(pred < 0.5, 4 + pred, pred + 3)*(1-2*label)",
    ):
        entry["formula"] = str(lossdsl.parse(text))
        assert {"monotone", "minimum"} <= set(verify(document([entry])).entries[0].failed)


def test_a_branch_taken_elsewhere_fails() -> None:
    entry = certify(lossdsl.parse(TOWARDS[0]), lossdsl.check(TOWARDS[0]))
    for cell in entry["cells"]:
        for curve in cell["curves"].values():
            ((term, branch),) = curve["branches"].items()
            curve["branches"][term] = -branch
            assert not verify(document([entry])).ok
            curve["branches"][term] = branch
    entry["breakpoints"] = ["1/3"]
    assert not verify(document([entry])).ok


BUMP = "abs(label-pred) + 0.2*if(abs(pred-0.5) <= 0.1, 1, 0)"


def test_a_bump_leaves_the_least_value_where_it_is() -> None:
    report = lossdsl.check(BUMP, timeout=None)
    assert report.properties["monotone"].status == "refuted"
    entry = certify(lossdsl.parse(BUMP), report)
    assert entry["proved"]["minimum"]["least"] == {"0": ["limit", "0"], "1": ["limit", "0"]}
    assert verify(document([entry])).ok


def test_a_dip_on_one_place_alone_is_seen() -> None:
    """The same loss with the bump as a dip on one place alone: not lower on any cell."""
    report = lossdsl.check(BUMP, timeout=None)
    entry = certify(lossdsl.parse("abs(label-pred) - if(abs(pred-0.5) <= 0, 1, 0)"), report)
    assert "domain" in entry["proved"] and "minimum" not in entry["proved"]
    entry["proved"]["minimum"] = {"least": {"0": ["limit", "0"], "1": ["limit", "0"]}}
    assert "jumps down" in verify(document([entry])).entries[0].failed["minimum"]
