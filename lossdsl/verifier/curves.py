"""What the formula equals on one cell at one label: every term as a quotient of polynomials, then the slope.

The certificate says which branch each kinked term takes, how the arguments of logs, exponentials and powers fall into
kernels, and, where that is shorter, what a term is after cancelling. All of it is checked here.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from lossdsl.verifier.facts import Facts
from lossdsl.verifier.kernels import Quotient
from lossdsl.verifier.limits import MAX_POWER, Malformed, Rejected
from lossdsl.verifier.points import fraction
from lossdsl.verifier.polynomials import ONE, ZERO, Poly, read, variable, whole
from lossdsl.verifier.terms import KINKED, Terms, holds

Parts = list[tuple[int, Fraction]]
"""A product of kernels' bases: kernel i to the power q stands for g^q where it is log g, and for itself otherwise."""


def cancel_free(n: Poly, d: Poly, sign: int) -> Quotient:
    """n/d where d is 1 or -1 kept simple."""
    return Quotient(-n, ONE, 1) if d.constant == -1 else Quotient(n, d, sign)


class Curve:
    """The terms of one label on one cell."""

    def __init__(self, terms: Terms, facts: Facts, data: object) -> None:
        if not isinstance(data, dict) or not set(data) <= {"branches", "parts", "cancelled", "slope", "curvature"}:
            raise Malformed("a curve has branches, parts, cancelled, slope and curvature")
        self.terms = terms
        self.facts = facts
        self.table = facts.table
        self.branches = _numbered(data.get("branches", {}), terms)
        self.parts = _numbered(data.get("parts", {}), terms)
        self.cancelled = _numbered(data.get("cancelled", {}), terms)
        self.values: list[Quotient] = []
        for i in range(len(terms.items)):
            try:
                self.values.append(self._claimed(self.cancelled, i, self._value(i)))
            except Rejected as error:
                raise Rejected(str(error), f"term {i} ({terms.items[i].op})") from None
        kinked = {i for i, t in enumerate(terms.items) if t.op in KINKED}
        if set(self.branches) != kinked:
            raise Rejected("not every kinked term, or another one, is given a branch")
        if any(terms.items[i].op not in ("log", "exp", "power") for i in self.parts):
            raise Malformed("parts of a term that has none")
        value = self.values[terms.root]
        try:
            self.slope = self._checked(data.get("slope"), self.table.derivative(value), "the slope")
            self._leaning = self._leans()
        except Rejected as error:
            raise Rejected(str(error), "slope") from None
        self._curvature = data.get("curvature")

    def curvature(self) -> Quotient:
        """The derivative of the slope, as the certificate gives it."""
        return self._checked(self._curvature, self.table.derivative(self.slope), "the curvature")

    def sign(self, a: Quotient, what: str) -> int:
        """The sign of a quotient on the cell."""
        return self.facts.need(a.n, what) * a.sign

    def lean(self, a: Quotient, what: str) -> tuple[int, bool]:
        """The weak sign of a quotient on the cell, and whether it is strict."""
        found, strict = self.facts.lean(a.n, what)
        return found * a.sign, strict

    def _leans(self) -> tuple[int, bool] | None:
        """The sign of the slope; None where parameters range and it is not shown, which only matters to some."""
        try:
            return self.lean(self.slope, "the slope")
        except Rejected:
            if self.table.ranges:
                return None
            raise

    @property
    def slope_sign(self) -> int:
        """The sign of the slope, weak where it `rests`; 0 where the slope is zero all along."""
        if self._leaning is None:
            raise Rejected("there is no evidence for the sign of the slope")
        return self._leaning[0]

    @property
    def rests(self) -> bool:
        """Whether the slope may be zero: all along, or at a place, or for a value of a parameter."""
        return self.slope_sign == 0 or self._leaning is None or not self._leaning[1]

    # -- claims ------------------------------------------------------------------------------------------------------

    def _claimed(self, claims: dict[int, Any], i: int, value: Quotient) -> Quotient:
        return self._checked(claims[i], value, "it") if i in claims else value

    def _checked(self, claim: Any, value: Quotient, what: str) -> Quotient:
        """The quotient that a certificate writes for a value, which it has to equal."""
        if not isinstance(claim, list) or len(claim) != 2:
            raise Malformed("a quotient is a list of two polynomials")
        n, d = (read(text, len(self.table.items)) for text in claim)
        self.facts.define(n)
        self.facts.define(d)
        sign = self.facts.need(d, f"the divisor of {what}")
        if sign == 0:
            raise Rejected(f"the divisor of {what} is zero")
        if self.table.fold(n * value.d) != self.table.fold(value.n * d):
            raise Rejected(f"{what} is claimed to be what it is not")
        return Quotient(n, d, sign)

    # -- terms -------------------------------------------------------------------------------------------------------

    def _value(self, i: int) -> Quotient:
        term = self.terms.items[i]
        args = [self.values[a] for a in term.args]
        if term.op == "const":
            assert term.value is not None
            return Quotient(whole(term.value.numerator), whole(term.value.denominator))
        if term.op == "x":
            return Quotient(variable(0), ONE)
        if term.op == "free":
            if term.name not in self.table.range_of:
                raise Rejected(f"there is no kernel for {term.name}")
            return Quotient(variable(self.table.range_of[term.name] + 1), ONE)
        if term.op == "add":
            return self._add(*args)
        if term.op == "mul":
            return self._mul(*args)
        if term.op == "neg":
            return Quotient(-args[0].n, args[0].d, args[0].sign)
        if term.op == "inv":
            sign = self.facts.need(args[0].n, "a divisor")
            if sign == 0:
                raise Rejected("a divisor is zero")
            return cancel_free(args[0].d, args[0].n, sign)
        if term.op == "whole":
            assert term.value is not None
            n = int(term.value)
            return Quotient(self.table.fold(args[0].n ** n), self.table.fold(args[0].d ** n), args[0].sign ** n)
        if term.op == "log":
            # For the message alone: the parts are positive, and `_log` sees that the argument is their product.
            if self.sign(args[0], "the argument of a log") != 1:
                raise Rejected("the argument of a log is not positive")
            return self._log(args[0], self._parts(i, 0))
        if term.op == "exp":
            return self._exp(args[0], self._parts(i, 0))
        if term.op == "power":
            assert term.value is not None
            return self._power(args[0], term.value, i)
        return self._kinked(i, args)

    def _add(self, a: Quotient, b: Quotient) -> Quotient:
        if not a.n:
            return b
        if not b.n:
            return a
        if a.d == b.d:
            return Quotient(a.n + b.n, a.d, a.sign)
        fold = self.table.fold
        return Quotient(fold(a.n * b.d + b.n * a.d), fold(a.d * b.d), a.sign * b.sign)

    def _mul(self, a: Quotient, b: Quotient) -> Quotient:
        if not a.n or not b.n:
            return Quotient(ZERO, ONE)
        return Quotient(self.table.fold(a.n * b.n), self.table.fold(a.d * b.d), a.sign * b.sign)

    def _kinked(self, i: int, args: list[Quotient]) -> Quotient:
        term = self.terms.items[i]
        branch = self.branches.get(i)
        if type(branch) is not int or branch not in (-1, 0, 1):
            raise Rejected("no branch is given")
        if self.sign(args[0], "what decides the branch") != branch:
            raise Rejected("another branch is taken here than the one that is claimed")
        if term.op == "abs":
            return Quotient(-args[0].n, args[0].d, args[0].sign) if branch < 0 else args[0]
        if term.op == "sign":
            return Quotient(whole(branch), ONE)
        if term.op == "max":
            return args[1] if branch >= 0 else args[2]
        if term.op == "min":
            return args[2] if branch >= 0 else args[1]
        return args[1] if holds(term.name, branch) else args[2]

    # -- logs, exponentials, powers ----------------------------------------------------------------------------------

    def _parts(self, i: int, which: int) -> Parts:
        claim = self.parts.get(i)
        if not isinstance(claim, list) or len(claim) != 2:
            raise Rejected("it is not said how it falls into kernels")
        return self._read_parts(claim[which])

    def _read_parts(self, rows: Any) -> Parts:
        if not isinstance(rows, list) or len(rows) > 4 * len(self.table.items) + 4:
            raise Malformed("parts are kernels with their powers")
        out: Parts = []
        for row in rows:
            if not isinstance(row, list) or len(row) != 2 or type(row[0]) is not int:
                raise Malformed("a part is a kernel and its power")
            if not 0 <= row[0] < len(self.table.items):
                raise Malformed("a part is no kernel of this certificate")
            if self.table.items[row[0]].kind == "range":
                raise Rejected("a parameter is no part: its sign is open")
            q = fraction(row[1])
            if abs(q) > MAX_POWER:
                raise Malformed("a power is too large")
            self.facts.define(variable(row[0] + 1))
            out.append((row[0], q))
        return out

    def _log_of_base(self, i: int) -> Quotient:
        """The log of what part i stands for."""
        kernel = self.table.items[i]
        if kernel.kind == "log":
            return Quotient(variable(i + 1), ONE)
        if kernel.kind == "exp":
            return Quotient(kernel.n, kernel.d, self.facts.need(kernel.d, "a divisor within a kernel"))
        place = self.table.log_of(kernel.n)
        if place is None:
            raise Rejected("a root is a part, but there is no log of what it is taken of")
        self.facts.define(variable(place + 1))
        return Quotient(variable(place + 1), whole(kernel.order))

    def _logs(self, parts: Parts) -> Quotient:
        """The log of a product of parts."""
        total = Quotient(ZERO, ONE)
        for i, q in parts:
            factor = Quotient(whole(q.numerator), whole(q.denominator))
            total = self._add(total, self._mul(factor, self._log_of_base(i)))
        return total

    def _product(self, parts: Parts) -> Quotient:
        """A product of parts with whole powers; it is positive."""
        n, d = ONE, ONE
        for i, q in parts:
            if q.denominator != 1:
                raise Rejected("the power of a part is not whole")
            kernel = self.table.items[i]
            base = kernel.n if kernel.kind == "log" else variable(i + 1)
            if q > 0:
                n = self.table.fold(n * base ** int(q))
            else:
                d = self.table.fold(d * base ** int(-q))
        return Quotient(n, d)

    def _log(self, u: Quotient, parts: Parts) -> Quotient:
        product = self._product(parts)
        if self.table.fold(u.n * product.d) != self.table.fold(u.d * product.n):
            raise Rejected("the argument is not the product of the parts that are claimed")
        return self._logs(parts)

    def _exp(self, u: Quotient, parts: Parts) -> Quotient:
        self._same(u, self._logs(parts))
        return self._product(parts)

    def _power(self, u: Quotient, q: Fraction, i: int) -> Quotient:
        sign = self.sign(u, "the base of a power")
        if sign == 0 and q > 0:
            return Quotient(ZERO, ONE)
        # For the message alone, as for logs.
        if sign != 1:
            raise Rejected("the base of a power is not positive")
        factor = Quotient(whole(q.numerator), whole(q.denominator))
        return self._exp(self._mul(factor, self._log(u, self._parts(i, 0))), self._parts(i, 1))

    def _same(self, a: Quotient, b: Quotient) -> None:
        if self.table.fold(a.n * b.d) != self.table.fold(b.n * a.d):
            raise Rejected("the parts that are claimed make another exponent")


def _numbered(rows: object, terms: Terms) -> dict[int, Any]:
    """A JSON object whose names are numbers of terms."""
    if not isinstance(rows, dict) or len(rows) > len(terms.items):
        raise Malformed("what is said of terms is an object with their numbers as names")
    out: dict[int, Any] = {}
    for name, value in rows.items():
        if not name.isdecimal() or not name.isascii() or len(name) > 6 or int(name) >= len(terms.items):
            raise Malformed("there is no such term")
        out[int(name)] = value
    return out
