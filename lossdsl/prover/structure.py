"""What the mere shape of a formula proves: intervals for its parts, without cells, kernels or a limit of size.

Serves where the exact form is too large or a kink moves with a parameter. An interval here is one of exact rationals or
infinities, with open or closed ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from flint import fmpq

from lossdsl.prover.cells import JUMPING, Ranges
from lossdsl.prover.terms import OBLIGING, Term, Terms

Bound = tuple[fmpq | None, bool]
"""A bound and whether it is taken; None is infinity, never taken."""


@dataclass(frozen=True, slots=True)
class Span:
    """All numbers between two bounds."""

    low: Bound
    high: Bound

    @property
    def positive(self) -> bool:
        return self.low[0] is not None and (self.low[0] > 0 or (self.low[0] == 0 and not self.low[1]))

    @property
    def nonnegative(self) -> bool:
        return self.low[0] is not None and self.low[0] >= 0

    @property
    def negative(self) -> bool:
        return self.high[0] is not None and (self.high[0] < 0 or (self.high[0] == 0 and not self.high[1]))


REALS = Span((None, False), (None, False))
POSITIVE = Span((fmpq(0), False), (None, False))
NONNEGATIVE = Span((fmpq(0), True), (None, False))


def total(terms: Terms, free: Ranges | None = None) -> bool:
    """Whether every part is certainly real and finite everywhere: no log, root or division can go wrong."""
    spans: dict[int, Span] = {}
    for i in terms.needed():
        term = terms.items[i]
        inner = [spans[a] for a in term.args]
        if term.op in OBLIGING and not _fine(term, inner):
            return False
        spans[i] = _span(term, inner, free or {}, terms.score)
    return True


def unbroken(terms: Terms) -> bool:
    """Whether the formula has no part that can jump."""
    return not any(terms.items[i].op in JUMPING for i in terms.needed())


def _fine(term: Term, inner: list[Span]) -> bool:
    a = inner[0]
    if term.op == "inv":
        return a.positive or a.negative
    if term.op == "power" and term.value is not None:
        if term.value.q == 1:
            return term.value > 0 or a.positive or a.negative
        return a.positive or (term.value > 0 and a.nonnegative)
    return a.positive


def _span(term: Term, inner: list[Span], free: Ranges, score: bool) -> Span:
    op = term.op
    if op == "const":
        return Span((term.value, True), (term.value, True))
    if op == "x":
        return REALS if score else Span((fmpq(0), False), (fmpq(1), False))
    if op == "free":
        low, high = free[term.name]
        return Span((low, high is not None), (high, high is not None))
    a = inner[0]
    if op == "neg":
        return _neg(a)
    if op == "add":
        return Span(_plus(a.low, inner[1].low), _plus(a.high, inner[1].high))
    if op == "mul":
        return _times(a, inner[1])
    if op == "exp":
        low = (fmpq(1), a.low[1]) if a.nonnegative else (fmpq(0), False)
        high = (fmpq(1), True) if a.high[0] is not None and a.high[0] <= 0 else (None, False)
        return Span(low, high)
    if op == "log":
        low = (fmpq(0), True) if a.low[0] is not None and a.low[0] >= 1 else (None, False)
        high = (fmpq(0), True) if a.high[0] is not None and a.high[0] <= 1 else (None, False)
        return Span(low, high)
    if op == "inv":
        return POSITIVE if a.positive else Span((None, False), (fmpq(0), False))
    if op == "power":
        return _raised(a, term.value)
    if op == "tower":
        return POSITIVE
    if op == "abs":
        if a.nonnegative:
            return a
        return NONNEGATIVE if not a.negative else _neg(a)
    if op == "sign":
        return Span((fmpq(-1), True), (fmpq(1), True))
    if op == "select":
        return _hull(inner[1], inner[2])
    b = inner[1]
    if op == "max":
        return Span(_higher(a.low, b.low), _highest(a.high, b.high))
    return _neg(Span(_higher(_neg(a).low, _neg(b).low), _highest(_neg(a).high, _neg(b).high)))


def _raised(a: Span, q: fmpq | None) -> Span:
    even = q is not None and q.q == 1 and int(q.p) % 2 == 0
    if a.positive or (even and a.negative):
        return POSITIVE
    if a.nonnegative or even or (q is not None and q.q != 1):
        return NONNEGATIVE
    return REALS


def _neg(a: Span) -> Span:
    def turn(bound: Bound) -> Bound:
        return (None if bound[0] is None else -bound[0], bound[1])

    return Span(turn(a.high), turn(a.low))


def _plus(a: Bound, b: Bound) -> Bound:
    return (None, False) if a[0] is None or b[0] is None else (a[0] + b[0], a[1] and b[1])


def _times(a: Span, b: Span) -> Span:
    if a.nonnegative and b.nonnegative:
        low = a.low[0] * b.low[0] if a.low[0] is not None and b.low[0] is not None else fmpq(0)
        high: Bound = (None, False)
        if a.high[0] is not None and b.high[0] is not None:
            high = (a.high[0] * b.high[0], True)
        return Span((low, not (a.positive and b.positive) or low > 0), high)
    if _neg(a).nonnegative:
        return _neg(_times(_neg(a), b)) if b.nonnegative or _neg(b).nonnegative else REALS
    if _neg(b).nonnegative:
        return _neg(_times(a, _neg(b))) if a.nonnegative else REALS
    return REALS


def _higher(a: Bound, b: Bound) -> Bound:
    """The greater of two lower bounds."""
    if a[0] is None:
        return b
    if b[0] is None:
        return a
    return a if (a[0], not a[1]) >= (b[0], not b[1]) else b


def _highest(a: Bound, b: Bound) -> Bound:
    """The greater of two upper bounds."""
    if a[0] is None or b[0] is None:
        return (None, False)
    return a if (a[0], a[1]) >= (b[0], b[1]) else b


def _hull(a: Span, b: Span) -> Span:
    return Span(_lowest(a.low, b.low), _highest(a.high, b.high))


def _lowest(a: Bound, b: Bound) -> Bound:
    """The smaller of two lower bounds."""
    if a[0] is None or b[0] is None:
        return (None, False)
    return a if (a[0], not a[1]) <= (b[0], not b[1]) else b


def trend(terms: Terms, free: Ranges | None = None) -> int | None:
    """1 if the formula never falls along the axis, -1 if it never rises, 0 if it is constant; None: the shape is mute.

    Holds for formulas that are `total`.
    """
    spans: dict[int, Span] = {}
    ways: dict[int, int | None] = {}
    for i in terms.needed():
        term = terms.items[i]
        spans[i] = _span(term, [spans[a] for a in term.args], free or {}, terms.score)
        ways[i] = _way(term, [spans[a] for a in term.args], [ways[a] for a in term.args])
    return ways[terms.root]


def _way(term: Term, spans: list[Span], ways: list[int | None]) -> int | None:
    op = term.op
    if op in ("const", "free"):
        return 0
    if op == "x":
        return 1
    if all(way == 0 for way in ways):
        return 0
    if None in ways:
        return None
    a = ways[0]
    assert a is not None
    if op in ("neg", "inv"):
        return -a
    if op in ("exp", "log", "sign"):
        return a
    if op in ("add", "max", "min"):
        return _together(a, ways[1])
    if op == "mul":
        return _together(_scaled(a, spans[1]), _scaled(ways[1], spans[0]))
    if op == "abs":
        return _scaled(a, spans[0])
    if op == "power" and term.value is not None:
        odd = term.value.q == 1 and int(term.value.p) % 2 == 1 and term.value > 0
        way = a if odd or spans[0].nonnegative else -a if _neg(spans[0]).nonnegative else None
        return way if term.value > 0 or way is None else -way
    return None


def _together(a: int | None, b: int | None) -> int | None:
    """The trend of a sum of two."""
    if a is None or b is None or a * b < 0:
        return None
    return a or b


def _scaled(way: int | None, factor: Span) -> int | None:
    """The trend times the sign of a factor."""
    if way is None or way == 0:
        return way
    return way if factor.nonnegative else -way if _neg(factor).nonnegative else None
