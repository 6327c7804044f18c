"""What holds at the breakpoints themselves: every term is defined there, and the loss does not jump.

A term is continuous where its arguments are, but for `sign` and `if`; these are where nothing changes sides, or, for
`if`, where both branches are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from lossdsl.verifier.curves import Curve
from lossdsl.verifier.facts import vanishes
from lossdsl.verifier.intervals import Interval, Intervals, Unbounded, sign
from lossdsl.verifier.kernels import Kernels, Quotient, Range
from lossdsl.verifier.limits import Rejected
from lossdsl.verifier.points import Point
from lossdsl.verifier.polynomials import Poly
from lossdsl.verifier.terms import Terms, holds


def enclose(terms: Terms, place: Point, ranges: Mapping[str, Range] | None = None) -> list[Interval]:
    """An interval for every term on [low, high] of a place; `Rejected` where one may be undefined."""
    a = Intervals(128)
    out: list[Interval] = []
    for i, term in enumerate(terms.items):
        args = [out[j] for j in term.args]
        if term.op == "free" and ranges:
            out.append(a.hull(*ranges[term.name]))
            continue
        try:
            out.append(_enclose(a, term.op, args, term.value, term.name, place))
        except Unbounded as error:
            raise Rejected(f"term {i} ({term.op}) may be undefined: {error}") from None
    return out


def _enclose(
    a: Intervals, op: str, args: list[Interval], value: Fraction | None, relation: str, place: Point
) -> Interval:
    if op == "x":
        return a.hull(place.low, place.high)
    if op == "const":
        assert value is not None
        return a.rational(value)
    if op == "add":
        return a.add(*args)
    if op == "mul":
        return a.mul(*args)
    if op == "neg":
        return a.neg(args[0])
    if op == "inv":
        return a.inverse(args[0])
    if op == "whole":
        assert value is not None
        return a.power(args[0], int(value))
    if op == "log":
        return a.log(args[0])
    if op == "exp":
        return a.exp(args[0])
    if op == "power":
        assert value is not None
        return _power(a, args[0], value)
    if op == "abs":
        return a.magnitude(args[0])
    if op == "max":
        return a.larger(args[1], args[2])
    if op == "min":
        return a.neg(a.larger(a.neg(args[1]), a.neg(args[2])))
    found = sign(args[0])
    if op == "sign":
        return a.rational(found) if found is not None else a.union(a.rational(-1), a.rational(1))
    if found is None:
        return a.union(args[1], args[2])
    return args[1] if holds(relation, found) else args[2]


def _power(a: Intervals, u: Interval, q: Fraction) -> Interval:
    if q < 0:
        return a.inverse(_power(a, u, -q))
    if q.denominator <= 64:
        return a.root(a.power(u, q.numerator), q.denominator) if u[0][0] >= 0 else a.root(u, q.denominator)
    if u[0][0] < 0:
        raise Unbounded("the base of a power may be negative")
    if u[0][0] > 0:
        return a.exp(a.mul(a.rational(q), a.log(u)))
    top = a.exp(a.mul(a.rational(q), a.log((u[1], u[1])))) if u[1][0] else a.rational(0)
    return a.union(a.rational(0), top)


def continuous(terms: Terms, place: Point, left: Curve, right: Curve) -> None:
    """`Rejected` unless the loss is shown to be continuous at a breakpoint."""
    if not calm(terms, place, left, right)[terms.root]:
        raise Rejected(f"the loss is not shown to be continuous at {place}")


def calm(terms: Terms, place: Point, left: Curve, right: Curve) -> list[bool]:
    """Of each term, whether it is shown to be continuous at a breakpoint."""
    around = enclose(terms, place, left.table.ranges)
    calm: list[bool] = []
    for i, term in enumerate(terms.items):
        smooth = all(calm[j] for j in term.args)
        if term.op == "mul" and any(terms.known(j) == 0 for j in term.args):
            smooth = True
        elif term.op in ("sign", "if") and smooth:
            smooth = _calm(terms, i, around, place, left, right)
        calm.append(smooth)
    return calm


def _calm(terms: Terms, i: int, around: list[Interval], place: Point, left: Curve, right: Curve) -> bool:
    term = terms.items[i]
    before, after = left.branches[i], right.branches[i]
    if before == after and (before == 0 or sign(around[term.args[0]]) == before):
        return True
    if term.op == "sign":
        return False
    for curve in (left, right):
        a, b = (curve.values[j] for j in term.args[1:])
        n = curve.table.fold(a.n * b.d - b.n * a.d)
        if vanishes(curve.table, n, place) and nonzero(curve.table, a.d * b.d, place):
            return True
    return False


def nonzero(table: Kernels, f: Poly, place: Point) -> bool:
    """Whether f is certainly not zero at a place inside (0, 1)."""
    if f.constant is not None:
        return f.constant != 0
    a = Intervals(128)
    try:
        return bool(sign(table.on(a.hull(place.low, place.high), a).poly(f)))
    except Unbounded:
        return False


def jump(table: Kernels, before: Quotient, after: Quotient, place: Point) -> int | None:
    """The sign of after - before at a place, None where it cannot be made out."""
    n = table.fold(after.n * before.d - before.n * after.d)
    d = table.fold(after.d * before.d)
    if not nonzero(table, d, place):
        return None
    if vanishes(table, n, place):
        return 0
    a = Intervals(128)
    try:
        box = table.on(a.hull(place.low, place.high), a)
        found = sign(box.quotient(n, d))
    except Unbounded:
        return None
    return found or None
