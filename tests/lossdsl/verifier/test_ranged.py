"""Claims for all values of ranges by algebra and by symmetry, and at all labels too: what holds, and tampering."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, reject, settings
from hypothesis import strategies as st

import lossdsl
from lossdsl.certificate import certify, document
from lossdsl.formula import Formula
from lossdsl.grammar.tree import Number, Tree, walk
from lossdsl.testing import formulas
from lossdsl.verifier import verify
from lossdsl.verifier.ranged import symmetric
from lossdsl.verifier.terms import spell

FOCAL = "focal where gamma in [0, 5]"
SMOOTHED = "-(label*(1-e)+e/2)*log(pred) - (1-label*(1-e)-e/2)*log(1-pred) where e in [0, 0.4]"
SQUARE = "w*(label-pred)^2 where w in [0.5, 2]"
EXPONENTIAL = "exp(-a*(2*label-1)*score) where a in [0.25, 1]"
ALGEBRA = {
    FOCAL: {"bounded_gradient", "convex_pred", "proper_composite"},
    SMOOTHED: {"convex_pred", "convex_score"},
    SQUARE: {"proper"},
    EXPONENTIAL: {"no_dead_zone", "proper_composite"},
}


@cache
def written(formula: str, label: str) -> str:
    report = lossdsl.check(formula, label=label, timeout=None)
    entry = certify(lossdsl.parse(formula), report, label=label, seconds=None)
    proved = {name for name, finding in report.properties.items() if finding.status == "proved"}
    assert set(entry["proved"]) == proved and not entry["not certified"]
    return json.dumps(entry)


def entry_of(formula: str, label: str = "{0,1}") -> dict[str, Any]:
    return json.loads(written(formula, label))  # type: ignore[no-any-return]


def failed(entry: dict[str, Any]) -> set[str]:
    return set(verify(document([entry])).entries[0].failed)


def by(entry: dict[str, Any], way: str) -> set[str]:
    return {name for name, claim in entry["proved"].items() if claim["by"] == way}


@pytest.mark.parametrize("formula", ALGEBRA)
def test_certificates_hold(formula: str) -> None:
    entry = entry_of(formula)
    assert ALGEBRA[formula] <= by(entry, "algebra")
    outcome = verify(document([entry]))
    assert outcome.ok and set(outcome.entries[0].verified) == set(entry["proved"])


@pytest.mark.parametrize("formula", [*ALGEBRA, "hinge where margin in [0.5, 2]"])
def test_certificates_for_all_labels_hold(formula: str) -> None:
    entry = entry_of(formula, "[0,1]")
    outcome = verify(document([entry]))
    assert outcome.ok and set(outcome.entries[0].verified) == set(entry["proved"])
    assert outcome.entries[0].scope.startswith("every label in [0, 1], all ")


def ranging(formula: Formula, data: st.DataObject) -> Formula:
    """A number of the formula ranges around its value."""
    numbers = [n for n in walk(formula.tree.root) if isinstance(n, Number) and 0 < n.value < 100]
    assume(numbers and not formula.tree.where)
    value = data.draw(st.sampled_from(numbers)).value
    text = str(Formula.from_tree(Tree(formula.tree.root, ()))).replace(str(value), "w", 1)
    low = data.draw(st.sampled_from([float(value) / 2, 0.0, -float(value)]))
    try:
        return lossdsl.parse(f"{text} where w in [{low!r}, {float(value) * 2!r}]")
    except lossdsl.LossError:
        reject()


@settings(max_examples=7, deadline=None, suppress_health_check=list(HealthCheck))
@given(formulas(3, domain_safe=True, variables=("pred", "label", "score")), st.data())
def test_random_formulas_with_a_range(formula: Formula, data: st.DataObject) -> None:
    """Here and there together with the label."""
    made = ranging(formula, data)
    label = data.draw(st.sampled_from(["{0,1}", "[0,1]"]))
    report = lossdsl.check(made, label=label, timeout=None)
    entry = certify(made, report, label=label, seconds=1.0)
    proved = {name for name, finding in report.properties.items() if finding.status == "proved"}
    assert set(entry["proved"]) <= proved == set(entry["proved"]) | set(entry["not certified"])
    outcome = verify(document([entry]))
    assert not outcome.entries[0].failed and set(outcome.entries[0].verified) == set(entry["proved"])


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(formulas(3, domain_safe=True, variables=("pred", "label", "score")), st.data())
def test_a_forged_report_of_a_random_formula_is_not_believed(formula: Formula, data: st.DataObject) -> None:
    """Evidence is searched for all that bce has, and none is found for what is refuted."""
    made = ranging(formula, data)
    label = data.draw(st.sampled_from(["{0,1}", "[0,1]"]))
    assume("label" in str(made))
    true = lossdsl.check(made, label=label, timeout=None).properties
    entry = certify(made, lossdsl.check("bce", label=label), label=label, seconds=3.0)
    assert not {name for name in entry["proved"] if true[name].status == "refuted"}


@pytest.mark.parametrize("formula", ["expm1(max(pred, label)*exp(w))", "exp(max(score, label)*relu(w))"])
def test_slopes_that_no_float_holds(formula: str) -> None:
    formula += " where w in [5, 20]"
    entry = certify(lossdsl.parse(formula), lossdsl.check("bce"), seconds=3.0)
    assert not failed(entry) and "monotone" not in entry["proved"]


@pytest.mark.parametrize("formula", ALGEBRA)
def test_tampered_algebra_fails(formula: str) -> None:
    entry = entry_of(formula)
    shown = by(entry, "algebra")
    tried = 0
    for cell in range(len(entry["algebra"]["cells"])):
        rows = entry["algebra"]["cells"][cell]["facts"]
        for i, row in enumerate(rows):
            row[1] = -row[1]
            assert shown <= failed(entry), row
            row[1] = -row[1]
            if row[3:] == ["weak"]:
                strict = copy.deepcopy(entry)
                del strict["algebra"]["cells"][cell]["facts"][i][3]
                assert shown <= failed(strict), row
            if isinstance(row[2], list) and row[2][0] == "bernstein":
                for at, box in enumerate(row[2][1]):
                    less = copy.deepcopy(entry)
                    del less["algebra"]["cells"][cell]["facts"][i][2][1][at]
                    assert shown <= failed(less), row
                    for name, ends in box.items():
                        for end in (0, 1):
                            kept, ends[end] = ends[end], str(Fraction(ends[end]) + Fraction(1 - 2 * end, 1000))
                            assert shown <= failed(entry), (row, name)
                            ends[end] = kept
            tried += 1
        for side, curve in entry["algebra"]["cells"][cell]["curves"].items():
            for other in (["0", "1"], [f"{curve['slope'][0]}+1", curve["slope"][1]], curve["slope"][::-1]):
                kept, curve["slope"] = curve["slope"], other
                assert shown <= failed(entry), side
                curve["slope"] = kept
    less = copy.deepcopy(entry)
    less["algebra"]["cells"].pop()
    assert shown <= failed(less)
    less["algebra"] = None
    assert shown <= failed(less)
    assert tried and not failed(entry)


SWAPS = {
    FOCAL: ["focal where gamma in [0, 6]", "focal where gamma in [-1, 5]", "focal where gamma in [0.5, 5]", "focal"],
    SMOOTHED: [SMOOTHED.replace("0.4", "0.5"), SMOOTHED.replace("e/2", "e/3"), SMOOTHED.replace("[0,", "[-0.1,")],
    SQUARE: [SQUARE.replace("^2", "^4"), SQUARE.replace("2]", "3]"), SQUARE.replace("0.5", "-0.5"), "mse"],
    EXPONENTIAL: [EXPONENTIAL.replace("0.25", "-0.25"), EXPONENTIAL.replace("exp(-", "exp(-2*"), "exponential"],
}  # fmt: skip


@pytest.mark.parametrize("label", ["{0,1}", "[0,1]"])
@pytest.mark.parametrize("formula", SWAPS)
def test_another_formula_or_range_fails(formula: str, label: str) -> None:
    entry = entry_of(formula, label)
    for text in SWAPS[formula]:
        entry["formula"] = str(lossdsl.parse(text))
        assert failed(entry) == set(entry["proved"]), text


@pytest.mark.parametrize("formula", ALGEBRA)
def test_claims_are_not_strengthened(formula: str) -> None:
    entry = entry_of(formula)
    for name in sorted(set(entry["proved"])):
        claim = entry["proved"][name]
        for strict in {True, False, None} - {claim.get("strict")}:
            kept = dict(claim)
            claim["strict"] = strict
            if strict is None:
                del claim["strict"]
            assert name in failed(entry)
            claim.clear()
            claim.update(kept)
        for way in {"boxes", "algebra", "symmetry", "ends", "affine", "faith"} - {claim["by"]}:
            kept, claim["by"] = claim["by"], way
            if way != "algebra" and (way, name) not in (("boxes", "gradient"), ("boxes", "minimum")):
                assert name in failed(entry), (name, way)
            claim["by"] = kept
    if "bounded_gradient" in entry["proved"]:
        entry["proved"]["bounded_gradient"]["bound"] = "1/100"
        assert "bounded_gradient" in failed(entry)


FALSE = {
    "focal where gamma in [-1, 1]": ["bounded_gradient", "convex_score"],
    "(1-2*label)*pred + w*(pred-0.5)^2 where w in [0, 1]": ["proper", "no_saturation"],
    "(1-2*label)*pred + w*pred^2 where w in [-1, 1]": ["convex_pred", "monotone", "proper"],
    "(label-pred)^2 + w*pred*(1-label) where w in [0, 1]": ["proper", "calibrated"],
    "w*(label-pred)^2 where w in [0, 1]": ["uses_pred", "uses_label", "no_dead_zone", "no_saturation"],
    "(2*label-1)*w*score where w in [-1, 1]": ["monotone", "uses_pred", "no_dead_zone", "no_saturation"],
}  # fmt: skip


@pytest.mark.parametrize("formula", FALSE)
def test_what_does_not_hold_finds_no_evidence(formula: str) -> None:
    """The report of a loss that has every property: evidence is searched for, and none passes."""
    entry = certify(lossdsl.parse(formula), lossdsl.check("bce"))
    assert "domain" in entry["proved"] and not set(FALSE[formula]) & set(entry["proved"])
    for name in FALSE[formula]:
        for way in ("algebra", "symmetry"):
            for strict in ({}, {"strict": True}, {"strict": False}):
                entry["proved"][name] = {"by": way, "at": "1/2", "bound": "1", **strict}
                assert name in failed(entry)
        del entry["proved"][name]


def test_symmetry_rests_on_what_is_shown() -> None:
    entry = entry_of(FOCAL)
    assert entry["proved"]["calibrated"] == {"by": "symmetry"}
    for base in ("gradient", "monotone", "convex_pred"):
        less = copy.deepcopy(entry)
        del less["proved"][base]
        assert "calibrated" in failed(less)


SYMMETRIC = {
    "bce": True, "mse": True, "focal": True, "huber": True, "abs(label-pred)": True, "hinge": True,
    "-2*label*log(pred) - (1-label)*log(1-pred)": False, "-label*log(pred) - (1-label)*log(1-pred^2)": False,
    "-label*log(pred) + (1-label)*log(1-pred)": False, "label/pred + (1-label)/(1-pred)": True,
    "label*(1-pred)^3 + (1-label)*pred^2": False, "label*exp(pred) + (1-label)*exp(1-pred)": True, "pred": False,
}  # fmt: skip


@pytest.mark.parametrize("text", SYMMETRIC)
def test_symmetric_is_what_the_values_say(text: str) -> None:
    tree = lossdsl.parse(text).tree
    assert symmetric(spell(tree, 0), spell(tree, 1)) is SYMMETRIC[text]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(formulas(3, domain_safe=True, variables=("pred", "label")), st.booleans())
def test_what_is_seen_as_symmetric_is(formula: Formula, made: bool) -> None:
    """With values on both sides; half of the formulas are made symmetric."""
    from lossdsl.lowering import lower
    from lossdsl.targets.numpy import evaluate

    if made:
        text = str(Formula.from_tree(Tree(formula.tree.root, ())))
        if formula.tree.where or "label" in text:
            return
        formula = lossdsl.parse(f"label*({text}) + (1-label)*({text.replace('pred', '(1-pred)')})")
    zero, one = (spell(formula.tree, y) for y in (0, 1))
    if symmetric(zero, one):
        import numpy as np

        program = lower(formula, axis="pred")
        x = np.array([0.1, 0.3, 0.55, 0.8])
        at_zero = evaluate(program, 1 - x, np.zeros(4))[0]
        at_one = evaluate(program, x, np.ones(4))[0]
        assert np.allclose(at_zero, at_one, rtol=1e-6, atol=1e-9, equal_nan=True)
    else:
        assert not made


def test_what_ends_do_not_show_does_not_carry() -> None:
    entry = entry_of(FOCAL, "[0,1]")
    assert by(entry, "affine") >= {"domain", "gradient", "bounded_gradient", "convex_pred"}
    for name in ("bounded_gradient", "convex_pred"):
        less = copy.deepcopy(entry)
        del less["ends"]["proved"][name]
        assert name in failed(less)
    less = copy.deepcopy(entry)
    less["ends"]["algebra"]["cells"][0]["facts"][0][1] *= -1
    assert failed(less) == set(entry["proved"])
    for junk in (1, [], {}, {"proved": {}}, {"proved": [], "algebra": None}, {"proved": {"x": {}}, "algebra": None}):
        entry["ends"] = junk
        assert failed(entry) == set(entry["proved"])


def test_a_slope_that_may_rest_for_a_value_is_not_strict() -> None:
    """w (label-pred)^2 from w = 0 on: monotone, and not strictly so."""
    formula = "w*(label-pred)^2 where w in [0, 1]"
    report = lossdsl.check("mse")
    weaker = {name: replace(finding, strict=False) for name, finding in report.properties.items()}
    entry = certify(lossdsl.parse(formula), replace(report, properties=weaker))
    assert entry["proved"]["proper"] == {"by": "algebra", "strict": False}
    for way in ("boxes", "algebra"):
        claim = {**entry["proved"]["monotone"], "by": way}
        entry["proved"]["monotone"] = {**claim, "strict": False}
        assert "monotone" not in failed(entry)
        entry["proved"]["monotone"] = {**claim, "strict": True}
        assert "monotone" in failed(entry)
