"""What cutting at one label at a time leaves open of labels between 0 and 1: by the difference alone, or by boxes.

A loss of label - pred and of nothing else, such as huber, is one curve: with pred - label = 2t - 1 it is a loss over t
in (0, 1) without a label, and what is shown of that holds at every label. All others are looked at on boxes.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from lossdsl.grammar.tree import Apply, Name, Node, Number, names, walk
from lossdsl.prover import composition, soft_boxes
from lossdsl.prover.limits import Budget, Undecided
from lossdsl.prover.plane import Plane
from lossdsl.prover.points import compare
from lossdsl.prover.shape import parts_of
from lossdsl.report import OPEN, PROVED, UNDECIDED, Finding

if TYPE_CHECKING:
    from lossdsl.prover.analysis import Analysis

Findings = dict[str, Finding]
Reduced = Callable[[Node, tuple[str, ...]], "tuple[Findings, Analysis | None]"]
"""Decides properties of a loss of pred alone."""

ONE = Number(Fraction(1))
DIFFERENCE = Apply("sub", (Apply("mul", (Number(Fraction(2)), Name("pred"))), ONE))
"""pred - label, in t."""
AS_CURVE = ("domain", "gradient", "convex_pred")
BY_DIFFERENCE = "exact algebra in the difference of pred and label"
BY_PARTS = "sums, maxima and compositions of convex parts"
BY_BOXES = "boxes of labels and predictions"


def settle(found: Findings, open_: list[str], root: Node, parameters: dict[str, Fraction], budget: Budget,
           reduced: Reduced) -> None:  # fmt: skip
    """Proves what is undecided in `found` for all labels in [0, 1] where this can be done."""
    root = with_pred(root)

    def undecided(name: str) -> bool:
        return name in open_ and found[name].status == UNDECIDED

    def prove(name: str, detail: str, method: str, strict: bool = False) -> None:
        found[name] = Finding(name, PROVED, detail, strict, OPEN, method)

    curve = of_difference(root)
    if curve is not None and any(map(undecided, (*AS_CURVE, "minimum"))):
        findings, analysis = reduced(curve, AS_CURVE)
        for name in AS_CURVE:
            if name in findings and findings[name].status == PROVED and undecided(name):
                prove(name, f"{findings[name].detail}, at every label", BY_DIFFERENCE, findings[name].strict)
        continuous = "gradient" in findings and findings["gradient"].status == PROVED
        if undecided("minimum") and analysis is not None and continuous:
            way = _falls_towards_half(analysis)
            if way is not None:
                prove("minimum", "at every label the loss is least where pred equals it", BY_DIFFERENCE, way)
    domain = found.get("domain")
    if not any(map(undecided, open_)) or domain is None or domain.status != PROVED:
        return
    try:
        plane = Plane(root, parameters, in_score=False)
    except Undecided:
        return

    def asked(question: Callable[[Plane, Budget], bool]) -> bool:
        try:
            return question(plane, budget)
        except Undecided:
            return False

    for name, in_score in (("convex_pred", False), ("convex_score", True)):
        if undecided(name) and composition.convex(Plane(root, parameters, in_score)):
            prove(name, f"the slope in {'score' if in_score else 'pred'} never falls, at any label", BY_PARTS)
    if undecided("uses_pred") and asked(soft_boxes.uses_pred):
        prove("uses_pred", "the slope is not zero throughout at any label", BY_BOXES)
    if undecided("no_dead_zone") and asked(soft_boxes.no_dead_zone):
        prove("no_dead_zone", "at no label is a stretch of pred without a slope", BY_BOXES)
    gradient = found.get("gradient")
    continuous = plane.unbroken or (gradient is not None and gradient.status == PROVED)
    if undecided("minimum") and continuous and asked(soft_boxes.towards_label):
        prove("minimum", "at every label the loss is least where pred equals it", BY_BOXES)
    if undecided("bounded_gradient") and continuous:
        detail = _bounds(root, parameters, budget)
        if detail is not None:
            prove("bounded_gradient", detail, BY_BOXES)


def _bounds(root: Node, parameters: dict[str, Fraction], budget: Budget) -> str | None:
    """What the slopes stay within; None where that in score is not known to have a bound."""
    try:
        in_score, in_pred = (
            soft_boxes.largest_slope(Plane(root, parameters, in_score=way), budget) for way in (True, False)
        )
    except Undecided:
        return None
    if in_score is None:
        return None
    texts = [f"{'' if sharp else 'a bound of '}{bound:.3g}" for bound, sharp in (in_score, in_pred or (0, True))]
    detail = f"at every label the slope in score stays within {texts[0]}"
    return detail if in_pred is None else f"{detail} and the slope in pred within {texts[1]} on [1e-6, 1-1e-6]"


def _falls_towards_half(analysis: Analysis) -> bool | None:
    """Whether a curve that does not jump falls up to 1/2 and rises from there: True if it never rests, None if not."""
    strict = True
    half = analysis.half
    for _, part in parts_of(analysis.sides[0]):
        before, after = compare(part.high, half) <= 0, compare(half, part.low) <= 0
        if part.sign and not (part.sign < 0 and before) and not (part.sign > 0 and after):
            return None
        strict = strict and part.sign != 0
    return None if analysis.signs.short else strict


def of_difference(root: Node) -> Node | None:
    """A loss of label - pred alone as a loss of t, where pred - label = 2t - 1; None for any other.

    >>> from lossdsl.grammar.parser import read
    >>> from lossdsl.grammar.printer import show_node
    >>> show_node(of_difference(read("abs(label - pred)^3").tree.root))
    'abs(-(2*pred-1))^3'
    >>> of_difference(read("(label - pred)^2*pred").tree.root) is None
    True
    """
    to_label, from_label = (Apply("sub", (Name(a), Name(b))) for a, b in (("label", "pred"), ("pred", "label")))
    curve = replaced(with_pred(root), {to_label: Apply("neg", (DIFFERENCE,)), from_label: DIFFERENCE})
    # What is left of label, pred or score outside of a difference stays a name.
    rest = replaced(with_pred(root), {to_label: ONE, from_label: ONE})
    return None if {"label", "pred", "score"} & set(names(rest)) else curve


def with_pred(root: Node) -> Node:
    """The same loss with pred for sigmoid(score)."""
    return replaced(root, {Apply("sigmoid", (Name("score"),)): Name("pred")})


def replaced(root: Node, by: dict[Apply, Node]) -> Node:
    """A tree with other parts in some places."""
    made: dict[Node, Node] = {}
    for node in walk(root):
        if isinstance(node, Apply):
            made[node] = by[node] if node in by else Apply(node.op, tuple(made[a] for a in node.args))
        else:
            made[node] = node
    return made[root]
