"""Values, slopes and second derivatives of a loss on a whole box of predictions, labels and parameters.

The second derivative is meant as a measure: where a kink may bend the loss up without end, its span has no upper end;
so it is never negative exactly where the slope never falls. It is only asked for where the loss does not jump.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lossdsl.verifier.limits import Rejected
from lossdsl.verifier.spans import ALL, BOTTOM, ONE, TOP, ZERO, Span, Spans, hull, lower, opposite
from lossdsl.verifier.terms import KINKED, Term, Terms, holds

Jet = tuple[Span, Span, Span]


@dataclass(frozen=True)
class Region:
    """Spans of pred, of the names that are free, and of label - pred where that is known."""

    pred: Span
    free: Mapping[str, Span]
    distance: Span | None = None


class Jets:
    """The jets of the terms of a loss, by pred or by score.

    >>> from fractions import Fraction
    >>> from lossdsl.grammar.parser import read
    >>> from lossdsl.verifier.terms import spell
    >>> jets = Jets(spell(read("-label^2*log(pred)").tree, None), in_score=False)
    >>> share = jets.spans.between(Fraction(0), Fraction(1), True, True)
    >>> label = jets.spans.between(Fraction(1, 2), Fraction(1))
    >>> [span.sign for span in jets.on(Region(share, {"label": label}))]
    [1, -1, 1]
    """

    def __init__(self, terms: Terms, in_score: bool) -> None:
        self.terms = terms
        self.in_score = in_score
        self.spans = Spans()
        self.found: list[Jet] = []
        self.x = next((i for i, t in enumerate(terms.items) if t.op == "x"), -1)
        self.label = next((i for i, t in enumerate(terms.items) if t.op == "free" and t.name == "label"), -1)
        # What jumps is not seen in slopes.
        self.on_diagonal = _on_diagonal(terms) if unbroken(terms) else list(range(len(terms.items)))

    def on(self, region: Region) -> Jet:
        """The jet of the loss; `Rejected` or `Unbounded` where a term may be undefined."""
        self.found = []
        for i, term in enumerate(self.terms.items):
            try:
                self.found.append(self._term(term, [self.found[j] for j in term.args], region))
            except Rejected as error:
                raise Rejected(str(error), f"term {i} ({term.op})") from None
        return self.found[self.terms.root]

    # -- leaves ------------------------------------------------------------------------------------------------------

    def _pred(self, region: Region) -> Jet:
        if not self.in_score:
            return region.pred, ONE, ZERO
        rest = self._rest(region.pred)
        speed = self.spans.times(region.pred, rest)
        return region.pred, speed, self.spans.times(speed, self.spans.plus(rest, opposite(region.pred)))

    def _rest(self, share: Span) -> Span:
        return self.spans.plus(ONE, opposite(share))

    def _is_rest(self, i: int) -> bool:
        """Whether a term is 1 - pred."""
        term = self.terms.items[i]
        return term.op == "add" and any(
            self.terms.known(a) == 1 and self._negated(b) == self.x for a, b in (term.args, term.args[::-1])
        )

    def _negated(self, i: int) -> int:
        """The term that a term is the negative of, or -2."""
        term = self.terms.items[i]
        return term.args[0] if term.op == "neg" else -2

    def _is_score(self, term: Term) -> bool:
        if term.op != "add" or self.x < 0:
            return False
        for a, b in (term.args, term.args[::-1]):
            up, down = self.terms.items[a], self._negated(b)
            if up.op == "log" and up.args[0] == self.x and down >= 0:
                other = self.terms.items[down]
                if other.op == "log" and self._is_rest(other.args[0]):
                    return True
        return False

    def _difference(self, term: Term) -> int:
        """1 for label - pred, -1 for pred - label, 0 for any other term."""
        if term.op == "add" and self.label >= 0 and self.x >= 0:
            for a, b in (term.args, term.args[::-1]):
                if (a, self._negated(b)) == (self.label, self.x):
                    return 1
                if (a, self._negated(b)) == (self.x, self.label):
                    return -1
        return 0

    # -- terms -------------------------------------------------------------------------------------------------------

    def _term(self, term: Term, args: list[Jet], region: Region) -> Jet:
        s, op = self.spans, term.op
        if op == "x":
            return self._pred(region)
        if op == "free":
            return region.free[term.name], ZERO, ZERO
        if op == "const":
            assert term.value is not None
            return s.point(term.value), ZERO, ZERO
        if op == "add":
            return self._add(term, args, region)
        if op == "neg":
            return opposite(args[0][0]), opposite(args[0][1]), opposite(args[0][2])
        if op == "mul":
            (a, da, dda), (b, db, ddb) = args
            mixed = s.times(s.point(2), s.times(da, db))
            bend = s.plus(s.plus(s.times(dda, b), s.times(a, ddb)), mixed)
            return s.times(a, b), s.plus(s.times(da, b), s.times(a, db)), bend
        if op == "log":
            return self._log(term, args[0], region)
        if op in ("max", "min"):
            return self._extreme(term, args, region)
        if op in ("abs", "sign", "if"):
            return self._branching(term, args)
        return self._smooth(term, args[0])

    def _add(self, term: Term, args: list[Jet], region: Region) -> Jet:
        s = self.spans
        (a, da, dda), (b, db, ddb) = args
        if self._is_score(term) and self.in_score:
            return s.plus(a, b), ONE, ZERO
        way = self._difference(term)
        if way and region.distance is not None:
            _, speed, bend = self._pred(region)
            if way > 0:
                return region.distance, opposite(speed), opposite(bend)
            return opposite(region.distance), speed, bend
        return s.plus(a, b), s.plus(da, db), s.plus(dda, ddb)

    def _log(self, term: Term, arg: Jet, region: Region) -> Jet:
        s = self.spans
        u = arg[0]
        value = s.log_of(u)
        inner = self.terms.items[term.args[0]]
        if self.in_score and (term.args[0] == self.x or self._is_rest(term.args[0])):
            # log pred and log(1 - pred) have slopes in score that stay finite where 1/pred does not.
            rest = self._rest(region.pred)
            bend = opposite(s.times(region.pred, rest))
            return value, (rest if term.args[0] == self.x else opposite(region.pred)), bend
        if inner.op == "add":
            for a, b in (inner.args, inner.args[::-1]):
                if self.terms.known(a) == 1 and self.terms.items[b].op == "exp":
                    return self._softplus(value, self.found[self.terms.items[b].args[0]])
        first = s.inverse_of(u)
        return self._chain(value, first, opposite(s.whole_power(first, 2)), arg)

    def _softplus(self, value: Span, inner: Jet) -> Jet:
        """log(1 + e^u): its first derivative is a share, its second one that share times the rest."""
        s = self.spans
        share, rest = (s.inverse_of(s.plus(ONE, s.exp_of(u))) for u in (opposite(inner[0]), inner[0]))
        return self._chain(value, share, s.times(share, rest), inner)

    def _chain(self, value: Span, first: Span, second: Span, inner: Jet) -> Jet:
        """f(u) from f, f', f'' at u, and u."""
        s = self.spans
        _, du, ddu = inner
        return value, s.times(first, du), s.plus(s.times(second, s.whole_power(du, 2)), s.times(first, ddu))

    def _smooth(self, term: Term, arg: Jet) -> Jet:
        s, u = self.spans, arg[0]
        if term.op == "exp":
            value = s.exp_of(u)
            return self._chain(value, value, value, arg)
        if term.op == "inv":
            value = s.inverse_of(u)
            first = opposite(s.whole_power(value, 2))
            return self._chain(value, first, s.times(s.point(-2), s.times(value, first)), arg)
        assert term.value is not None
        q = term.value
        if term.op == "whole":
            n = int(q)
            first = s.times(s.point(n), s.whole_power(u, n - 1))
            second = s.times(s.point(n * (n - 1)), s.whole_power(u, max(n - 2, 0)))
            return self._chain(s.whole_power(u, n), first, second, arg)
        assert term.op == "power"
        value = s.broken_power(u, q)
        if not u.above and q < 2:
            # Where the base comes to zero a kink may be hidden, as in the root of a square.
            return value, ALL, ALL
        first = s.times(s.point(q), s.broken_power(u, q - 1))
        return self._chain(value, first, s.times(s.point(q * (q - 1)), s.broken_power(u, q - 2)), arg)

    def _extreme(self, term: Term, args: list[Jet], region: Region) -> Jet:
        s, op = self.spans, term.op
        (difference, drift, _), a, b = args
        if self.on_diagonal[term.args[1]] == self.on_diagonal[term.args[2]] and region.distance is not None:
            difference = _beside(difference, drift, region.distance)
        if op == "min":
            difference, a, b = opposite(difference), _opposite(a), _opposite(b)
        if difference.never_negative or difference.never_positive:
            made = a if difference.never_negative else b
        else:
            # The larger of two that bend up by so much at least does so too; where they cross, it bends up at once.
            bend = Span(lower(a[2].low, b[2].low), TOP)
            made = s.largest(a[0], b[0]), hull(a[1], b[1]), bend
        return made if op == "max" else _opposite(made)

    def _branching(self, term: Term, args: list[Jet]) -> Jet:
        s, (u, du, ddu) = self.spans, args[0]
        if term.op == "abs":
            if u.never_negative or u.never_positive:
                return args[0] if u.never_negative else _opposite(args[0])
            return s.size(u), hull(du, opposite(du)), Span(lower(ddu.low, opposite(ddu).low), TOP)
        sign = u.sign
        if term.op == "sign":
            return (ALL_SIGNS if sign is None else s.point(sign)), ZERO, (ZERO if sign is not None else ALL)
        ways = {holds(term.name, way) for way in ((sign,) if sign is not None else _signs(u))}
        if len(ways) == 1:
            return args[1] if ways.pop() else args[2]
        return hull(args[1][0], args[2][0]), hull(args[1][1], args[2][1]), ALL


def _beside(difference: Span, drift: Span, distance: Span) -> Span:
    """Two parts that are equal where pred equals the label, on a box that reaches to there, and lies on one side.

    On the way from the label to a place of the box they drift apart as their slopes do, which lie in `drift`. So if
    the first one's slope is never the larger, it is never less below the label, and never more above it.
    """
    if 0 not in (distance.low.sign, distance.high.sign) or not (drift.never_negative or drift.never_positive):
        return difference
    below = distance.low.sign == 0 and distance.never_negative
    if not below and not (distance.high.sign == 0 and distance.never_positive):
        return difference
    return Span(ZERO.low, TOP) if drift.never_positive == below else Span(BOTTOM, ZERO.high)


def _on_diagonal(terms: Terms) -> list[int]:
    """What each term is where pred equals the label, as a term of another list: equal places are equal values."""
    other = Terms()
    images: list[int] = []
    for term in terms.items:
        if term.op == "x":
            images.append(other.put("free", name="label"))
        else:
            images.append(other.put(term.op, *(images[i] for i in term.args), value=term.value, name=term.name))
    return images


def _opposite(jet: Jet) -> Jet:
    return opposite(jet[0]), opposite(jet[1]), opposite(jet[2])


def _signs(u: Span) -> tuple[int, ...]:
    return (0, 1) if u.never_negative else (-1, 0) if u.never_positive else (-1, 0, 1)


ALL_SIGNS = hull(opposite(ONE), ONE)


def unbroken(terms: Terms) -> bool:
    """Whether no term can jump."""
    return not any(term.op in ("sign", "if") for term in terms.items)


def smooth(terms: Terms) -> bool:
    """Whether no term has a kink."""
    return not any(term.op in KINKED or term.op == "power" for term in terms.items)
