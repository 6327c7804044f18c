"""Reading a certificate and checking what it claims."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from lossdsl.errors import LossError
from lossdsl.verifier.cells import read_proof
from lossdsl.verifier.limits import MAX_BYTES, MAX_ENTRIES, Malformed, Rejected, working
from lossdsl.verifier.outcome import Checked, reasons, text, why
from lossdsl.verifier.properties import PROPERTIES
from lossdsl.verifier.ranging import check_wide

SCHEMA = 1
SCOPES = {(0, 1): "labels 0 and 1", (1,): "label 1"}
_ENTRY = {"formula", "labels", "proved", "not certified", "kernels", "breakpoints", "cells"}


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
            if isinstance(entry, dict) and "slopes" in entry:
                return check_wide(entry)
            if not isinstance(entry, dict) or set(entry) != _ENTRY:
                raise Malformed("an entry has other fields than it should")
            formula, labels = text(entry["formula"]), _labels(entry["labels"])
            proved = entry["proved"]
            uncertified = reasons(entry["not certified"])
            if not isinstance(proved, dict) or any(not isinstance(v, dict) for v in proved.values()):
                raise Malformed("what is proved is an object of objects")
            if not set(proved) <= set(PROPERTIES):
                raise Malformed("a property is claimed that the verifier does not know")
            claims = [name for name in PROPERTIES if name in proved]
            if not claims:
                return Checked(formula, labels, (), {}, uncertified)
            if claims[0] != "domain":
                raise Malformed("without `domain` nothing else has a meaning")
            proof = read_proof(entry, formula, labels)
        except Exception as error:
            return Checked(formula, labels, (), {name: why(error) for name in claims}, uncertified)
        verified: list[str] = []
        failed: dict[str, str] = {}
        for name in claims:
            try:
                strict = PROPERTIES[name](proof, proved[name])
                _settled(proved[name], strict)
                verified.append(name)
            except Exception as error:
                failed[name] = why(error)
        return Checked(formula, labels, tuple(verified), failed, uncertified, SCOPES[labels])


def _settled(claim: dict[str, Any], strict: bool | None) -> None:
    if claim.get("strict") is not strict:
        raise Rejected(f"it is claimed with strict {claim.get('strict')}, but what is shown is {strict}")
    if not set(claim) <= {"strict", "at", "places", "bound", "floors", "least"}:
        raise Malformed("a claim has other fields than it should")


def _labels(value: object) -> tuple[int, ...]:
    if value == [0, 1] and isinstance(value, list) and all(type(v) is int for v in value):
        return 0, 1
    if value == [1] and isinstance(value, list) and type(value[0]) is int:
        return (1,)
    raise Malformed("the labels are [0, 1] or [1]")
