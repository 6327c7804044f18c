"""Minimum, convexity, bounds, saturation and dead zones: what the curve looks like, beyond which way it points."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction

from flint import arb, fmpq

from lossdsl.grammar.tree import Apply, Name, Node, Number, walk
from lossdsl.prover.analysis import Analysis, Side
from lossdsl.prover.extremes import largest_slope, limit
from lossdsl.prover.field import Element
from lossdsl.prover.limits import Undecided
from lossdsl.prover.numeric import precision
from lossdsl.prover.pieces import Piece
from lossdsl.prover.places import decimal, exact, readable
from lossdsl.prover.points import Point, between, compare, rational_point
from lossdsl.prover.signs import Part
from lossdsl.prover.terms import exact as exact_number
from lossdsl.prover.verdict import PARAMETERS, at_label, jumps_at, method_of, proof, where
from lossdsl.report import REFUTED, Finding, Witness

LARGE = 1000


def parts_of(side: Side) -> Iterator[tuple[int, Part]]:
    """The parts of one slope sign, along the axis, with the piece that each belongs to."""
    for i in range(len(side.pieces)):
        for part in side.slope_parts(i):
            yield i, part


# -- the least loss is at the label --------------------------------------------------------------------------------


def minimum(analysis: Analysis, parameters: PARAMETERS) -> Finding | None:
    """The infimum is the limit at pred = label."""
    judged = [s for s in analysis.sides if s.label in (0, 1)]
    for side in judged:
        way = 1 if side.label == 0 else -1
        if any(part.sign == -way for _, part in parts_of(side)) or _jumps_wrong(side, way):
            finding = _elsewhere(analysis, side, way, parameters)
            if finding is not None:
                return finding
    return proof("minimum", analysis, "the loss is least where pred equals the label")


def minimum_between(analysis: Analysis, label: Fraction, parameters: PARAMETERS) -> Finding | None:
    """A refutation at a label between 0 and 1: at pred = label the slope is not zero, or points away on one side."""
    side = analysis.sides[0]
    if analysis.score:
        return _lower_beside(analysis, side, label, parameters)
    point = rational_point(exact_number(label))
    for piece, slope in zip(side.pieces, side.slopes):
        before, after = compare(piece.low, point), compare(point, piece.high)
        if before > 0 or after > 0:
            continue
        # On a kink the loss has to fall on the left and rise on the right.
        fine = {0} if before < 0 and after < 0 else {0, 1} if not before else {0, -1}
        if fine != {0} and side.can_jump:
            continue
        try:
            sign = side.signs.at(slope, point)
        except Undecided:
            continue
        if sign not in fine:
            value = decimal(side.signs.value(slope, point), 6)
            where_to = " there, not 0" if fine == {0} else " on its right" if 1 in fine else " on its left"
            witness = Witness(where(label, "pred", str(label), parameters), value, f"slope {value}{where_to}")
            detail = f"at label {label} the loss is not least at pred = {label}"
            return Finding("minimum", REFUTED, detail, method="exact algebra", witness=witness)
    return None


def _lower_beside(analysis: Analysis, side: Side, label: Fraction, parameters: PARAMETERS) -> Finding | None:
    """The same on the axis of score, where the label's place is no rational: a score beside it with a lower loss."""
    with precision(192):
        odds = exact_number(label / (1 - label))
        place = arb(odds).log()
        for piece, slope in zip(side.pieces, side.slopes):
            inside = (piece.low.side or place > piece.low.ball()) and (piece.high.side or place < piece.high.ball())
            if not inside or slope.is_zero:
                continue
            chart = analysis.signs.chart
            steep, goal = chart.value(slope, place), chart.value(piece.value, place)
            if not (steep > 0 or steep < 0):
                return None
            way = -1 if steep > 0 else 1
            for k in range(1, 40):
                q = fmpq(round(float(place.mid()) * 2**k) + way, 2**k)
                there = chart.value(piece.value, arb(q))
                if _strictly_inside(piece, q) and there < goal:
                    why = f"the loss is {decimal(there, 6)} there and {decimal(goal, 6)} at pred = {label}"
                    witness = Witness(where(label, "score", str(q), parameters), decimal(there), why)
                    detail = f"at label {label} the loss is not least at pred = {label}"
                    return Finding("minimum", REFUTED, detail, method="exact algebra", witness=witness)
    return None


def _strictly_inside(piece: Piece, q: fmpq) -> bool:
    point = rational_point(q)
    return compare(piece.low, point) < 0 < compare(piece.high, point)


def _jumps_wrong(side: Side, way: int) -> bool:
    """Whether the loss may jump away from the label anywhere."""
    return side.can_jump and any(jump is None or jump == -way for j in side.joints for jump in jumps_at(side, j))


def _elsewhere(analysis: Analysis, side: Side, way: int, parameters: PARAMETERS) -> Finding | None:
    """A place where the loss is lower than in the limit at the label, if there is one."""
    goal = limit(analysis, side.pieces[0 if way > 0 else -1].value, analysis.end(high=way < 0))
    pieces = side.pieces
    candidates: list[tuple[Point, Element]] = []
    for i, part in parts_of(side):
        candidates += [(p, pieces[i].value) for p in (part.low, part.high) if p not in (pieces[0].low, pieces[-1].high)]
    candidates += [(j.point, j.value) for j in side.joints if j.value is not None]
    other = pieces[-1 if way > 0 else 0]
    far = limit(analysis, other.value, analysis.end(high=way > 0))
    if far < goal:
        end = other.high if way > 0 else other.low
        candidates += [(rational_point(q), other.value) for q in towards(analysis, end, other.low, other.high)]
    unsure = False
    for point, value in candidates:
        there = side.signs.value(value, point)
        if there < goal:
            near = _rational_near(side, point, goal)
            if near is not None:
                return _lower(analysis, side, near[1], near[0], goal, parameters)
            unsure = True
        elif not there > goal and not _equal(analysis, side, value, point, goal):
            unsure = True
    # A slope that points away right up to the label leaves no limit to compare with: any place on that part is lower.
    last = list(parts_of(side))[0 if way > 0 else -1]
    if last[1].sign == -way:
        q = between(last[1].low, last[1].high)
        return _lower(analysis, side, pieces[last[0]].value, q, goal, parameters)
    if unsure or not (far > goal or far < goal or bool(far.is_exact() and far == goal)):
        raise Undecided("the least loss and the loss at the label are too close to compare")
    return None


def towards(analysis: Analysis, end: Point, low: Point, high: Point) -> list[fmpq]:
    """Rationals that run towards an end of the axis, inside a piece."""
    ladder = _TOWARDS[analysis.score, end.side > 0 if analysis.score else end.low != 0]
    return [q for q, point in ladder if compare(low, point) < 0 < compare(high, point)]


_STEPS = (4, 10, 20, 40, 80, 160)
_TOWARDS = {
    (score, high): [(q, rational_point(q)) for q in row]
    for (score, high), row in {
        (True, True): [fmpq(k) for k in _STEPS],
        (True, False): [fmpq(-k) for k in _STEPS],
        (False, True): [1 - fmpq(1, 2**k) for k in _STEPS],
        (False, False): [fmpq(1, 2**k) for k in _STEPS],
    }.items()
}


def _rational_near(side: Side, point: Point, above: arb) -> tuple[fmpq, Element] | None:
    """A rational at a place or close to it where the loss is still lower, and the loss there."""
    for _ in range(4):
        for q in (point.low, point.high):
            value = side.value_at(q)
            if value is not None and side.signs.value(value, rational_point(q)) < above:
                return q, value
        if point.rational is not None:
            return None
        point.tighten()
    return None


def _equal(analysis: Analysis, side: Side, value: Element, point: Point, goal: arb) -> bool:
    """Whether the value at a place is exactly the limit, which is only known for exact numbers."""
    there = side.signs.value(value, point)
    return bool(there.is_exact() and goal.is_exact() and there == goal)


def _lower(analysis: Analysis, side: Side, value: Element, q: fmpq, goal: arb, parameters: PARAMETERS) -> Finding:
    there = side.signs.value(value, rational_point(q))
    limit_text = decimal(goal, 6) if goal.is_finite() else "infinite"
    why = f"the loss is {decimal(there, 6)} there and {limit_text} in the limit at the label"
    witness = Witness(where(side.label, analysis.axis, str(q), parameters), decimal(there), why)
    place = f"{analysis.axis} = {readable(rational_point(q))}"
    detail = f"{at_label(analysis, side)}the loss is lower at {place} than at the label"
    return Finding("minimum", REFUTED, detail, method=method_of(analysis), witness=witness)


# -- convexity -----------------------------------------------------------------------------------------------------


def convex(analysis: Analysis, in_score: bool, parameters: PARAMETERS) -> Finding:
    """The slope in pred (or in score) never falls."""
    name = "convex_score" if in_score else "convex_pred"
    variable = "score" if in_score else "pred"
    strict = True
    for side in analysis.distinct:
        for joint, left, right in zip(side.joints, side.slopes, side.slopes[1:]):
            if side.can_jump:
                jumps = jumps_at(side, joint)
                if None in jumps:
                    raise Undecided(f"whether the loss jumps at {analysis.axis} = {readable(joint.point)}")
                if any(jumps):
                    at = where(side.label, analysis.axis, exact(joint.point), parameters)
                    detail = f"{at_label(analysis, side)}the loss jumps at {analysis.axis} = {readable(joint.point)}"
                    return Finding(name, REFUTED, detail, method="exact algebra",
                                   witness=Witness(at, "jump", "a function that jumps is not convex"))  # fmt: skip
            jump = side.jump(joint, left, right)
            if jump is None:
                raise Undecided(f"the kink at {analysis.axis} = {readable(joint.point)}")
            if jump < 0:
                at = where(side.label, analysis.axis, exact(joint.point), parameters)
                witness = Witness(at, "kink", f"the slope in {variable} falls there")
                detail = f"{at_label(analysis, side)}the loss bends down at {analysis.axis} = {readable(joint.point)}"
                return Finding(name, REFUTED, detail, method="exact algebra", witness=witness)
        for i in range(len(side.pieces)):
            q = analysis.falls(side, in_score, i)
            if q is not None:
                return _bends_down(analysis, side, in_score, i, q, parameters)
            strict = strict and all(part.sign > 0 for part in analysis.bends(side, in_score, i))
    return proof(name, analysis, f"the slope in {variable} never falls", strict)


def _bends_down(analysis: Analysis, side: Side, in_score: bool, i: int, q: fmpq, parameters: PARAMETERS) -> Finding:
    variable = "score" if in_score else "pred"
    point = rational_point(q)
    value = side.signs.value(analysis.curves(side, in_score)[i], point)
    if in_score != analysis.score:
        # d/d(the other variable) = d/dx times dx/d(other).
        weight = side.signs.value(analysis.weight(), point)
        with precision(128):
            value = value * weight if in_score else value / weight
    witness = Witness(where(side.label, analysis.axis, str(q), parameters), decimal(value),
                      f"second derivative in {variable} {decimal(value, 6)} < 0")  # fmt: skip
    detail = f"{at_label(analysis, side)}the loss bends down at {analysis.axis} = {readable(rational_point(q))}"
    name = "convex_score" if in_score else "convex_pred"
    return Finding(name, REFUTED, detail, method=method_of(analysis), witness=witness)


# -- how steep -----------------------------------------------------------------------------------------------------


def bounded_gradient(analysis: Analysis, parameters: PARAMETERS) -> Finding:
    """The slope in score is bounded on the whole axis."""
    for side in analysis.distinct:
        slopes = analysis.slopes(side, True)
        for high in (False, True):
            end = analysis.end(high)
            steep = limit(analysis, slopes[-1 if high else 0], end)
            if not steep.is_finite():
                return _steep(analysis, side, slopes[-1 if high else 0], high, parameters)
        for joint, left, right in zip(side.joints, slopes, slopes[1:]):
            for slope in (left, right):
                if not _finite_at(side, slope, joint.point):
                    raise Undecided(f"the slope at {analysis.axis} = {readable(joint.point)} may be infinite")
    return proof("bounded_gradient", analysis, lambda: _how_steep(analysis))


def _how_steep(analysis: Analysis) -> str:
    """The bounds themselves, which the proof does without."""
    try:
        with analysis.signs.budget.running():
            in_score, in_pred = largest_slope(analysis, True), largest_slope(analysis, False)
    except (Undecided, ArithmeticError, ValueError):
        return "the slope in score is bounded"
    first = f"the slope in score stays within {_rounded(in_score)}"
    return f"{first} and the slope in pred within {_rounded(in_pred)} on [1e-6, 1-1e-6]"


def _finite_at(side: Side, slope: Element, point: Point) -> bool:
    try:
        return bool(side.signs.value(slope, point).is_finite())
    except (ZeroDivisionError, ValueError):
        return False


def _steep(analysis: Analysis, side: Side, slope: Element, high: bool, parameters: PARAMETERS) -> Finding:
    piece = side.pieces[-1 if high else 0]
    end = piece.high if high else piece.low
    q, value = fmpq(0), arb(0)
    for q in towards(analysis, end, piece.low, piece.high):
        value = side.signs.value(slope, rational_point(q), 256)
        if abs(value) > LARGE:
            break
    near = "1" if high else "0"
    witness = Witness(where(side.label, analysis.axis, str(q), parameters), decimal(value),
                      f"slope in score {decimal(value, 6)}, and beyond all bounds closer to pred = {near}")  # fmt: skip
    detail = f"{at_label(analysis, side)}the slope in score grows beyond all bounds as pred goes to {near}"
    return Finding("bounded_gradient", REFUTED, detail, method=method_of(analysis), witness=witness,
                   mend="clip the gradient, or clamp pred")  # fmt: skip


def _rounded(bound: float) -> str:
    """A bound in five digits, the last of them rounded up, for the nearest number may be none.

    >>> from lossdsl.prover.shape import _rounded
    >>> _rounded(0.25), _rounded(1.0 + 2e-16), _rounded(1000025.6), _rounded(0.0)
    ('0.25', '1', '1.0001e+06', '0')
    """
    near = Decimal(f"{bound:.5g}")
    if near < Decimal(bound) * (1 - Decimal("1e-12")):  # what the last bit of a float may be off counts as exact
        near = Decimal(bound).normalize(Context(prec=5, rounding=ROUND_CEILING))
    return f"{float(near):.5g}"


# -- where learning stops ------------------------------------------------------------------------------------------


def _dead_place(side: Side, slope: Element, places: list[fmpq]) -> tuple[fmpq, arb]:
    """The first place towards the end where the slope is under 1e-5, or the last one."""
    q, value = places[0], arb(0)
    for q in places:
        value = side.signs.value(slope, rational_point(q), 256)
        if abs(value) < 1e-5:
            break
    return q, value


def _livelier(root: Node) -> str:
    """What to do about a slope that dies: a log with an epsilon has a better form, others need another term."""
    for node in walk(root):
        inner = node.args[0] if isinstance(node, Apply) and node.op == "log" else None
        if isinstance(inner, Apply) and inner.op == "add" and any(isinstance(a, Number) for a in inner.args):
            others = [a for a in inner.args if not isinstance(a, Number)]
            if any(a == Name("pred") or (isinstance(a, Apply) and a.op == "sigmoid") for a in others):
                return "use -logsigmoid(score): it needs no epsilon and its slope does not die"
    return "add a multiple of bce, whose slope in score does not die"


def no_saturation(analysis: Analysis, parameters: PARAMETERS) -> Finding | None:
    """The slope in score does not go to zero where the prediction is most wrong."""
    judged = [s for s in analysis.sides if s.label in (0, 1)]
    for side in judged:
        high = side.label == 0
        slope = analysis.slopes(side, True)[-1 if high else 0]
        lead = None if slope.is_zero else analysis.signs.ends.leading(slope, analysis.end(high))
        if lead is None and not slope.is_zero:
            raise Undecided(f"the slope as pred goes to {int(high)}")
        if lead is None or lead[0] > 0 or (lead[0] == 0 and lead[1] < 0):
            piece = side.pieces[-1 if high else 0]
            inner = towards(analysis, piece.high if high else piece.low, piece.low, piece.high)
            q, value = _dead_place(side, slope, inner or [between(piece.low, piece.high)])
            witness = Witness(where(side.label, analysis.axis, str(q), parameters), decimal(value),
                              f"slope in score {decimal(value, 6)}, and 0 in the limit pred = {int(high)}")  # fmt: skip
            detail = (
                f"{at_label(analysis, side)}the slope in score dies as pred goes to {int(high)}:"
                " the worst predictions are hardly corrected"
            )
            return Finding("no_saturation", REFUTED, detail, method=method_of(analysis), witness=witness,
                           mend=_livelier(analysis.root))  # fmt: skip
    return proof("no_saturation", analysis, "the worst predictions are pulled at with a slope that does not die")
