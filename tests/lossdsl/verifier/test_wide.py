"""Claims by boxes, for ranges of parameters: those that hold, and what becomes of each kind of tampering."""

from __future__ import annotations

import copy
import json
from fractions import Fraction
from functools import cache
from typing import Any

import pytest

import lossdsl
from lossdsl.certificate import certify, document
from lossdsl.certificate.boxing import claim_of
from lossdsl.grammar.parser import read
from lossdsl.verifier import verify
from lossdsl.verifier.limits import Rejected
from lossdsl.verifier.terms import spell
from lossdsl.verifier.wide import CHECKS, Wide, slopes

VALID = {"domain", "uses_pred", "uses_label", "gradient", "monotone"}
WEIGHTED = "-w*label*log(pred) - (1-label)*log(1-pred) where w in [0.5, 5]"
FOCAL = "focal where gamma in [0, 5]"
BENT = "(1-2*label)*w*pred + abs(pred-0.5)/2 where w in [1, 3]"
HOLDS = {
    FOCAL: VALID | {"minimum", "no_saturation"},
    "hinge where margin in [0.5, 2]": VALID,
    WEIGHTED: VALID | {"no_dead_zone", "bounded_gradient", "no_saturation", "convex_pred", "convex_score", "minimum"},
    BENT: VALID | {"convex_pred", "bounded_gradient", "no_dead_zone"},
    "w*exp(-(2*label-1)*a*score) where w in [1, 2], a in [0.5, 1]": VALID | {"convex_score"},
}  # fmt: skip


@cache
def written(formula: str) -> str:
    report = lossdsl.check(formula, timeout=None)
    entry = certify(lossdsl.parse(formula), report)
    proved = {name for name, finding in report.properties.items() if finding.status == "proved"}
    assert set(entry["proved"]) | set(entry["not certified"]) == proved
    return json.dumps(entry)


def entry_of(formula: str) -> dict[str, Any]:
    return json.loads(written(formula))  # type: ignore[no-any-return]


@pytest.mark.parametrize("formula", HOLDS)
def test_certificates_hold(formula: str) -> None:
    entry = entry_of(formula)
    assert HOLDS[formula] <= set(entry["proved"]), entry["not certified"]
    outcome = verify(document([entry]))
    assert outcome.ok and set(outcome.entries[0].verified) == set(entry["proved"])
    assert " in [" in outcome.entries[0].scope


def boxes(entry: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """All lists of boxes in an entry, each with the name of its property."""
    out = []
    for name, claim in entry["proved"].items():
        rows = claim.get("boxes", {})
        out += [(name, some) for some in (rows.values() if isinstance(rows, dict) else [rows])]
        out += [(name, row[2]) for row in claim.get("floors", {}).values()]
        out += [(name, claim[side]) for side in ("below", "above") if side in claim]
    return out


def fails(entry: dict[str, Any], name: str) -> None:
    assert name in verify(document([entry])).entries[0].failed


@pytest.mark.parametrize("formula", [FOCAL, WEIGHTED, BENT])
def test_altered_signs_dropped_boxes_and_moved_edges_fail(formula: str) -> None:
    entry = entry_of(formula)
    signs = edges = 0
    for name, rows in boxes(entry):
        for i, row in enumerate(rows[:3]):
            if "sign" in row:
                for other in (-row["sign"], 0, True, None):
                    kept, row["sign"] = row["sign"], other
                    fails(entry, name)
                    row["sign"] = kept
                    signs += 1
            dropped = rows.pop(i)
            fails(entry, name)
            rows.insert(i, dropped)
            for axis in set(row) - {"sign", "at"}:
                for end in (0, 1):
                    for shift in (Fraction(1, 64), Fraction(-1, 64)):
                        kept = row[axis][end]
                        row[axis][end] = str(Fraction(kept) + shift)
                        fails(entry, name)
                        row[axis][end] = kept
                        edges += 1
            rows.append(copy.deepcopy(row))
            fails(entry, name)
            rows.pop()
    assert signs and edges
    assert verify(document([entry])).ok


SWAPS = {
    FOCAL: [
        "focal where gamma in [0, 6]",
        "focal where gamma in [-1, 5]",
        "2*label*(1-pred)^gamma*log(pred) - (1-label)*pred^gamma*log(1-pred) where gamma in [0, 5]",
        "-label*(1-pred)^gamma*log(pred) - 2*(1-label)*pred^gamma*log(1-pred) where gamma in [0, 5]",
        "-label*(2-pred)^gamma*log(pred) - (1-label)*pred^gamma*log(1-pred) where gamma in [0, 5]",
        "focal where gamma = 2",
    ],
    WEIGHTED: [
        "-w*label*log(pred) - (1-label)*log(1-pred) where w in [0.5, 6]",
        "-w*label*log(pred) - (1-label)*log(1.5-pred) where w in [0.5, 5]",
        "-w*label*log(pred) - w*(1-label)*log(1-pred) where w in [0.5, 5]",
        "-w*label*log(pred) - (1-label)*log(1-pred)/2 where w in [0.5, 5]",
        "bce",
    ],
}  # fmt: skip


@pytest.mark.parametrize("formula", SWAPS)
def test_another_formula_fails(formula: str) -> None:
    entry = entry_of(formula)
    for text in SWAPS[formula]:
        entry["formula"] = str(lossdsl.parse(text))
        assert set(verify(document([entry])).entries[0].failed) == set(entry["proved"]), text


def test_other_slopes_fail() -> None:
    entry = entry_of(WEIGHTED)
    for side in "01":
        for i, (low, high) in enumerate(entry["slopes"][side]):
            wide = [str(Fraction(low) - 1), str(Fraction(high) + 1)]
            for other in ([high, low], ["0", "0"], [str(-Fraction(high)), str(-Fraction(low))], wide, None):
                entry["slopes"][side][i] = other
                outcome = verify(document([entry]))
                assert not outcome.entries[0].verified or other == [high, low] == [low, high]
            entry["slopes"][side][i] = [low, high]
    assert verify(document([entry])).ok


# -- what does not hold cannot be claimed ------------------------------------------------------------------------------

FALSE = {
    "(1-2*label)*w*pred - abs(pred-0.5)/2 where w in [1, 3]": ["convex_pred", "convex_score", "proper_composite"],
    "(1-2*label)*w*pred where w in [-1, 3]": ["monotone", "uses_pred", "uses_label", "minimum"],
    "(1-2*label)*max(pred, w) where w in [0.4, 0.6]": ["no_dead_zone"],
    "w*(label-pred)^2 where w in [0, 1]": ["uses_pred", "no_dead_zone", "no_saturation"],
    "(1-2*label)*w*score^3 where w in [1, 2]": ["bounded_gradient", "convex_score", "convex_pred"],
    "log(pred-w)*label where w in [0, 0.1]": ["domain"],
    "sign(pred-w)*(1-2*label) where w in [0.4, 0.6]": ["gradient", "monotone", "convex_pred"],
}  # fmt: skip


def wide_of(formula: str) -> Wide:
    tree = read(str(lossdsl.parse(formula))).tree
    ranges = {b.name: (b.low, b.high) for b in tree.where if b.value is None}
    return Wide(tree, {str(y): spell(tree, y, True) for y in (0, 1)}, ranges)


@pytest.mark.parametrize("formula", FALSE)
def test_no_boxes_show_what_does_not_hold(formula: str) -> None:
    wide = wide_of(formula)
    if "domain" not in FALSE[formula]:
        wide.proved = {"domain": None}
    for name in ("gradient", "monotone", "convex_pred"):
        if name not in FALSE[formula]:
            wide.proved[name] = True
    for name in FALSE[formula]:
        with pytest.raises(Rejected):
            CHECKS[name](wide, claim_of(wide, name))


def test_a_kink_between_two_boxes_is_seen() -> None:
    formula = "(1-2*label)*w*pred - abs(pred-0.5)/2 where w in [1, 3]"
    wide = wide_of(formula)
    wide.proved = {"domain": None, "gradient": None}
    row = {"w": ["1", "3"], "sign": 1}
    rows = [{"pred": ["0", "1/2"], **row}, {"pred": ["1/2", "1"], **row}]
    with pytest.raises(Rejected):
        CHECKS["convex_pred"](wide, {"boxes": {"0": rows, "1": rows}})
    plus = wide_of(formula.replace("- abs", "+ abs"))
    plus.proved = wide.proved
    CHECKS["convex_pred"](plus, {"boxes": {"0": rows, "1": rows}})


def test_nothing_rests_on_what_is_not_shown() -> None:
    entry = entry_of(WEIGHTED)
    for base, others in {"gradient": {"monotone", "convex_pred"}, "monotone": {"minimum", "proper_composite"}}.items():
        less = copy.deepcopy(entry)
        del less["proved"][base]
        assert others <= set(verify(document([less])).entries[0].failed)
    del entry["proved"]["domain"]
    assert not verify(document([entry])).ok and not verify(document([entry])).entries[0].verified


def test_strict_is_what_is_shown() -> None:
    entry = entry_of(WEIGHTED)
    for name in ("monotone", "proper_composite"):
        assert entry["proved"][name]["strict"] is True
        entry["proved"][name]["strict"] = False
        fails(entry, name)
        entry["proved"][name]["strict"] = True


def test_the_stated_slopes_are_those_of_the_formula() -> None:
    """Of -w log(pred) at w = 1/2 + 3/7 * 9/2 = 17/7 and pred = 1/7: -17."""
    low, high = slopes(wide_of(WEIGHTED))["1"][0] or ["0", "0"]
    assert Fraction(low) <= -17 <= Fraction(high) and Fraction(high) - Fraction(low) < Fraction(1, 2**80)


def test_a_parameter_does_not_pass_for_a_distance() -> None:
    for name in ("distance", "at"):
        formula = f"(1-2*label)*{name}*pred where {name} in [1, 2]"
        entry = certify(lossdsl.parse(formula), lossdsl.check(formula, timeout=None))
        assert not entry["proved"] and "something else" in entry["not certified"]["domain"]


def test_bounds_and_floors_count() -> None:
    entry = entry_of(WEIGHTED)
    entry["proved"]["bounded_gradient"]["bound"] = "1/2"
    fails(entry, "bounded_gradient")
    for row in entry["proved"]["no_saturation"]["floors"].values():
        kept, row[1] = row[1], "100"
        fails(entry, "no_saturation")
        row[1] = "0"
        fails(entry, "no_saturation")
        row[1] = kept


def test_a_slope_that_rests_leaves_the_order_open() -> None:
    wide = wide_of(WEIGHTED)
    wide.proved = dict.fromkeys(("domain", "gradient", "convex_pred"))
    for strict in (False, None):
        wide.proved["monotone"] = strict
        with pytest.raises(Rejected, match="rests"):
            CHECKS["proper_composite"](wide, claim_of(wide, "proper_composite"))


FLAT = {
    # All the way: under 1e-6.
    "(1-2*label)*w*pred/10000000 where w in [1, 2]": ["0", "1"],
    # Between 0.5 and 0.501, in a thin box with a steep middle.
    "(1-2*label)*w*(min(pred, 0.5) + max(pred, 0.501)) where w in [1, 2]": [
        "0", "12/25", "1247/2500", "1259/2500", "13/25", "1",
    ],
    # Around 0.5, in a box with a steep middle that is not thin.
    "(1-2*label)*w*(pred-0.5)^7 where w in [1, 2]": ["0", "7/10", "1"],
}  # fmt: skip


@pytest.mark.parametrize("formula", FLAT)
def test_flat_stretches_are_seen(formula: str) -> None:
    wide = wide_of(formula)
    wide.proved = {"domain": None, "gradient": None}
    rows = [{"pred": [a, b], "w": ["1", "2"]} for a, b in zip(FLAT[formula], FLAT[formula][1:])]
    with pytest.raises(Rejected, match="under 1e-6"):
        CHECKS["no_dead_zone"](wide, {"boxes": {"0": rows, "1": rows}})


def test_a_share_that_stands_still_does_not_rise() -> None:
    """At labels 0 and 1 the slopes are numbers, so that pred says nothing about the true probability."""
    formula = "(1-2*label)*w*pred where w in [1, 2]"
    assert lossdsl.check(formula).properties["proper_composite"].status == "refuted"
    wide = wide_of(formula)
    wide.proved = {"domain": None, "gradient": None, "convex_pred": None, "monotone": True}
    rows = [{"pred": ["0", "1"], "w": ["1", "2"], "sign": 1}]
    with pytest.raises(Rejected, match="stand still"):
        CHECKS["proper_composite"](wide, {"boxes": {"0": rows, "1": rows}})


ZERO = "w*(relu(pred-0.5) + relu(0.5-pred) - abs(pred-0.5))"


@pytest.mark.parametrize("flat", [ZERO, "w*(sign(pred-0.5)^2*(pred-0.5) - (pred-0.5))"])
def test_a_slope_on_a_kink_alone_is_none(flat: str) -> None:
    """On the kink itself each part has the slope of one of its sides, and their sum is not zero as the loss is."""
    for name, formula in (("uses_pred", f"{flat} + label"), ("uses_label", f"label*({flat})")):
        formula += " where w in [1, 2]"
        assert lossdsl.check(formula).properties[name].status == "refuted"
        for place in ("1/2", "1/3"):
            rows = [{"w": ["1", "2"], "at": place}]
            boxes = rows if name == "uses_label" else {"0": rows, "1": rows}
            with pytest.raises(Rejected, match="slope"):
                CHECKS[name](wide_of(formula), {"boxes": boxes})
