"""Convexity by composition: sums, maxima and rising convex functions of convex parts are convex, whatever the label.

Labels and numbers are constants here, of which only the range is known; pred, or score, is the variable.
"""

from __future__ import annotations

from flint import fmpq

from lossdsl.prover.plane import Plane, constant
from lossdsl.prover.spans import ALL, Span, span_of
from lossdsl.prover.terms import Term

CONSTANT, AFFINE, CONVEX, CONCAVE, OTHER = range(5)
FLIPPED = {CONSTANT: CONSTANT, AFFINE: AFFINE, CONVEX: CONCAVE, CONCAVE: CONVEX, OTHER: OTHER}
STRAIGHT = (CONSTANT, AFFINE)
DOMAIN: dict[str, Span] = {"label": (0.0, 1.0), "pred": (0.0, 1.0), "score": ALL}


def convex(plane: Plane) -> bool:
    """Whether the loss is convex along the axis of the plane at every label, by the way that it is written.

    The loss has to be defined everywhere.

    >>> from lossdsl.grammar.parser import read
    >>> convex(Plane(read("max(0, 1 - (2*label-1)*score)^2").tree.root, {}, in_score=True))
    True
    """
    shapes: dict[int, int] = {}
    spans: dict[int, Span] = {}
    for i in plane.order:
        term = plane.terms.items[i]
        inner = [spans[a] for a in term.args]
        if term.op == "const" and term.value is not None:
            spans[i] = constant(term.value)
        elif term.op == "free":
            spans[i] = DOMAIN[term.name]
        else:
            share = plane.share(i) or plane.share(i, plane.label)
            spans[i] = (0.0, 1.0) if share else span_of(term, inner, ALL, {})
        shapes[i] = _shape(plane, term, shapes, inner)
    return shapes[plane.terms.root] in (*STRAIGHT, CONVEX)


def _shape(plane: Plane, term: Term, known: dict[int, int], spans: list[Span]) -> int:
    op = term.op
    shapes = [known[a] for a in term.args]
    if op == "free":
        variable = "score" if plane.in_score else "pred"
        return CONSTANT if term.name == "label" else AFFINE if term.name == variable else OTHER
    if all(shape == CONSTANT for shape in shapes):
        return CONSTANT
    if op == "add":
        return _together(shapes)
    if op == "neg":
        return FLIPPED[shapes[0]]
    if op == "mul":
        return _product(shapes, spans)
    if op in ("max", "min"):
        wanted = CONVEX if op == "max" else CONCAVE
        return wanted if all(shape in (*STRAIGHT, wanted) for shape in shapes) else OTHER
    if op == "log":
        if plane.in_score and plane.share(term.args[0]):
            return CONCAVE
        exponent = _of_softplus(plane, term)
        if exponent is not None:
            return CONVEX if known[exponent] in (AFFINE, CONVEX) else OTHER
        return CONCAVE if shapes[0] in (AFFINE, CONCAVE) else OTHER
    if op == "exp":
        return CONVEX if shapes[0] in (AFFINE, CONVEX) else OTHER
    if op == "abs":
        return _even(shapes[0], spans[0])
    if op == "inv":
        return CONVEX if spans[0][0] >= 0 and shapes[0] in (AFFINE, CONCAVE) else OTHER
    if op == "power":
        assert term.value is not None
        return _power(term.value, shapes[0], spans[0])
    return OTHER


def _together(shapes: list[int]) -> int:
    bent = {shape for shape in shapes if shape not in STRAIGHT}
    return bent.pop() if len(bent) == 1 else OTHER if bent else AFFINE


def _product(shapes: list[int], spans: list[Span]) -> int:
    if CONSTANT not in shapes:
        return OTHER
    number = shapes.index(CONSTANT)
    shape, (low, high) = shapes[1 - number], spans[number]
    if shape == AFFINE or low >= 0:
        return shape
    return FLIPPED[shape] if high <= 0 else OTHER


def _of_softplus(plane: Plane, term: Term) -> int | None:
    """The x of a log(1 + e^x)."""
    inner = plane.terms.items[term.args[0]]
    if inner.op == "add":
        for a, b in (inner.args, inner.args[::-1]):
            if plane.terms.known(a) == fmpq(1) and plane.terms.items[b].op == "exp":
                return plane.terms.items[b].args[0]
    return None


def _even(shape: int, span: Span) -> int:
    """Even functions that rise from zero on: |x|, x^2, ..."""
    fine = shape == AFFINE or (shape == CONVEX and span[0] >= 0) or (shape == CONCAVE and span[1] <= 0)
    return CONVEX if fine else OTHER


def _power(q: fmpq, shape: int, span: Span) -> int:
    whole = q.q == 1
    if whole and q > 0 and int(q.p) % 2 == 0:
        return _even(shape, span)
    # A base with a power that is not whole is not negative, as the loss is defined.
    if whole and span[0] < 0:
        return OTHER
    if q >= 1:
        return CONVEX if shape in (AFFINE, CONVEX) else OTHER
    return (CONCAVE if q > 0 else CONVEX) if shape in (AFFINE, CONCAVE) else OTHER
