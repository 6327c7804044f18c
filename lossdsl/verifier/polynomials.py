"""Polynomials with whole coefficients in x and the kernels, sparse, exact.

A monomial is one whole number, 20 bits for each variable's exponent (x first), so that multiplying monomials is adding
numbers. `degree` bounds every exponent and keeps the fields from running into each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import reduce
from math import gcd

from lossdsl.verifier.limits import (
    MAX_BITS,
    MAX_DIGITS,
    MAX_EXPONENT,
    MAX_KERNELS,
    MAX_TERMS,
    Malformed,
    Rejected,
    spend,
)

BITS = 20
MASK = (1 << BITS) - 1
Key = tuple[tuple[int, int], ...]


class Poly:
    """An immutable polynomial; variable 0 is x, variable i + 1 is kernel i.

    >>> from lossdsl.verifier.polynomials import X, ONE
    >>> print((X + ONE) * (X - ONE))
    x^2-1
    """

    __slots__ = ("terms", "degree")

    def __init__(self, terms: Mapping[int, int], degree: int) -> None:
        self.terms = terms
        self.degree = degree

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __eq__(self, other: object) -> bool:
        return self.terms == other.terms if isinstance(other, Poly) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> Key:
        """The terms in order: equal for equal polynomials."""
        return tuple(sorted(self.terms.items()))

    @property
    def constant(self) -> int | None:
        """The value of a polynomial without variables."""
        if not self.terms:
            return 0
        return self.terms.get(0) if len(self.terms) == 1 else None

    @property
    def bits(self) -> int:
        """The length of the longest coefficient."""
        return max((c.bit_length() for c in self.terms.values()), default=0)

    def __add__(self, other: Poly) -> Poly:
        return self._combine(other, 1)

    def __sub__(self, other: Poly) -> Poly:
        return self._combine(other, -1)

    def _combine(self, other: Poly, way: int) -> Poly:
        spend(len(self.terms) + len(other.terms))
        out = dict(self.terms)
        for monomial, c in other.terms.items():
            total = out.get(monomial, 0) + way * c
            if total:
                out[monomial] = total
            else:
                del out[monomial]
        if len(out) > MAX_TERMS:
            raise Rejected("a polynomial has too many terms")
        return Poly(out, max(self.degree, other.degree))

    def __neg__(self) -> Poly:
        return Poly({m: -c for m, c in self.terms.items()}, self.degree)

    def __mul__(self, other: Poly) -> Poly:
        degree = self.degree + other.degree
        if degree > MASK >> 1:
            raise Rejected("a polynomial has too high a degree")
        # A product of long coefficients costs more than one step; beyond MAX_BITS nothing honest needs them.
        bits = self.bits + other.bits
        if bits > MAX_BITS:
            raise Rejected("a polynomial has coefficients with too many digits")
        spend(len(self.terms) * len(other.terms) * (1 + bits // 1024) + 1)
        out: dict[int, int] = {}
        get = out.get
        for m, c in self.terms.items():
            for n, d in other.terms.items():
                out[m + n] = get(m + n, 0) + c * d
            if len(out) > 4 * MAX_TERMS:  # some may cancel, but memory is to be had now
                raise Rejected("a polynomial has too many terms")
        out = {m: c for m, c in out.items() if c}
        if len(out) > MAX_TERMS:
            raise Rejected("a polynomial has too many terms")
        return Poly(out, degree)

    def __pow__(self, n: int) -> Poly:
        result, square = ONE, self
        while n:
            if n & 1:
                result = result * square
            n >>= 1
            if n:
                square = square * square
        return result

    def scale(self, c: int) -> Poly:
        """The polynomial times a whole number."""
        return Poly({m: c * d for m, d in self.terms.items()}, self.degree) if c else ZERO

    def partial(self, variable: int) -> Poly:
        """The partial derivative, the kernels taken as free variables."""
        shift = BITS * variable
        out = {}
        for m, c in self.terms.items():
            e = (m >> shift) & MASK
            if e:
                out[m - (1 << shift)] = c * e
        return Poly(out, self.degree)

    def variables(self) -> list[int]:
        """The variables that occur, in order."""
        union = reduce(lambda a, b: a | b, self.terms, 0)
        return [v for v in range(union.bit_length() // BITS + 1) if (union >> (BITS * v)) & MASK]

    def highest(self, variable: int) -> int:
        """The largest exponent of a variable."""
        shift = BITS * variable
        return max(((m >> shift) & MASK for m in self.terms), default=0)

    def split(self, variable: int) -> dict[int, Poly]:
        """The coefficients by powers of one variable."""
        shift = BITS * variable
        parts: dict[int, dict[int, int]] = {}
        for m, c in self.terms.items():
            e = (m >> shift) & MASK
            parts.setdefault(e, {})[m - (e << shift)] = c
        return {e: Poly(part, self.degree) for e, part in parts.items()}

    def dense(self) -> list[int]:
        """The coefficients from the lowest up, of a polynomial in x alone."""
        out = [0] * (self.highest(0) + 1)
        for m, c in self.terms.items():
            out[m] = c
        return out

    def primitive(self) -> tuple[int, Poly]:
        """A whole factor and the rest, whose coefficients share none and whose leading one is positive."""
        if not self.terms:
            return 0, self
        content = reduce(gcd, self.terms.values(), 0)
        if self.terms[max(self.terms)] < 0:
            content = -content
        return content, self if content == 1 else Poly({m: c // content for m, c in self.terms.items()}, self.degree)

    def __str__(self) -> str:
        return write(self)

    __repr__ = __str__


def whole(n: int) -> Poly:
    """A whole number as a polynomial."""
    return Poly({0: n} if n else {}, 0)


def variable(v: int) -> Poly:
    """Variable v as a polynomial."""
    return Poly({1 << (BITS * v): 1}, 1)


ZERO, ONE, X = whole(0), whole(1), variable(0)


def from_dense(coefficients: list[int]) -> Poly:
    """A polynomial in x alone."""
    return Poly({i: c for i, c in enumerate(coefficients) if c}, max(len(coefficients) - 1, 0))


def mirrored(f: Poly) -> Poly:
    """f with x replaced by 1 - x, the kernels left as they are."""
    result, base = ZERO, ONE - X
    parts = f.split(0)
    for e in range(max(parts, default=0), -1, -1):
        result = result * base + parts.get(e, ZERO)
    return result


_TERM = re.compile(r"([+-]?)(\d+|(?=[xk]))((?:\*?(?:x|k\d{1,2})(?:\^\d{1,5})?)*)")
_FACTOR = re.compile(r"(x|k\d{1,2})(?:\^(\d{1,5}))?")


def write(f: Poly) -> str:
    """The text of a polynomial, the form that certificates use."""
    out: list[str] = []
    for m, c in sorted(f.terms.items(), reverse=True):
        factors = []
        for v in range(m.bit_length() // BITS + 1):
            e = (m >> (BITS * v)) & MASK
            if e:
                name = "x" if v == 0 else f"k{v - 1}"
                factors.append(name if e == 1 else f"{name}^{e}")
        body = "*".join(factors if factors and abs(c) == 1 else [str(abs(c)), *factors])
        out.append(("-" if c < 0 else "+" if out else "") + body)
    return "".join(out) or "0"


def read(text: object, kernels: int = MAX_KERNELS) -> Poly:
    """The polynomial of a text, of which the first `kernels` kernels may occur; `Malformed` where it is none.

    >>> from lossdsl.verifier.polynomials import read
    >>> print(read("k0^2*x-3+x"))
    x*k0^2+x-3
    """
    if not isinstance(text, str) or not text:
        raise Malformed("a polynomial is a text such as 3*x^2*k0-1")
    spend(len(text))
    terms: dict[int, int] = {}
    place, degree = 0, 0
    while place < len(text):
        found = _TERM.match(text, place)
        if found is None or found.end() == place or (place and not found[1]) or len(found[2]) > MAX_DIGITS:
            raise Malformed(f"no polynomial: {text[place : place + 20]!r}")
        if (found[2] and found[3] and not found[3].startswith("*")) or (not found[2] and found[3].startswith("*")):
            raise Malformed(f"no polynomial: {found[0][:20]!r}")
        monomial = 0
        for name, power in _FACTOR.findall(found[3]):
            e = int(power or 1)
            v = 0 if name == "x" else int(name[1:]) + 1
            if e > MAX_EXPONENT or v > kernels or (monomial >> (BITS * v)) & MASK:
                raise Malformed(f"the polynomial has {name}^{e}, which may not occur here")
            monomial += e << (BITS * v)
            degree = max(degree, e)
        c = int(found[2] or 1) * (-1 if found[1] == "-" else 1)
        if monomial in terms or (c == 0 and text != "0"):
            raise Malformed("a polynomial repeats a monomial or has a zero coefficient")
        if c:
            terms[monomial] = c
        if len(terms) > MAX_TERMS:
            raise Malformed("a polynomial has too many terms")
        place = found.end()
    return Poly(terms, degree)
