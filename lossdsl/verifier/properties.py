"""What each property demands of the curves, and whether they meet it.

Each function gives back `strict`, or None where a property knows no such thing; it raises `Rejected` where the demand
is not shown to be met. The meaning of each property stands in docs/certificates.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from lossdsl.verifier.constants import known
from lossdsl.verifier.curves import Curve
from lossdsl.verifier.ends import leading_term, sign_towards_end
from lossdsl.verifier.facts import Facts
from lossdsl.verifier.intervals import Interval, Intervals, Unbounded, compare
from lossdsl.verifier.jumps import steps
from lossdsl.verifier.kernels import Kernels, Quotient
from lossdsl.verifier.limits import Malformed, Rejected
from lossdsl.verifier.places import continuous, jump
from lossdsl.verifier.points import Point, fraction
from lossdsl.verifier.polynomials import ONE, ZERO, Poly, X
from lossdsl.verifier.terms import Terms

HALF = Fraction(1, 2)
FLAT = Fraction(1, 10**6)
GAP = Fraction(1, 100)
REST = Quotient(ZERO, ONE)


@dataclass(frozen=True)
class Cell:
    """One cell: what is known of it, and the curve of each label."""

    left: Point
    right: Point
    facts: Facts
    curves: dict[int, Curve]


@dataclass(frozen=True)
class Proof:
    """All that was checked of a formula before any property is looked at."""

    table: Kernels
    labels: tuple[int, ...]
    terms: dict[int, Terms]
    points: list[Point]
    cells: list[Cell]

    def direction(self, label: int) -> int:
        """The sign that the slope should have: -1 at label 1, 1 at label 0."""
        return -1 if label == 1 else 1


def domain(proof: Proof, claim: dict[str, Any]) -> bool | None:
    """Every term is real and finite: seen for the cells and the breakpoints before any property is looked at."""
    return None


def uses_pred(proof: Proof, claim: dict[str, Any]) -> bool | None:
    """At no label is the slope zero everywhere."""
    for label in proof.labels:
        if all(_may_rest(cell.curves[label]) for cell in proof.cells):
            raise Rejected(f"the slope is zero everywhere at label {label}")
    return None


def _may_rest(curve: Curve) -> bool:
    try:
        return curve.rests
    except Rejected:
        return True


def uses_label(proof: Proof, claim: dict[str, Any]) -> bool | None:
    """The slopes of the two labels differ at a place that the certificate names."""
    if proof.labels != (0, 1):
        raise Rejected("the certificate is not about both labels")
    place = fraction(claim.get("at"))
    a, b = (slope_at(proof, label, place) for label in (0, 1))
    if compare(a[1], b[0]) >= 0 and compare(b[1], a[0]) >= 0:
        raise Rejected(f"the slopes are not shown to differ at {place}")
    return None


def slope_at(proof: Proof, label: int, place: Fraction) -> Interval:
    """An interval for the slope at a rational inside a cell."""
    for cell in proof.cells:
        if cell.left.high < place < cell.right.low:
            slope = cell.curves[label].slope
            arithmetic = Intervals(128)
            try:
                return proof.table.on(arithmetic.rational(place), arithmetic).quotient(slope.n, slope.d)
            except Unbounded as error:
                raise Rejected(f"{error} at {place}") from None
    raise Rejected(f"{place} is not inside a cell")


def gradient(proof: Proof, claim: dict[str, Any]) -> bool | None:
    """The value is continuous, and the slope exists off the breakpoints."""
    for label in proof.labels:
        for before, after in zip(proof.cells, proof.cells[1:]):
            continuous(proof.terms[label], before.right, before.curves[label], after.curves[label])
    return None


def monotone(proof: Proof, claim: dict[str, Any]) -> bool | None:
    """The slope never has the wrong sign; where the value jumps, it does not jump the wrong way."""
    strict = True
    for label in proof.labels:
        for i, cell in enumerate(proof.cells):
            found = cell.curves[label].slope_sign
            if found == -proof.direction(label):
                raise Rejected(f"the slope has the wrong sign in cell {i} at label {label}")
            strict = strict and not cell.curves[label].rests
        for before, after in zip(proof.cells, proof.cells[1:]):
            if -proof.direction(label) in _steps(proof, label, before, after):
                raise Rejected(f"the loss jumps the wrong way at {before.right}, label {label}")
    return strict


def _steps(proof: Proof, label: int, before: Cell, after: Cell) -> tuple[int, int]:
    """The signs of the steps at the place between two cells; none where the loss is continuous."""
    ends = proof.terms[label], before.right, before.curves[label], after.curves[label]
    try:
        continuous(*ends)
    except Rejected:
        return steps(*ends)
    return 0, 0


def minimum(proof: Proof, claim: dict[str, Any]) -> bool | None:
    """The infimum is the limit towards the label.

    Either the loss never rises on the way there, or the certificate names, for each label, that limit, which the loss
    is never below, or a distance within which a leading term shows that it falls without bound.
    """
    if "least" not in claim:
        monotone(proof, claim)
        return None
    rows = claim["least"]
    if not isinstance(rows, dict) or set(rows) != {str(label) for label in proof.labels}:
        raise Malformed("minimum needs the least value at each label, or none")
    for label in proof.labels:
        row = rows[str(label)]
        if not isinstance(row, list) or len(row) != 2 or row[0] not in ("limit", "falls"):
            raise Malformed("the least value is a limit, or the loss falls")
        if row[0] == "limit":
            _least(proof, label, fraction(row[1]))
        else:
            _falls(proof, label, fraction(row[1]))
    return None


def _least(proof: Proof, label: int, least: Fraction) -> None:
    curves = [(cell, cell.curves[label]) for cell in proof.cells]
    for i, (cell, curve) in enumerate(curves):
        value = curve.values[curve.terms.root]
        if cell.facts.need(_above(value, least), "the loss less its limit") * value.sign < 0:
            raise Rejected(f"the loss is below {least} in cell {i} at label {label}")
    for before, after in zip(proof.cells, proof.cells[1:]):
        # Next to the place it is not below; so the place itself is not, unless it jumps down there from both sides.
        if _steps(proof, label, before, after) == (-1, 1):
            raise Rejected(f"the loss jumps down at {before.right}, label {label}")
    value = curves[-1 if label == 1 else 0][1].values[proof.terms[label].root]
    rest, below = (proof.table.at(f, Fraction(label)) for f in (_above(value, least), value.d))
    if rest is None or rest or not known(below):
        raise Rejected(f"{least} is not shown to be the limit at label {label}")


def _above(value: Quotient, least: Fraction) -> Poly:
    return value.n.scale(least.denominator) - value.d.scale(least.numerator)


def _falls(proof: Proof, label: int, distance: Fraction) -> None:
    cell = proof.cells[-1 if label == 1 else 0]
    if not distance < (1 - cell.left.high if label == 1 else cell.right.low):
        raise Rejected("the distance reaches beyond the cell")
    value = cell.curves[label].values[proof.terms[label].root]
    a, k, s = leading_term(proof.table, value.n, distance, label == 1)
    b, j, t = leading_term(proof.table, value.d, distance, label == 1)
    if s * t > 0 or not (a < b or (a == b and k > j)):
        raise Rejected(f"the loss is not shown to fall without bound at label {label}")


def no_dead_zone(proof: Proof, claim: dict[str, Any]) -> bool | None:
    """No cell with a zero slope, and places less than 0.01 apart with a slope of at least 1e-6 in size."""
    for label in proof.labels:
        if any(_may_rest(cell.curves[label]) for cell in proof.cells):
            raise Rejected(f"the slope is zero on an interval at label {label}")
    rows = claim.get("places")
    if not isinstance(rows, dict) or set(rows) != {str(label) for label in proof.labels}:
        raise Malformed("no_dead_zone needs places for each label")
    for label in proof.labels:
        given = rows[str(label)]
        if not isinstance(given, list) or len(given) > 2000:
            raise Malformed("places are a list of limited length")
        places = [Fraction(0), *(fraction(text) for text in given), Fraction(1)]
        if any(not 0 < b - a < GAP for a, b in zip(places, places[1:])):
            raise Rejected("the places are not less than 0.01 apart")
        for place in places[1:-1]:
            at_least(proof, label, place)
    return None


def at_least(proof: Proof, label: int, place: Fraction) -> None:
    arithmetic = Intervals(128)
    size = arithmetic.magnitude(slope_at(proof, label, place))
    if compare(size[0], arithmetic.rational(FLAT)[1]) < 0:
        raise Rejected(f"the slope is not shown to be 1e-6 in size at {place}, label {label}")


def bounded_gradient(proof: Proof, claim: dict[str, Any]) -> bool | None:
    """The slope in score, p (1-p) D, stays below the bound that the certificate names, wherever there is a slope."""
    bound = fraction(claim.get("bound"))
    for label in proof.labels:
        for i, cell in enumerate(proof.cells):
            slope, sign = cell.curves[label].slope, cell.curves[label].slope_sign
            if sign and cell.facts.lean(_room(slope, bound, sign), "a bound less the slope")[0] < 0:
                raise Rejected(f"the slope in score may exceed {bound} in cell {i} at label {label}")
    return None


def _room(slope: Quotient, bound: Fraction, sign: int) -> Poly:
    """A polynomial with the sign of bound - p (1-p) |slope|, where the slope has the given sign."""
    size = (slope.n * X * (ONE - X)).scale(sign * slope.sign * bound.denominator)
    return slope.d.scale(slope.sign * bound.numerator) - size


def no_saturation(proof: Proof, claim: dict[str, Any]) -> bool | None:
    """Where the prediction is most wrong, the size of the slope in score stays above a number that is named.

    The certificate gives, for each label, how far from that end, and the number.
    """
    rows = claim.get("floors")
    if not isinstance(rows, dict) or set(rows) != {str(label) for label in proof.labels}:
        raise Malformed("no_saturation needs floors for each label")
    for label in proof.labels:
        row = rows[str(label)]
        if not isinstance(row, list) or len(row) != 2:
            raise Malformed("a floor is a distance and a number")
        distance, floor = fraction(row[0]), fraction(row[1])
        at_one = label == 0
        cell = proof.cells[-1 if at_one else 0]
        if not (floor > 0 and 0 < distance < (1 - cell.left.high if at_one else cell.right.low)):
            raise Rejected("a floor has to be positive, and to hold within a cell")
        slope, sign = cell.curves[label].slope, cell.curves[label].slope_sign
        if sign == 0 or sign_towards_end(proof.table, -_room(slope, floor, sign), distance, at_one) != 1:
            raise Rejected(f"the slope in score is not shown to stay above {floor} at label {label}")
    return None


def convex_pred(proof: Proof, claim: dict[str, Any]) -> bool | None:
    """The second derivative is never negative, and the slope never falls at a breakpoint."""
    return _convex(proof, lambda slope, curvature: curvature)


def convex_score(proof: Proof, claim: dict[str, Any]) -> bool | None:
    """The same as a function of the score: f'' p (1-p) + f' (1-2p) is never negative."""
    return _convex(proof, _second_in_score)


def _second_in_score(slope: Quotient, curvature: Quotient) -> Quotient:
    weight, turn = X * (ONE - X), ONE - X.scale(2)
    n = curvature.n * weight * slope.d + slope.n * turn * curvature.d
    return Quotient(n, slope.d * curvature.d, slope.sign * curvature.sign)


def _convex(proof: Proof, second: Callable[[Quotient, Quotient], Quotient]) -> bool | None:
    gradient(proof, {})
    for label in proof.labels:
        for i, cell in enumerate(proof.cells):
            curve = cell.curves[label]
            if curve.lean(second(curve.slope, curve.curvature()), "the second derivative")[0] < 0:
                raise Rejected(f"the second derivative is negative in cell {i} at label {label}")
        for before, after in zip(proof.cells, proof.cells[1:]):
            change = jump(proof.table, before.curves[label].slope, after.curves[label].slope, before.right)
            if change is None or change < 0:
                raise Rejected(f"the slope may fall at {before.right}, label {label}")
    return None


def _together(cell: Cell, at_zero: Quotient, at_one: Quotient) -> Quotient:
    """A weighted sum of the slopes, the weights already multiplied in."""
    n = at_zero.n * at_one.d + at_one.n * at_zero.d
    return Quotient(cell.facts.table.fold(n), at_zero.d * at_one.d, at_zero.sign * at_one.sign)


def proper(proof: Proof, claim: dict[str, Any]) -> bool | None:
    """p D1 + (1-p) D0 is zero everywhere, and D0 is never negative."""
    if proof.labels != (0, 1):
        raise Rejected("the certificate is not about both labels")
    gradient(proof, claim)
    strict = True
    for i, cell in enumerate(proof.cells):
        zero, one = cell.curves[0].slope, cell.curves[1].slope
        total = _together(cell, Quotient(zero.n * (ONE - X), zero.d, zero.sign), Quotient(one.n * X, one.d, one.sign))
        if total.n:
            raise Rejected(f"p D1 + (1-p) D0 is not zero in cell {i}")
        if cell.curves[0].slope_sign < 0:
            raise Rejected(f"the slope at label 0 is negative in cell {i}")
        strict = strict and not cell.curves[0].rests
    return strict


def calibrated(proof: Proof, claim: dict[str, Any]) -> bool | None:
    """Monotone, and D0 + D1 is not positive below 1/2, zero at 1/2, not negative above, with slopes that do not rest
    at 1/2.

    With a true share eta > 1/2 of label 1, the slope of the expected loss is (1-eta) (D0+D1) + (2 eta - 1) D1: not
    positive up to 1/2 and negative just above it, so that less is lost somewhere above 1/2. The same for eta < 1/2.
    """
    if proof.labels != (0, 1):
        raise Rejected("the certificate is not about both labels")
    gradient(proof, claim)
    monotone(proof, claim)
    for i, cell in enumerate(proof.cells):
        if not (cell.right.high <= HALF or cell.left.low >= HALF):
            raise Rejected("a cell reaches across 1/2")
        total = _together(cell, cell.curves[0].slope, cell.curves[1].slope)
        found = cell.facts.lean(total.n, "the sum of the slopes")[0] * total.sign
        if found * (1 if cell.right.high <= HALF else -1) > 0:
            raise Rejected(f"the sum of the slopes has the wrong sign in cell {i}")
    for before, after in zip(proof.cells, proof.cells[1:]):
        if before.right.rational == HALF:
            for cell, label in ((before, 0), (after, 1)):
                slope = cell.curves[label].slope
                if jump(proof.table, REST, slope, before.right) != proof.direction(label):
                    raise Rejected(f"the slope at label {label} may rest at 1/2")
                total = _together(cell, cell.curves[0].slope, cell.curves[1].slope)
                if jump(proof.table, REST, total, before.right) != 0:
                    raise Rejected("the sum of the slopes is not shown to be zero at 1/2")
    return None


def proper_composite(proof: Proof, claim: dict[str, Any]) -> bool | None:
    """D0 / (D0 - D1) rises: D0 D1' - D0' D1 is positive on each cell, where D1 < 0 < D0."""
    if proof.labels != (0, 1):
        raise Rejected("the certificate is not about both labels")
    gradient(proof, claim)
    if monotone(proof, claim) is not True:
        raise Rejected("a slope rests")
    for i, cell in enumerate(proof.cells):
        d0, d1 = cell.curves[0].slope, cell.curves[1].slope
        e0, e1 = cell.curves[0].curvature(), cell.curves[1].curvature()
        n = d0.n * e1.n * e0.d * d1.d - e0.n * d1.n * d0.d * e1.d
        found, sure = _of_products(cell, e0, e1)
        if not found:
            found, sure = cell.facts.lean(cell.facts.table.fold(n), "D0 D1' - D0' D1")
            found *= d0.sign * e1.sign * e0.sign * d1.sign
        if found < 0:
            raise Rejected(f"D0 / (D0 - D1) falls in cell {i}")
        if not found or not sure:
            raise Rejected(f"D0 / (D0 - D1) may stand still in cell {i}")
    for before, after in zip(proof.cells, proof.cells[1:]):
        if jump(proof.table, _share(before), _share(after), before.right) not in (0, 1):
            raise Rejected(f"D0 / (D0 - D1) may fall at {before.right}")
    return True


def _of_products(cell: Cell, e0: Quotient, e1: Quotient) -> tuple[int, bool]:
    """1 where D1 < 0 < D0 and, with parameters that range, neither slope falls, and whether one rises; 0 elsewhere."""
    if not cell.facts.table.ranges:
        return 0, False
    try:
        rows = [cell.curves[0].lean(e, "the second derivative") for e in (e0, e1)]
    except Rejected:
        return 0, False
    falls = any(found < 0 for found, _ in rows)
    return (0, False) if falls else (1, any(found > 0 and strict for found, strict in rows))


def _share(cell: Cell) -> Quotient:
    d0, d1 = cell.curves[0].slope, cell.curves[1].slope
    # Its sign is not used: `jump` looks at the divisor again.
    return Quotient(d0.n * d1.d, d0.n * d1.d - d1.n * d0.d)


PROPERTIES: dict[str, Callable[[Proof, dict[str, Any]], bool | None]] = {
    "domain": domain,
    "uses_pred": uses_pred,
    "uses_label": uses_label,
    "gradient": gradient,
    "monotone": monotone,
    "minimum": minimum,
    "no_dead_zone": no_dead_zone,
    "bounded_gradient": bounded_gradient,
    "no_saturation": no_saturation,
    "convex_pred": convex_pred,
    "convex_score": convex_score,
    "calibrated": calibrated,
    "proper": proper,
    "proper_composite": proper_composite,
}
