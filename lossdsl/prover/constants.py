"""Exact zero tests of numbers such as log 6 - log 2 - log 3 or exp(1/2)^2 - e, by the same normal forms.

A `Substitution` carries elements from one field to another along x -> some element there; with a rational for x the
images are numbers, built of logs and roots of primes and of exponentials of rationals.
"""

from __future__ import annotations

from flint import arb, fmpq

from lossdsl.prover.field import Element, Field, RetryWithRoot, SignOf
from lossdsl.prover.limits import Budget, Undecided
from lossdsl.prover.numeric import Chart, precision, sign_of_ball
from lossdsl.prover.polynomials import Poly, terms_of


class Substitution:
    """The homomorphism of differential-field expressions that sends x to `image`."""

    def __init__(self, source: Field, target: Field, image: Element, sign_of: SignOf) -> None:
        self.source = source
        self.target = target
        self.image = image
        self.sign_of = sign_of
        self._kernels: dict[int, Element] = {}

    def kernel(self, i: int) -> Element:
        found = self._kernels.get(i)
        if found is None:
            kernel = self.source.kernels[i]
            if kernel.kind == "free":
                raise Undecided("a number that is not known")
            if kernel.kind == "exp":
                assert kernel.inner is not None
                found = self.target.exp(self(kernel.inner))
            else:
                inner = self.poly(kernel.poly)
                if inner.is_zero:
                    if kernel.kind == "log":
                        raise Undecided("the log of a number that is zero")
                    found = inner
                elif kernel.kind == "log":
                    found = self.target.log(inner, self.sign_of)
                else:
                    found = self.target.real_power(inner, fmpq(1, kernel.n), self.sign_of)
            self._kernels[i] = found
        return found

    def poly(self, f: Poly) -> Element:
        target = self.target
        groups: dict[tuple[int, ...], dict[int, int]] = {}
        for monomial, c in terms_of(f):
            groups.setdefault(monomial[1:], {})[monomial[0]] = int(c)
        total = target.zero
        for kernels, row in groups.items():
            part = target.zero
            for e in range(max(row), -1, -1):
                part = target.mul(part, self.image)
                if e in row:
                    part = target.add(part, target.constant(fmpq(row[e])))
            for i, e in enumerate(kernels):
                if e:
                    part = target.mul(part, target.power(self.kernel(i), e))
            total = target.add(total, part)
        return total

    def __call__(self, a: Element) -> Element:
        n = self.poly(a.n)
        return n if a.d.is_one() else self.target.mul(n, self.target.inverse(self.poly(a.d)))


def number_sign(field: Field) -> SignOf:
    """The sign of polynomials in constant kernels, by balls of growing precision."""
    chart = Chart(field)

    def sign_of(g: Poly) -> int:
        for bits in (64, 256, 1024):
            with precision(bits):
                sign = sign_of_ball(chart.poly_value(g, arb(0)))
            if sign:
                return sign
        raise Undecided("a number that cannot be told from zero")

    return sign_of


def vanishes_at(source: Field, f: Poly, q: fmpq, budget: Budget) -> bool:
    """True only if the polynomial is certainly zero at x = q; False means that this could not be shown."""
    hints: dict[object, int] = {}
    for _ in range(6):
        field = Field(hints, budget)
        try:
            return Substitution(source, field, field.constant(q), number_sign(field)).poly(f).is_zero
        except RetryWithRoot as retry:
            hints[retry.key] = retry.n
        except (Undecided, ZeroDivisionError):
            return False
    return False
