"""Polynomials with whole coefficients in x and in the places of kernels, on FLINT: forms, keys, factors."""

from __future__ import annotations

from math import gcd
from typing import Any

from flint import Ordering, fmpq, fmpz_mpoly_ctx, fmpz_poly

MAX_KERNELS = 14
"""The ring has a place for so many kernels; a formula that needs more is undecided."""

RING = fmpz_mpoly_ctx.get(("x", *(f"k{i}" for i in range(MAX_KERNELS))), Ordering.lex)
GENERATORS = RING.gens()
X = GENERATORS[0]
UNIT, NIL = RING.constant(1), RING.constant(0)
_FLAT = (0,) * MAX_KERNELS

Poly = Any
"""FLINT's `fmpz_mpoly`, which comes without type hints."""
PolyKey = tuple[tuple[tuple[int, ...], int], ...]


def poly_key(f: Poly) -> PolyKey:
    """The terms of a polynomial, sorted."""
    return tuple(sorted((m, int(c)) for m, c in f.to_dict().items()))


def only_x(f: Poly) -> bool:
    """Whether no kernel occurs."""
    return not any(f.degrees()[1:])


def univariate(f: Poly) -> fmpz_poly:
    """A polynomial in x alone, in FLINT's form for one variable."""
    coefficients = [0] * (f.degrees()[0] + 1)
    for monomial, c in f.to_dict().items():
        coefficients[monomial[0]] = int(c)
    return fmpz_poly(coefficients)


def multivariate(f: fmpz_poly) -> Poly:
    """The inverse of `univariate`."""
    return RING.from_dict({(i, *_FLAT): int(c) for i, c in enumerate(f.coeffs()) if c != 0})


def linear(q: fmpq) -> Poly:
    """The polynomial of x that vanishes at a rational."""
    return int(q.q) * X - int(q.p)


def factor(f: Poly) -> tuple[int, list[tuple[Poly, int]]]:
    """Content and irreducible factors over the whole numbers."""
    if f.is_constant():
        return int(f.leading_coefficient()), []
    if only_x(f):
        content, factors = univariate(f).factor()
        return int(content), [(multivariate(g), int(e)) for g, e in factors]
    try:
        content, factors = f.factor()
        return int(content), [(g, int(e)) for g, e in factors]
    except OverflowError:
        return _split_only(f)


def _split_only(f: Poly) -> tuple[int, list[tuple[Poly, int]]]:
    """What can be split off where FLINT's factoring overflows: the content and the part in x alone.

    The rest may be reducible, which costs completeness, never soundness.
    """
    content, g = f.primitive()
    groups: dict[tuple[int, ...], dict[tuple[int, ...], int]] = {}
    for monomial, c in g.to_dict().items():
        groups.setdefault(monomial[1:], {})[(monomial[0], *_FLAT)] = c
    common = NIL
    for group in groups.values():
        part = RING.from_dict(group)
        common = part if common.is_zero() else common.gcd(part)
    factors: list[tuple[Poly, int]] = []
    whole = int(content)
    if not common.is_constant():
        inner, factors = factor(common)
        g = g // common
        whole *= inner
    if g.leading_coefficient() < 0:
        g, whole = -g, -whole
    return whole, [*factors, (g, 1)]


def content_of(f: Poly) -> int:
    """The positive greatest common divisor of the coefficients."""
    result = 0
    for c in f.to_dict().values():
        result = gcd(result, int(c))
    return result
