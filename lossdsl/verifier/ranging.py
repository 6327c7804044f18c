"""Entries about all values of a parameter's range, and about all labels from 0 to 1."""

from __future__ import annotations

from typing import Any

from lossdsl.grammar.parser import read as read_formula
from lossdsl.grammar.printer import show
from lossdsl.grammar.tree import Tree, names
from lossdsl.verifier import wide as boxed
from lossdsl.verifier.limits import Malformed, Rejected
from lossdsl.verifier.outcome import Checked, reasons, text, why
from lossdsl.verifier.properties import PROPERTIES
from lossdsl.verifier.ranged import Ranged, settle
from lossdsl.verifier.soft import SOFT, Between
from lossdsl.verifier.terms import spell
from lossdsl.verifier.wide import Wide

STATED = {"formula", "labels", "proved", "not certified", "slopes"}


def check_wide(entry: dict[str, Any]) -> Checked:
    """Check the claims of an entry that states slopes."""
    formula, scope = "?", ""
    uncertified: dict[str, str] = {}
    proved = entry.get("proved")
    claims = list(proved) if isinstance(proved, dict) else ["(all)"]
    try:
        if not isinstance(proved, dict) or any(not isinstance(claim, dict) for claim in proved.values()):
            raise Malformed("what is proved is an object of objects")
        formula, uncertified = text(entry.get("formula")), reasons(entry.get("not certified"))
        tree = read_formula(formula).tree
        if show(tree) != formula:
            raise Rejected("the formula is not in canonical form")
        soft = entry.get("labels") == "[0,1]"
        if set(entry) != STATED | (SOFT if soft else {"algebra"}):
            raise Malformed("an entry has other fields than it should")
        if not set(proved) <= set(PROPERTIES):
            raise Malformed("a property is claimed that the verifier does not know")
        claims = [name for name in PROPERTIES if name in proved]
        if claims and claims[0] != "domain":
            raise Malformed("without `domain` nothing else has a meaning")
        wide = _wide(tree, entry["labels"])
        scope = _scope(wide)
        boxed.same_slopes(wide, entry["slopes"])
        check = Between(wide, entry, tree).check if soft else Ranged(wide, entry["algebra"], tree).check
    except Exception as error:
        return Checked(formula, (0, 1), (), {name: why(error) for name in claims}, uncertified, scope)
    failed = settle(wide, check, claims, proved)
    return Checked(formula, (0, 1), tuple(wide.proved), failed, uncertified, scope)


def _wide(tree: Tree, labels: object) -> Wide:
    ranges = {b.name: (b.low, b.high) for b in tree.where if b.value is None}
    if labels == "[0,1]":
        if "label" not in names(tree.root):
            raise Rejected("there is no label in the formula")
        return Wide(tree, {"any": spell(tree, None, True)}, ranges)
    if labels not in ([0, 1], [1]) or not isinstance(labels, list) or any(type(y) is not int for y in labels):
        raise Malformed('the labels are [0, 1], [1] or "[0,1]"')
    if not ranges:
        raise Rejected("no parameter has a range")
    return Wide(tree, {str(y): spell(tree, y, True) for y in labels}, ranges)


def _scope(wide: Wide) -> str:
    labels = "every label in [0, 1]" if "any" in wide.terms else "labels 0 and 1" if len(wide.terms) > 1 else "label 1"
    ranges = ", ".join(f"{name} in [{low}, {high}]" for name, (low, high) in wide.ranges.items())
    return f"{labels}, all {ranges}" if ranges else labels
