"""A differential field of functions of one variable x, exact, on FLINT's polynomials.

An element is a quotient of two polynomials with whole coefficients in x and in *kernels*: log g, exp u, or the n-th
root of g, where g is a polynomial that is positive on the piece at hand. Logs and roots are taken of irreducible
factors and of primes, exponentials of single monomials, so that equal functions meet in one form. Being the zero
polynomial proves that a function is zero; that a function is *not* zero is proved elsewhere, by a ball around a value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb, lcm

from flint import fmpq, fmpz

from lossdsl.prover.limits import MAX_DEGREE, MAX_TERMS, Budget, Undecided
from lossdsl.prover.polynomials import (
    GENERATORS,
    MAX_KERNELS,
    NIL,
    RING,
    UNIT,
    Poly,
    PolyKey,
    X,
    factor,
    poly_key,
    terms_of,
)

MAX_ROOT = 12
"""Largest n for which an n-th root is an algebraic kernel; above it, x^q is exp(q log x)."""
MAX_EXP_POWER = 16
FACTOR_BITS = 100
MAX_EXPANDED = 50_000
"""Most terms that a power is multiplied out to, like ones counted apart; those that remain are fewer as a rule."""

SignOf = Callable[[Poly], int]
"""The sign on the piece at hand of a polynomial that has no zero there."""


class RetryWithRoot(Exception):
    """A kernel exp(u/n) or g^(1/n) is needed with a larger n than the one already in use: begin again with the hint."""

    def __init__(self, key: object, n: int) -> None:
        super().__init__(key, n)
        self.key = key
        self.n = n


@dataclass(frozen=True, slots=True)
class Element:
    """The quotient n/d, reduced, the leading coefficient of d positive."""

    n: Poly
    d: Poly

    @property
    def is_zero(self) -> bool:
        return bool(self.n.is_zero())

    def key(self) -> tuple[PolyKey, PolyKey]:
        """Equal for equal quotients; hashable, which FLINT's polynomials are not."""
        return poly_key(self.n), poly_key(self.d)

    def same(self, other: Element) -> bool:
        return bool(self.n == other.n and self.d == other.d)


@dataclass(frozen=True, slots=True)
class Kernel:
    """`log` of a polynomial, `root` of order n of a polynomial, `exp` of an element, or a `free` number in a range."""

    kind: str
    poly: Poly = None
    n: int = 1
    inner: Element | None = None
    low: fmpq = fmpq(0)
    high: fmpq | None = fmpq(0)
    """None: all numbers above `low`, without `low` itself."""


class Field:
    """Kernels met so far and the arithmetic on elements.

    >>> from lossdsl.prover.field import Field
    >>> field = Field()
    >>> p = field.x
    >>> field.derivative(field.log(p, lambda g: 1)).d       # d/dx log x = 1/x
    x
    """

    def __init__(self, hints: dict[object, int] | None = None, budget: Budget | None = None) -> None:
        self.kernels: list[Kernel] = []
        self.hints: dict[object, int] = {} if hints is None else hints
        self.budget = budget or Budget()
        self.zero = Element(NIL, UNIT)
        self.one = Element(UNIT, UNIT)
        self.x = Element(X, UNIT)
        self.units = {0: self.zero, 1: self.one, -1: Element(-UNIT, UNIT)}
        self._place: dict[object, int] = {}
        self._roots: list[int] = []
        self._derivatives: dict[int, Element] = {}
        self._factors: dict[PolyKey, tuple[int, list[tuple[Poly, int]]]] = {}

    @property
    def has_roots(self) -> bool:
        """Whether a kernel is a root, so that equal elements may look different."""
        return bool(self._roots)

    # -- arithmetic ------------------------------------------------------------------------------------------------

    def constant(self, q: fmpq) -> Element:
        return Element(RING.constant(int(q.p)), RING.constant(int(q.q)))

    def value(self, a: Element) -> fmpq | None:
        """The rational that an element is, if it is one."""
        if a.n.is_constant() and a.d.is_constant():
            return fmpq(int(a.n.leading_coefficient()) if not a.n.is_zero() else 0, int(a.d.leading_coefficient()))
        return None

    def quotient(self, n: Poly, d: Poly) -> Element:
        """n/d in normal form."""
        self.budget.spend()
        if n.is_zero():
            return self.zero
        if len(n) > MAX_TERMS or len(d) > MAX_TERMS:
            raise Undecided("the exact form has too many terms")
        if self._roots:
            n, d = self._fold_roots(n), self._fold_roots(d)
            if n.is_zero():
                return self.zero
        if d.is_one():
            self._limit(n)
            return Element(n, d)
        g = n.gcd(d)
        if not g.is_one():
            n, d = n // g, d // g
        if d.leading_coefficient() < 0:
            n, d = -n, -d
        self._limit(n)
        self._limit(d)
        return Element(n, d)

    def _limit(self, f: Poly) -> None:
        if len(f) > 1 and f.total_degree() > MAX_DEGREE and max(f.degrees()) > MAX_DEGREE:
            raise Undecided("the exact form has too high a degree")

    def _fold_roots(self, f: Poly) -> Poly:
        """Writes r^n as what r is the n-th root of."""
        for i in reversed(self._roots):
            kernel = self.kernels[i]
            if f.degrees()[i + 1] < kernel.n:
                continue
            parts: dict[int, dict[tuple[int, ...], int]] = {}
            for monomial, c in terms_of(f):
                whole, rest = divmod(monomial[i + 1], kernel.n)
                parts.setdefault(whole, {})[(*monomial[: i + 1], rest, *monomial[i + 2 :])] = c
            f = NIL
            for whole, part in parts.items():
                f = f + RING.from_dict(part) * kernel.poly**whole
        return f

    def add(self, a: Element, b: Element) -> Element:
        if a.n.is_zero():
            return b
        if b.n.is_zero():
            return a
        if a.d == b.d:
            return self.quotient(a.n + b.n, a.d)
        return self.quotient(a.n * b.d + b.n * a.d, a.d * b.d)

    def neg(self, a: Element) -> Element:
        return Element(-a.n, a.d)

    def sub(self, a: Element, b: Element) -> Element:
        return self.add(a, self.neg(b))

    def mul(self, a: Element, b: Element) -> Element:
        if a is self.one:
            return b
        if b is self.one:
            return a
        if a.n.is_zero() or b.n.is_zero():
            return self.zero
        return self.quotient(a.n * b.n, a.d * b.d)

    def inverse(self, a: Element) -> Element:
        return self.quotient(a.d, a.n)

    def power(self, a: Element, n: int) -> Element:
        """Whole power, negative ones too."""
        if n < 0:
            return self.inverse(self.power(a, -n))
        if n == 0:
            return self.one
        if n * max(*a.n.degrees(), *a.d.degrees(), 1) > 4 * MAX_DEGREE:
            raise Undecided("the exact form has too high a degree")
        # So many terms at most, which is known before they are all multiplied out.
        if max(comb(len(f) - 1 + n, n) for f in (a.n, a.d) if len(f)) > MAX_EXPANDED:
            raise Undecided("the exact form has too many terms")
        return self.quotient(a.n**n, a.d**n)

    # -- kernels ---------------------------------------------------------------------------------------------------

    def _kernel(self, key: object, kernel: Kernel) -> Element:
        place = self._place.get(key)
        if place is None:
            if len(self.kernels) >= MAX_KERNELS:
                raise Undecided("too many different logs, exponentials and roots")
            place = self._place[key] = len(self.kernels)
            self.kernels.append(kernel)
            if kernel.kind == "root":
                self._roots.append(place)
        return Element(GENERATORS[place + 1], UNIT)

    def free(self, name: str, low: fmpq, high: fmpq | None) -> Element:
        """A number that is only known to lie in [low, high], or above low; what is shown holds for all of them."""
        return self._kernel(("free", name), Kernel("free", low=low, high=high))

    def factor(self, f: Poly) -> tuple[int, list[tuple[Poly, int]]]:
        """The whole content and the irreducible factors with their powers."""
        key = poly_key(f)
        found = self._factors.get(key)
        if found is None:
            self.budget.spend(3)
            found = self._factors[key] = factor(f)
        return found

    def _single(self, g: Poly) -> Kernel | None:
        """The kernel that g is, if it is one alone."""
        if len(g) == 1:
            degrees = g.degrees()
            if degrees[0] == 0 and sum(degrees) == 1:
                return self.kernels[degrees.index(1) - 1]
        return None

    def _log_whole(self, n: int) -> Element:
        """log of a positive whole number, over its primes."""
        result = self.zero
        if n == 1:
            return result
        parts = fmpz(n).factor() if n.bit_length() <= FACTOR_BITS else [(n, 1)]
        for prime, e in parts:
            kernel = self._kernel(("log", int(prime)), Kernel("log", RING.constant(int(prime))))
            result = self.add(result, self._times(int(e), 1, kernel))
        return result

    def _times(self, num: int, den: int, a: Element) -> Element:
        return self.mul(Element(RING.constant(num), RING.constant(den)), a)

    def log(self, u: Element, sign_of: SignOf) -> Element:
        """log u, where u > 0 on the piece."""
        result = self.zero
        for poly, way in ((u.n, 1), (u.d, -1)):
            content, factors = self.factor(poly)
            result = self.add(result, self._times(way, 1, self._log_whole(abs(content))))
            for g, e in factors:
                single = self._single(g)
                if single is not None and single.kind == "exp":
                    assert single.inner is not None
                    part = single.inner
                elif single is not None and single.kind == "root":
                    part = self._times(1, single.n, self._log_factor(single.poly))
                else:
                    part = self._log_factor(g if sign_of(g) > 0 else -g)
                result = self.add(result, self._times(way * e, 1, part))
        return result

    def _log_factor(self, g: Poly) -> Element:
        if g.is_constant():
            return self._log_whole(int(g.leading_coefficient()))
        return self._kernel(("log", poly_key(g)), Kernel("log", g))

    def real_power(self, u: Element, q: fmpq, sign_of: SignOf) -> Element:
        """u^q, where u > 0 on the piece."""
        if q.q == 1 and abs(int(q.p)) <= MAX_DEGREE:
            return self.power(u, int(q.p))
        result = self.one
        for poly, way in ((u.n, 1), (u.d, -1)):
            content, factors = self.factor(poly)
            if abs(content) != 1:
                result = self.mul(
                    result, self.exp(self._times(way, 1, self.mul(self.constant(q), self._log_whole(abs(content)))))
                )
            for g, e in factors:
                single = self._single(g)
                if single is not None and single.kind == "exp":
                    assert single.inner is not None
                    part = self.exp(self.mul(self.constant(q * e * way), single.inner))
                elif single is not None and single.kind == "root":
                    part = self._power_of_factor(single.poly, q * e * way / single.n)
                else:
                    part = self._power_of_factor(g if sign_of(g) > 0 else -g, q * e * way)
                result = self.mul(result, part)
        return result

    def exp(self, u: Element) -> Element:
        """exp u; multiples of logs become powers, and a sum becomes a product."""
        result = self.one
        if not u.d.is_constant():
            return self.one if u.is_zero else self._exp_of(u.n, u.d)
        d = int(u.d.leading_coefficient())
        for monomial, c in sorted(terms_of(u.n)):
            kernel = self._lone_log(monomial)
            if kernel is not None:
                result = self.mul(result, self._power_of_factor(kernel.poly, fmpq(int(c), d)))
            else:
                result = self.mul(result, self._exp_of(RING.from_dict({monomial: int(c)}), RING.constant(d)))
        return result

    def _lone_log(self, monomial: tuple[int, ...]) -> Kernel | None:
        if monomial[0] == 0 and sum(monomial) == 1:
            kernel = self.kernels[monomial.index(1) - 1]
            return kernel if kernel.kind == "log" else None
        return None

    def _power_of_factor(self, g: Poly, q: fmpq) -> Element:
        """g^q for a positive irreducible g (or a prime)."""
        num, den = int(q.p), int(q.q)
        if den > MAX_ROOT or abs(num) > MAX_DEGREE:
            return self._exp_of((num * self._log_factor(g).n), RING.constant(den))
        base = Element(g, UNIT)
        whole, rest = divmod(num, den)
        result = self.power(base, whole) if whole else self.one
        if rest:
            key = ("root", poly_key(g))
            n = self._order(key, den)
            root = self._kernel(key, Kernel("root", g, n))
            result = self.mul(result, self.power(root, rest * n // den))
        return result

    def _order(self, key: object, n: int) -> int:
        """The order of the root to use, so that all roots of one thing are powers of one kernel."""
        have = self.hints.get(key, 0)
        if key not in self._place:
            have = self.hints[key] = lcm(have or 1, n)
        elif have % n:
            raise RetryWithRoot(key, lcm(have, n))
        return have

    def _exp_of(self, num: Poly, den: Poly) -> Element:
        c, n = num.primitive()
        b, d = den.primitive()
        q = fmpq(int(c), int(b))
        if n.leading_coefficient() < 0:
            n, q = -n, -q
        if abs(int(q.p)) > MAX_EXP_POWER or int(q.q) > MAX_EXP_POWER:
            # A kernel of its own: as a power of a smaller one it would have too high a degree. What is lost is only
            # that the two are seen to be powers of each other.
            n, d, q = abs(int(q.p)) * n, int(q.q) * d, fmpq(1 if q > 0 else -1)
        key = ("exp", poly_key(n), poly_key(d))
        order = self._order(key, int(q.q))
        times = int(q.p) * (order // int(q.q))
        if abs(times) > MAX_DEGREE:
            raise Undecided("the exact form has too large an exponent")
        kernel = self._kernel(key, Kernel("exp", inner=self.quotient(n, d * order)))
        return self.power(kernel, times)

    def order_of(self, i: int) -> int:
        """The n of a kernel exp(u/n), u being free of a denominator that is a number."""
        kernel = self.kernels[i]
        return (
            next(n for key, n in self.hints.items() if self._place.get(key) == i) if kernel.kind == "exp" else kernel.n
        )

    # -- derivation ------------------------------------------------------------------------------------------------

    def _kernel_slope(self, i: int) -> Element:
        found = self._derivatives.get(i)
        if found is None:
            kernel = self.kernels[i]
            if kernel.kind == "exp":
                assert kernel.inner is not None
                found = self.mul(self.derivative(kernel.inner), Element(GENERATORS[i + 1], UNIT))
            elif kernel.kind == "free":
                found = self.zero
            elif kernel.kind == "log":
                found = self.mul(self.poly_slope(kernel.poly), self.quotient(UNIT, kernel.poly))
            else:
                factor = self.quotient(GENERATORS[i + 1], kernel.n * kernel.poly)
                found = self.mul(self.poly_slope(kernel.poly), factor)
            self._derivatives[i] = found
        return found

    def poly_slope(self, f: Poly) -> Element:
        """d/dx of a polynomial."""
        result = Element(f.derivative(0), UNIT)
        degrees = f.degrees()
        for i in range(len(self.kernels)):
            if degrees[i + 1]:
                part = self.mul(Element(f.derivative(i + 1), UNIT), self._kernel_slope(i))
                result = self.add(result, part)
        return result

    def derivative(self, a: Element) -> Element:
        """d/dx of an element."""
        if a.d.is_constant():
            if a.n.is_constant():
                return self.zero
            top = self.poly_slope(a.n)
            return self.quotient(top.n, top.d * a.d)
        top = self.sub(
            self.mul(self.poly_slope(a.n), Element(a.d, UNIT)), self.mul(Element(a.n, UNIT), self.poly_slope(a.d))
        )
        return self.quotient(top.n, top.d * a.d**2)
