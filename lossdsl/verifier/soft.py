"""Claims about all labels from 0 to 1, and the ways to show them.

* `ends`: the property is about labels 0 and 1 alone, or an entry about these shows it for them;
* `affine`: the loss is a + b label, so that it is, at a label between, a mean of those at 0 and 1;
* `proper`: it is affine and proper, and the loss at a label is the expected loss at that true probability;
* `difference`: the loss is one curve of pred - label = 2t - 1, over t in (0, 1);
* `boxes`: boxes of labels and predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from lossdsl.grammar.printer import show
from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree, walk
from lossdsl.verifier.boxes import Box, read_boxes, region
from lossdsl.verifier.cells import read_proof
from lossdsl.verifier.intervals import Intervals, compare, exact_value
from lossdsl.verifier.jets import Jets
from lossdsl.verifier.limits import Malformed, Rejected
from lossdsl.verifier.points import fraction
from lossdsl.verifier.polynomials import Poly
from lossdsl.verifier.properties import FLAT, GAP, HALF, PROPERTIES, Cell, Proof, slope_at
from lossdsl.verifier.ranged import Ranged, settle
from lossdsl.verifier.terms import spell
from lossdsl.verifier.wide import BENT, CHECKS, Wide, wider

SOFT = {"ends", "difference"}
PARTS = {"formula", "labels", "proved", "not certified", "kernels", "breakpoints", "cells"}
AT_ENDS = ("uses_label", "monotone", "no_saturation", "calibrated", "proper", "proper_composite")
"""Properties that speak of labels 0 and 1 only."""
CARRIED = ("domain", "gradient", "bounded_gradient", "convex_pred", "convex_score")
"""What a mean of two losses has if both have it."""
ONE = Number(Fraction(1))
DIFFERENCE = Apply("sub", (Apply("mul", (Number(Fraction(2)), Name("pred"))), ONE))
DIFFERENCES: dict[Node, Node] = {
    Apply("sub", (Name("pred"), Name("label"))): DIFFERENCE,
    Apply("sub", (Name("label"), Name("pred"))): Apply("neg", (DIFFERENCE,)),
}
STEEP = 2 * FLAT
EDGE = Fraction(1, 1000)


class Between:
    """What an entry says of all labels from 0 to 1."""

    def __init__(self, wide: Wide, entry: dict[str, Any], tree: Tree) -> None:
        self.wide = wide
        self.tree = tree
        self.ends: Proof | None = None
        self.ranged: Wide | None = None
        self.curve: Proof | None = None
        self.claims: dict[str, Any] = {}
        if entry["ends"] is not None and wide.ranges:
            self.ranged = _ranged_ends(tree, wide.ranges, entry["ends"])
        elif entry["ends"] is not None:
            part = _part(entry["ends"])
            self.claims = part["proved"]
            self.ends = read_proof(part, show(tree), (0, 1))
        if entry["difference"] is not None:
            formula = of_difference(tree)
            if formula is None:
                raise Rejected("the loss is not one of the difference of pred and label alone")
            self.curve = read_proof(_part(entry["difference"]), show(formula), (1,))

    def check(self, name: str, claim: dict[str, Any]) -> bool | None:
        """Looks at one claim; what is shown of `strict`."""
        by = claim.get("by")
        if (by == "ends") != (name in AT_ENDS):
            raise Rejected("labels 0 and 1 alone say nothing of this, or it is about them alone")
        if by == "ends":
            return self._at_ends(name)
        if by == "boxes" and name in CHECKS:
            return CHECKS[name](self.wide, claim)
        if by == "difference" and self.curve is not None:
            return of_curve(name, self.curve, claim)
        if by == "affine" and name in (*CARRIED, "uses_pred") and affine(self.tree.root):
            strict = self._at_ends(name)
            return self._turns(claim) if name == "uses_pred" else strict
        if by == "affine" and name == "no_dead_zone" and affine(self.tree.root):
            return self._bends(claim)
        if by == "proper" and name == "minimum" and affine(self.tree.root):
            # (1-y) D0 + y D1 = D0 (p - y)/p, as p D1 + (1-p) D0 = 0: below y it is not positive, above not negative.
            self._at_ends("proper")
            return self._at_ends("minimum")
        raise Rejected(f"{name} is not shown that way")

    def _at_ends(self, name: str) -> bool | None:
        """What is shown of `strict` at labels 0 and 1."""
        if self.ranged is not None and name in self.ranged.proved:
            return self.ranged.proved[name]
        claim = self.claims.get(name)
        if self.ends is None or not isinstance(claim, dict):
            raise Rejected(f"at labels 0 and 1 {name} is not shown")
        strict = PROPERTIES[name](self.ends, claim)
        if claim.get("strict") is not strict:
            raise Rejected(f"at labels 0 and 1 {name} is claimed with another strict than is shown")
        return strict

    def _bends(self, claim: dict[str, Any]) -> bool | None:
        """At labels 0 and 1 the slope in pred rises all along, and by 1/1000 a unit but for 0.001 next to the ends.

        At a label between it does so too: it is zero at one place at most, and of a stretch of 0.01 at least 0.009 are
        away from the ends, where the slope rises by more than from -1e-6 to 1e-6.
        """
        self._at_ends("convex_pred")
        if self.ends is None:
            raise Rejected("with ranges of parameters it is not shown that way")
        for cell in self.ends.cells:
            for curve in cell.curves.values():
                if curve.lean(curve.curvature(), "the second derivative") != (1, True):
                    raise Rejected("the slope may stand still")
        ends = ends_of(self.tree)
        for side, rows in ends.sides(claim, "boxes").items():
            jets = Jets(ends.terms[side], False)
            for box, _ in read_boxes(rows, {"pred": (EDGE, 1 - EDGE)}, frozenset()):
                if not bent(jets, box):
                    raise Rejected("the slope is not shown to rise by 1/1000 a unit")
        return None

    def _turns(self, claim: dict[str, Any]) -> bool | None:
        """At two places the slopes of the labels are in different ratios: no mean of them is zero at both."""
        places = claim.get("places")
        if not isinstance(places, list) or len(places) != 2:
            raise Malformed("uses_pred needs two places")
        p, q = (fraction(text) for text in places)
        if self.ends is None:
            raise Rejected("with ranges of parameters it is not shown that way")
        a, ends = Intervals(128), self.ends
        (p0, q0), (p1, q1) = ([slope_at(ends, y, place) for place in (p, q)] for y in (0, 1))
        left, right = a.mul(p0, q1), a.mul(q0, p1)
        if compare(left[1], right[0]) >= 0 and compare(right[1], left[0]) >= 0:
            raise Rejected("the slopes of the labels are not shown to be in different ratios")
        return None


def ends_of(tree: Tree) -> Wide:
    """The loss at labels 0 and 1, for boxes of predictions."""
    return Wide(tree, {str(y): spell(tree, y) for y in (0, 1)}, {})


def bent(jets: Jets, box: Box) -> bool:
    """Whether the slope rises by at least 1/1000 a unit of pred on a box, kinks where boxes meet included."""
    there = region(jets.spans, wider(box))
    assert there is not None
    bend = jets.on(there)[2]
    return not bend.low.infinite and exact_value(bend.low.at) >= BENT


def _ranged_ends(tree: Tree, ranges: Box, row: object) -> Wide:
    """What holds at labels 0 and 1 for all parameters; what does not is no ground for anything else."""
    if not isinstance(row, dict) or set(row) != {"proved", "algebra"} or not isinstance(row["proved"], dict):
        raise Malformed("what holds at labels 0 and 1 is claims, and algebra")
    if not set(row["proved"]) <= set(PROPERTIES) or not all(isinstance(c, dict) for c in row["proved"].values()):
        raise Malformed("a property is claimed that the verifier does not know")
    wide = Wide(tree, {str(y): spell(tree, y, True) for y in (0, 1)}, ranges)
    settle(wide, Ranged(wide, row["algebra"], tree).check, [n for n in PROPERTIES if n in row["proved"]], row["proved"])
    return wide


def _part(row: object) -> dict[str, Any]:
    if not isinstance(row, dict) or set(row) != PARTS or not isinstance(row["proved"], dict):
        raise Malformed("a part of an entry has claims, kernels, breakpoints and cells")
    return row


# -- one curve ---------------------------------------------------------------------------------------------------------


def of_curve(name: str, curve: Proof, claim: dict[str, Any]) -> bool | None:
    """What a curve over t shows of the loss at every label, pred - label being 2t - 1."""
    if name == "domain":
        return None
    if name in ("gradient", "convex_pred"):
        return PROPERTIES[name](curve, claim)
    if name in CURVE:
        CURVE[name](curve, claim)
        return None
    raise Rejected(f"{name} is not shown that way")


def _falls_towards_half(curve: Proof, claim: dict[str, Any]) -> None:
    PROPERTIES["gradient"](curve, claim)
    for i, cell in enumerate(curve.cells):
        sign = cell.curves[1].slope_sign
        if not (sign == 0 or (sign < 0 and cell.right.high <= HALF) or (sign > 0 and cell.left.low >= HALF)):
            raise Rejected(f"the loss moves away from the label in cell {i} of the difference")


def _moves_at_half(curve: Proof, claim: dict[str, Any]) -> None:
    """Whatever the label, there are predictions just below it or just above it."""
    near = [cell for cell in curve.cells if cell.left.low <= HALF <= cell.right.high]
    if not near or any(cell.curves[1].rests for cell in near):
        raise Rejected("the slope may be zero all along, next to the label")


def _no_dead_zone(curve: Proof, claim: dict[str, Any]) -> None:
    """A stretch of pred of 0.01 is one of t of half of that, and the slope in pred is half of that in t."""
    if any(cell.curves[1].rests for cell in curve.cells):
        raise Rejected("the slope is zero on an interval")
    given = claim.get("places")
    if not isinstance(given, list) or len(given) > 4000:
        raise Malformed("places are a list of limited length")
    places = [Fraction(0), *(fraction(text) for text in given), Fraction(1)]
    if any(not 0 < b - a < GAP / 2 for a, b in zip(places, places[1:])):
        raise Rejected("the places are not less than 0.005 apart")
    a = Intervals(128)
    for place in places[1:-1]:
        if compare(a.magnitude(slope_at(curve, 1, place))[0], a.rational(STEEP)[1]) < 0:
            raise Rejected(f"the slope is not shown to be steep enough at {place}")


def _bounded(curve: Proof, claim: dict[str, Any]) -> None:
    """The slope in score is p (1-p), at most 1/4, times half the slope in t: under `bound` where that is under 8."""
    PROPERTIES["gradient"](curve, claim)
    bound = 8 * fraction(claim.get("bound"))
    for i, cell in enumerate(curve.cells):
        if cell.curves[1].slope_sign and cell.facts.need(_room(cell, bound), "a bound less the slope") <= 0:
            raise Rejected(f"the slope in score may exceed the bound in cell {i} of the difference")


def _room(cell: Cell, bound: Fraction) -> Poly:
    """A polynomial with the sign of bound - |slope in t|."""
    slope, sign = cell.curves[1].slope, cell.curves[1].slope_sign
    size = slope.n.scale(sign * slope.sign * bound.denominator)
    return slope.d.scale(slope.sign * bound.numerator) - size


CURVE: dict[str, Callable[[Proof, dict[str, Any]], None]] = {
    "minimum": _falls_towards_half,
    "uses_pred": _moves_at_half,
    "no_dead_zone": _no_dead_zone,
    "bounded_gradient": _bounded,
}


# -- the formula -------------------------------------------------------------------------------------------------------


def of_difference(tree: Tree) -> Tree | None:
    """A loss of label - pred alone as a loss of t = pred, where pred - label = 2t - 1; None for any other.

    >>> from lossdsl.grammar.parser import read
    >>> show(of_difference(read("abs(label - pred)^3").tree))
    'abs(-(2*pred-1))^3'
    >>> of_difference(read("(label - pred)^2*pred").tree) is None
    True
    """
    made: dict[Node, Node | None] = {}
    for node in walk(tree.root):
        if isinstance(node, Apply):
            if node in DIFFERENCES:
                made[node] = DIFFERENCES[node]
                continue
            args = [made[a] for a in node.args]
            whole = [a for a in args if a is not None]
            made[node] = Apply(node.op, tuple(whole)) if len(whole) == len(args) else None
        else:
            lone = isinstance(node, Name) and node.name in ("label", "pred", "score")
            made[node] = None if lone else node
    root = made[tree.root]
    return None if root is None else Tree(root, tree.where)


def affine(root: Node) -> bool:
    """Whether a tree is a + b label with a and b free of the label, as it is written.

    >>> from lossdsl.grammar.parser import read
    >>> affine(read("bce").tree.root), affine(read("mse").tree.root)
    (True, False)
    """
    degree: dict[Node, int] = {}
    for node in walk(root):
        inner = [degree[a] for a in node.args] if isinstance(node, Apply) else []
        if isinstance(node, Name):
            degree[node] = int(node.name == "label")
        elif not isinstance(node, Apply) or not any(inner):
            degree[node] = 0
        elif node.op in ("add", "sub", "neg"):
            degree[node] = max(inner)
        elif node.op == "mul":
            degree[node] = sum(inner)
        else:
            degree[node] = 2 if node.op != "div" or inner[1] else inner[0]
    return degree[root] <= 1
