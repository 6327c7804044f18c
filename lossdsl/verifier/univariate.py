"""Polynomials in x alone, as lists of whole coefficients from the lowest up: Sturm's theorem and exact signs."""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from math import gcd

from lossdsl.verifier.limits import MAX_STURM_DEGREE, Rejected, spend


def _trim(f: list[int]) -> list[int]:
    while f and f[-1] == 0:
        f.pop()
    content = reduce(gcd, f, 0)
    return [c // content for c in f] if content > 1 else f


def derivative(f: list[int]) -> list[int]:
    return [i * c for i, c in enumerate(f)][1:]


def sign_at(f: list[int], x: Fraction) -> int:
    """The exact sign of f at a rational.

    >>> from fractions import Fraction
    >>> sign_at([-2, 0, 1], Fraction(3, 2))
    1
    """
    a, b = x.numerator, x.denominator
    total, scale = 0, 1
    spend(len(f) * (1 + (a.bit_length() + b.bit_length()) // 64))
    for c in reversed(f):
        total = total * a + c * scale
        scale *= b
    return (total > 0) - (total < 0)


def _remainder(f: list[int], g: list[int]) -> list[int]:
    """A positive multiple of the remainder of f by g."""
    f = list(f)
    lead = g[-1]
    while len(f) >= len(g):
        spend(2 * len(f) * (1 + (lead.bit_length() + f[-1].bit_length()) // 64))
        top, shift = f[-1], len(f) - len(g)
        factor = abs(lead)
        top = top if lead > 0 else -top
        f = [factor * c for c in f]
        for i, c in enumerate(g):
            f[shift + i] -= top * c
        f.pop()
        f = _trim(f)
    return f


def chain(f: list[int]) -> list[list[int]]:
    """Sturm's sequence of the square-free part of f."""
    if len(f) - 1 > MAX_STURM_DEGREE:
        raise Rejected("a polynomial has too high a degree")
    seq = [_trim(list(f)), _trim(derivative(f))]
    while seq[-1]:
        seq.append([-c for c in _remainder(seq[-2], seq[-1])])
    seq.pop()
    if len(seq[-1]) > 1:
        return chain(_exact_quotient(seq[0], seq[-1]))
    return seq


def _exact_quotient(f: list[int], g: list[int]) -> list[int]:
    """f divided by a divisor g, up to a positive factor."""
    rest = [Fraction(c) for c in f]
    out = [Fraction(0)] * (len(f) - len(g) + 1)
    for shift in range(len(f) - len(g), -1, -1):
        out[shift] = q = rest[shift + len(g) - 1] / g[-1]
        for i, c in enumerate(g):
            rest[shift + i] -= q * c
    scale = reduce(lambda a, q: a * q.denominator // gcd(a, q.denominator), out, 1)
    return _trim([int(q * scale) for q in out])


def _variations(seq: list[list[int]], x: Fraction) -> int:
    signs = [s for s in (sign_at(f, x) for f in seq) if s]
    return sum(a != b for a, b in zip(signs, signs[1:]))


def roots_within(f: list[int], low: Fraction, high: Fraction) -> int:
    """How many different roots f has in the half-open interval (low, high].

    >>> from fractions import Fraction
    >>> roots_within([0, -1, 0, 1], Fraction(-1), Fraction(1))      # x^3 - x
    2
    """
    if len(f) < 2:
        return 0
    seq = chain(f)
    return _variations(seq, low) - _variations(seq, high)


def roots_on(f: list[int], low: Fraction, high: Fraction) -> int:
    """How many different roots f has in the closed interval [low, high]."""
    return roots_within(f, low, high) + (sign_at(f, low) == 0)


def common(f: list[int], g: list[int]) -> list[int]:
    """The greatest common divisor, up to a constant."""
    f, g = _trim(list(f)), _trim(list(g))
    while g:
        f, g = g, (_remainder(f, g) if len(f) >= len(g) else f)
    return f
