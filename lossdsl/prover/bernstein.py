"""Signs of polynomials all over a box, by their coefficients in Bernstein's form; logs stand between two bounds.

Numbers that are only known to lie in a range, such as a parameter, are variables like x. A polynomial is nowhere less
than its least Bernstein coefficient: where none is negative, it is nowhere negative. log u lies between 1 - 1/u and
u - 1, so that log x is -(1-x)(x + t(1-x))/x with a t in (0, 1), and t is one more variable.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import comb

from lossdsl.prover.field import Field
from lossdsl.prover.points import Point
from lossdsl.prover.polynomials import Poly, X, terms_of

MOST_COEFFICIENTS = 3000
MOST_PARTS = 32
Sum = dict[tuple[int, ...], Fraction]
"""A polynomial: coefficients by exponents."""
Bound = tuple[Fraction, Fraction]
Box = tuple[Sum, list[Bound], list[int]]
"""A polynomial, what its variables lie between, and which of them reach the ends of that."""


def weak_sign(field: Field, f: Poly, low: Point, high: Point) -> tuple[int, bool]:
    """1 where f is nowhere negative for x in (low, high) and all values of the free numbers, -1 where nowhere positive.

    0 says nothing. Exponentials and roots are taken as positive numbers of any size. The second answer is whether f is
    certainly nowhere zero.

    >>> from flint import fmpq
    >>> from lossdsl.prover.points import ONE_END, ZERO_END
    >>> field = Field()
    >>> log = field.log(field.x, lambda g: 1)
    >>> weak_sign(field, (field.sub(log, field.x)).n, ZERO_END, ONE_END)
    (-1, True)
    """
    if low.side or high.side or f.is_zero():
        return 0, False
    ends = (_fraction(low.low), _fraction(high.high))
    signs, strict = set(), False
    for group in _groups(field, f):
        made = _in_box(field, group, ends)
        sign, nowhere_zero = (0, False) if made is None else _sign(*made)
        signs.add(sign)
        strict = strict or nowhere_zero
        if 0 in signs or len(signs) > 1:
            return 0, False
    return signs.pop(), strict


def _fraction(q: object) -> Fraction:
    return Fraction(int(q.p), int(q.q))  # type: ignore[attr-defined]


def _groups(field: Field, f: Poly) -> list[dict[tuple[int, ...], int]]:
    """The terms of f by their powers of exponentials and roots, those left out."""
    groups: dict[tuple[int, ...], dict[tuple[int, ...], int]] = {}
    positive = [k.kind in ("exp", "root") for k in field.kernels]
    for numbers, c in terms_of(f):
        outer = tuple(e for e, p in zip(numbers[1:], positive) if p)
        inner = (numbers[0], *(0 if p else e for e, p in zip(numbers[1:], positive)))
        groups.setdefault(outer, {})[inner] = c
    return list(groups.values())


def _in_box(field: Field, terms: dict[tuple[int, ...], int], ends: Bound) -> Box | None:
    """The terms in x and in one variable for each free number and each log, and what these lie between."""
    used = [i for i in range(len(field.kernels)) if any(m[i + 1] for m in terms)]
    bounds: list[Bound] = [ends]
    closed: list[int] = []
    logs: list[tuple[int, bool]] = []
    for i in used:
        kernel = field.kernels[i]
        if kernel.kind == "free":
            if kernel.high is None:
                return None
            closed.append(len(bounds))
            bounds.append((_fraction(kernel.low), _fraction(kernel.high)))
        elif kernel.kind == "log" and (kernel.poly == X or kernel.poly == 1 - X) and 0 <= ends[0] and ends[1] <= 1:
            logs.append((len(bounds), kernel.poly == X))
            bounds.append((Fraction(0), Fraction(1)))
        else:
            return None
    out: Sum = {m: Fraction(c) for m, c in (((t[0], *(t[i + 1] for i in used)), c) for t, c in terms.items())}
    for place, of_x in logs:
        out = _without_log(out, place, of_x, len(bounds))
    return out, bounds, closed


def _without_log(f: Sum, place: int, of_x: bool, count: int) -> Sum:
    """f with t in the place of a log, times the power of x, or of 1 - x, that makes it a polynomial."""
    most = max(m[place] for m in f)
    unit = (0,) * count
    x = {_put(unit, 0, 1): Fraction(1)}
    rest = {unit: Fraction(1), _put(unit, 0, 1): Fraction(-1)}
    argument, other = (x, rest) if of_x else (rest, x)
    # log u = -(1-u)(u + t(1-u))/u
    mixed = _sum(argument, _times(other, {_put(unit, place, 1): Fraction(1)}))
    log = _times(_times(other, mixed), {unit: Fraction(-1)})
    out: Sum = {}
    for m, c in f.items():
        term: Sum = {_put(m, place, 0): c}
        for _ in range(m[place]):
            term = _times(term, log)
        for _ in range(most - m[place]):
            term = _times(term, argument)
        out = _sum(out, term)
    return out


def _put(m: tuple[int, ...], place: int, e: int) -> tuple[int, ...]:
    return (*m[:place], e, *m[place + 1 :])


def _sum(f: Sum, g: Sum) -> Sum:
    out = dict(f)
    for m, c in g.items():
        out[m] = out.get(m, Fraction(0)) + c
    return {m: c for m, c in out.items() if c}


def _times(f: Sum, g: Sum) -> Sum:
    out: Sum = {}
    for m, c in f.items():
        for n, d in g.items():
            key = tuple(a + b for a, b in zip(m, n))
            out[key] = out.get(key, Fraction(0)) + c * d
    return {m: c for m, c in out.items() if c}


def _sign(f: Sum, bounds: list[Bound], closed: list[int]) -> tuple[int, bool]:
    """The weak sign of a polynomial on a box, which is cut into parts where it does not show at once."""
    if not f:
        return 0, False
    work, seen, found = [bounds], 0, set()
    while work:
        box = work.pop()
        seen += 1
        table = _coefficients(f, box)
        if table is None or seen > MOST_PARTS:
            return 0, False
        least, most = min(table.values()), max(table.values())
        if least >= 0 or most <= 0:
            found.add(1 if least >= 0 else -1)
            if len(found) > 1:
                return 0, False
            if seen == 1:
                return found.pop(), _nowhere_zero(table, closed)
            continue
        longest = max(range(len(box)), key=lambda i: (box[i][1] - box[i][0]) / (bounds[i][1] - bounds[i][0] or 1))
        middle = (box[longest][0] + box[longest][1]) / 2
        for part in ((box[longest][0], middle), (middle, box[longest][1])):
            work.append([*box[:longest], part, *box[longest + 1 :]])
    return found.pop(), False


def _nowhere_zero(table: Sum, closed: list[int]) -> bool:
    """Whether a coefficient at each corner of the variables that reach their ends is not zero.

    Inside of a box all of Bernstein's polynomials are positive, at an end of a variable only those of that end.
    """
    most = {i: max(m[i] for m in table) for i in closed}
    for corner in product(*({0, most[i]} for i in closed)):
        if not any(c and all(m[i] == e for i, e in zip(closed, corner)) for m, c in table.items()):
            return False
    return True


def _coefficients(f: Sum, box: list[Bound]) -> Sum | None:
    """All Bernstein coefficients on a box by their places; None where they are too many."""
    degrees = [max(m[i] for m in f) for i in range(len(box))]
    size = 1
    for d in degrees:
        size *= d + 1
    if size > MOST_COEFFICIENTS:
        return None
    table = {m: f.get(m, Fraction(0)) for m in product(*(range(d + 1) for d in degrees))}
    for axis, (degree, (low, high)) in enumerate(zip(degrees, box)):
        if degree:
            table = _along(table, axis, degree, low, high - low)
    return table


def _along(table: Sum, axis: int, degree: int, low: Fraction, length: Fraction) -> Sum:
    """One axis from powers of x to Bernstein's form on [low, low + length]."""
    rows: dict[tuple[int, ...], list[Fraction]] = {}
    for m, c in table.items():
        rows.setdefault(_put(m, axis, 0), [Fraction(0)] * (degree + 1))[m[axis]] = c
    out: Sum = {}
    for m, row in rows.items():
        moved = [
            sum((row[k] * comb(k, j) * low ** (k - j) for k in range(j, degree + 1)), Fraction(0)) * length**j
            for j in range(degree + 1)
        ]
        for i in range(degree + 1):
            parts = (moved[j] * Fraction(comb(i, j), comb(degree, j)) for j in range(i + 1))
            out[_put(m, axis, i)] = sum(parts, Fraction(0))
    return out
