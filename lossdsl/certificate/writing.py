"""The certificate of one formula, and the file that holds several."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

from flint import fmpq

from lossdsl.certificate.cutting import Cutter, Slice
from lossdsl.certificate.evidence import Searching
from lossdsl.certificate.translation import Translation, rational
from lossdsl.prover import points as prover
from lossdsl.prover.field import RetryWithRoot
from lossdsl.prover.limits import Undecided
from lossdsl.verifier.constants import known
from lossdsl.verifier.curves import Curve
from lossdsl.verifier.intervals import Unbounded, exact_value
from lossdsl.verifier.kernels import Quotient
from lossdsl.verifier.limits import Malformed, Rejected, working
from lossdsl.verifier.points import END, START, Point, read_points
from lossdsl.verifier.properties import PROPERTIES, Cell, Proof, at_least, no_saturation, slope_at
from lossdsl.verifier.terms import Terms, spell
from lossdsl.verifier.verify import SCHEMA, check_entry, checksum

if TYPE_CHECKING:
    from lossdsl.formula import Formula
    from lossdsl.report import Report

BROKEN = (Undecided, Rejected, Malformed, Unbounded, ArithmeticError, ValueError)
"""What a search for evidence may end with, numbers too large or too long to write among them."""


def document(entries: Iterable[dict[str, Any]]) -> str:
    """The text of a certificate file."""
    rows = list(entries)
    data = {"certificate": SCHEMA, "entries": rows, "sha256": checksum(rows)}
    return json.dumps(data, indent=1) + "\n"


def certify(
    formula: Formula, report: Report, *, pairwise: bool = False, label: str = "{0,1}", seconds: float | None = 20.0
) -> dict[str, Any]:
    """The entry for labels 0 and 1, or 1 alone, of what a report says is proved.

    What cannot be certified is listed with the reason. `seconds` bounds the search for evidence.
    """
    proved = [name for name, finding in report.properties.items() if finding.status == "proved"]
    other = "it is about floats, and certificates are about real numbers"
    missing = {name: other for name in proved if name not in PROPERTIES}
    wanted = [name for name in PROPERTIES if name in proved]
    one_label = label == "{1}" or ((pairwise or formula.pairwise) and "label" not in _names(formula))
    labels = (1,) if one_label else (0, 1)
    entry: dict[str, Any] = {
        "formula": str(formula), "labels": list(labels), "proved": {}, "not certified": missing,
        "kernels": [], "breakpoints": [], "cells": [],
    }  # fmt: skip
    if "domain" not in wanted:
        missing.update({name: "without a proof of `domain` nothing is certified" for name in wanted})
        return entry
    try:
        with working():
            terms = {y: spell(formula.tree, y) for y in labels}
            Draft(entry, terms, labels, wanted, report, seconds).write()
    except BROKEN as error:
        missing.update({name: str(error) for name in wanted})
        entry.update(proved={}, kernels=[], breakpoints=[], cells=[])
        return entry
    checked = check_entry(json.loads(json.dumps(entry)))
    for name, why in checked.failed.items():
        entry["proved"].pop(name, None)
        missing[name] = why
    return entry


def _names(formula: Formula) -> frozenset[str]:
    from lossdsl.grammar.tree import names

    return names(formula.tree.root)


class Draft:
    """Finds what an entry says of cells and curves, and the claims that rest on them."""

    def __init__(
        self,
        entry: dict[str, Any],
        terms: dict[int, Terms],
        labels: tuple[int, ...],
        wanted: list[str],
        report: Report,
        seconds: float | None,
        ranges: Mapping[str, tuple[Fraction, Fraction]] | None = None,
    ) -> None:
        self.ranges = ranges or {}
        self.entry = entry
        self.terms = terms
        self.labels = labels
        self.wanted = wanted
        self.report = report
        self.seconds = seconds

    def write(self) -> None:
        cutter, slices = self._cut({})
        least = self._least(cutter, slices)
        limits = {y: Fraction(m) for y, (kind, m) in least.items() if kind == "limit"}
        if limits:
            try:
                cutter, slices = self._cut(limits)
            except Undecided:
                least = {}
        translation = cutter.translation
        points = _places(slices, translation)
        self.entry["breakpoints"] = [_point_row(p) for p in points[1:-1]]
        read_points(self.entry["breakpoints"], translation.table)
        cells, searches, curves = [], [], []
        for piece, left, right in zip(slices, points, points[1:]):
            facts = Searching(translation, left, right)
            made = {y: _Dictated(self.terms[y], facts, piece, y, cutter) for y in self.labels}
            cells.append(Cell(left, right, facts, dict(made)))
            searches.append(facts)
            curves.append(made)
        proof = Proof(translation.table, self.labels, self.terms, points, cells)
        for name in self.wanted:
            self._claim(name, proof, least)
        self.entry["kernels"] = translation.rows
        self.entry["cells"] = [
            {"facts": facts.rows, "curves": {str(y): made[y].row() for y in self.labels}}
            for facts, made in zip(searches, curves)
        ]

    def _least(self, cutter: Cutter, slices: list[Slice]) -> dict[int, list[str]]:
        """Where the loss is proved least at the label without being monotone: its limit there, or that it falls."""
        if "minimum" not in self.wanted or "monotone" in self.wanted:
            return {}
        out: dict[int, list[str]] = {}
        for y in self.labels:
            value = slices[-1 if y == 1 else 0].values[y].elements[self.terms[y].root]
            n, d = (cutter.translation.table.at(f, Fraction(y)) for f in cutter.translation.quotient(value))
            top, below = known(n), known(d)
            out[y] = ["limit", str(top / below)] if top is not None and below else ["falls", str(Fraction(1, 2**40))]
        return out

    def _cut(self, least: dict[int, Fraction]) -> tuple[Cutter, list[Slice]]:
        hints: dict[object, int] = {}
        for _ in range(8):
            cutter = Cutter(self.terms, hints, frozenset(self.wanted), self.seconds, least, self.ranges)
            try:
                return cutter, cutter.run()
            except RetryWithRoot as retry:
                hints = {retry.key: retry.n} | {k: v for k, v in hints.items() if k != retry.key}
        raise Undecided("the exact form needs too many different roots")

    def _claim(self, name: str, proof: Proof, least: dict[int, list[str]]) -> None:
        claim: dict[str, Any] = {}
        try:
            if name == "uses_label":
                claim["at"] = _differing(proof)
            if name == "no_dead_zone":
                claim["places"] = {str(y): _steep_places(proof, y) for y in self.labels}
            if name == "bounded_gradient":
                claim["bound"] = _bound(proof)
            if name == "no_saturation":
                claim["floors"] = {str(y): _floor(proof, y) for y in self.labels}
            if name == "minimum" and least:
                claim["least"] = {str(y): row for y, row in least.items()}
            strict = PROPERTIES[name](proof, claim)
            if strict is not None:
                claim["strict"] = strict
                if self.report.properties[name].strict and not strict:
                    raise Rejected("that it is strict is not shown")
            self.entry["proved"][name] = claim
        except BROKEN as error:
            self.entry["not certified"][name] = str(error)


class _Dictated(Curve):
    """A curve whose claims come from the prover's values as the verifier asks for them."""

    def __init__(self, terms: Terms, facts: Searching, piece: Slice, label: int, cutter: Cutter) -> None:
        self._cutter = cutter
        self._source = piece.values[label]
        self._written: dict[str, Any] = {"cancelled": {}}
        data = {
            "branches": {str(i): b for i, b in self._source.branches.items()},
            "parts": {str(i): p for i, p in self._source.parts.items()},
            "slope": ["0", "1"],
        }
        super().__init__(terms, facts, data)
        self._written = data | self._written

    def _claimed(self, claims: dict[int, Any], i: int, value: Quotient) -> Quotient:
        n, d = self._cutter.translation.quotient(self._source.elements[i])
        if (n, d) == (value.n, value.d):
            return value
        claim = self._written["cancelled"][str(i)] = [str(n), str(d)]
        return self._checked(claim, value, "it")

    def _checked(self, claim: Any, value: Quotient, what: str) -> Quotient:
        name = {"the slope": "slope", "the curvature": "curvature"}.get(what)
        if name is not None:
            n, d = self._cutter.translation.quotient(self._cutter.translation.element(value))
            claim = self._written[name] = [str(n), str(d)]
        return super()._checked(claim, value, what)

    def row(self) -> dict[str, Any]:
        """What the certificate says of this curve."""
        return {name: value for name, value in self._written.items() if value}


def _places(slices: list[Slice], translation: Translation) -> list[Point]:
    """The points between the cells, for the verifier, each bracket narrowed until neighbours are apart."""
    points = [START]
    for a, b in zip(slices, slices[1:]):
        if prover.compare(a.high, b.low) != 0:
            raise Undecided("the cells do not meet")
        points.append(_place(a.high, translation))
    return [*points, END]


def _place(point: prover.Point, translation: Translation) -> Point:
    if point.rational is not None:
        q = rational(point.rational)
        return Point(q, q)
    poly = translation.poly(point.vanishing)
    low, high = point.low, point.high
    width = (high - low) + min(low, 1 - high) / 2**60
    # Shorter numbers a little outside, so that the ends are certainly no roots.
    low, high = prover.simplest_between(low - width, low), prover.simplest_between(high, high + width)
    return Point(rational(low), rational(high), poly)


def _point_row(point: Point) -> Any:
    if point.rational is not None:
        return str(point.rational)
    return {"root of": str(point.poly), "in": [str(point.low), str(point.high)]}


def _differing(proof: Proof) -> str:
    """A place where the slopes of the labels are seen to differ."""
    for cell in proof.cells:
        low, high = fmpq_of(cell.left.high), fmpq_of(cell.right.low)
        for t in (fmpq(1, 2), fmpq(1, 3), fmpq(3, 4)):
            middle = low + (high - low) * t
            wide = (high - low) / 16
            place = str(rational(prover.simplest_between(middle - wide, middle + wide)))
            try:
                PROPERTIES["uses_label"](proof, {"at": place})
                return place
            except Rejected:
                continue
    raise Rejected("no place is found where the slopes differ")


def fmpq_of(q: Fraction) -> fmpq:
    return fmpq(q.numerator, q.denominator)


STEPS = 110


def _steep_places(proof: Proof, label: int) -> list[str]:
    """Places less than 0.01 apart where the slope is at least 1e-6 in size."""
    out = []
    for j in range(STEPS):
        for shift in (0, 1, -1, 2, -2):
            place = Fraction(20 * j + 10 + shift, 20 * STEPS)
            try:
                at_least(proof, label, place)
            except Rejected:
                continue
            out.append(str(place))
            break
    return out


def _score_slope(proof: Proof, label: int, place: Fraction) -> float | None:
    """The size of the slope in score at a place; None where it is not known, or too large for a float."""
    try:
        low, high = slope_at(proof, label, place)
        slope = float((exact_value(low) + exact_value(high)) / 2)
    except (Rejected, OverflowError):
        return None
    return abs(slope) * float(place * (1 - place))


def _bound(proof: Proof) -> str:
    """A number above the slope in score: in three digits where evidence is found, else a power of two well above."""
    near = [Fraction(1, 2**k) for k in range(2, 60, 3)]
    places = [*near, *(1 - q for q in near), *(Fraction(2 * j + 1, 82) for j in range(41))]
    sizes = [_score_slope(proof, label, q) for label in proof.labels for q in places]
    largest = max((s for s in sizes if s is not None), default=1.0)
    for room in (1.0, 1.01):
        bound = _rounded_up(largest * room)
        try:
            PROPERTIES["bounded_gradient"](proof, {"bound": str(bound)})
        except BROKEN:
            continue
        return str(bound)
    return str(2 ** max(0, int(largest).bit_length() + (largest >= 0.9)))


def _rounded_up(x: float) -> Fraction:
    """The next number of three digits."""
    if not 0 < x < 1e300:
        return Fraction(1)
    scale = Fraction(10) ** (2 - floor(log10(x)))
    return Fraction(ceil(Fraction(x) * scale)) / scale


def _floor(proof: Proof, label: int) -> list[str]:
    """How far from the wrong end, and a number below the slope in score there."""
    cell = proof.cells[-1 if label == 0 else 0]
    room = 1 - cell.left.high if label == 0 else cell.right.low
    for k in (3, 6, 10, 16, 24, 40, 80):
        distance = Fraction(1, 2**k)
        size = _score_slope(proof, label, 1 - distance if label == 0 else distance) if distance < room else None
        if size:
            for share in (2, 8, 64):
                floor = [str(distance), str(Fraction(size / share).limit_denominator(10**9))]
                try:
                    no_saturation(_only(proof, label), {"floors": {str(label): floor}})
                    return floor
                except (Rejected, Unbounded):
                    continue
    raise Rejected("no number is found below the slope at the wrong end")


def _only(proof: Proof, label: int) -> Proof:
    return replace(proof, labels=(label,))
