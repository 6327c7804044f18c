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


_ONE_LESS_X = fmpz_poly([1, -1])
Powers = tuple[tuple[int, int], ...]
"""Places of kernels with their exponents, which are not zero."""
Sparse = tuple[tuple[int, Powers, int], ...]


class _Known:
    """What was worked out of one polynomial: FLINT makes fifteen objects a term each time that it is asked."""

    __slots__ = ("f", "terms", "sparse", "mirrored", "key", "degrees", "only_x", "univariate")

    def __init__(self, f: Poly) -> None:
        self.f = f
        self.terms: PolyKey | None = None
        self.sparse: Sparse | None = None
        self.mirrored: Sparse | None = None
        self.key: PolyKey | None = None
        self.degrees: tuple[int, ...] | None = None
        self.only_x: bool | None = None
        self.univariate: fmpz_poly | None = None


_KNOWN: dict[int, _Known] = {}
MOST_KNOWN = 2048
LONGEST_KNOWN = 64
"""Polynomials of more terms than this are worked out anew each time, so that what is known stays small."""


def _known(f: Poly) -> _Known:
    found = _KNOWN.get(id(f))
    if found is not None and found.f is f:
        return found
    made = _Known(f)
    if len(f) <= LONGEST_KNOWN:
        if len(_KNOWN) >= MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[id(f)] = made  # holds the polynomial, so that the id stays its own
    return made


def terms_of(f: Poly) -> PolyKey:
    """The exponents and the coefficient of each term, in FLINT's order.

    >>> [(exponents[:2], c) for exponents, c in terms_of(3 * X**2 - GENERATORS[1])]
    [((2, 0), 3), ((0, 1), -1)]
    """
    known = _known(f)
    if known.terms is None:
        known.terms = tuple((tuple(map(int, m)), int(c)) for m, c in zip(f.monoms(), f.coeffs()))
    return known.terms


def sparse_terms(f: Poly) -> Sparse:
    """The power of x, the powers of kernels and the coefficient of each term, in FLINT's order.

    >>> sparse_terms(3 * X**2 - GENERATORS[1])
    ((2, (), 3), (0, ((0, 1),), -1))
    """
    known = _known(f)
    if known.sparse is None:
        used = [i for i, e in enumerate(f.degrees()) if i and e]
        known.sparse = tuple(
            [
                (int(m[0]), tuple([(i - 1, int(m[i])) for i in used if m[i]]), int(c))
                for m, c in zip(f.monoms(), f.coeffs())
            ]
        )
    return known.sparse


def mirrored_terms(f: Poly) -> Sparse:
    """The same for f with 1 - x in the place of x.

    >>> mirrored_terms(X**2)
    ((2, (), 1), (1, (), -2), (0, (), 1))
    """
    known = _known(f)
    if known.mirrored is None:
        rows: dict[Powers, dict[int, int]] = {}
        for e, powers, c in sparse_terms(f):
            rows.setdefault(powers, {})[e] = c
        out = []
        for powers, row in rows.items():
            turned = fmpz_poly([row.get(e, 0) for e in range(max(row) + 1)])(_ONE_LESS_X).coeffs()
            out += [(e, powers, int(turned[e])) for e in range(len(turned) - 1, -1, -1) if turned[e]]
        known.mirrored = tuple(out)
    return known.mirrored


def poly_key(f: Poly) -> PolyKey:
    """The terms of a polynomial, sorted."""
    known = _known(f)
    if known.key is None:
        if only_x(f):
            known.key = tuple([((e, *_FLAT), int(c)) for e, c in enumerate(univariate(f).coeffs()) if c])
        else:
            known.key = tuple(sorted(terms_of(f)))
    return known.key


def only_x(f: Poly) -> bool:
    """Whether no kernel occurs."""
    known = _KNOWN.get(id(f))
    if known is None or known.f is not f:
        known = _known(f)
    if known.only_x is None:
        known.degrees = f.degrees()
        known.only_x = not any(known.degrees[1:])
    return known.only_x


def univariate(f: Poly) -> fmpz_poly:
    """A polynomial in x alone, in FLINT's form for one variable."""
    known = _KNOWN.get(id(f))
    if known is None or known.f is not f:
        known = _known(f)
    if known.univariate is None:
        size = int((known.degrees or f.degrees())[0]) + 1
        coefficients = f.coeffs()
        if len(coefficients) == size:
            coefficients.reverse()  # none is missing
        else:
            given, coefficients = coefficients, [0] * size
            for monomial, c in zip(f.monoms(), given):
                coefficients[int(monomial[0])] = c
        known.univariate = fmpz_poly(coefficients)
    return known.univariate


def univariate_mirrored(f: Poly) -> fmpz_poly:
    """A polynomial in x alone with 1 - x in the place of x."""
    return univariate(f)(_ONE_LESS_X)


def same_sign(row: fmpz_poly) -> int | None:
    """The sign of all coefficients, if they share one."""
    positive = negative = False
    for c in row.coeffs():
        if c > 0:
            positive = True
        elif c < 0:
            negative = True
    return None if positive == negative else 1 if positive else -1


def spread(f: Poly) -> Poly:
    """The numerator of f at x = u/(1+u), u > 0 standing for x in (0,1), kernels left as they are; written in x.

    >>> spread(1 - X)
    1
    """
    degree = f.degrees()[0]
    rows: dict[int, dict[tuple[int, ...], int]] = {}
    for monomial, c in terms_of(f):
        rows.setdefault(int(monomial[0]), {})[(0, *monomial[1:])] = c
    total = NIL
    for e, row in rows.items():
        total = total + RING.from_dict(row) * X**e * (1 + X) ** (degree - e)
    return total


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
