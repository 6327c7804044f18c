"""Where a loss jumps: which way, from the left to the place itself and on to the right.

At a breakpoint a term that is continuous there has the limit of its curve; what `sign` and `if` are there follows from
the sign of what decides them, on the place itself; and what is made of them by arithmetic follows from that.
"""

from __future__ import annotations

from lossdsl.verifier.curves import Curve
from lossdsl.verifier.facts import vanishes
from lossdsl.verifier.intervals import Intervals, Unbounded, sign
from lossdsl.verifier.kernels import Kernels, Quotient
from lossdsl.verifier.limits import Rejected
from lossdsl.verifier.places import calm, jump, nonzero
from lossdsl.verifier.points import Point
from lossdsl.verifier.polynomials import ONE, ZERO, variable, whole
from lossdsl.verifier.terms import Terms, holds


def steps(terms: Terms, place: Point, left: Curve, right: Curve) -> tuple[int, int]:
    """The signs of the steps from the left to the place and from there to the right, 0 where there is none."""
    value = value_at(terms, place, left, right)
    table, root = left.table, terms.root
    return _step(table, left.values[root], value, place), _step(table, value, right.values[root], place)


def _step(table: Kernels, before: Quotient, after: Quotient, place: Point) -> int:
    found = jump(table, before, after, place)
    if found is None:
        raise Rejected(f"whether the loss jumps at {place} is not shown")
    return found


def value_at(terms: Terms, place: Point, left: Curve, right: Curve) -> Quotient:
    """The loss on a breakpoint itself, as a quotient that is worth that there."""
    settled = calm(terms, place, left, right)
    values: list[Quotient] = []
    for i, term in enumerate(terms.items):
        if settled[i] and _reached(left, i, place):
            values.append(left.values[i])
            continue
        try:
            values.append(_value(terms, i, values, left.table, place))
        except Rejected as error:
            raise Rejected(f"{error} at {place}", f"term {i} ({term.op})") from None
    return values[terms.root]


def _reached(curve: Curve, i: int, place: Point) -> bool:
    """Whether the curve of a term goes on to the place, its divisor not vanishing there."""
    return nonzero(curve.table, curve.values[i].d, place)


def _value(terms: Terms, i: int, values: list[Quotient], table: Kernels, place: Point) -> Quotient:
    term = terms.items[i]
    args = [values[j] for j in term.args]
    if term.op == "const":
        assert term.value is not None
        return Quotient(whole(term.value.numerator), whole(term.value.denominator))
    if term.op == "x":
        return Quotient(variable(0), ONE)
    if term.op == "add":
        a, b = args
        return Quotient(table.fold(a.n * b.d + b.n * a.d), table.fold(a.d * b.d))
    if term.op == "mul":
        a, b = args
        return Quotient(table.fold(a.n * b.n), table.fold(a.d * b.d))
    if term.op == "neg":
        return Quotient(-args[0].n, args[0].d)
    if term.op == "whole":
        assert term.value is not None
        n = int(term.value)
        return Quotient(table.fold(args[0].n ** n), table.fold(args[0].d ** n))
    if term.op == "inv":
        if not nonzero(table, args[0].n, place):
            raise Rejected("a divisor is not shown to differ from zero")
        return Quotient(args[0].d, args[0].n)
    if term.op in ("log", "exp", "power"):
        raise Rejected("its value is not shown, because it jumps")
    found = sign_there(table, args[0], place)
    if term.op == "sign":
        return Quotient(whole(found), ONE)
    if term.op == "abs":
        return Quotient(args[0].n.scale(found), args[0].d) if found else Quotient(ZERO, ONE)
    if term.op == "max":
        return args[1] if found >= 0 else args[2]
    if term.op == "min":
        return args[2] if found >= 0 else args[1]
    return args[1] if holds(term.name, found) else args[2]


def sign_there(table: Kernels, a: Quotient, place: Point) -> int:
    """The sign of a quotient at a place inside (0, 1); `Rejected` where it cannot be made out."""
    if not nonzero(table, a.d, place):
        raise Rejected("a divisor is not shown to differ from zero")
    if vanishes(table, a.n, place):
        return 0
    arithmetic = Intervals(128)
    try:
        found = sign(table.on(arithmetic.hull(place.low, place.high), arithmetic).quotient(a.n, a.d))
    except Unbounded as error:
        raise Rejected(str(error)) from None
    if not found:
        raise Rejected("the sign of what decides is not made out")
    return found
