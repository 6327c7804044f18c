"""Exact zero tests of numbers such as log 6 - log 2 - log 3 or exp(1/2)^2 - e, by the same normal forms.

A `Substitution` carries elements from one field to another along x -> some element there; with a rational for x the
images are numbers, built of logs and roots of primes and of exponentials of rationals.
"""

from __future__ import annotations

from flint import arb, fmpq

from lossdsl.prover.field import Element, Field, RetryWithRoot, SignOf
from lossdsl.prover.limits import MAX_TERMS, Budget, Undecided
from lossdsl.prover.numeric import Chart, precision, sign_of_ball
from lossdsl.prover.polynomials import NIL, RING, UNIT, Poly, sparse_terms, terms_of

LONGEST_SUM = 60
LARGEST = 60
"""What a polynomial may have of terms, and an image times the power that it is raised to, to be put in at once."""


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
        at_once = self._over_one(f)
        if at_once is not None:
            return at_once
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

    def _over_one(self, f: Poly) -> Element | None:
        """The image of a polynomial by way of one common denominator, reduced once; None where that may grow large.

        Without roots in the field a reduced quotient is one of a kind, however it came about.
        """
        if f.is_zero():
            return self.target.zero
        degrees = f.degrees()
        images = {i: self.kernel(i) for i in range(len(self.source.kernels)) if degrees[i + 1]}
        if degrees[0]:
            images[-1] = self.image
        if self.target.has_roots or len(f) > LONGEST_SUM:
            return None
        if any(
            max(len(u.n), len(u.d)) > 1 and degrees[i + 1] * len(u.n) * len(u.d) > LARGEST for i, u in images.items()
        ):
            return None
        below = {i: u.d for i, u in images.items() if not u.d.is_one()}
        known: dict[tuple[int, int], Poly] = {}
        total = NIL
        for e, powers, c in sparse_terms(f):
            part = RING.constant(c)
            have = dict(powers)
            if e:
                have[-1] = e
            for i, k in have.items():
                if (i, k) not in known:
                    known[i, k] = images[i].n ** k
                part = part * known[i, k]
            for i, d in below.items():
                rest = degrees[i + 1] - have.get(i, 0)
                if rest:
                    part = part * d**rest
            total = total + part
        bottom = UNIT
        for i, d in below.items():
            bottom = bottom * d ** degrees[i + 1]
        if max(len(total), len(bottom)) > MAX_TERMS:
            return None
        return self.target.quotient(total, bottom)

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
