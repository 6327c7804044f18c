"""Claims about all labels from 0 to 1: those that hold, and what becomes of each kind of tampering."""

from __future__ import annotations

import copy
import json
from fractions import Fraction
from functools import cache
from typing import Any

import pytest

import lossdsl
from lossdsl.certificate import certify, document
from lossdsl.verifier import verify

BETWEEN = {"domain", "uses_pred", "gradient", "minimum", "no_dead_zone", "bounded_gradient", "convex_pred"}
CARRIED = {"domain", "gradient", "bounded_gradient", "convex_pred"}
LEANING = "(2 - label)*(1 + label)*(label-pred)^2"
HOLDS: dict[str, dict[str, set[str]]] = {
    "bce": {
        "affine": {*CARRIED, "convex_score", "uses_pred", "no_dead_zone"},
        "proper": {"minimum"},
        "ends": {"monotone", "calibrated", "proper", "proper_composite", "no_saturation", "uses_label"},
    },
    "mse": {"difference": BETWEEN, "ends": {"monotone", "proper"}},
    "huber": {"difference": BETWEEN, "ends": {"monotone", "calibrated"}},
    "abs(label-pred)": {"difference": BETWEEN},
    LEANING: {"boxes": BETWEEN},
    "hinge": {"boxes": {"domain", "gradient", "bounded_gradient", "convex_score"}},
    "exponential": {"boxes": {"domain", "gradient", "convex_score"}},
    "maxr": {"boxes": BETWEEN},
    "focal": {"affine": {*CARRIED, "uses_pred", "no_dead_zone"}},
}


@cache
def written(formula: str) -> str:
    report = lossdsl.check(formula, label="[0,1]", timeout=None)
    entry = certify(lossdsl.parse(formula), report, label="[0,1]")
    proved = {name for name, finding in report.properties.items() if finding.status == "proved"}
    assert set(entry["proved"]) | set(entry["not certified"]) == proved
    return json.dumps(entry)


def entry_of(formula: str) -> dict[str, Any]:
    return json.loads(written(formula))  # type: ignore[no-any-return]


@pytest.mark.parametrize("formula", HOLDS)
def test_certificates_hold(formula: str) -> None:
    entry = entry_of(formula)
    for way, names in HOLDS[formula].items():
        assert names <= {name for name, claim in entry["proved"].items() if claim["by"] == way}, entry["not certified"]
    outcome = verify(document([entry]))
    assert outcome.ok and set(outcome.entries[0].verified) == set(entry["proved"])
    assert outcome.entries[0].scope == "every label in [0, 1]"


def fails(entry: dict[str, Any], *names: str) -> None:
    assert set(names) <= set(verify(document([entry])).entries[0].failed)


def lists(entry: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    out = []
    for name, claim in entry["proved"].items():
        out += [(name, rows) for rows in claim.get("boxes", {}).values()]
        out += [(name, claim[side]) for side in ("below", "above") if side in claim]
    return out


@pytest.mark.parametrize("formula", ["bce", LEANING, "hinge", "maxr"])
def test_altered_signs_dropped_boxes_and_moved_edges_fail(formula: str) -> None:
    entry = entry_of(formula)
    tried = 0
    for name, rows in lists(entry):
        for i in sorted({0, len(rows) // 2}):
            row = rows[i]
            if "sign" in row and row.get("distance") not in (["0", "1"], ["-1", "0"]):
                row["sign"] = -row["sign"]
                outcome = verify(document([entry]))
                row["sign"] = -row["sign"]
                outside = "distance" in row and not meets(row)
                assert (name in outcome.entries[0].failed) != outside
            dropped = rows.pop(i)
            fails(entry, name)
            rows.insert(i, dropped)
            for axis in set(row) - {"sign", "at"}:
                for end in (0, 1):
                    kept = row[axis][end]
                    row[axis][end] = str(Fraction(kept) + Fraction(1, 4096) * (1 - 2 * end))
                    fails(entry, name)
                    row[axis][end] = kept
                    tried += 1
    assert tried
    assert verify(document([entry])).ok


def meets(row: dict[str, Any]) -> bool:
    """Whether a prediction lies in a box of labels and distances: where none does, nothing is claimed."""
    (a, b), (c, d) = ([Fraction(q) for q in row[name]] for name in ("label", "distance"))
    return b - c > 0 and a - d < 1


@pytest.mark.parametrize("formula", ["bce", "mse", "huber"])
@pytest.mark.parametrize("part", ["ends", "difference"])
def test_cells_of_the_parts_are_checked_too(formula: str, part: str) -> None:
    entry = entry_of(formula)
    inner = entry[part]
    if inner is None:
        assert (formula, part) == ("bce", "difference")
        return
    for cell in range(len(inner["cells"])):
        less = copy.deepcopy(entry)
        del less[part]["cells"][cell]
        fails(less, *entry["proved"])
        for fact in inner["cells"][cell]["facts"]:
            fact[1] = -fact[1]
            fails(entry, *entry["proved"])
            fact[1] = -fact[1]
    for i, place in enumerate(inner["breakpoints"]):
        inner["breakpoints"][i] = "9001/20001"
        outcome = verify(document([entry]))
        assert outcome.entries[0].failed or (formula, part) == ("bce", "ends")
        inner["breakpoints"][i] = place
    assert verify(document([entry])).ok


SWAPS = {
    "bce": ["-2*label*log(pred) - (1-label)*log(1-pred)", "mse", "-label*log(pred) - (1-label)*log(1.5-pred)"],
    "mse": ["2*(label-pred)^2", "(label-pred)^4", "(label-pred)^2*pred", "abs(label-pred)", "(pred-label)^2 + pred"],
    "huber": ["huber where delta = 0.25", "mse", "abs(label-pred)"],
    LEANING: ["(2 - label)*(1 + label)*(label-pred)^4", "2*(2 - label)*(1 + label)*(label-pred)^2", "mse"],
    "maxr": ["sumr", "2*max((label+c)/(pred+c), (pred+c)/(label+c)) where c = 1e-6", "maxr where c = 1e-5"],
    "hinge": ["squared_hinge", "hinge where margin = 2", "exponential"],
}  # fmt: skip


@pytest.mark.parametrize("formula", SWAPS)
def test_another_formula_fails(formula: str) -> None:
    entry = entry_of(formula)
    for text in SWAPS[formula]:
        entry["formula"] = str(lossdsl.parse(text))
        fails(entry, *entry["proved"])


def test_a_way_that_does_not_lead_there_is_not_taken() -> None:
    for formula in ("bce", "mse", LEANING):
        entry = entry_of(formula)
        for name, claim in entry["proved"].items():
            kept = claim["by"]
            for other in {"ends", "affine", "proper", "difference", "boxes", "faith"} - {kept}:
                claim["by"] = other
                if name not in ("domain", "gradient") or other not in ("boxes", "affine", "difference"):
                    fails(entry, name)
            claim["by"] = kept


REFUTED = {
    "focal": ["minimum"],
    "sumr": ["minimum"],
    "exponential": ["uses_pred", "no_dead_zone", "minimum"],
    "abs(label-pred) - 0.2*(label-pred)": ["proper"],
    "mse": ["convex_score"],
    "(1-2*label)*pred": ["uses_pred", "minimum"],
    "(label-pred)^3": ["minimum"],
    "max(abs(label-pred), 0.6)": ["uses_pred", "no_dead_zone"],
    "max(abs(label-pred), 0.001)": ["no_dead_zone"],
    "1e-7*(label-pred)^2": ["no_dead_zone"],
}
PLACES = [f"{2 * j + 1}/440" for j in range(220)]


@pytest.mark.parametrize("formula", REFUTED)
def test_a_refuted_property_cannot_be_claimed(formula: str) -> None:
    entry = entry_of(formula)
    report = lossdsl.check(formula, label="[0,1]", timeout=None)
    for name in REFUTED[formula]:
        assert report.properties[name].status == "refuted", name
        assert name not in entry["proved"]
        for way in ("ends", "affine", "proper", "difference", "boxes"):
            for more in ({}, {"strict": True}, {"strict": False}, {"places": ["7/16", "3/4"]}, {"places": PLACES}):
                entry["proved"][name] = {"by": way, **more}
                fails(entry, name)
        del entry["proved"][name]


@pytest.mark.parametrize("formula", ["focal", "exponential", "(label-pred)^2 - label*pred"])
def test_a_forged_report_is_not_believed(formula: str) -> None:
    """The report of mse: evidence is searched for what does not hold, and none passes."""
    entry = certify(lossdsl.parse(formula), lossdsl.check("mse", label="[0,1]"), label="[0,1]")
    true = lossdsl.check(formula, label="[0,1]", timeout=None).properties
    assert not {name for name in entry["proved"] if true[name].status == "refuted"}
    assert "domain" in entry["proved"]


JUNK: list[Any] = [None, 1, "x", [], {}, {"formula": "bce"}]


@pytest.mark.parametrize("field", ["ends", "difference", "slopes", "proved", "labels", "not certified", "formula"])
def test_entries_that_make_no_sense(field: str) -> None:
    for junk in JUNK:
        entry = entry_of("mse")
        if junk is None and field in ("ends", "difference"):
            continue  # there is none: what rests on it fails
        if isinstance(junk, dict) and field == "not certified":
            continue  # reasons are texts that are passed on
        entry[field] = junk
        assert not verify(document([entry])).ok
    entry = entry_of("mse")
    for part in ("ends", "difference"):
        entry[part] = None
    assert set(verify(document([entry])).entries[0].failed) == set(entry["proved"])


ASIDE = {"label": ["0", "1"]}


@pytest.mark.parametrize(
    "formula", ["min((label+c)/(pred+c), (pred+c)/(label+c)) where c = 0.5", "max(label-2*pred, 2*label-3*pred)"]
)
def test_parts_that_meet_on_the_label_are_told_apart_there(formula: str) -> None:
    """The smaller of the two ratios is largest at the label; the other two are equal there, and both fall."""
    entry = certify(lossdsl.parse(formula), lossdsl.check("mse", label="[0,1]"), label="[0,1]")
    assert "minimum" not in entry["proved"] and "domain" in entry["proved"]
    below, above = ({**ASIDE, "distance": ends, "sign": sign} for ends, sign in ((["0", "1"], -1), (["-1", "0"], 1)))
    for more in ({}, {"strict": True}):
        entry["proved"]["minimum"] = {"by": "boxes", "below": [below], "above": [above], **more}
        fails(entry, "minimum")


def test_a_flat_side_of_the_label_is_no_steep_one() -> None:
    entry = certify(lossdsl.parse("max(label-pred, 0)"), lossdsl.check("mse", label="[0,1]"), label="[0,1]")
    below, above = ({**ASIDE, "distance": ends} for ends in (["0", "1"], ["-1", "0"]))
    for rows in ([below], [above]), ([below], []), ([], [above]), ([below], [below]):
        entry["proved"]["no_dead_zone"] = {"by": "boxes", "below": rows[0], "above": rows[1]}
        fails(entry, "no_dead_zone")


MIDDLE = [{"pred": ["1/1000", "999/1000"]}]
FLAT = {
    "(1-2*label)*pred": "stand still",
    "(label*(1-pred)^2 + (1-label)*pred^2)/100000": "rise by 1/1000",
    "label*abs(pred-0.5) - label*pred + (1-label)*pred": "stand still",
}


@pytest.mark.parametrize("formula", FLAT)
def test_slopes_that_rise_too_little_leave_flat_stretches_between_labels(formula: str) -> None:
    entry = certify(lossdsl.parse(formula), lossdsl.check("bce", label="[0,1]"), label="[0,1]")
    assert "convex_pred" in entry["proved"] and "no_dead_zone" not in entry["proved"]
    for rows in (MIDDLE, [{"pred": ["0", "1"]}], [{"pred": ["1/2", "999/1000"]}]):
        entry["proved"]["no_dead_zone"] = {"by": "affine", "boxes": {"0": rows, "1": rows}}
        assert rows is not MIDDLE or FLAT[formula] in verify(document([entry])).entries[0].failed["no_dead_zone"]
        fails(entry, "no_dead_zone")


def test_rising_slopes_are_looked_at_between_the_ends() -> None:
    entry = entry_of("focal")
    for rows in entry["proved"]["no_dead_zone"]["boxes"].values():
        for change in ("1/500", "1/2000"):
            kept, rows[0]["pred"][0] = rows[0]["pred"][0], change
            fails(entry, "no_dead_zone")
            rows[0]["pred"][0] = kept
    del entry["ends"]["proved"]["convex_pred"]
    fails(entry, "no_dead_zone", "convex_pred")


def test_places_and_bounds_count() -> None:
    entry = entry_of("mse")
    claims = entry["proved"]
    claims["bounded_gradient"]["bound"] = "1/100"
    del claims["no_dead_zone"]["places"][7]
    claims["uses_label"]["by"] = "difference"
    assert set(verify(document([entry])).entries[0].failed) == {"bounded_gradient", "no_dead_zone", "uses_label"}


def test_strict_at_the_ends_is_what_is_shown() -> None:
    entry = entry_of("mse")
    entry["ends"]["proved"]["monotone"]["strict"] = False
    fails(entry, "monotone")


def test_slopes_in_one_ratio_may_cancel_each_other() -> None:
    """At label 1/2 the loss is flat, though at 0 and at 1 it is not."""
    entry = entry_of("(1-2*label)*pred")
    entry["ends"]["proved"]["uses_pred"] = {}
    entry["proved"]["uses_pred"] = {"by": "affine", "places": ["7/16", "3/4"]}
    assert "different ratios" in verify(document([entry])).entries[0].failed["uses_pred"]
