"""A loss over labels and predictions at once: intervals around its slope on boxes of label and distance to the label.

A box has two sides: labels y, and distances d = label - pred. Differences of label and pred are seen for what they are,
so that |label - pred| has one sign next to the diagonal, and a loss of the difference alone does not care how long the
other side is. Where a kink runs through a box, the slope lies between those of both branches. All is floats rounded
outward, as in `spans`; ends of the domain are no exception, where a slope may lie in [3, infinity].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import inf

from flint import fmpq

from lossdsl.grammar.tree import Node
from lossdsl.prover.spans import ALL, Span, outward, span_of
from lossdsl.prover.terms import Term, Terms, holds, specialise

POINT: Span = (0.0, 0.0)
ONE: Span = (1.0, 1.0)
Jet = tuple[Span, Span, Span]
"""Intervals around a term, its slopes, and its second derivatives."""


@dataclass(frozen=True, slots=True)
class Box:
    """Labels, distances label - pred, predictions, and 1 - pred: an interval around each."""

    label: Span
    distance: Span
    pred: Span
    rest: Span

    @classmethod
    def of_distances(cls, label: Span, distance: Span) -> Box:
        """All places that lie so far from labels of an interval."""
        low, high = outward(label[0] - distance[1], label[1] - distance[0])
        pred = max(0.0, low), min(1.0, high)
        return cls(label, distance, pred, _rest(pred))

    @classmethod
    def of_preds(cls, label: Span, pred: Span) -> Box:
        """Labels and predictions of two intervals."""
        return cls(label, outward(label[0] - pred[1], label[1] - pred[0]), pred, _rest(pred))


def _rest(share: Span) -> Span:
    """1 less a share, which is a share."""
    low, high = outward(1 - share[1], 1 - share[0])
    return max(0.0, low), min(1.0, high)


class Plane:
    """The loss over label and pred; `in_score` says along what its derivatives are.

    >>> from lossdsl.grammar.parser import read
    >>> plane = Plane(read("abs(label - pred)").tree.root, {}, in_score=False)
    >>> plane.slope(Box.of_distances((0.0, 1.0), (0.25, 0.5)))
    (-1.0, -1.0)
    """

    def __init__(self, root: Node, parameters: Mapping[str, Fraction], in_score: bool) -> None:
        self.in_score = in_score
        self.terms: Terms = specialise(root, None, parameters, False, (), _leaves)
        self.order = self.terms.needed()
        self._constants: dict[int, Jet] = {}
        for i in self.order:
            term = self.terms.items[i]
            if term.op == "const":
                assert term.value is not None
                self._constants[i] = constant(term.value), POINT, POINT
        self.kinked = False
        """Whether a kink may run through the box that was looked at last."""
        self.pred = self._leaf("pred")
        self.label = self._leaf("label")
        images = _on_diagonal(self.terms)
        self._meeting = set() if not self.unbroken else {
            i for i in self.order
            if self.terms.items[i].op in ("max", "min") and len({images[a] for a in self.terms.items[i].args}) == 1
        }  # fmt: skip
        """The max and min of two parts that are equal wherever pred equals the label, and do not jump there."""

    def _leaf(self, name: str) -> int:
        return next((i for i, t in enumerate(self.terms.items) if t.op == "free" and t.name == name), -1)

    @property
    def unbroken(self) -> bool:
        """Whether no part can jump."""
        return not any(self.terms.items[i].op in ("sign", "select") for i in self.order)

    def share(self, i: int, leaf: int | None = None) -> bool:
        """Whether a term is pred or 1 - pred; or another leaf, or 1 less that."""
        term, leaf = self.terms.items[i], self.pred if leaf is None else leaf
        return i == leaf or (term.op == "add" and self._rest(term.args, leaf))

    def slope(self, box: Box) -> Span:
        """An interval around all slopes in a box, wherever there is one."""
        return self.at(box)[1]

    def at(self, box: Box) -> Jet:
        """Intervals around all values, slopes and second derivatives in a box.

        Where a kink may run through the box, nothing is said of the second derivative.
        """
        self.kinked = False
        found: dict[int, Jet] = dict(self._constants)
        for i in self.order:
            if i not in found:
                found[i] = self._term(i, found, box)
        return found[self.terms.root]

    def _term(self, i: int, found: Mapping[int, Jet], box: Box) -> Jet:
        term = self.terms.items[i]
        if term.op == "free":
            return self._free(term.name, box)
        args = [found[a] for a in term.args]
        if term.op == "add":
            way = self._difference(term.args)
            if way:
                value = box.distance if way > 0 else negated(box.distance)
                return _scaled(self._pred(box), -way, value)
            if self._rest(term.args, self.label):
                return _rest(box.label), POINT, POINT
            if self._rest(term.args, self.pred):
                return _scaled(self._pred(box), -1, box.rest)
        if term.op in ("max", "min"):
            return self._extreme(term, args, box, i in self._meeting)
        if self.in_score and term.op == "log":
            # log pred and log(1 - pred) have slopes in score that stay finite where 1/pred does not.
            speed = negated(times(box.pred, box.rest))
            if term.args[0] == self.pred:
                return span_of(term, [args[0][0]], ALL, {}), box.rest, speed
            inner = self.terms.items[term.args[0]]
            if inner.op == "add" and self._rest(inner.args, self.pred):
                return span_of(term, [args[0][0]], ALL, {}), negated(box.pred), speed
        made = _rule(term, args)
        self.kinked = self.kinked or made is None or _root_of_zero(term, args[0][0])
        return _either(term, args) if made is None else made

    def _pred(self, box: Box) -> Jet:
        if not self.in_score:
            return box.pred, ONE, POINT
        speed = times(box.pred, box.rest)
        return box.pred, speed, times(speed, plus(box.rest, negated(box.pred)))

    def _free(self, name: str, box: Box) -> Jet:
        if name == "label":
            return box.label, POINT, POINT
        if name == "pred":
            return self._pred(box)
        low, high = box.pred
        places = _logit(low, False), _logit(high, True)
        if self.in_score:
            return places, ONE, POINT
        speed = inverse(times(box.pred, box.rest))
        return places, speed, times(plus(box.pred, negated(box.rest)), times_itself(speed))

    def _difference(self, args: tuple[int, ...]) -> int:
        """1 for label - pred, -1 for pred - label, 0 for any other sum."""
        for a, b in (args, args[::-1]):
            other = self.terms.items[b]
            if other.op == "neg" and (a, other.args[0]) == (self.label, self.pred):
                return 1
            if other.op == "neg" and (a, other.args[0]) == (self.pred, self.label):
                return -1
        return 0

    def _rest(self, args: tuple[int, ...], leaf: int) -> bool:
        """Whether a sum is 1 - pred, or 1 - label."""
        for a, b in (args, args[::-1]):
            known, other = self.terms.known(a), self.terms.items[b]
            if known == fmpq(1) and other.op == "neg" and other.args[0] == leaf:
                return True
        return False

    def _extreme(self, term: Term, args: list[Jet], box: Box, meeting: bool) -> Jet:
        (a, da, _), (b, db, _) = args
        if set(term.args) == {self.label, self.pred}:
            near, far = box.distance
            ahead = 1 if near >= 0 else -1 if far <= 0 else 0  # of label, over pred
            ahead *= 1 if term.args[0] == self.label else -1
        else:
            ahead = 1 if a[0] >= b[1] else -1 if a[1] <= b[0] else 0
        if not ahead and meeting and 0 in box.distance:
            # Equal on the diagonal, which the box reaches to from one side, they drift apart with pred one way only.
            drift = plus(da, negated(db))
            after = 1 if box.distance[1] == 0 else -1
            ahead = after if drift[0] >= 0 else -after if drift[1] <= 0 else 0
        ahead *= 1 if term.op == "max" else -1
        if ahead:
            return args[0] if ahead > 0 else args[1]
        self.kinked = True
        return span_of(term, [a, b], ALL, {}), hull(da, db), ALL


def _leaves(terms: Terms) -> dict[str, int]:
    return {name: terms.put("free", name=name) for name in ("label", "pred", "score")}


def _on_diagonal(terms: Terms) -> list[int]:
    """What each term is where pred equals the label, as a term of another list: equal places are equal values."""
    on = Terms(False)
    share = on.put("free", name="label")
    logit = on.sub(on.log(share), on.log(on.sub(on.constant(fmpq(1)), share)))
    images: list[int] = []
    for term in terms.items:
        a = [images[i] for i in term.args]
        if term.op == "free":
            images.append(logit if term.name == "score" else share)
        elif term.op in ("const", "power"):
            assert term.value is not None
            images.append(on.power(a[0], term.value) if a else on.constant(term.value))
        elif term.op == "abs":
            images.append(on.magnitude(*a))
        elif term.op == "select":
            images.append(on.select(term.name, *a))
        elif term.op in ("max", "min"):
            images.append(on.extreme(term.op, *a))
        else:
            make: dict[str, Callable[..., int]] = {
                "add": on.add, "mul": on.mul, "neg": on.neg, "inv": on.inv, "log": on.log, "exp": on.exp,
                "sign": on.sign, "tower": on.tower,
            }  # fmt: skip
            images.append(make[term.op](*a))
    return images


def _scaled(jet: Jet, way: int, value: Span) -> Jet:
    """A jet with another value, its derivatives negated where `way` is -1."""
    return (value, jet[1], jet[2]) if way > 0 else (value, negated(jet[1]), negated(jet[2]))


def _root_of_zero(term: Term, base: Span) -> bool:
    """Whether a power may hide a kink: the root of x^2 is the size of x."""
    varies = term.op == "tower" or (term.op == "power" and term.value is not None and term.value.q != 1)
    return varies and base[0] <= 0


def _either(term: Term, args: list[Jet]) -> Jet:
    """What an operator that may go either way makes of its arguments."""
    value = span_of(term, [jet[0] for jet in args], ALL, {})
    if term.op == "sign":
        return value, POINT, ALL
    da, db = (args[0][1], negated(args[0][1])) if term.op == "abs" else (args[1][1], args[2][1])
    return value, hull(da, db), ALL


def _rule(term: Term, args: list[Jet]) -> Jet | None:
    """What an operator makes of the values and derivatives that it is applied to; None where it may go either way."""
    op = term.op
    a, da, dda = args[0]
    if op == "tower":
        # a^b = exp(b log a), a > 0, as the domain has it.
        log = _rule(Term("log", (0,)), [args[0]])
        product = None if log is None else _rule(Term("mul", (0, 1)), [args[1], log])
        return None if product is None else _rule(Term("exp", (0,)), [product])
    value = span_of(term, [jet[0] for jet in args], ALL, {})
    if op == "neg":
        return value, negated(da), negated(dda)
    if op == "add":
        return value, plus(da, args[1][1]), plus(dda, args[1][2])
    if op == "mul":
        b, db, ddb = args[1]
        mixed = times((2.0, 2.0), times(da, db))
        return value, plus(times(da, b), times(a, db)), plus(plus(times(dda, b), times(a, ddb)), mixed)
    if op == "inv":
        first = negated(times_itself(value))
        return _chain(value, first, times((-2.0, -2.0), times(value, first)), args[0])
    if op == "exp":
        return _chain(value, value, value, args[0])
    if op == "log":
        first = inverse((max(a[0], 0.0), a[1]))
        return _chain(value, first, negated(times_itself(first)), args[0])
    if op == "power":
        assert term.value is not None
        q = term.value
        return _chain(value, _power(a, q, q - 1), _power(a, q * (q - 1), q - 2), args[0])
    if op == "abs":
        if a[0] >= 0 or a[1] <= 0:
            return args[0] if a[0] >= 0 else _scaled(args[0], -1, value)
        return None
    if op == "sign":
        return (value, POINT, POINT) if value[0] == value[1] else None
    assert op == "select"
    signs = {s for s, there in ((-1, a[0] < 0), (0, a[0] <= 0 <= a[1]), (1, a[1] > 0)) if there}
    ways = {holds(term.name, s) for s in signs}
    return None if len(ways) > 1 else args[1] if ways == {True} else args[2]


def _chain(value: Span, first: Span, second: Span, inner: Jet) -> Jet:
    """f(u) from f, f', f'' at u, and u."""
    _, du, ddu = inner
    return value, times(first, du), plus(times(second, times_itself(du)), times(first, ddu))


def _power(a: Span, factor: fmpq, q: fmpq) -> Span:
    """factor a^q."""
    scale = constant(factor)
    if factor == 0 or q == 0:
        return scale
    return times(scale, a if q == 1 else span_of(Term("power", (0,), value=q), [a], ALL, {}))


def constant(value: fmpq) -> Span:
    """A number as an interval: a single float, where it is one."""
    low, high = span_of(Term("const", value=value), [], ALL, {})
    middle = float(int(value.p)) if value.q == 1 and abs(value) < 2**53 else (low + high) / 2
    exact = abs(middle) < inf and fmpq(*middle.as_integer_ratio()) == value
    return (middle, middle) if exact else (low, high)


def plus(a: Span, b: Span) -> Span:
    """Sums, exact where one of the two is zero."""
    if a == POINT or b == POINT:
        return b if a == POINT else a
    low, high = outward(a[0] + b[0], a[1] + b[1])
    # Two numbers that are not negative have no negative sum, whatever the last digit.
    if a[0] >= 0 and b[0] >= 0:
        low = max(low, 0.0)
    if a[1] <= 0 and b[1] <= 0:
        high = min(high, 0.0)
    return low, high


def times(a: Span, b: Span) -> Span:
    """Products, exact where one of the two is zero or one."""
    if a == POINT or b == POINT:
        return POINT
    for u, v in ((a, b), (b, a)):
        if u == ONE:
            return v
        if u == (-1.0, -1.0):
            return negated(v)
    return span_of(Term("mul", (0, 1)), [a, b], ALL, {})


def times_itself(a: Span) -> Span:
    return span_of(Term("power", (0,), value=fmpq(2)), [a], ALL, {})


def negated(a: Span) -> Span:
    return -a[1], -a[0]


def inverse(a: Span) -> Span:
    return span_of(Term("inv", (0,)), [a], ALL, {})


def hull(a: Span, b: Span) -> Span:
    return min(a[0], b[0]), max(a[1], b[1])


def _logit(p: float, up: bool) -> float:
    """log p - log(1-p), rounded up or down."""
    if p <= 0:
        return -inf
    if p >= 1:
        return inf
    log = Term("log", (0,))
    first, second = span_of(log, [(p, p)], ALL, {}), span_of(log, [outward(1 - p, 1 - p)], ALL, {})
    low, high = outward(first[0] - second[1], first[1] - second[0])
    return high if up else low
