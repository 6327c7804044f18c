"""Parameters with a range and soft labels: proved for all values, or refuted with one of them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from lossdsl.checking import check

VERDICTS = {
    "focal where gamma in [0, 5]": "valid",
    "-w*label*log(pred) - (1-label)*log(1-pred) where w in [0.5, 3]": "valid",
    "-w*label*log(pred) - (1-label)*log(1-pred) where w in [-1, 3]": "invalid",
    "hinge where margin in [0, 2]": "valid",
    "(label-pred)^2 + a*pred where a in [0, 1]": "invalid",
    "(label-pred)^2 + a*log(pred-b) where a in [0, 1], b in [-1, 0.5]": "invalid",
    "(label-pred)^2 + a*log(pred+b) where a in [0, 0], b in [0.1, 0.5]": "valid",
}


@pytest.mark.parametrize("text", VERDICTS)
def test_ranges(text: str) -> None:
    assert check(text, timeout=None).verdict == VERDICTS[text]


def test_a_refutation_names_the_value() -> None:
    finding = check("(label-pred)^2 + a*pred where a in [0, 1]", timeout=None).properties["monotone"]
    assert finding.witness is not None
    a, pred = Fraction(str(finding.witness.at["a"])), Fraction(str(finding.witness.at["pred"]))
    assert 2 * (pred - 1) + a > 0


def test_nothing_is_proved_for_a_range_that_single_values_agree_on() -> None:
    # Wrong for a strictly between the places where one would look: the slope at label 1 is 0.01 - (a - 0.3)^2 near 0.3.
    text = "label*(pred*(0.001 - (a-0.3)^2)) + (1-label)*pred where a in [0, 1]"
    assert check(text, timeout=None).properties["monotone"].status == "undecided"


SOFT = {
    "bce": ("valid", "proved"),
    "mse": ("valid", "proved"),
    "focal": ("valid", "refuted"),
    "abs(label-pred)": ("valid", "proved"),
    "pred*(1-label) + label*(1-pred)": ("invalid", "refuted"),
    "log(label*pred - 0.3 + label)": ("invalid", "refuted"),
    "-label*log(pred) - (1-label)*log(1-pred) + 0*log(abs(label-0.5))": ("invalid", "undecided"),
}


@pytest.mark.parametrize("text", SOFT)
def test_soft_labels(text: str) -> None:
    report = check(text, label="[0,1]", timeout=None)
    assert (report.verdict, report.properties["minimum"].status) == SOFT[text]


def test_a_part_that_no_label_may_reach_is_found_between_the_labels() -> None:
    report = check("pred*(1-label) + label*(1-pred) + 0/(label-0.5)", label="[0,1]", timeout=None)
    finding = report.properties["domain"]
    assert finding.status == "refuted"
    assert finding.witness is not None and finding.witness.at["label"] == "1/2"


def test_one_label_alone() -> None:
    report = check("-log(pred)", label="{1}", timeout=None)
    assert report.verdict == "valid"
    assert "uses_label" not in report.properties and "proper" not in report.properties


@pytest.mark.parametrize("where", ["gamma in [0, 5]", "gamma in [1, 3]", "gamma in [0, 1]"])
def test_focal_for_every_exponent(where: str) -> None:
    found = check(f"focal where {where}", timeout=None).properties
    for name in ("monotone", "convex_pred", "bounded_gradient", "calibrated", "proper_composite"):
        assert found[name].status == "proved", name
    for gamma in (Fraction(0), Fraction(1, 3), Fraction(3, 2), Fraction(5)):
        single = check(f"focal where gamma = {gamma}", timeout=None).properties
        assert all(single[name].status == "proved" for name in ("convex_pred", "bounded_gradient", "proper_composite"))


TRIED = "g*(g-1)*(g-0.5)*(g-0.25)*(g-0.75)"
"""Zero at all values of g in [0, 1] that are tried."""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("3*label*(1-pred) + 3*(1-label)*pred + ((g-0.3)^2-0.001)*(label-pred)^2", "convex_pred"),
        ("label*(1-pred^((g-0.3)^2-0.001)) + (1-label)*pred", "bounded_gradient"),
        (f"-(1+{TRIED})*label*log(pred) - (1-label)*log(1-pred)", "calibrated"),
        # Not strictly convex where the last factor is zero: there the loss is abs(label-pred).
        ("label*(1-pred) + (1-label)*pred + (g-0.3)^2*(label-pred)^2", "proper_composite"),
    ],
)
def test_what_fails_at_a_value_that_nobody_tries_is_not_proved(text: str, name: str) -> None:
    found = check(f"{text} where g in [0, 1]", timeout=None).properties
    assert found[name].status != "proved"


SOFT_AND_RANGED = {
    "hinge where margin in [0.5, 2]": ("domain", "gradient"),
    "w*(label-pred)^2 where w in [0.5, 2]": ("domain", "gradient", "convex_pred"),
}


@pytest.mark.parametrize("text", SOFT_AND_RANGED)
def test_soft_labels_and_parameters_at_once(text: str) -> None:
    report = check(text, label="[0,1]", timeout=None)
    for name in SOFT_AND_RANGED[text]:
        assert report.properties[name].status == "proved"
        assert "label in [0, 1]" in report.properties[name].detail


def test_a_label_between_and_a_parameter_refute_together() -> None:
    """Flat at label 1/2 for w = 4 alone."""
    report = check("(label-pred)^2 - w*label*(1-label)*(pred-0.5)^2 where w in [0, 8]", label="[0,1]", timeout=None)
    for name in ("uses_pred", "no_dead_zone"):
        finding = report.properties[name]
        assert finding.status == "refuted" and finding.witness is not None
        assert (finding.witness.at["label"], finding.witness.at["w"]) == ("1/2", "4")
    assert report.properties["minimum"].status == "undecided"


def test_a_slope_may_rest_for_one_value() -> None:
    """At w = 0 the loss is flat: it never rises on the way to the label, and what asks for more is refuted."""
    found = check("w*(label-pred)^2 where w in [0, 1]", timeout=None).properties
    assert {found[name].status for name in ("monotone", "minimum", "convex_pred")} == {"proved"}
    assert not found["monotone"].strict and found["proper_composite"].status == "refuted"
    below = check("w*(label-pred)^2 where w in [-0.01, 1]", timeout=None).properties
    assert {below[name].status for name in ("monotone", "minimum", "convex_pred")} == {"refuted"}
