"""From an entry of a certificate to what is known of the loss: breakpoints, cells, facts, curves, all checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lossdsl.grammar.parser import read as read_formula
from lossdsl.grammar.printer import show
from lossdsl.verifier.curves import Curve
from lossdsl.verifier.facts import Facts
from lossdsl.verifier.kernels import Kernels, Range
from lossdsl.verifier.limits import Malformed, Rejected
from lossdsl.verifier.places import enclose
from lossdsl.verifier.points import read_points
from lossdsl.verifier.properties import Cell, Proof
from lossdsl.verifier.terms import spell


def read_proof(
    entry: dict[str, Any], formula: str, labels: tuple[int, ...], ranges: Mapping[str, Range] | None = None
) -> Proof:
    """Checks all that an entry says of its cells; `Rejected` or `Malformed` where something is wrong.

    With `ranges`, for all values of these parameters.
    """
    tree = read_formula(formula).tree
    if show(tree) != formula:
        raise Rejected("the formula is not in canonical form")
    terms = {label: spell(tree, label, bool(ranges)) for label in labels}
    table = Kernels(entry["kernels"], ranges)
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
                enclose(terms[label], place, table.ranges)
            except Rejected as error:
                raise Rejected(str(error), f"breakpoint {place}, label {label}") from None
    return Proof(table, labels, terms, points, cells)
