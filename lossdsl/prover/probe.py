"""When the exact form is too large: a look at a few places, which can refute and never proves.

Value and slope of every term are balls, so that a sign seen here is a sign. A place where an argument of max, min, abs,
sign or if cannot be told from zero is passed over.
"""

from __future__ import annotations

from fractions import Fraction

from flint import arb, fmpq

from lossdsl.prover.cells import Ranges
from lossdsl.prover.limits import Budget, Undefined
from lossdsl.prover.numeric import precision, sign_of_ball
from lossdsl.prover.places import PROBES, SCORE_PROBES
from lossdsl.prover.points import rational_point
from lossdsl.prover.terms import Term, Terms, holds

Dual = tuple[arb, arb]
BITS = 192


class _Unclear(Exception):
    """The place lies on or too close to a kink."""


def slope_at(terms: Terms, q: fmpq, free: Ranges | None = None) -> arb | None:
    """The slope at a place, for all values of names in `free`; None where it is unclear.

    Raises `Undefined` where the formula certainly is.
    """
    values: dict[int, Dual] = {}
    with precision(BITS):
        for i in terms.needed():
            try:
                term = terms.items[i]
                if term.op == "free":
                    low, high = (free or {})[term.name]
                    values[i] = arb("nan") if high is None else arb(low).union(arb(high)), arb(0)
                else:
                    values[i] = _dual(term, values, q)
            except _Unclear:
                return None
            except Undefined as bad:
                raise Undefined(bad.why, rational_point(q), i, terms.origin[i]) from None
            if not values[i][0].is_finite():
                return None
        slope = values[terms.root][1]
        return slope if slope.is_finite() else None


def _sign(v: arb) -> int:
    sign = sign_of_ball(v)
    if sign is None:
        raise _Unclear
    return sign


def _dual(term: Term, values: dict[int, Dual], q: fmpq) -> Dual:
    op = term.op
    if op == "const":
        assert term.value is not None
        return arb(term.value), arb(0)
    if op == "x":
        return arb(q), arb(1)
    u, du = values[term.args[0]]
    if op == "add":
        v, dv = values[term.args[1]]
        return u + v, du + dv
    if op == "mul":
        v, dv = values[term.args[1]]
        return u * v, du * v + u * dv
    if op == "neg":
        return -u, -du
    if op == "exp":
        return u.exp(), u.exp() * du
    if op == "inv":
        if _sign(u) == 0:
            raise Undefined("a division by zero")
        return 1 / u, -du / (u * u)
    if op == "log":
        if _sign(u) <= 0:
            raise Undefined("the log of a number that is not positive")
        return u.log(), du / u
    if op in ("power", "tower"):
        v, dv = (arb(term.value), arb(0)) if term.value is not None else values[term.args[1]]
        return _power(u, du, v, dv, term.value)
    if op in ("max", "min"):
        other = values[term.args[1]]
        sign = _sign(u - other[0])
        if sign == 0:
            raise _Unclear
        return (u, du) if (sign > 0) == (op == "max") else other
    sign = _sign(u)
    if sign == 0:
        raise _Unclear  # on the border of an `if`, the slope of its branch is not the loss's
    if op == "select":
        return values[term.args[1 if holds(term.name, sign) else 2]]
    return (u * sign, du * sign) if op == "abs" else (arb(sign), arb(0))


def _power(u: arb, du: arb, v: arb, dv: arb, exponent: fmpq | None) -> Dual:
    sign = _sign(u)
    if exponent is not None and exponent.q == 1:
        n = int(exponent.p)
        return u**n, n * u ** (n - 1) * du
    if sign < 0:
        raise Undefined("a negative number to a power that is not whole")
    if sign == 0:
        raise _Unclear
    w = (v * u.log()).exp()
    return w, w * (dv * u.log() + v * du / u)


def probes(score: bool) -> tuple[fmpq, ...]:
    """The places to look at."""
    return SCORE_PROBES if score else PROBES


def wrong_way(terms: Terms, label: Fraction, budget: Budget) -> tuple[fmpq, arb] | None:
    """A place where the slope certainly points away from the label, and the slope; may raise `Undefined`."""
    found: tuple[fmpq, arb] | None = None
    for q in probes(terms.score):
        budget.spend(len(terms.items))
        slope = slope_at(terms, q)
        if found is None and slope is not None and (slope > 0 if label == 1 else slope < 0) and label in (0, 1):
            found = q, slope
    return found


def moves(terms: Terms, free: Ranges | None) -> bool:
    """Whether at some place the slope is certainly not zero."""
    return any(_certain(_slope_or_none(terms, q, free)) for q in probes(terms.score))


def differ(a: Terms, b: Terms, free: Ranges | None) -> bool:
    """Whether at some place the slopes of two formulas are certainly not equal."""
    for q in probes(a.score):
        u, v = _slope_or_none(a, q, free), _slope_or_none(b, q, free)
        if u is not None and v is not None and _certain(u - v):
            return True
    return False


def _slope_or_none(terms: Terms, q: fmpq, free: Ranges | None) -> arb | None:
    try:
        return slope_at(terms, q, free)
    except (Undefined, ArithmeticError, ValueError):
        return None


def _certain(v: arb | None) -> bool:
    return v is not None and bool(v > 0 or v < 0)
