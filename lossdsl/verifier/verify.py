"""Reading a certificate and checking what it claims."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from lossdsl.errors import LossError
from lossdsl.grammar.parser import read as read_formula
from lossdsl.grammar.printer import show
from lossdsl.verifier.curves import Curve
from lossdsl.verifier.facts import Facts
from lossdsl.verifier.intervals import Unbounded
from lossdsl.verifier.kernels import Kernels
from lossdsl.verifier.limits import MAX_BYTES, MAX_ENTRIES, Malformed, Rejected, working
from lossdsl.verifier.places import enclose
from lossdsl.verifier.points import read_points
from lossdsl.verifier.properties import PROPERTIES, Cell, Proof
from lossdsl.verifier.terms import spell

SCHEMA = 1
_ENTRY = {"formula", "labels", "proved", "not certified", "kernels", "breakpoints", "cells"}


@dataclass(frozen=True)
class Checked:
    """One formula: the properties that were confirmed, those that were not and why, those never claimed."""

    formula: str
    labels: tuple[int, ...]
    verified: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    uncertified: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verification:
    """The outcome for a whole file; `ok` where something was claimed and all of it holds."""

    entries: tuple[Checked, ...] = ()
    problem: str | None = None

    @property
    def ok(self) -> bool:
        sound = self.problem is None and not any(entry.failed for entry in self.entries)
        return sound and any(entry.verified for entry in self.entries)


def checksum(entries: object) -> str:
    """SHA-256 over the entries as JSON with sorted names and no spaces: against accidents, not against people."""
    return hashlib.sha256(json.dumps(entries, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def verify(text: str | bytes) -> Verification:
    """Check a certificate; `LossError` where the text is none that can be read.

    >>> from lossdsl.verifier import verify
    >>> verify('{"certificate": 1, "entries": [], "sha256": ""}').problem
    'the checksum does not fit the content'
    """
    if len(text) > MAX_BYTES:
        raise LossError(f"the certificate is larger than {MAX_BYTES:,} bytes")
    try:
        data = json.loads(text, parse_constant=_no_constant, parse_float=_no_constant)
    except RecursionError:
        raise LossError("this is no certificate: it is nested too deeply") from None
    except ValueError as error:
        raise LossError(f"this is no certificate: {str(error)[:200]}") from None
    if not isinstance(data, dict) or "certificate" not in data:
        raise LossError("this is no certificate: there is no field `certificate`")
    if data["certificate"] != SCHEMA or type(data["certificate"]) is not int:
        raise LossError(f"this is a certificate of another kind than {SCHEMA}, which is all that this version reads")
    entries = data.get("entries")
    if set(data) != {"certificate", "entries", "sha256"} or not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise LossError("this is no certificate: it has other fields than certificate, entries and sha256")
    try:
        fits = checksum(entries) == data["sha256"]
    except RecursionError:
        raise LossError("this is no certificate: it is nested too deeply") from None
    if not fits:
        return Verification(problem="the checksum does not fit the content")
    return Verification(tuple(check_entry(entry) for entry in entries))


def _no_constant(text: str) -> Any:
    raise ValueError(f"the number {text[:20]} is not whole")


def check_entry(entry: object) -> Checked:
    """Check the claims about one formula."""
    with working():
        formula, claims = "?", ["(all)"]
        labels: tuple[int, ...] = (0, 1)
        uncertified: dict[str, str] = {}
        try:
            if not isinstance(entry, dict) or set(entry) != _ENTRY:
                raise Malformed("an entry has other fields than it should")
            formula, labels = _text(entry["formula"]), _labels(entry["labels"])
            proved = entry["proved"]
            uncertified = _reasons(entry["not certified"])
            if not isinstance(proved, dict) or any(not isinstance(v, dict) for v in proved.values()):
                raise Malformed("what is proved is an object of objects")
            if not set(proved) <= set(PROPERTIES):
                raise Malformed("a property is claimed that the verifier does not know")
            claims = [name for name in PROPERTIES if name in proved]
            if not claims:
                return Checked(formula, labels, (), {}, uncertified)
            if claims[0] != "domain":
                raise Malformed("without `domain` nothing else has a meaning")
            proof = _proof(entry, formula, labels)
        except Exception as error:
            return Checked(formula, labels, (), {name: _reason(error) for name in claims}, uncertified)
        verified: list[str] = []
        failed: dict[str, str] = {}
        for name in claims:
            try:
                strict = PROPERTIES[name](proof, proved[name])
                _settled(proved[name], strict)
                verified.append(name)
            except Exception as error:
                failed[name] = _reason(error)
        return Checked(formula, labels, tuple(verified), failed, uncertified)


def _reason(error: Exception) -> str:
    """Why a claim fails. Whatever goes wrong while a claim is looked at, the claim has not been confirmed."""
    if isinstance(error, (Malformed, Rejected, Unbounded, LossError)):
        return str(error)
    return f"looking at it ended in {type(error).__name__}: {str(error)[:200]}"


def _settled(claim: dict[str, Any], strict: bool | None) -> None:
    if claim.get("strict") is not strict:
        raise Rejected(f"it is claimed with strict {claim.get('strict')}, but what is shown is {strict}")
    if not set(claim) <= {"strict", "at", "places", "bound", "floors", "least"}:
        raise Malformed("a claim has other fields than it should")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Malformed("the formula is a text")
    return value


def _labels(value: object) -> tuple[int, ...]:
    if value == [0, 1] and isinstance(value, list) and all(type(v) is int for v in value):
        return 0, 1
    if value == [1] and isinstance(value, list) and type(value[0]) is int:
        return (1,)
    raise Malformed("the labels are [0, 1] or [1]")


def _reasons(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()) or len(value) > 100:
        raise Malformed("what is not certified is an object of reasons")
    return value


def _proof(entry: dict[str, Any], formula: str, labels: tuple[int, ...]) -> Proof:
    tree = read_formula(formula).tree
    if show(tree) != formula:
        raise Rejected("the formula is not in canonical form")
    terms = {label: spell(tree, label) for label in labels}
    table = Kernels(entry["kernels"])
    points = read_points(entry["breakpoints"], table)
    rows = entry["cells"]
    if not isinstance(rows, list):
        raise Malformed("the cells are a list")
    if len(rows) != len(points) - 1:
        raise Rejected(f"{len(points) - 1} cells are needed and {len(rows)} are given")
    cells = []
    for i, row in enumerate(rows):
        if not isinstance(row, dict) or set(row) != {"facts", "curves"} or not isinstance(row["curves"], dict):
            raise Malformed("a cell has facts and curves")
        if set(row["curves"]) != {str(label) for label in labels}:
            raise Malformed("a cell has one curve for each label")
        where = f"cell {i}"
        try:
            facts = Facts(table, points[i], points[i + 1])
            facts.read(row["facts"])
            curves = {}
            for label in labels:
                where = f"cell {i}, label {label}"
                curves[label] = Curve(terms[label], facts, row["curves"][str(label)])
        except Rejected as error:
            raise Rejected(str(error), where) from None
        cells.append(Cell(points[i], points[i + 1], facts, curves))
    for place in points[1:-1]:
        for label in labels:
            try:
                enclose(terms[label], place)
            except Rejected as error:
                raise Rejected(str(error), f"breakpoint {place}, label {label}") from None
    return Proof(table, labels, terms, points, cells)
