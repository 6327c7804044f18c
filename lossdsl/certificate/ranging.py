"""Entries for labels 0 and 1, for all values of a parameter's range, and for all labels from 0 to 1."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from lossdsl.certificate.boxing import MOST_LOOKS, PLACES, bent_boxes, claim_of, steep_beside
from lossdsl.certificate.cutting import Cutter, Slice
from lossdsl.certificate.writing import BROKEN, Draft
from lossdsl.certificate.writing import certify as certify_ends
from lossdsl.grammar.printer import show
from lossdsl.grammar.tree import Tree, names
from lossdsl.verifier.intervals import exact_value
from lossdsl.verifier.limits import Rejected, working
from lossdsl.verifier.properties import PROPERTIES, Proof, slope_at
from lossdsl.verifier.ranged import ALGEBRA, Ranged, symmetric
from lossdsl.verifier.ranging import check_wide
from lossdsl.verifier.soft import AT_ENDS, CARRIED, Between, affine, of_curve, of_difference
from lossdsl.verifier.terms import spell
from lossdsl.verifier.wide import CHECKS, Wide, slopes

if TYPE_CHECKING:
    from lossdsl.formula import Formula
    from lossdsl.report import Report

FLOATS = "it is about floats, and certificates are about real numbers"
BY_CURVE = ("domain", "gradient", "convex_pred", "minimum", "uses_pred", "no_dead_zone", "bounded_gradient")
STEPS = 220
FEW = 60
"""Looks at boxes before algebra is tried, which is short where it succeeds."""


def certify(
    formula: Formula, report: Report, *, pairwise: bool = False, label: str = "{0,1}", seconds: float | None = 20.0
) -> dict[str, Any]:
    """The entry of a certificate for what a report says is proved.

    What cannot be certified is listed with the reason. `seconds` bounds the search for evidence.

    >>> import lossdsl
    >>> from lossdsl.certificate import certify
    >>> entry = certify(lossdsl.parse("mse"), lossdsl.check("mse"))
    >>> sorted(entry["proved"])[:3], entry["breakpoints"]
    (['bounded_gradient', 'calibrated', 'convex_pred'], ['1/2'])
    >>> hinge = "hinge where margin in [1, 2]"
    >>> certify(lossdsl.parse(hinge), lossdsl.check(hinge))["proved"]["monotone"]["boxes"]["1"]
    [{'pred': ['0', '1'], 'margin': ['1', '2'], 'sign': -1}]
    """
    used = names(formula.tree.root)
    ranged = any(b.value is None for b in formula.tree.where)
    soft = label == "[0,1]" and "label" in used
    if not soft and not ranged:
        return certify_ends(
            formula, report, pairwise=pairwise, label="{1}" if label == "{1}" else "{0,1}", seconds=seconds
        )
    one_label = label == "{1}" or ((pairwise or formula.pairwise) and "label" not in used)
    proved = [name for name, finding in report.properties.items() if finding.status == "proved"]
    wanted = [name for name in PROPERTIES if name in proved]
    entry: dict[str, Any] = {
        "formula": str(formula), "labels": "[0,1]" if soft else [1] if one_label else [0, 1], "proved": {},
        "not certified": {name: FLOATS for name in proved if name not in PROPERTIES}, "slopes": {},
    }  # fmt: skip
    entry.update({"ends": None, "difference": None} if soft else {"algebra": None})
    try:
        if "domain" not in wanted:
            raise Rejected("without a proof of `domain` nothing is certified")
        with working():
            _write(entry, formula, report, wanted, seconds)
    except BROKEN as error:
        entry["not certified"].update({name: str(error) for name in wanted})
        entry["proved"] = {}
    checked = check_wide(json.loads(json.dumps(entry)))
    for name, why in checked.failed.items():
        entry["proved"].pop(name, None)
        entry["not certified"][name] = why
    return entry


def _write(entry: dict[str, Any], formula: Formula, report: Report, wanted: list[str], seconds: float | None) -> None:
    tree = formula.tree
    ranges = {b.name: (b.low, b.high) for b in tree.where if b.value is None}
    sides = {"any": None} if entry["labels"] == "[0,1]" else {str(y): y for y in entry["labels"]}
    wide = Wide(tree, {side: spell(tree, y, True) for side, y in sides.items()}, ranges)
    entry["slopes"] = slopes(wide)
    if "any" in sides:
        ways = _Ways(entry, formula, report, seconds, wide)
        _claims(entry["proved"], entry["not certified"], wide, report, wanted, ways.claim)
    else:
        entry["algebra"] = _all_values(entry["proved"], entry["not certified"], wide, report, wanted, seconds)


def _all_values(
    proved: dict[str, Any],
    missing: dict[str, str],
    wide: Wide,
    report: Report,
    wanted: list[str],
    seconds: float | None,
) -> dict[str, Any] | None:
    """Claims for all values of ranges, and the algebra that they rest on."""
    ways = _RangedWays(wide, report, wanted, seconds)
    _claims(proved, missing, wide, report, wanted, ways.claim)
    return ways.algebra if any(claim["by"] == "algebra" for claim in proved.values()) else None


Claim = Callable[[str], "tuple[dict[str, Any], bool | None]"]


def _claims(
    proved: dict[str, Any], missing: dict[str, str], wide: Wide, report: Report, wanted: list[str], claim_for: Claim
) -> None:
    for name in wanted:
        try:
            claim, strict = claim_for(name)
            proved[name] = claim if strict is None else {**claim, "strict": strict}
            wide.proved[name] = strict
        except BROKEN as error:
            missing[name] = str(error)


def _strictly(report: Report, name: str, strict: bool | None) -> None:
    if report.properties[name].strict and strict is False:
        raise Rejected("that it is strict is not shown")


class _RangedWays:
    """Tries the ways to show something for all values of ranges: a few boxes, then algebra, which is sought once."""

    def __init__(self, wide: Wide, report: Report, wanted: list[str], seconds: float | None) -> None:
        self.wide = wide
        self.report = report
        self.wanted = wanted
        self.seconds = seconds
        self.algebra: dict[str, Any] | None = None
        self._draft: _RangedDraft | None = None
        self._checker = Ranged(wide, None, wide.tree)

    def claim(self, name: str) -> tuple[dict[str, Any], bool | None]:
        """A claim and what is shown of `strict`; `Rejected` with the reason of the last way."""
        reasons: list[Exception] = []
        for way in (self._by_few_boxes, self._by_algebra, self._by_symmetry, self._by_boxes):
            try:
                claim, strict = way(name)
                _strictly(self.report, name, strict)
                return claim, strict
            except BROKEN as error:
                reasons.append(error)
        raise reasons[-1]

    def _by_few_boxes(self, name: str) -> tuple[dict[str, Any], bool | None]:
        return self._by_boxes(name, FEW)

    def _by_boxes(self, name: str, looks: int = MOST_LOOKS) -> tuple[dict[str, Any], bool | None]:
        if name not in CHECKS:
            raise Rejected("neither algebra nor symmetry shows it for all values of the range")
        claim = {"by": "boxes", **claim_of(self.wide, name, looks)}
        return claim, self._checker.check(name, claim)

    def _by_algebra(self, name: str) -> tuple[dict[str, Any], bool | None]:
        if self._draft is None:
            self._draft = _RangedDraft(self.wide, self.report, self.wanted, self.seconds)
            self._draft.write()
            self.algebra = {part: self._draft.entry[part] for part in ALGEBRA}
        if name not in self._draft.claims:
            raise Rejected("no algebra shows it")
        claim, strict = self._draft.claims[name]
        return {"by": "algebra", **claim}, strict

    def _by_symmetry(self, name: str) -> tuple[dict[str, Any], bool | None]:
        return {"by": "symmetry"}, self._checker.check(name, {"by": "symmetry"})


class _RangedDraft(Draft):
    """The cells of a loss, for all values of ranges."""

    def __init__(self, wide: Wide, report: Report, wanted: list[str], seconds: float | None) -> None:
        entry: dict[str, Any] = {
            "formula": show(wide.tree), "proved": {}, "not certified": {},
            "kernels": [], "breakpoints": [], "cells": [],
        }  # fmt: skip
        labels = tuple(int(side) for side in wide.terms)
        terms = {int(side): some for side, some in wide.terms.items()}
        if len(labels) == 2 and symmetric(terms[0], terms[1]):
            # Then that is how it is shown, and no cell has to end at 1/2.
            wanted = [name for name in wanted if name != "calibrated"]
        super().__init__(entry, terms, labels, wanted, report, seconds, wide.ranges)
        self.claims: dict[str, tuple[dict[str, Any], bool | None]] = {}

    def _least(self, cutter: Cutter, slices: list[Slice]) -> dict[int, list[str]]:
        return {}

    def _claim(self, name: str, proof: Proof, least: dict[int, list[str]]) -> None:
        super()._claim(name, proof, least)
        if name in self.entry["proved"]:
            claim = dict(self.entry["proved"][name])
            self.claims[name] = claim, claim.pop("strict", None)


class _Ways:
    """Tries the ways to show something at all labels, the shortest first."""

    def __init__(
        self, entry: dict[str, Any], formula: Formula, report: Report, seconds: float | None, wide: Wide
    ) -> None:
        self.wide = wide
        self.report = report
        self.tree = formula.tree
        self.claims: dict[str, dict[str, Any]] = {}
        entry["ends"] = (
            _ranged_ends(wide, report, seconds) if wide.ranges else certify_ends(formula, report, seconds=seconds)
        )
        entry["ends"].pop("not certified")
        if not entry["ends"]["proved"]:
            entry["ends"] = None
        elif not wide.ranges:
            entry["ends"]["not certified"] = {}
        curve = None if wide.ranges else of_difference(self.tree)
        if curve is not None:
            draft = _CurveDraft(curve, report, seconds)
            try:
                draft.write()
                entry["difference"], self.claims = draft.entry, draft.claims
            except BROKEN:
                entry["difference"] = None
        self.between = Between(wide, entry, self.tree)

    def claim(self, name: str) -> tuple[dict[str, Any], bool | None]:
        """A claim and what is shown of `strict`; `Rejected` with the reason of the last way."""
        reason: Exception = Rejected("no way is known to show it at all labels")
        for claim in self._ways(name):
            try:
                made = self._boxes(name, claim["by"])
                strict = self.between.check(name, {**made, **claim})
                _strictly(self.report, name, strict)
                return {**made, **claim}, strict
            except BROKEN as error:
                reason = error
        raise reason

    def _boxes(self, name: str, by: str) -> dict[str, Any]:
        if by == "affine" and name == "no_dead_zone":
            return bent_boxes(self.tree)
        if by != "boxes":
            return {}
        try:
            return claim_of(self.wide, name)
        except Rejected:
            if name != "no_dead_zone":
                raise
            return steep_beside(self.wide)

    def _ways(self, name: str) -> list[dict[str, Any]]:
        if name in AT_ENDS:
            return [{"by": "ends"}]
        out: list[dict[str, Any]] = []
        if affine(self.tree.root):
            if name in CARRIED:
                out.append({"by": "affine"})
            if name == "uses_pred":
                out += [{"by": "affine", "places": [str(p), str(q)]} for p in PLACES for q in PLACES if p < q]
            if name == "minimum":
                out.append({"by": "proper"})
            if name == "no_dead_zone" and not self.wide.ranges:
                out.append({"by": "affine"})
        if name in self.claims:
            out.append({"by": "difference", **self.claims[name]})
        return [*out, {"by": "boxes"}] if name in CHECKS else out


def _ranged_ends(wide: Wide, report: Report, seconds: float | None) -> dict[str, Any]:
    """What can be shown at labels 0 and 1 for all parameters, whatever the report says of the labels between."""
    ends = Wide(wide.tree, {str(y): spell(wide.tree, y, True) for y in (0, 1)}, wide.ranges)
    proved = [name for name, finding in report.properties.items() if finding.status == "proved"]
    entry: dict[str, Any] = {"proved": {}, "not certified": {}}
    wanted = [name for name in PROPERTIES if name in {*proved, "domain", "gradient", "monotone", "convex_pred"}]
    entry["algebra"] = _all_values(entry["proved"], entry["not certified"], ends, report, wanted, seconds)
    return entry


class _CurveDraft(Draft):
    """The loss as one curve of t, where pred - label = 2t - 1."""

    def __init__(self, tree: Tree, report: Report, seconds: float | None) -> None:
        entry: dict[str, Any] = {
            "formula": show(tree), "labels": [1], "proved": {}, "not certified": {},
            "kernels": [], "breakpoints": [], "cells": [],
        }  # fmt: skip
        # With "calibrated" among what is wanted, there is a cut at 1/2.
        super().__init__(entry, {1: spell(tree, 1)}, (1,), [*BY_CURVE, "calibrated"], report, seconds)
        self.claims: dict[str, dict[str, Any]] = {}

    def _least(self, cutter: Cutter, slices: list[Slice]) -> dict[int, list[str]]:
        return {}

    def _claim(self, name: str, proof: Proof, least: dict[int, list[str]]) -> None:
        if name not in BY_CURVE:
            return
        claim: dict[str, Any] = {}
        if name == "no_dead_zone":
            claim["places"] = [str(Fraction(2 * j + 1, 2 * STEPS)) for j in range(STEPS)]
        if name == "bounded_gradient":
            claim["bound"] = _bound(proof)
        try:
            of_curve(name, proof, claim)
        except BROKEN:
            return
        self.claims[name] = claim


def _bound(proof: Proof) -> str:
    """A number well above the slope in t, by eight."""
    most = Fraction(1)
    for k in (2, 6, 20, 40):
        for place in (Fraction(1, 2**k), 1 - Fraction(1, 2**k)):
            try:
                most = max(most, *(abs(exact_value(end)) for end in slope_at(proof, 1, place)))
            except Rejected:
                continue
    return str(Fraction(2 ** (int(most) + 1).bit_length(), 8))
