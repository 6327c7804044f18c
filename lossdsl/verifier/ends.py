"""The sign of a polynomial in x and kernels close to 0 or 1, where a log is unbounded and intervals say nothing.

With t the distance from the end and L = log t, every kernel is written as t^a times something that an interval holds on
(0, d], or is L itself. The polynomial is then a sum of t^a L^k B, B in an interval. The term with the smallest a, and
among those the largest k, outweighs the others if it does so at t = d and each quotient t^a |L|^k grows with t on
(0, d].
"""

from __future__ import annotations

from fractions import Fraction

from lossdsl.verifier.intervals import Interval, Intervals, Unbounded, compare, sign
from lossdsl.verifier.kernels import Kernels
from lossdsl.verifier.limits import Rejected
from lossdsl.verifier.polynomials import BITS, MASK, ONE, Poly, X, mirrored

Shape = tuple[Fraction, int, Interval]
"""t^a L^k B."""


def sign_towards_end(table: Kernels, f: Poly, d: Fraction, at_one: bool) -> int:
    """The sign of f for distances (0, d] from 0, or from 1; `Rejected` where it is not shown."""
    if not 0 < d <= Fraction(1, 4):
        raise Rejected("the piece at the end is too wide")
    return _Near(table, d, at_one).leading(f)[2]


def leading_term(table: Kernels, f: Poly, d: Fraction, at_one: bool) -> tuple[Fraction, int, int]:
    """a, k and the sign of f, whose size on (0, d] is t^a |L|^k times something between two positive numbers."""
    if not 0 < d <= Fraction(1, 4):
        raise Rejected("the piece at the end is too wide")
    return _Near(table, d, at_one).leading(f)


class _Near:
    def __init__(self, table: Kernels, d: Fraction, at_one: bool) -> None:
        self.table = table
        self.at_one = at_one
        self.d = d
        self.arithmetic = Intervals()
        zone = self.arithmetic.hull(1 - d, Fraction(1)) if at_one else self.arithmetic.hull(Fraction(0), d)
        self.box = table.on(zone, self.arithmetic)
        self.log_d = self.arithmetic.log(self.arithmetic.rational(d))
        self._shapes: dict[int, Shape] = {}

    def shape(self, v: int) -> Shape:
        """A kernel as t^a L^k B on (0, d]."""
        found = self._shapes.get(v)
        if found is None:
            found = self._shapes[v] = self._shape(v)
        return found

    def _shape(self, v: int) -> Shape:
        kernel = self.table.items[v - 1]
        distance = ONE - X if self.at_one else X
        one = self.arithmetic.rational(1)
        if kernel.n == distance and kernel.kind == "log":
            return Fraction(0), 1, one
        if kernel.n == distance and kernel.kind == "root":
            return Fraction(1, kernel.order), 0, one
        try:
            limit = self.table.at(Poly({1 << (BITS * v): 1}, 1), Fraction(1 if self.at_one else 0))
            if limit is not None and not limit:
                # It vanishes at the end: by the mean value theorem it is t times a value of its slope.
                slope = self.box.slope_of_variable(v)
                return Fraction(1), 0, self.arithmetic.neg(slope) if self.at_one else slope
            return Fraction(0), 0, self.box.variable(v)
        except Unbounded:
            return Fraction(0), 0, self._bounded(v)

    def _bounded(self, v: int) -> Interval:
        """An interval for a kernel whose argument holds logs that powers of t keep bounded."""
        kernel = self.table.items[v - 1]
        inner = self._range(kernel.n)
        if kernel.kind == "exp":
            return self.arithmetic.exp(self.arithmetic.mul(inner, self.arithmetic.inverse(self._range(kernel.d))))
        return self.arithmetic.log(inner) if kernel.kind == "log" else self.arithmetic.root(inner, kernel.order)

    def _range(self, f: Poly) -> Interval:
        a = self.arithmetic
        total = a.rational(0)
        for (power, k), value in self.sum(f).items():
            size = self._size(power, k)
            # t^a L^k lies between 0 and its value at d, whose sign is that of (-1)^k; a constant stays as it is.
            if power == 0 and k == 0:
                total = a.add(total, value)
            else:
                reach = a.union(a.rational(0), size if k % 2 == 0 else a.neg(size))
                total = a.add(total, a.mul(value, reach))
        return total

    def sum(self, f: Poly) -> dict[tuple[Fraction, int], Interval]:
        """f as a sum of t^a L^k B."""
        a = self.arithmetic
        out: dict[tuple[Fraction, int], Interval] = {}
        for monomial, c in (mirrored(f) if self.at_one else f).terms.items():
            power, k, value = Fraction(monomial & MASK), 0, a.rational(c)
            for v in range(1, monomial.bit_length() // BITS + 1):
                e = (monomial >> (BITS * v)) & MASK
                if e:
                    p, j, b = self.shape(v)
                    power, k, value = power + e * p, k + e * j, a.mul(value, a.power(b, e))
            key = power, k
            out[key] = a.add(out[key], value) if key in out else value
        return {key: value for key, value in out.items() if sign(value) != 0}

    def _size(self, power: Fraction, k: int) -> Interval:
        """The supremum on (0, d] of t^power |L|^k, which has to grow with t."""
        a = self.arithmetic
        if power < 0 or (power == 0 and k > 0):
            raise Rejected("a term is not bounded at the end")
        size = a.neg(self.log_d)
        # (t^p |L|^k)' has the sign of p |L| - k.
        if k > 0 and compare(a.sub(a.mul(a.rational(power), size), a.rational(k))[0], (0, 0)) < 0:
            raise Rejected("the piece at the end is too wide for a power of the log")
        logs = a.power(size, k) if k >= 0 else a.inverse(a.power(size, -k))
        return a.mul(a.exp(a.mul(a.rational(power), self.log_d)), logs)

    def leading(self, f: Poly) -> tuple[Fraction, int, int]:
        """The powers of t and L in the leading term, and the sign of f."""
        a = self.arithmetic
        parts = self.sum(f)
        if not parts:
            raise Rejected("no term is left at the end")
        lead = min(parts, key=lambda key: (key[0], -key[1]))
        found = sign(parts[lead])
        if not found:
            raise Rejected("the leading term at the end has no certain sign")
        rest = a.rational(0)
        for (power, k), value in parts.items():
            if (power, k) != lead:
                size = self._size(power - lead[0], k - lead[1])
                rest = a.add(rest, a.mul(a.magnitude(value), size))
        if compare(rest[1], a.magnitude(parts[lead])[0]) >= 0:
            raise Rejected("the leading term at the end does not outweigh the others")
        return *lead, found * (-1) ** lead[1]
