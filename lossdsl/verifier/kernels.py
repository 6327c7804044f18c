"""The kernels of a certificate: log, exp and roots of what was defined before them, and what can be done with them.

Polynomials in x and the kernels are differentiated, folded (r^n is what r is the n-th root of), and evaluated: on an
interval, exactly at a rational, or as the limit at 0 and 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from lossdsl.verifier import constants as exact
from lossdsl.verifier.constants import Constant
from lossdsl.verifier.intervals import Interval, Intervals, Unbounded
from lossdsl.verifier.limits import MAX_KERNELS, MAX_ORDER, Malformed, spend
from lossdsl.verifier.polynomials import BITS, MASK, ONE, ZERO, Poly, X, mirrored, read, variable

Range = tuple[Fraction, Fraction]


@dataclass(frozen=True)
class Quotient:
    """n/d; `sign` is the sign of d on the cell at hand, which is never zero there."""

    n: Poly
    d: Poly
    sign: int = 1


@dataclass(frozen=True)
class Kernel:
    """`kind` log or root: of the polynomial `n`; exp: of n/d; range: a number between two `ends`.

    `order` is that of a root, or the place of a range.
    """

    kind: str
    n: Poly
    d: Poly = ONE
    order: int = 1
    ends: Range = (Fraction(0), Fraction(0))


class Kernels:
    """The table of kernels.

    >>> from lossdsl.verifier.kernels import Kernels
    >>> from lossdsl.verifier.polynomials import read
    >>> table = Kernels([{"log": "x"}])
    >>> table.slope(read("k0*x"))       # (x log x)' = (x k0 + x) / x
    (x*k0+x, x)
    """

    def __init__(self, rows: object, ranges: Mapping[str, Range] | None = None) -> None:
        if not isinstance(rows, list):
            raise Malformed("the kernels are a list")
        self.items: list[Kernel] = []
        self.ranges = dict(ranges or {})
        self.range_of: dict[str, int] = {}
        """The places of the kernels of parameters that have a range; that range comes from the formula."""
        self._log_of: dict[Any, int] = {}
        for row in rows:
            self.add(row)

    def add(self, row: object) -> None:
        """Puts one kernel more at the end of the table."""
        if len(self.items) >= MAX_KERNELS:
            raise Malformed("there are too many kernels")
        if not isinstance(row, dict) or len(row) != 1:
            raise Malformed("a kernel is one of log, exp, root")
        ((kind, body),) = row.items()
        count = len(self.items)
        if kind == "range" and isinstance(body, str) and body in self.ranges and body not in self.range_of:
            self.range_of[body] = count
            # n is of no use, but no zero.
            self.items.append(Kernel("range", ONE, order=count, ends=self.ranges[body]))
            return
        if kind == "log":
            kernel = Kernel("log", read(body, count))
            self._log_of.setdefault(kernel.n.key, count)
        elif kind == "exp" and isinstance(body, list) and len(body) == 2:
            kernel = Kernel("exp", read(body[0], count), read(body[1], count))
        elif kind == "root" and isinstance(body, list) and len(body) == 2:
            if type(body[1]) is not int or not 2 <= body[1] <= MAX_ORDER:
                raise Malformed("the order of a root is a small whole number")
            kernel = Kernel("root", read(body[0], count), order=body[1])
        else:
            raise Malformed("a kernel is one of log, exp, root, or a parameter with a range")
        if not kernel.n or not kernel.d or (kernel.d.constant or 1) < 0:
            raise Malformed("a kernel of zero, or with a negative divisor")
        self.items.append(kernel)

    def log_of(self, f: Poly) -> int | None:
        """The place of the kernel log f."""
        return self._log_of.get(f.key)

    # -- exact -------------------------------------------------------------------------------------------------------

    def fold(self, f: Poly) -> Poly:
        """f with r^n replaced by what r is the n-th root of."""
        for i in range(len(self.items) - 1, -1, -1):
            kernel = self.items[i]
            if kernel.kind == "root" and f.highest(i + 1) >= kernel.order:
                result = ZERO
                for e, part in f.split(i + 1).items():
                    times, rest = divmod(e, kernel.order)
                    result = result + part * variable(i + 1) ** rest * kernel.n**times
                f = result
        return f

    def slope(self, f: Poly) -> tuple[Poly, Poly]:
        """n, d with f' = n/d.

        d is a product of what logs and roots are taken of, and of squares of divisors within exp: it is positive
        wherever the kernels are defined.
        """
        d = ONE
        parts = [(f.partial(0), ONE)]
        for v in f.variables():
            if v:
                n, below = self._kernel_slope(v - 1)
                if n:
                    parts.append((f.partial(v) * n, below))
        divisors: list[Poly] = []
        for _, below in parts:
            if below != ONE and below not in divisors:
                divisors.append(below)
        for below in divisors:
            d = d * below
        total = ZERO
        for n, below in parts:
            for other in divisors:
                if other != below:
                    n = n * other
            total = total + n
        return self.fold(total), self.fold(d)

    def _kernel_slope(self, i: int) -> tuple[Poly, Poly]:
        kernel = self.items[i]
        if kernel.kind == "range":
            return ZERO, ONE
        n, below = self.slope(kernel.n)
        if kernel.kind == "log":
            return n, below * kernel.n
        if kernel.kind == "root":
            return n * variable(i + 1), below * kernel.n.scale(kernel.order)
        if kernel.d.constant is not None:
            return n * variable(i + 1), below.scale(kernel.d.constant)
        m, under = self.slope(kernel.d)
        top = n * kernel.d * under - kernel.n * m * below
        return top * variable(i + 1), below * under * kernel.d * kernel.d

    def derivative(self, a: Quotient) -> Quotient:
        """The derivative of a quotient; its divisor is positive, or has the sign of a constant divisor."""
        n, below = self.slope(a.n)
        if a.d.constant is not None:
            return Quotient(n, below.scale(a.d.constant), a.sign)
        m, under = self.slope(a.d)
        if below == under:
            return Quotient(self.fold(n * a.d - a.n * m), self.fold(below * a.d * a.d))
        top = n * a.d * under - a.n * m * below
        return Quotient(self.fold(top), self.fold(below * under * a.d * a.d))

    # -- intervals ---------------------------------------------------------------------------------------------------

    def on(self, box: Interval, arithmetic: Intervals) -> Box:
        """Evaluation with x in an interval."""
        return Box(self, box, arithmetic)

    # -- at a rational, exactly --------------------------------------------------------------------------------------

    def at(self, f: Poly, x: Fraction) -> Constant | None:
        """The exact value of f at a rational, as a limit where x is 0 or 1; None where no exact form is known."""
        try:
            return self._at(f, x, {})
        except (ZeroDivisionError, OverflowError):
            return None

    def _at(self, f: Poly, x: Fraction, cache: dict[int, Constant | None]) -> Constant | None:
        end = x in (0, 1)
        if x == 1:
            f = mirrored(f)
        t = Fraction(0) if end else x
        total: Constant = {}
        for monomial, c in f.terms.items():
            spend(10)
            a = monomial & MASK
            value: Constant | None = exact.rational(c * t**a)
            for v in range(1, monomial.bit_length() // BITS + 1):
                e = (monomial >> (BITS * v)) & MASK
                if not e:
                    continue
                kernel = self.items[v - 1]
                if end and a and kernel.kind == "log" and kernel.n == (X if x == 0 else ONE - X):
                    # t^a log(t)^e tends to 0 as long as the other factors have limits, which is seen to below.
                    continue
                if v - 1 not in cache:
                    cache[v - 1] = self._kernel_at(kernel, x, cache)
                factor = cache[v - 1]
                factor = exact.power(factor, e) if factor is not None else None
                if factor is None:
                    return None
                value = exact.mul(value, factor) if value is not None else None
            if value is None:
                return None
            total = exact.add(total, value)
        return total

    def _kernel_at(self, kernel: Kernel, x: Fraction, cache: dict[int, Constant | None]) -> Constant | None:
        if kernel.kind == "range":
            return exact.symbol(kernel.order)
        n = self._at(kernel.n, x, cache)
        if n is None:
            return None
        if kernel.kind == "log":
            return exact.log(n)
        if kernel.kind == "root":
            return exact.root(n, kernel.order)
        d = self._at(kernel.d, x, cache)
        below = exact.inverse(d) if d is not None else None
        inner = exact.mul(n, below) if below is not None else None
        return exact.exp(inner) if inner is not None else None


class Box:
    """Values of polynomials and kernels with x in one interval."""

    def __init__(self, table: Kernels, x: Interval, arithmetic: Intervals) -> None:
        self.table = table
        self.x = x
        self.a = arithmetic
        self._values: dict[int, Interval] = {0: x}
        self._slopes: dict[int, Interval] = {0: arithmetic.rational(1)}
        self._powers: dict[tuple[int, int], Interval] = {}

    def variable(self, v: int) -> Interval:
        """The interval of a variable."""
        found = self._values.get(v)
        if found is None:
            kernel = self.table.items[v - 1]
            if kernel.kind == "range":
                found = self._values[v] = self.a.hull(*kernel.ends)
                return found
            inner = self.poly(kernel.n)
            if kernel.kind == "exp":
                if kernel.d != ONE:
                    inner = self.a.mul(inner, self.a.inverse(self.poly(kernel.d)))
                found = self.a.exp(inner)
            else:
                found = self.a.log(inner) if kernel.kind == "log" else self.a.root(inner, kernel.order)
            self._values[v] = found
        return found

    def power(self, v: int, e: int) -> Interval:
        found = self._powers.get((v, e))
        if found is None:
            found = self._powers[v, e] = self.a.power(self.variable(v), e)
        return found

    def poly(self, f: Poly) -> Interval:
        """The interval of a polynomial, what multiplies each product of kernels taken together."""
        a = self.a
        groups: dict[int, list[tuple[int, int]]] = {}
        for monomial, c in f.terms.items():
            groups.setdefault(monomial & ~MASK, []).append((monomial & MASK, c))
        total = a.rational(0)
        for kernels, row in groups.items():
            value = a.rational(0)
            for e, c in row:
                value = a.add(value, a.scale(c, self.power(0, e)) if e else a.rational(c))
            for v in range(1, kernels.bit_length() // BITS + 1):
                e = (kernels >> (BITS * v)) & MASK
                if e:
                    value = a.mul(value, self.power(v, e))
            total = a.add(total, value)
        return total

    def slope_of_variable(self, v: int) -> Interval:
        """The interval of the derivative of a variable."""
        found = self._slopes.get(v)
        if found is None:
            a = self.a
            kernel = self.table.items[v - 1]
            if kernel.kind == "range":
                return a.rational(0)
            inner = self.slope(kernel.n)
            if kernel.kind == "log":
                found = a.mul(inner, a.inverse(self.poly(kernel.n)))
            elif kernel.kind == "root":
                below = a.inverse(a.scale(kernel.order, self.poly(kernel.n)))
                found = a.mul(a.mul(inner, self.variable(v)), below)
            else:
                if kernel.d != ONE:
                    d = self.poly(kernel.d)
                    top = a.sub(a.mul(inner, d), a.mul(self.poly(kernel.n), self.slope(kernel.d)))
                    inner = a.mul(top, a.inverse(a.power(d, 2)))
                found = a.mul(inner, self.variable(v))
            self._slopes[v] = found
        return found

    def slope(self, f: Poly) -> Interval:
        """The interval of the derivative of a polynomial."""
        a = self.a
        total = a.rational(0)
        for v in f.variables():
            part = f.partial(v)
            value = self.poly(part)
            total = a.add(total, value if v == 0 else a.mul(value, self.slope_of_variable(v)))
        return total

    def quotient(self, n: Poly, d: Poly) -> Interval:
        return self.a.mul(self.poly(n), self.a.inverse(self.poly(d)))


def value_at(table: Kernels, f: Poly, x: Fraction, bits: int) -> Interval:
    """An interval for f at a rational inside (0, 1)."""
    arithmetic = Intervals(bits)
    return table.on(arithmetic.rational(x), arithmetic).poly(f)


def sign_at(table: Kernels, f: Poly, x: Fraction) -> int | None:
    """The sign of f at a rational inside (0, 1), if it can be made out."""
    if (c := f.constant) is not None:
        return (c > 0) - (c < 0)
    for bits in (80, 320):
        try:
            low, high = value_at(table, f, x, bits)
        except Unbounded:
            return None
        if low[0] > 0:
            return 1
        if high[0] < 0:
            return -1
    exactly = table.at(f, x)
    if exactly is not None and not exactly:
        return 0
    q = exact.known(exactly)
    return None if q is None else (q > 0) - (q < 0)
