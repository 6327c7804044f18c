"""The formula of a graph without the clamps that never act: the same function, and far less for the prover to do.

Every clamped result lies in a known interval, so most clamps, and many a max or min, are settled beforehand: a minus
of something above 0 is the lower bound, whatever stands below it. Intervals are exact. At one label more is settled,
and many graphs are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from flint import fmpq

from lossdsl.grammar.tree import Apply, Name, Node, Number
from lossdsl.search.space import DEFAULT_EPSILON, INPUTS, PROTECTED, Graph, Space

# Python's own fractions are exact too, but would take most of the time of a search.
_ZERO, _ONE = fmpq(0), fmpq(1)
_REMEMBERED = 1 << 16  # steps
_PRED, _LABEL, _UNIT = Name("pred"), Name("label"), Number(Fraction(1))
_EXACT: dict[str, Callable[[fmpq, fmpq], fmpq]] = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "max": max,
    "min": min,
    "negate": lambda a, _: -a,
    "identity": lambda a, _: a,
    "square": lambda a, _: a * a,
}
# Lower and upper bound of a value; None where there is none.
_Range = tuple[fmpq | None, fmpq | None]


@dataclass(frozen=True)
class _Bounds:
    """The clamp of a space and its epsilon, as exact numbers and as nodes."""

    least: fmpq
    most: fmpq
    lowest: Number
    highest: Number
    epsilon: fmpq
    extra: tuple[Node, ...]


@lru_cache(maxsize=8)
def _bounds(space: Space) -> _Bounds | None:
    if space.clamp is None:
        return None
    least, most = space.clamp
    epsilon = space.epsilon
    extra = () if epsilon == DEFAULT_EPSILON else (Number(epsilon),)
    exact = [fmpq(x.numerator, x.denominator) for x in (least, most, epsilon)]
    return _Bounds(exact[0], exact[1], Number(least), Number(most), exact[2], extra)


class Reducer:
    """Reduces graphs of a space, at one label or for all; what steps give is remembered, as graphs have much in common.

    For all labels the function is the same for pred and label from 0 to 1. At one label it is that for pred strictly
    between 0 and 1, less a constant.

    >>> from lossdsl.grammar.printer import show_node
    >>> from lossdsl.search.reduced import Reducer
    >>> from lossdsl.search.space import Graph, Space, Step
    >>> show_node(Reducer(Space()).reduced(Graph((Step("negate", 0), Step("add", 2, 3)))))
    '1.00001'
    >>> show_node(Reducer(Space(), label=1).reduced(Graph((Step("max", 0, 1), Step("add", 0, 3)))))
    'pred'
    """

    def __init__(self, space: Space, label: int | None = None) -> None:
        self.space, self.label = space, label
        self._bounds = _bounds(space)
        self._forget()

    def _forget(self) -> None:
        self._nodes: list[Node] = [_PRED, _LABEL, _UNIT]
        self._ranges: list[_Range] = [(_ZERO, _ONE), (_ZERO, _ONE), (_ONE, _ONE)]
        if self.label is not None:
            at = fmpq(self.label)
            self._nodes[1], self._ranges[1] = Number(Fraction(self.label)), (at, at)
        # Operator and places of the operands -> place of the result; equal nodes have one place.
        self._steps: dict[tuple[str, int, int], int] = {}
        self._places = {node: place for place, node in enumerate(self._nodes)}

    def reduced(self, graph: Graph) -> Node:
        """The function of a graph, in as few nodes as intervals show."""
        if self._bounds is None:
            return self.space.tree(graph).root
        if len(self._steps) > _REMEMBERED:
            self._forget()
        places = list(range(len(INPUTS)))
        for step in graph.steps:
            first, second = places[step.first], places[step.second] if step.second >= 0 else -1
            if step.second >= 0 and step.second < step.first:
                first, second = second, first
            key = step.op, first, second
            place = self._steps.get(key)
            if place is None:
                place = self._steps[key] = self._step(self._bounds, *key)
            places.append(place)
        node = self._nodes[places[-1]]
        return node if self.label is None else _varying(node)

    def _step(self, bounds: _Bounds, op: str, first: int, second: int) -> int:
        operands = (first,) if second < 0 else (first, second)
        args, spans = [self._nodes[k] for k in operands], [self._ranges[k] for k in operands]
        found = None if self.label is None else _settled(bounds, op, args, spans)
        node, span = _applied(bounds, op, args, spans) if found is None else found
        node, span = _clamped(bounds, node, span)
        place = self._places.get(node)
        if place is None:
            place = self._places[node] = len(self._nodes)
            self._nodes.append(node)
            self._ranges.append(span)
        return place


def _settled(bounds: _Bounds, op: str, args: list[Node], ranges: list[_Range]) -> tuple[Node, _Range] | None:
    """What label as a number settles: the values of constants, products with 0, pred beside what it never reaches."""
    points = [low if low is not None and low == high else None for low, high in ranges]
    a, b = points[0], points[-1]
    if a is not None and b is not None:
        if op in _EXACT:
            value = _EXACT[op](a, b)
        elif op == "reciprocal" and a >= 0:
            value = 1 / (a + bounds.epsilon) if a > 0 else _ZERO
        else:
            return None
        return Number(Fraction(int(value.p), int(value.q))), (value, value)
    if op == "multiply" and (a == 0 or b == 0):
        return Number(Fraction(0)), (_ZERO, _ZERO)
    if op in ("max", "min") and _PRED in args:
        other = 1 - args.index(_PRED)
        bound = points[other]
        if bound is not None and not 0 < bound < 1:
            wins = other if (bound >= 1) == (op == "max") else 1 - other
            return args[wins], ranges[wins]
    return None


def _varying(node: Node) -> Node:
    """A sum without those of its terms that are numbers; a number alone stays."""
    while isinstance(node, Apply) and node.op == "add" and any(isinstance(arg, Number) for arg in node.args):
        node = next(arg for arg in node.args if not isinstance(arg, Number))
    return node


def _clamped(bounds: _Bounds, node: Node, span: _Range) -> tuple[Node, _Range]:
    (low, high), least, most = span, bounds.least, bounds.most
    if high is not None and high <= least:
        return bounds.lowest, (least, least)
    if low is not None and low >= most:
        return bounds.highest, (most, most)
    below, above = low is None or low < least, high is None or high > most
    if below and above:
        node = Apply("clamp", (node, bounds.lowest, bounds.highest))
    elif below:
        node = Apply("max", (node, bounds.lowest))
    elif above:
        node = Apply("min", (node, bounds.highest))
    return node, (least if low is None else max(low, least), most if high is None else min(high, most))


def _applied(bounds: _Bounds, op: str, args: list[Node], ranges: list[_Range]) -> tuple[Node, _Range]:
    if op in ("add", "multiply", "max", "min"):
        return _of_two(op, args, ranges)
    a, (low, high) = args[0], ranges[0]
    epsilon = bounds.epsilon
    known = low is not None and low >= 0
    if op == "identity":
        return a, (low, high)
    if op == "negate":
        return Apply("neg", (a,)), (None if high is None else -high, None if low is None else -low)
    if op == "square":
        if not known or low is None:
            return Apply("square", (a,)), (_ZERO, None)
        return Apply("square", (a,)), (low * low, None if high is None else high * high)
    name = {"log": "plog", "reciprocal": "pinv", "sqrt": "psqrt"}.get(op, op)
    node = Apply(name, (a, *bounds.extra) if name in PROTECTED else (a,))
    if op == "log" and known:
        # log(z) is at most z - 1; at 0 the protected one is 0.
        above = None if high is None else max(_ZERO, high + epsilon - 1)
        return node, (_ZERO if low is not None and low >= 1 else None, above)
    if op == "reciprocal" and known:
        assert low is not None
        return node, (_ZERO if high is None or low == 0 else 1 / (high + epsilon), 1 / (low + epsilon))
    return node, (None, None)


def _of_two(op: str, args: list[Node], ranges: list[_Range]) -> tuple[Node, _Range]:
    (a, b), ((p, q), (r, s)) = args, ranges
    if op == "add":
        if isinstance(a, Number) and isinstance(b, Number):
            total = a.value + b.value
            exact = fmpq(total.numerator, total.denominator)
            return Number(total), (exact, exact)
        return Apply("add", (a, b)), (_both(p, r), _both(q, s))
    if op == "multiply":
        for x, y, bounds in ((a, b, (r, s)), (b, a, (p, q))):
            if isinstance(x, Number) and x.value == 1:
                return y, bounds
        low = p * r if p is not None and r is not None and p >= 0 and r >= 0 else None
        return Apply("mul", (a, b)), (low, q * s if low is not None and q is not None and s is not None else None)
    larger = op == "max"
    # Settled only where one lies strictly beyond the other: at a tie both have a say in the slope.
    if q is not None and r is not None and q < r or a == b:
        return (b, (r, s)) if larger else (a, (p, q))
    if s is not None and p is not None and s < p:
        return (a, (p, q)) if larger else (b, (r, s))
    ends = [x for x in (p, r) if x is not None], [x for x in (q, s) if x is not None]
    if larger:
        return Apply("max", (a, b)), (max(ends[0], default=None), max(ends[1]) if len(ends[1]) == 2 else None)
    return Apply("min", (a, b)), (min(ends[0]) if len(ends[0]) == 2 else None, min(ends[1], default=None))


def _both(x: fmpq | None, y: fmpq | None) -> fmpq | None:
    return None if x is None or y is None else x + y
