"""Between the prover's polynomials, which are FLINT's, and those of the verifier; the kernels keep step."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from flint import fmpq, fmpz

from lossdsl.prover.field import FACTOR_BITS, Element, Field
from lossdsl.prover.polynomials import MAX_KERNELS, RING, Poly
from lossdsl.verifier import polynomials as verifier
from lossdsl.verifier.kernels import Kernels, Quotient
from lossdsl.verifier.polynomials import BITS, MASK


def rational(q: fmpq) -> Fraction:
    return Fraction(int(q.p), int(q.q))


class Translation:
    """The table of kernels of a certificate, kernel i being that of the field; `rows` is what the file says."""

    def __init__(self, field: Field, ranges: Mapping[str, tuple[Fraction, Fraction]] | None = None) -> None:
        self.field = field
        self.table = Kernels([], ranges)
        self.rows: list[Any] = []
        self.names: dict[int, str] = {}
        """The parameters with a range by the places of their kernels."""

    def free(self, name: str) -> Element:
        """A parameter that ranges, as an element."""
        low, high = (fmpq(q.numerator, q.denominator) for q in self.table.ranges[name])
        made = self.field.free(name, low, high)
        place = next(i for i, d in enumerate(made.n.degrees()[1:]) if d)
        self.names[place] = name
        self.grow()
        return made

    def grow(self) -> None:
        """Takes over the kernels that the field has come to have."""
        for i, kernel in enumerate(self.field.kernels[len(self.rows) :], len(self.rows)):
            if kernel.kind == "free":
                row: dict[str, Any] = {"range": self.names[i]}
            elif kernel.kind == "exp":
                assert kernel.inner is not None
                n, d = self.plain(kernel.inner.n), self.plain(kernel.inner.d)
                row = {"exp": [str(n), str(d)]}
            elif kernel.kind == "log":
                row = {"log": str(self.plain(kernel.poly))}
            else:
                row = {"root": [str(self.plain(kernel.poly)), kernel.n]}
            self.table.add(row)
            self.rows.append(row)

    def plain(self, f: Poly) -> verifier.Poly:
        """The verifier's form of a polynomial whose kernels are all in the table."""
        terms, degree = {}, 0
        for monomial, c in f.to_dict().items():
            packed = 0
            for v, e in enumerate(monomial):
                if e:
                    packed |= int(e) << (BITS * v)
                    degree = max(degree, int(e))
            terms[packed] = int(c)
        return verifier.Poly(terms, degree)

    def poly(self, f: Poly) -> verifier.Poly:
        self.grow()
        return self.plain(f)

    def quotient(self, a: Element) -> tuple[verifier.Poly, verifier.Poly]:
        return self.poly(a.n), self.poly(a.d)

    def back(self, f: verifier.Poly) -> Poly:
        """FLINT's form of a polynomial of the verifier."""
        out = {}
        for monomial, c in f.terms.items():
            out[tuple((monomial >> (BITS * v)) & MASK for v in range(MAX_KERNELS + 1))] = c
        return RING.from_dict(out)

    def element(self, a: Quotient) -> Element:
        """A quotient of the verifier in the prover's normal form."""
        return self.field.quotient(self.back(a.n), self.back(a.d))

    def parts(self, a: Element, sign_of: Any) -> list[list[Any]]:
        """A positive element as a product of kernels' bases, the way the verifier reads it: `[[kernel, power], …]`."""
        powers: dict[int, int] = {}
        for poly, way in ((a.n, 1), (a.d, -1)):
            content, factors = self.field.factor(poly)
            for prime, e in _primes(abs(content)):
                self._count(powers, RING.constant(prime), way * e)
            for g, e in factors:
                single = self.field._single(g)
                if single is not None and single.kind in ("exp", "root"):
                    place = next(i for i, k in enumerate(self.field.kernels) if k is single)
                    powers[place] = powers.get(place, 0) + way * e
                    if single.kind == "root":
                        # The verifier knows the log of a root by the log of what it is taken of.
                        self.field._log_factor(single.poly)
                else:
                    self._count(powers, g if sign_of(g) > 0 else -g, way * e)
        self.grow()
        return [[place, str(e)] for place, e in sorted(powers.items()) if e]

    def _count(self, powers: dict[int, int], g: Poly, e: int) -> None:
        log = self.field._log_factor(g).n
        place = next(i for i, d in enumerate(log.degrees()[1:]) if d)
        powers[place] = powers.get(place, 0) + e


def _primes(n: int) -> list[tuple[int, int]]:
    if n == 1:
        return []
    return [(int(p), int(e)) for p, e in fmpz(n).factor()] if n.bit_length() <= FACTOR_BITS else [(n, 1)]
