"""The weak sign of a polynomial on boxes, by its coefficients in Bernstein's form.

x, parameters with a range, and exponentials between 0 and 1 are variables. log u lies strictly between 1 - 1/u and
u - 1, so that log x = -(1-x)(x + t(1-x))/x with a t in (0, 1), which is a variable too; the same for log(1-x). A
polynomial lies between its least and its largest coefficient on a box.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import comb

from lossdsl.verifier.boxes import Box, Range
from lossdsl.verifier.kernels import Kernels
from lossdsl.verifier.limits import Rejected, spend
from lossdsl.verifier.polynomials import BITS, MASK, ONE, Poly, X

MOST_COEFFICIENTS = 4000
UNIT = (Fraction(0), Fraction(1))
Sum = dict[tuple[int, ...], Fraction]


@dataclass(frozen=True)
class Variables:
    """What a polynomial is one of: names, what they lie between, and which ends of that are reached."""

    sum: Sum
    whole: Box
    reached: dict[str, tuple[bool, bool]]


def name_of(v: int) -> str:
    return "x" if v == 0 else f"k{v - 1}"


def spread(table: Kernels, f: Poly, low: Fraction, high: Fraction, small: frozenset[int]) -> Variables:
    """f times a positive factor, in variables; `small` are the kernels known to lie in (0, 1]."""
    used = f.variables()
    whole: Box = {}
    reached: dict[str, tuple[bool, bool]] = {}
    logs: list[tuple[int, bool]] = []
    if 0 not in used:
        used = [0, *used]
    for place, v in enumerate(used):
        name = name_of(v)
        kernel = table.items[v - 1] if v else None
        if kernel is None:
            whole[name], reached[name] = (low, high), (False, False)
        elif kernel.kind == "range":
            whole[name], reached[name] = kernel.ends, (True, True)
            if kernel.ends[0] == kernel.ends[1]:
                raise Rejected("a range is a single number")
        elif v in small and kernel.kind in ("exp", "root"):
            whole[name], reached[name] = UNIT, (False, True)
        elif kernel.kind == "log" and kernel.n in (X, ONE - X):
            whole[name], reached[name] = UNIT, (False, False)
            logs.append((place, kernel.n == X))
        else:
            raise Rejected(f"nothing is known of the size of {name}")
    terms = {tuple((m >> (BITS * v)) & MASK for v in used): Fraction(c) for m, c in f.terms.items()}
    for place, of_x in logs:
        terms = _without_log(terms, place, of_x)
    return Variables(terms, whole, reached)


def _without_log(f: Sum, place: int, of_x: bool) -> Sum:
    """f with t instead of a log, times the power of its argument that makes it a polynomial."""
    most = max(m[place] for m in f)
    count = len(next(iter(f)))
    x = tuple(int(i == 0) for i in range(count))
    t = tuple(int(i == place) for i in range(count))
    unit = (0,) * count
    share: Sum = {x: Fraction(1)}
    rest: Sum = {unit: Fraction(1), x: Fraction(-1)}
    argument, other = (share, rest) if of_x else (rest, share)
    log = _times(_times(other, _plus(argument, _times(other, {t: Fraction(1)}))), {unit: Fraction(-1)})
    out: Sum = {}
    for m, c in f.items():
        term: Sum = {tuple(0 if i == place else e for i, e in enumerate(m)): c}
        for k in range(most):
            term = _times(term, log if k < m[place] else argument)
        out = _plus(out, term)
    return out


def _plus(f: Sum, g: Sum) -> Sum:
    out = dict(f)
    for m, c in g.items():
        out[m] = out.get(m, Fraction(0)) + c
    return {m: c for m, c in out.items() if c}


def _times(f: Sum, g: Sum) -> Sum:
    spend(10 * len(f) * len(g))
    out: Sum = {}
    for m, c in f.items():
        for n, d in g.items():
            key = tuple(a + b for a, b in zip(m, n))
            out[key] = out.get(key, Fraction(0)) + c * d
    return {m: c for m, c in out.items() if c}


def sign_on(variables: Variables, box: Box) -> tuple[int, bool] | None:
    """1 where f is nowhere negative on a box, -1 where nowhere positive, and whether it is nowhere zero; or None."""
    table = coefficients(variables.sum, [box[name] for name in variables.whole])
    least, most = min(table.values(), default=Fraction(0)), max(table.values(), default=Fraction(0))
    if least < 0 < most or least == most == 0:
        return None
    return (1 if least >= 0 else -1), _nowhere_zero(variables, box, table)


def _nowhere_zero(variables: Variables, box: Box, table: Sum) -> bool:
    """Whether at each corner of ends that are reached there is a coefficient that is not zero.

    Where a variable is strictly inside its range, all of Bernstein's polynomials in it are positive; at an end, that of
    the end alone.
    """
    ends: list[list[tuple[int, int]]] = []
    for i, (name, whole) in enumerate(variables.whole.items()):
        degree = max(m[i] for m in table)
        low, high = variables.reached[name]
        at = [(i, 0)] if low or box[name][0] > whole[0] else []
        at += [(i, degree)] if high or box[name][1] < whole[1] else []
        if at:
            ends.append(at)
    return all(any(c and all(m[i] == e for i, e in corner) for m, c in table.items()) for corner in product(*ends))


def coefficients(f: Sum, ranges: list[Range]) -> Sum:
    """All coefficients in Bernstein's form on a box.

    >>> half = (Fraction(0), Fraction(1, 2))
    >>> coefficients({(0,): Fraction(1), (1,): Fraction(-2)}, [half])       # 1 - 2x
    {(0,): Fraction(1, 1), (1,): Fraction(0, 1)}
    """
    degrees = [max((m[i] for m in f), default=0) for i in range(len(ranges))]
    size = 1
    for d in degrees:
        size *= d + 1
    if size > MOST_COEFFICIENTS:
        raise Rejected("a polynomial has too many coefficients in Bernstein's form")
    # What is worked out for an axis grows with the cube of its degree, and its fractions are long.
    spend(10 * size * (1 + sum(degrees)) + sum(20 * (d + 1) ** 3 for d in degrees))
    table = {m: f.get(m, Fraction(0)) for m in product(*(range(d + 1) for d in degrees))}
    for axis, (degree, (low, high)) in enumerate(zip(degrees, ranges)):
        table = _along(table, axis, degree, low, high - low)
    return table


def _along(table: Sum, axis: int, degree: int, low: Fraction, length: Fraction) -> Sum:
    """One axis from powers of the variable to Bernstein's form on [low, low + length]."""
    # The power v^k, as (low + length s)^k, has the coefficients sum_j C(k,j) low^(k-j) length^j C(i,j)/C(degree,j).
    powers = [
        [
            sum(
                (
                    low ** (k - j) * length**j * Fraction(comb(k, j) * comb(i, j), comb(degree, j))
                    for j in range(min(i, k) + 1)
                ),
                Fraction(0),
            )
            for k in range(degree + 1)
        ]
        for i in range(degree + 1)
    ]
    out: Sum = {}
    for m, c in table.items():
        if c:
            for i in range(degree + 1):
                key = (*m[:axis], i, *m[axis + 1 :])
                out[key] = out.get(key, Fraction(0)) + c * powers[i][m[axis]]
        else:
            out.setdefault(m, Fraction(0))
    return {m: out.get(m, Fraction(0)) for m in table}
