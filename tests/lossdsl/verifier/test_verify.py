"""Certificates that hold, and what becomes of each kind of tampering when every checksum is made again."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

import lossdsl
from lossdsl.certificate import certify, document
from lossdsl.errors import LossError
from lossdsl.verifier import Verification, verify
from lossdsl.verifier.polynomials import read, write
from lossdsl.verifier.verify import check_entry

Entry = dict[str, Any]


@cache
def written(formula: str) -> str:
    return document([certify(lossdsl.parse(formula), lossdsl.check(formula, timeout=None))])


def entry_of(formula: str) -> Entry:
    (entry,) = json.loads(written(formula))["entries"]
    return entry  # type: ignore[no-any-return]


def sealed(*entries: Entry) -> str:
    """A file with a checksum that fits."""
    return document(entries)


VALID = ["domain", "uses_pred", "uses_label", "gradient", "monotone"]
HOLDS = {
    "bce": VALID + ["proper", "proper_composite", "calibrated", "convex_pred", "convex_score"],
    "mse": VALID + ["proper", "minimum", "no_dead_zone"],
    "focal": VALID + ["calibrated", "convex_pred"],
    "focal where gamma = 0.5": VALID,
    "hinge": VALID + ["convex_score", "calibrated"],
    "squared_hinge": VALID,
    "ccl": VALID + ["convex_score"],
    "huber": VALID,
    "logmin": VALID,
    "maxr": VALID,
    "sumr": VALID,
    "exponential": VALID + ["convex_score"],
    "bpr": ["domain", "uses_pred", "gradient", "monotone", "convex_score"],
    "predpredlabel": ["domain", "uses_pred", "uses_label", "gradient"],
    "abs(label-pred)": VALID,
    "label*sqrt((1-pred)/pred) + (1-label)*sqrt(pred/(1-pred))": VALID + ["proper"],
    "-(label*pred+(1-label)*(1-pred))/sqrt(pred^2+(1-pred)^2)": VALID + ["proper"],
    "label*(1-pred^0.7)/0.7 + (1-label)*(1-(1-pred)^0.7)/0.7": VALID,
    "(label-pred)^2 + 0.01*abs(pred^2-0.3)": ["domain", "gradient", "convex_pred"],
    "max((label-pred)^2 - 0.1, 0)": VALID,
    "if(pred < 0.5, (label-pred)^2, (label-pred)^2)": ["domain", "gradient", "monotone"],
    "tanh(score)*(1-2*label)": VALID,
    "softplus(-(2*label-1)*score)": VALID + ["proper"],
    "-label*plog(pred) - (1-label)*plog(1-pred)": VALID,
    "max(log(pred) + 1, pred - 0.5)*(1-2*label)": VALID,
    "(label-pred)^2*exp(abs(label-pred))": VALID,
    "(label-pred)^2*(1.001+(label-pred)^2-1.9*abs(label-pred))": ["minimum", "gradient"],
    "label*log(1-pred) + (1-label)*log(pred) + 10*pred*(1-pred)": ["minimum", "domain"],
}  # fmt: skip


@pytest.mark.parametrize("formula", HOLDS)
def test_certificates_hold(formula: str) -> None:
    outcome = verify(written(formula))
    assert outcome.ok, outcome
    (entry,) = outcome.entries
    assert set(HOLDS[formula]) <= set(entry.verified)
    proved = {n for n, f in lossdsl.check(formula, timeout=None).properties.items() if f.status == "proved"}
    assert set(entry.verified) <= proved
    assert set(entry.verified) | set(entry.uncertified) == proved


def rejects(entry: Entry, claims: str = "domain") -> Verification:
    """Assert that a claim of an entry fails, its checksum being right."""
    outcome = verify(sealed(entry))
    assert not outcome.ok
    assert outcome.problem is None
    assert outcome.entries[0].failed, outcome
    return outcome


# -- an altered sign ---------------------------------------------------------------------------------------------------

SMALL = ("bce", "hinge", "(label-pred)^2 + 0.01*abs(pred^2-0.3)", "max(log(pred) + 1, pred - 0.5)*(1-2*label)")


def every_sign(entry: Entry) -> list[tuple[list[Any], int]]:
    return [(fact, i) for cell in entry["cells"] for i, fact in enumerate(cell["facts"])]


@pytest.mark.parametrize("formula", SMALL)
def test_each_altered_sign_fails(formula: str) -> None:
    entry = entry_of(formula)
    for fact, _ in every_sign(entry):
        fact[1] = -fact[1]
        rejects(entry)
        fact[1] = -fact[1]
    assert verify(sealed(entry)).ok


@pytest.mark.parametrize("formula", SMALL)
def test_each_altered_branch_fails(formula: str) -> None:
    entry = entry_of(formula)
    seen = 0
    for cell in entry["cells"]:
        for curve in cell["curves"].values():
            for term, branch in curve.get("branches", {}).items():
                for other in {-1, 0, 1} - {branch}:
                    curve["branches"][term] = other
                    rejects(entry)
                    seen += 1
                curve["branches"][term] = branch
    assert seen or formula == "bce"


def negated(polynomial: str) -> str:
    return write(-read(polynomial))


@pytest.mark.parametrize("formula", SMALL)
@pytest.mark.parametrize("name", ["slope", "curvature"])
def test_a_slope_with_another_sign_fails(formula: str, name: str) -> None:
    entry = entry_of(formula)
    for cell in entry["cells"]:
        for curve in cell["curves"].values():
            if name in curve and curve[name][0] != "0":
                n = curve[name][0]
                curve[name][0] = negated(n)
                outcome = verify(sealed(entry))
                assert not outcome.ok and outcome.entries[0].failed
                curve[name][0] = n
    assert verify(sealed(entry)).ok


# -- cells and roots ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("formula", SMALL)
def test_each_dropped_cell_fails(formula: str) -> None:
    entry = entry_of(formula)
    for i in range(len(entry["cells"])):
        less = copy.deepcopy(entry)
        del less["cells"][i]
        rejects(less)


@pytest.mark.parametrize("formula", SMALL[1:])
def test_each_pair_of_cells_made_one_fails(formula: str) -> None:
    entry = entry_of(formula)
    kinks = [p for p in entry["breakpoints"] if p != "1/2"]
    assert kinks
    for i, place in enumerate(entry["breakpoints"]):
        for keep in (i, i + 1):
            less = copy.deepcopy(entry)
            del less["breakpoints"][i]
            del less["cells"][keep]
            if place != "1/2":
                rejects(less)


@pytest.mark.parametrize("formula", SMALL[1:])
def test_a_root_moved_out_of_its_interval_fails(formula: str) -> None:
    entry = entry_of(formula)
    moved = 0
    for place in entry["breakpoints"]:
        if isinstance(place, dict):
            low, high = place["in"]
            others = ["1/1000000", "1/999999"], [high, "999999/1000000"], [low, low], [high, low], ["1/1000", low]
            for other in others:
                place["in"] = list(other)
                rejects(entry)
                moved += 1
            place["in"] = [low, high]
    assert moved
    for i, place in enumerate(entry["breakpoints"]):
        if isinstance(place, str) and place != "1/2":
            entry["breakpoints"][i] = "9001/20001"
            rejects(entry)
            entry["breakpoints"][i] = place


def test_another_polynomial_for_a_root_fails() -> None:
    entry = entry_of("(label-pred)^2 + 0.01*abs(pred^2-0.3)")
    (place,) = [p for p in entry["breakpoints"] if isinstance(p, dict)]
    place["root of"] = "10*x^2-4"
    rejects(entry)


# -- another formula ---------------------------------------------------------------------------------------------------

SWAPS = {
    "bce": [
        "-2*label*log(pred) - (1-label)*log(1-pred)",
        "-label*log(pred) - 2*(1-label)*log(1-pred)",
        "label*log(pred) + (1-label)*log(1-pred)",
        "-(1-label)*log(pred) - label*log(1-pred)",
        "-label*log(pred) - (1-label)*log(1.5-pred)",
    ],
    "mse": [
        "(label-pred)^4",
        "2*(label-pred)^2",
        "(label-pred)^3",
        "(label-pred)^2*pred",
        "(label-pred)^2 + pred",
        "(pred-label)^2 - pred",
    ],
    "(label-pred)^2 + 0.01*abs(pred^2-0.3)": [
        "(label-pred)^2 + 0.02*abs(pred^2-0.3)",
        "(label-pred)^2 - 0.01*abs(pred^2-0.3)",
        "(label-pred)^2 + 0.01*abs(pred^2-0.4)",
        "(label-pred)^2 + 0.01*(pred^2-0.3)",
    ],
    "hinge": ["hinge where margin = 2", "squared_hinge", "relu(1 - (1-2*label)*score)"],
    "(1-2*label)*log(pred^4)": ["(1-2*label)*log(pred^3)", "(1-2*label)*log((pred-1)^4)"],
    "(1-2*label)*sqrt(pred^3)": ["(1-2*label)*sqrt(pred^4)", "(1-2*label)*sqrt((-pred)^3)"],
    "focal where gamma = 0.5": ["focal where gamma = 1.5", "focal where gamma = 0.25"],
}  # fmt: skip


@pytest.mark.parametrize("formula", SWAPS)
def test_another_formula_fails(formula: str) -> None:
    entry = entry_of(formula)
    for text in SWAPS[formula]:
        other = lossdsl.parse(text)
        entry["formula"] = str(other)
        outcome = rejects(entry)
        assert set(outcome.entries[0].failed) == set(entry["proved"])


def test_swapped_labels_fail() -> None:
    for formula in SMALL:
        entry = entry_of(formula)
        for cell in entry["cells"]:
            cell["curves"] = {"0": cell["curves"]["1"], "1": cell["curves"]["0"]}
        rejects(entry)


def test_other_labels_fail() -> None:
    entry = entry_of("bce")
    for labels in ([1], [0], [1, 0], [0, 1, 2], [], "01", [True, 1]):
        entry["labels"] = labels
        rejects(entry)


# -- evidence ----------------------------------------------------------------------------------------------------------


def sums(entry: Entry) -> list[Any]:
    return [fact[2][1] for cell in entry["cells"] for fact in cell["facts"] if fact[2][0] == "sum"]


def test_another_multiplicity_fails() -> None:
    entry = entry_of("focal")
    seen = 0
    for rows in sums(entry):
        for row in rows:
            for factor in row[1]:
                for change in (-1, 1, 2):
                    factor[1] += change
                    rejects(entry)
                    factor[1] -= change
                    seen += 1
        if seen > 60:
            break
    assert seen


def test_another_factor_fails() -> None:
    entry = entry_of("focal")
    for rows in sums(entry)[:8]:
        rows[0][0] += 1
        rejects(entry)
        rows[0][0] -= 1
        dropped = rows.pop()
        rejects(entry)
        rows.append(dropped)


def pieces(entry: Entry) -> list[Any]:
    return [fact[2] for cell in entry["cells"] for fact in cell["facts"] if fact[2][0] == "pieces"]


BOXED = "focal"


def test_a_cover_with_a_gap_fails() -> None:
    entry = entry_of(BOXED)
    found = [evidence for evidence in pieces(entry) if len(evidence[1]) > 1]
    assert found
    for evidence in found:
        cuts, rules = copy.deepcopy(evidence[1:])
        # One cut and one rule less: the neighbours' boxes now have to cover what is between them.
        for i in (0, len(cuts) - 1):
            evidence[1], evidence[2] = cuts[:i] + cuts[i + 1 :], rules
            rejects(entry)
        evidence[1], evidence[2] = cuts[::-1], rules
        rejects(entry)
        for cut, rule in ((cuts[1:], rules[1:]), (cuts[:-1], rules[:-1])):
            evidence[1], evidence[2] = cut, rule
            rejects(entry)
        evidence[1], evidence[2] = [], ["box"]
        rejects(entry)
        evidence[1], evidence[2] = cuts, ["box"] * len(rules)
        rejects(entry)
        evidence[1], evidence[2] = cuts, rules
    assert verify(sealed(entry)).ok


def test_evidence_of_another_kind_fails() -> None:
    entry = entry_of("focal")
    for cell in entry["cells"]:
        for fact in cell["facts"]:
            if fact[2] not in ("sturm",) and fact[0] != "x":
                kept, fact[2] = fact[2], "sturm"
                if "k" in fact[0]:
                    rejects(entry)
                fact[2] = kept


# -- claims ------------------------------------------------------------------------------------------------------------


def test_another_strict_flag_fails() -> None:
    for formula in ("bce", "hinge", "mse"):
        entry = entry_of(formula)
        for name, claim in entry["proved"].items():
            if "strict" in claim:
                claim["strict"] = not claim["strict"]
                assert set(rejects(entry).entries[0].failed) == {name}
                del claim["strict"]
                assert set(rejects(entry).entries[0].failed) == {name}
                claim["strict"] = lossdsl.check(formula).properties[name].strict


REFUTED = {
    "mse": ["convex_score"],
    "hinge": ["proper", "no_dead_zone", "proper_composite"],
    "squared_hinge": ["bounded_gradient"],
    "huber": ["no_saturation"],
    "-(label-pred)^2": ["proper", "monotone"],
    "predpredlabel": ["monotone", "minimum", "proper", "calibrated"],
    "-log(pred)": ["monotone", "uses_label", "calibrated", "proper"],
    "maxr": ["calibrated", "convex_score", "proper"],
    "max(abs(label-pred), 0.001)": ["no_dead_zone"],
    "1e-7*(label-pred)^2": ["no_dead_zone"],
    "(1-label)*pred": ["uses_pred", "uses_label"],
    "if(pred < 0.5, 1 + pred, pred)*(1-2*label)": ["gradient", "monotone"],
    "-3*label*log(pred) - (1-label)*log(1-pred)": ["calibrated", "proper"],
}  # fmt: skip


NEEDED: dict[str, dict[str, Any]] = {
    "no_dead_zone": {"places": {y: [f"{j}/400" for j in range(1, 400, 2)] for y in "01"}},
    "uses_label": {"at": "1/3"},
    "bounded_gradient": {"bound": "1000000"},
    "no_saturation": {"floors": {y: ["1/1000000", "1/1000000000"] for y in "01"}},
}


@pytest.mark.parametrize("formula", REFUTED)
def test_a_refuted_property_cannot_be_claimed(formula: str) -> None:
    entry = entry_of(formula)
    report = lossdsl.check(formula)
    for name in REFUTED[formula]:
        if report.properties[name].status == "refuted" and entry["cells"]:
            for strict in ({}, {"strict": True}, {"strict": False}):
                entry["proved"][name] = {**strict, **NEEDED.get(name, {})}
                assert name in verify(sealed(entry)).entries[0].failed
            del entry["proved"][name]


LEAST = {
    "(label-pred)^2*(1.001+(label-pred)^2-1.9*abs(label-pred))": [
        ["limit", "1/1000"], ["limit", "-1/1000"], ["falls", "1/1024"], ["rises", "0"], [],
    ],
    "label*log(1-pred) + (1-label)*log(pred) + 10*pred*(1-pred)": [
        ["limit", "-1000"], ["falls", "1/2"], ["falls", "0"],
    ],
    "pred*(pred+label)": [["limit", "0"], ["limit", "2"], ["falls", "1/1024"]],
    "-log(pred)": [["limit", "0"], ["falls", "1/1024"], ["limit", "-1"]],
    "(label-pred)^2 - 3*pred*(1-pred)": [["limit", "0"], ["limit", "-1"], ["falls", "1/1024"]],
}  # fmt: skip


@pytest.mark.parametrize("formula", LEAST)
def test_another_least_value_fails(formula: str) -> None:
    entry = entry_of(formula)
    for row in LEAST[formula]:
        entry["proved"]["minimum"] = {"least": {"0": row, "1": row}}
        assert "minimum" in verify(sealed(entry)).entries[0].failed


REMOVABLE = [
    "pinv(abs(pred-0.5))", "plog(relu(pred-0.5))", "if(abs(pred-0.5) <= 0, 1, pred)", "sign((pred-0.5)^2)*(1-2*label)",
]  # fmt: skip


@pytest.mark.parametrize("formula", REMOVABLE)
def test_a_jump_on_a_place_alone_cannot_be_claimed_away(formula: str) -> None:
    entry = entry_of(formula)
    assert "domain" in entry["proved"]
    entry["proved"] |= {"gradient": {}, "monotone": {"strict": False}, "minimum": {}}
    failed = verify(sealed(entry)).entries[0].failed
    assert set(failed) == {"gradient", "monotone", "minimum"}


def test_a_division_by_zero_throughout_proves_nothing() -> None:
    entry = entry_of("predpredlabel")
    assert not entry["breakpoints"]
    square = "(label-pred)^2"
    for text in (f"{square} + 1/(pred-pred)", f"{square}/(pred-pred)", "1/0", "0/0", f"{square} + 0*(1/0)"):
        entry["formula"] = str(lossdsl.parse(text))
        for cell in entry["cells"]:
            for slope in (["0", "1"], ["1", "1"], ["2*x", "1"], ["-1", "1"]):
                for curve in cell["curves"].values():
                    curve.update(slope=slope, curvature=["0", "1"])
                assert set(rejects(entry).entries[0].failed) == set(entry["proved"])


def test_the_argument_of_a_log_is_the_product_that_is_claimed() -> None:
    entry = entry_of("(1-2*label)*log(pred^4)")
    for cell in entry["cells"]:
        place = [fact[0] for fact in cell["facts"]].index("x")
        cell["facts"].append(["x^3", 1, ["sum", [[1, [[place, 3]]]]]])
    assert verify(sealed(entry)).ok
    entry["formula"] = "(1-2*label)*log(pred^3)"
    assert "product of the parts" in rejects(entry).entries[0].failed["domain"]


FORGED = {
    "(1-2*label)*min(pred, 0.5)": ["convex_pred", "proper", "no_dead_zone"],
    "-(label-pred)^2": ["proper", "monotone", "minimum", "convex_pred"],
    "(1-label)*(3*pred-pred^2) - label*(pred+pred^2)": ["calibrated", "convex_pred", "proper"],
    "max(abs(label-pred), 0.001)": ["no_dead_zone", "proper"],
    "1e-7*(label-pred)^2": ["no_dead_zone"],
    "maxr": ["calibrated", "proper", "convex_score"],
    "logmin": ["proper_composite", "convex_pred"],
}


@pytest.mark.parametrize("formula", FORGED)
def test_a_forged_report_is_not_believed(formula: str) -> None:
    """The report of bce, which has every property: evidence is searched for what does not hold, and none passes."""
    entry = certify(lossdsl.parse(formula), lossdsl.check("bce"))
    assert "domain" in entry["proved"]
    assert not set(FORGED[formula]) & set(entry["proved"])


UNDEFINED = [
    "log(abs(pred-0.5))",
    "1/abs(pred-0.5)",
    "log(relu(0.5-pred)+relu(pred-0.5))",
    "(pred-0.5)^2/abs(pred-0.5)",
]


@pytest.mark.parametrize("formula", UNDEFINED)
def test_undefined_at_a_breakpoint_alone(formula: str) -> None:
    """The report is forged, so that the evidence for the cells is written; the place between them is looked at."""
    entry = certify(lossdsl.parse(formula), lossdsl.check("predpredlabel"))
    assert not entry["proved"]
    assert "may be undefined" in entry["not certified"]["domain"]


def test_the_domain_cannot_be_left_out_or_the_name_made_up() -> None:
    entry = entry_of("bce")
    entry["proved"]["safe_in_floats"] = {}
    rejects(entry)
    del entry["proved"]["safe_in_floats"]
    del entry["proved"]["domain"]
    rejects(entry)


def test_an_undefined_formula_cannot_be_claimed() -> None:
    entry = entry_of("bce")
    entry["formula"] = "-label*log(pred) - (1-label)*log(0.5-pred)"
    rejects(entry)
    assert not json.loads(written("log(pred-label)"))["entries"][0]["proved"]


# -- the file ----------------------------------------------------------------------------------------------------------


def test_the_checksum_is_looked_at() -> None:
    data = json.loads(written("bce"))
    data["entries"][0]["formula"] = "mse"
    assert verify(json.dumps(data)).problem == "the checksum does not fit the content"


def test_nothing_claimed_is_not_ok() -> None:
    assert not verify(sealed()).ok
    assert not verify(written("log(pred-label)")).ok


BROKEN = [
    "", "{}", "[]", "null", "1", "{", "\x00", '{"certificate": 2, "entries": [], "sha256": ""}', "[" * 100_000,
    '{"certificate": true, "entries": [], "sha256": ""}', '{"certificate": 1, "entries": {}, "sha256": ""}',
    '{"certificate": 1.0, "entries": [], "sha256": ""}', '{"certificate": 1, "entries": [NaN], "sha256": ""}',
    '{"certificate": 1, "entries": [' + "[" * 900 + "]" * 900 + '], "sha256": "", "x": 1}',
    '{"certificate": ' + "9" * 5000 + ', "entries": [], "sha256": ""}',
]  # fmt: skip


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_files_that_are_no_certificate(text: str) -> None:
    with pytest.raises(LossError):
        verify(text)


def test_the_work_of_a_small_file_is_bounded() -> None:
    """A power of x in Bernstein's form, a product and a sum that would take hours or gigabytes."""

    def entry(kernels: list[Any], facts: list[Any]) -> Entry:
        cell = {"facts": facts, "curves": {"1": {"slope": ["1", "1"]}}}
        return {
            "formula": "pred", "labels": [1], "proved": {"domain": {}}, "not certified": {}, "kernels": kernels,
            "breakpoints": [], "cells": [cell],
        }  # fmt: skip

    places = [(i, j) for i in range(1, 201) for j in range(1, 201)]
    positive = [["x", 1, "sturm"], *([f"k{k}", 1, "positive"] for k in range(3))]

    def added(first: int, second: int, count: int) -> list[Any]:
        return ["sum", [[1, [[first, i], [second, j]]] for i, j in places[:count]]]

    def powers(first: str, second: str, count: int) -> str:
        return "+".join(f"{first}^{i}*{second}^{j}" for i, j in places[:count])

    exponentials = [{"exp": [f"{n}*x" if n > 1 else "x", "1"]} for n in (1, 2, 3)]
    product = [[powers("x", "k0", 900), 1, added(0, 1, 900)], [powers("k1", "k2", 900), 1, added(2, 3, 900)]]
    for made, reason in (
        (entry([], [["x^2430+1", 1, ["bernstein", [{"x": ["0", "1"]}]]]]), "work"),
        (entry(exponentials, [*positive, *product, ["x-2", -1, ["sum", [[1, [[4, 1], [5, 1]]]]]]]), "terms"),
        (entry(exponentials, [*positive, ["x-2", -1, added(0, 1, 20_000)]]), "work"),
    ):
        outcome = rejects(made)
        assert reason in " ".join(outcome.entries[0].failed.values())


ROTTEN: list[Callable[[Entry], Any]] = [
    lambda e: e.pop("kernels"),
    lambda e: e.update(extra=1),
    lambda e: e.update(formula=7),
    lambda e: e.update(formula="log("),
    lambda e: e.update(formula="-label * log(pred) - (1-label)*log(1-pred)"),
    lambda e: e.update(kernels=[{"log": "x"}] * 60),
    lambda e: e.update(kernels=[{"log": "k5"}]),
    lambda e: e.update(kernels=[{"root": ["x", 10**9]}]),
    lambda e: e.update(kernels=[{"exp": ["1", "0"]}]),
    lambda e: e.update(kernels="x"),
    lambda e: e.update(breakpoints=["1/0"]),
    lambda e: e.update(breakpoints=["0"]),
    lambda e: e.update(breakpoints=[str(10**400)]),
    lambda e: e.update(breakpoints=["1/2"] * 300),
    lambda e: e.update(breakpoints=[{"root of": "x^4000-2", "in": ["1/3", "1/2"]}]),
    lambda e: e.update(breakpoints=[{"root of": "x-1", "in": 3}]),
    lambda e: e.update(cells=None),
    lambda e: e.update(cells=[[]]),
    lambda e: e["cells"][0].update(facts=[["x", 1, "sturm"]] * 5000),
    lambda e: e["cells"][0].update(facts=[["x", 1, "because"]]),
    lambda e: e["cells"][0].update(facts=[["x", True, "sturm"]]),
    lambda e: e["cells"][0].update(facts=[["x^3999-x^3998", -1, "sturm"]]),
    lambda e: e["cells"][0].update(facts=[["x", 1, ["sum", [[1, [[0, 1]]]]]]]),
    lambda e: e["cells"][0].update(facts=[["x", 1, "sturm"], ["x^200", 1, ["sum", [[1, [[0, 10**9]]]]]]]),
    lambda e: e["cells"][0].update(curves={}),
    lambda e: e["cells"][0]["curves"]["0"].update(branches={"9999999": 1}),
    lambda e: e["cells"][0]["curves"]["0"].update(slope=["1", "0"]),
    lambda e: e["cells"][0]["curves"]["0"].update(slope=None),
    lambda e: e["cells"][0]["curves"]["0"].update(parts={}),
    lambda e: e["cells"][0]["curves"]["0"].update(parts={"2": [[[0, "9" * 300]], []]}),
    lambda e: e["proved"].update(monotone=7),
    lambda e: e["proved"]["uses_label"].update(at="2"),
    lambda e: e["proved"]["uses_label"].pop("at"),
    lambda e: e["proved"]["no_dead_zone"].update(places={}),
    lambda e: e["proved"]["no_dead_zone"]["places"].update({"0": ["1/3"]}),
    lambda e: e["proved"]["no_dead_zone"]["places"]["0"].pop(7),
    lambda e: e["proved"]["domain"].update(more=1),
    lambda e: e["proved"]["bounded_gradient"].update(bound="1/2"),
    lambda e: e["proved"]["bounded_gradient"].update(bound="-2"),
    lambda e: e["proved"]["bounded_gradient"].pop("bound"),
    lambda e: e["proved"]["no_saturation"].update(floors={"0": ["1/8", "2"], "1": ["1/8", "2"]}),
    lambda e: e["proved"]["no_saturation"].update(floors={"0": ["1/8", "0"], "1": ["1/8", "0"]}),
    lambda e: e["proved"]["no_saturation"].update(floors={"0": ["7/8", "1/2"], "1": ["7/8", "1/2"]}),
]  # fmt: skip


@pytest.mark.parametrize("spoil", ROTTEN, ids=range(len(ROTTEN)))
def test_entries_that_make_no_sense(spoil: Callable[[Entry], Any]) -> None:
    entry = entry_of("bce")
    spoil(entry)
    checked = check_entry(entry)
    assert checked.failed


@pytest.mark.parametrize("junk", [None, 1, "x", [], {}, [[]], {"formula": {}}])
def test_entries_that_are_none(junk: Any) -> None:
    assert check_entry(junk).failed


# -- every number in the file ------------------------------------------------------------------------------------------

FREE = {"not certified", "places", "at", "bound", "floors", "in", "sha256"}
"""Here another number may serve as well: a place to look at, a bound that is not the least, a wider interval."""


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Any:
    if isinstance(value, (dict, list)):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if name not in FREE:
                yield from leaves(inner, (*path, name))
    else:
        yield path, value


def altered(path: tuple[Any, ...], value: Any) -> Any:
    """Another value in the place of a leaf, or None where any may do."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if value in ("sturm", "log", "positive"):
        return {"sturm": "log", "log": "positive", "positive": "sturm"}[value]
    if value in ("left", "right"):
        return {"left": "right", "right": "left"}[value]
    if value in ("box", "root", "end", "sum", "monotone", "pieces", "1/2"):
        return None
    if "pieces" in path:
        return None
    if value == "0":
        return "1"
    if path[-1] == "formula":
        return "2*(" + value + ")"
    return write(-read(value)) if re.fullmatch(r"[-+*^xk0-9]+", value) and "parts" not in path else "1/3"


@pytest.mark.parametrize("formula", ["mse", "abs(label-pred)", "-label*log(pred) + (1-label)*pred"])
def test_every_number_counts(formula: str) -> None:
    entry = entry_of(formula)
    changed = 0
    for path, value in list(leaves(entry)):
        inner: Any = entry
        for name in path[:-1]:
            inner = inner[name]
        other = altered(path, value)
        if other is None or "pieces" in str(inner) or inner == ["0", value]:
            continue  # 0 stays 0 whatever it is divided by
        inner[path[-1]] = other
        assert not verify(sealed(entry)).ok, (path, value, other)
        inner[path[-1]] = value
        changed += 1
    assert changed > 20
    assert verify(sealed(entry)).ok
