"""Whether the minimum of the expected loss tells a probability: proper, proper composite, calibrated.

With eta the true share of label 1, the expected loss at pred is eta * loss(1) + (1 - eta) * loss(0); its slope is
eta * d1 + (1 - eta) * d0, d0 and d1 being the slopes at label 0 and 1. See Reid and Williamson, "Composite Binary
Losses", Journal of Machine Learning Research 11 (2010).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, isnan

from flint import arb, fmpq

from lossdsl.prover.analysis import Analysis, Side, refine
from lossdsl.prover.extremes import limit
from lossdsl.prover.field import Element
from lossdsl.prover.jets import mixed_along
from lossdsl.prover.limits import Undecided
from lossdsl.prover.numeric import precision
from lossdsl.prover.places import decimal, number, places, readable
from lossdsl.prover.points import Point, between, compare, float_of, rational_point, simplest_between
from lossdsl.prover.shape import towards
from lossdsl.prover.signs import Balls, Part
from lossdsl.prover.verdict import PARAMETERS, jumps_at, method_of, proof
from lossdsl.report import REFUTED, Exact, Finding, Witness

ETAS = tuple(fmpq(n, 100) for n in (51, 49, 60, 40, 80, 20, 95, 5))


def _sides(analysis: Analysis) -> tuple[Side, Side] | None:
    zero, one = analysis.side(0), analysis.side(1)
    return None if zero is None or one is None else (zero, one)


def _at(analysis: Analysis, q: fmpq, parameters: PARAMETERS, eta: fmpq | None = None) -> dict[str, Exact]:
    at: dict[str, Exact] = {analysis.axis: str(q), **{k: number(v) for k, v in parameters.items()}}
    if eta is not None:
        at["eta"] = str(eta)
    return at


def _no_jumps(sides: tuple[Side, Side]) -> None:
    for side in sides:
        if side.can_jump and any(jump != 0 for j in side.joints for jump in jumps_at(side, j)):
            raise Undecided("the loss may jump")


def _ordered(analysis: Analysis, sides: tuple[Side, Side]) -> fmpq | None:
    """None if the slope is never negative at label 0 nor positive at label 1, else a place where it is."""
    for side, way in zip(sides, (1, -1)):
        for i in range(len(side.pieces)):
            for part in side.slope_parts(i):
                if part.sign == -way:
                    return between(part.low, part.high)
    return None


# -- proper --------------------------------------------------------------------------------------------------------


def proper(analysis: Analysis, parameters: PARAMETERS) -> Finding | None:
    """The expected loss is least at the true probability: p d1 + (1-p) d0 = 0 identically, and d0 >= 0."""
    sides = _sides(analysis)
    if sides is None:
        return None
    zero, one = sides
    field, p = analysis.field, analysis.pred()
    unsure = False
    for low, high, (d0, d1) in refine(analysis, (zero, zero.slopes), (one, one.slopes)):
        q = between(low, high)
        value = _balance_at(analysis, d0, d1, rational_point(q))
        if value < 0 or value > 0:
            return _improper(analysis, q, value, parameters)
        balance = field.add(field.mul(p, d1), field.mul(field.sub(field.one, p), d0))
        if balance.is_zero:
            continue
        unsure = True
        for q in places(low, high, analysis.score):
            value = analysis.signs.value(balance, rational_point(q))
            if value < 0 or value > 0:
                return _improper(analysis, q, value, parameters)
    if unsure:
        raise Undecided("an identity that can be neither shown nor refuted")
    q = _wrong(zero, 1)
    if q is not None:
        witness = Witness(
            _at(analysis, q, parameters), "a maximum", "the true probability is where the expected loss is greatest"
        )
        place = readable(rational_point(q))
        detail = f"with a true probability at {analysis.axis} = {place} the expected loss is greatest there"
        return Finding("proper", REFUTED, detail, method=method_of(analysis), witness=witness)
    _no_jumps(sides)
    strict = all(part.sign > 0 for i in range(len(zero.pieces)) for part in zero.slope_parts(i))
    return proof("proper", analysis, "the expected loss is least at the true probability", strict)


def _balance_at(analysis: Analysis, d0: Element, d1: Element, point: Point) -> arb:
    """A ball around the slope of the expected loss where pred is the true probability."""
    value = analysis.signs.value
    share, down, up = value(analysis.pred(), point), value(d1, point), value(d0, point)
    with precision(128):
        return share * down + (1 - share) * up


def _wrong(side: Side, way: int) -> fmpq | None:
    for i in range(len(side.pieces)):
        for part in side.slope_parts(i):
            if part.sign == -way:
                return between(part.low, part.high)
    return None


def _improper(analysis: Analysis, q: fmpq, value: arb, parameters: PARAMETERS) -> Finding:
    direction = "lower" if value > 0 else "higher"
    at = _at(analysis, q, parameters, None if analysis.score else q)
    why = f"with the true probability there, the slope of the expected loss is {decimal(value, 6)}, not 0"
    shown = "there" if analysis.score else f"{readable(rational_point(q))}"
    detail = f"with a true probability of {shown} the expected loss is less at a {direction} pred"
    if analysis.score:
        detail = f"with the true probability sigmoid({q}) the expected loss is less at a {direction} pred"
    return Finding("proper", REFUTED, detail, method=method_of(analysis), witness=Witness(at, decimal(value), why))


# -- proper composite ----------------------------------------------------------------------------------------------


def proper_composite(analysis: Analysis, parameters: PARAMETERS) -> Finding | None:
    """The best pred is an increasing function of the true probability: h = d0/(d0-d1) increases."""
    sides = _sides(analysis)
    if sides is None:
        return None
    zero, one = sides
    q = _ordered(analysis, sides)
    if q is not None:
        witness = Witness(_at(analysis, q, parameters), "wrong sign", "a slope points away from its label")
        return Finding(
            "proper_composite", REFUTED, "the loss is not monotone", method=method_of(analysis), witness=witness
        )
    field, signs = analysis.field, analysis.signs
    rows = list(refine(analysis, (zero, zero.slopes), (one, one.slopes), (zero, zero.curves), (one, one.curves)))
    for low, high, (d0, d1, e0, e1) in rows:
        growth = field.sub(field.mul(d0, e1), field.mul(e0, d1))
        if growth.is_zero:
            return _stands_still(analysis, between(low, high), parameters)
        q = signs.find(growth, low, high, -1)
        if q is not None:
            return _turns_back(analysis, q, d0, d1, parameters)
    for (_, high, (a0, a1, _, _)), (_, _, (b0, b1, _, _)) in zip(rows, rows[1:]):
        step = field.sub(field.mul(a0, b1), field.mul(b0, a1))
        if step.is_zero:
            continue
        sign = signs.at(step, high)
        if sign < 0:
            raise Undecided(f"the kinks at {analysis.axis} = {readable(high)} turn the order around")
    _no_jumps(sides)
    return proof("proper_composite", analysis, "the best pred grows with the true probability", strict=True)


def _turns_back(analysis: Analysis, q: fmpq, d0: Element, d1: Element, parameters: PARAMETERS) -> Finding:
    point = rational_point(q)
    a, b = analysis.signs.value(d0, point), analysis.signs.value(d1, point)
    eta = a / (a - b)
    witness = Witness(_at(analysis, q, parameters), decimal(eta),
                      f"the expected loss for eta = {decimal(eta, 6)} has a maximum there, no minimum")  # fmt: skip
    detail = f"around {analysis.axis} = {readable(point)} a greater true probability asks for a smaller pred"
    return Finding("proper_composite", REFUTED, detail, method=method_of(analysis), witness=witness)


def _stands_still(analysis: Analysis, q: fmpq, parameters: PARAMETERS) -> Finding:
    witness = Witness(_at(analysis, q, parameters), "0", "one true probability asks for all preds around this one")
    detail = f"around {analysis.axis} = {readable(rational_point(q))} pred says nothing about the true probability"
    return Finding("proper_composite", REFUTED, detail, method=method_of(analysis), witness=witness)


# -- calibrated ----------------------------------------------------------------------------------------------------


def calibrated(analysis: Analysis, parameters: PARAMETERS) -> Finding | None:
    """For each true probability other than 1/2, the expected loss is least on the same side of pred = 1/2."""
    sides = _sides(analysis)
    if sides is None:
        return None
    jumps = any(jump != 0 for side in sides for joint in side.joints for jump in jumps_at(side, joint))
    if jumps and any(joint.value is not None for side in sides for joint in side.joints):
        _no_jumps(sides)
    if not jumps and all(d0.same(d1) for _, _, (d0, d1) in refine(analysis, *((s, s.slopes) for s in sides))):
        witness = Witness(_at(analysis, analysis.half.low, parameters, fmpq(51, 100)), "the same for every eta",
                          "the slopes at label 0 and 1 are equal, so the best pred does not depend on eta")  # fmt: skip
        detail = "the best pred is the same whatever the true probability"
        return Finding("calibrated", REFUTED, detail, method="exact algebra", witness=witness)
    if not jumps and _pulls_apart(analysis, sides):
        return proof("calibrated", analysis, "the expected loss is least on the right side of 1/2")
    for eta in ETAS:
        finding = _wrong_side(analysis, sides, eta, parameters)
        if finding is None and not jumps:
            finding = _turned_away(analysis, sides, eta, parameters)
        if finding is not None:
            return finding
    raise Undecided("no true probability was found for which the least expected loss is on the wrong side of 1/2")


def _pulls_apart(analysis: Analysis, sides: tuple[Side, Side]) -> bool:
    """Whether for eta > 1/2 the expected loss falls on (0, 1/2] and a little beyond; for eta < 1/2, the mirror image.

    There its slope is (1-eta)(d0+d1) + (2 eta - 1) d1: negative if d0+d1 <= 0 and d1 <= 0, not both zero.
    """
    zero, one = sides
    signs, half = analysis.signs, analysis.half
    if _ordered(analysis, sides) is not None:
        return False
    rows = list(refine(analysis, (zero, zero.slopes), (one, one.slopes)))
    for (low, high, (d0, d1)), balls in zip(rows, _balls(analysis, sides, fmpq(1), fmpq(1))):
        for a, b in _halves(low, high, half):
            left = compare(b, half) <= 0
            pull = d1 if left else d0
            pulls = all(part.sign != 0 for part in signs.of(pull, a, b, _balls_of(sides[left], balls[1][left])))
            for part in signs.of(analysis.field.add(d0, d1), a, b, balls[0]):
                if part.sign == (1 if left else -1) or (part.sign == 0 and not pulls):
                    return False
    # Next to 1/2 the sum has to vanish from both sides, else a kink may hold the minimum at 1/2 itself.
    before = next(row for low, high, row in rows if compare(low, half) < 0 <= compare(high, half))
    after = next(row for low, high, row in rows if compare(low, half) <= 0 < compare(high, half))
    for d0, d1 in (before, after):
        total = analysis.field.add(d0, d1)
        if not total.is_zero and signs.at(total, half) != 0:
            return False
    return all(d.is_zero is False and signs.at(d, half) != 0 for d in (after[1], before[0]))


def _balls(analysis: Analysis, sides: tuple[Side, Side], a: fmpq, b: fmpq) -> Iterator[tuple[Balls, list[int]]]:
    """Stretch by stretch, what gives balls around a d0 + b d1 there, and the numbers of the two pieces."""
    zero, one = sides
    for _, _, (i, j) in refine(analysis, (zero, list(range(len(zero.pieces)))), (one, list(range(len(one.pieces))))):
        yield lambda i=i, j=j: mixed_along((a, zero.jets(i)), (b, one.jets(j))), [i, j]  # type: ignore[misc]


def _balls_of(side: Side, i: int) -> Balls:
    return lambda: side.along(i)


def _halves(low: Point, high: Point, half: Point) -> Iterator[tuple[Point, Point]]:
    if compare(low, half) < 0 < compare(high, half):
        yield low, half
        yield half, high
    else:
        yield low, high


def _turned_away(analysis: Analysis, sides: tuple[Side, Side], eta: fmpq, parameters: PARAMETERS) -> Finding | None:
    """A refutation where the expected loss, from 1/2 towards the right side, never falls."""
    zero, one = sides
    field, half = analysis.field, analysis.half
    e, rest = field.constant(eta), field.constant(1 - eta)
    want_high = eta > fmpq(1, 2)
    rows = refine(analysis, (zero, zero.slopes), (one, one.slopes))
    for (low, high, (d0, d1)), (balls, _) in zip(rows, _balls(analysis, sides, 1 - eta, eta)):
        slope = field.add(field.mul(e, d1), field.mul(rest, d0))
        for a, b in _halves(low, high, half):
            if (compare(a, half) >= 0) == want_high:
                if analysis.signs.find(slope, a, b, -1 if want_high else 1, balls) is not None:
                    return None
    q = half.low
    why = "from pred = 1/2 towards the right side the expected loss never falls"
    witness = Witness(_at(analysis, q, parameters, eta), "never falls", why)
    detail = f"with a true probability of {_short(eta)} no pred on the right side of 1/2 is better than 1/2"
    return Finding("calibrated", REFUTED, detail, method=method_of(analysis), witness=witness)


def _short(q: fmpq) -> str:
    return f"{float_of(q):g}"


def _wrong_side(analysis: Analysis, sides: tuple[Side, Side], eta: fmpq, parameters: PARAMETERS) -> Finding | None:
    """A refutation at one true probability, if the least expected loss is on the wrong side there."""
    zero, one = sides
    field, signs, half = analysis.field, analysis.signs, analysis.half
    e, rest = field.constant(eta), field.constant(1 - eta)
    values = [[p.value for p in side.pieces] for side in sides]
    want_high = eta > fmpq(1, 2)
    right: list[arb] = []
    ends: list[tuple[arb, Point, Part, bool, Element]] = []
    rows = list(refine(analysis, (zero, zero.slopes), (one, one.slopes), (zero, values[0]), (one, values[1])))
    mixed = _balls(analysis, sides, 1 - eta, eta)
    for k, ((low, high, (d0, d1, f0, f1)), (balls, _)) in enumerate(zip(rows, mixed)):
        slope = field.add(field.mul(e, d1), field.mul(rest, d0))
        loss = field.add(field.mul(e, f1), field.mul(rest, f0))
        for a, b in _halves(low, high, half):
            on_right = (compare(a, half) >= 0) == want_high
            parts = signs.of(slope, a, b, balls)
            for part in parts:
                for point, is_end in (
                    (part.low, k == 0 and part.low is low),
                    (part.high, k == len(rows) - 1 and part.high is high),
                ):
                    value = (
                        limit(analysis, loss, analysis.end(point is part.high)) if is_end else signs.value(loss, point)
                    )
                    if on_right:
                        right.append(value)
                    else:
                        ends.append((value, point, part, is_end, loss))
    if not right or not ends or any(not v.is_finite() and not v > 0 for v in right):
        return None
    found = _lowest(analysis, right, ends)
    if found is None:
        return None
    value, q = found
    why = f"the expected loss {decimal(value, 6)} there is less than anywhere on the right side"
    witness = Witness(_at(analysis, q, parameters, eta), decimal(value), why)
    side = "low" if want_high else "high"
    place = readable(rational_point(q))
    detail = f"with a true probability of {_short(eta)} the best {analysis.axis} is about {place}: too {side}"
    return Finding("calibrated", REFUTED, detail, method=method_of(analysis), witness=witness)


def _lowest(
    analysis: Analysis, right: list[arb], ends: list[tuple[arb, Point, Part, bool, Element]]
) -> tuple[arb, fmpq] | None:
    """A rational where the loss is lower than all of `right`, at or next to one of the places in `ends`."""
    # Along a part the loss goes one way: where both its ends are higher than that, so is all between them.
    ends = [end for end in ends if not any(end[0] > v for v in right)]
    levels = [float(end[0].mid()) for end in ends]
    bar, best = min(float(v.mid()) for v in right), min((x for x in levels if not isnan(x)), default=-inf)
    # Of the places that are nearly best, the one with the shortest number is the one that people can check.
    enough = inf if bar == inf else best + 0.02 * (bar - best) if best > -inf else -inf
    good: list[tuple[arb, fmpq]] = []
    fair: list[tuple[arb, fmpq]] = []
    for _, point, part, is_end, loss in ends:
        for q in _witnesses(analysis, point, part.low, part.high, is_end):
            there = analysis.signs.value(loss, rational_point(q))
            if all(there < v for v in right):
                fair.append((there, q))
                if float(there.mid()) <= enough:
                    good.append((there, q))
                    if is_end:
                        break  # from here on they only get longer
    if good:
        return min(good, key=lambda w: (int(w[1].q), float(w[0].mid())))
    return min(fair, key=lambda w: float(w[0].mid())) if fair else None


def _witnesses(analysis: Analysis, point: Point, low: Point, high: Point, is_end: bool) -> list[fmpq]:
    """Rationals in [low, high] at or next to one of its ends, from short ones to close ones."""
    if is_end:
        return towards(analysis, point, low, high)
    q = point.rational
    if q is not None:
        return [q]
    out = [point.high if point is low else point.low]
    for k in (4, 8, 16):
        width = fmpq(1, 2**k) if analysis.score else min(point.low, 1 - point.high) / 2**k
        a, b = (point.high, point.high + width) if point is low else (point.low - width, point.low)
        q = simplest_between(a, b)
        if compare(low, rational_point(q)) < 0 < compare(high, rational_point(q)):
            out.append(q)
    return out
