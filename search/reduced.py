"""The formula of a graph without the clamps that never act: the same function, and far less for the prover to do.

Every clamped result lies in a known interval, so most clamps, and many a max or min, are settled beforehand: a minus
of something above 0 is the lower bound, whatever stands below it. Intervals are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from flint import fmpq

from lossdsl.grammar.tree import Apply, Name, Node, Number
from lossdsl.search.space import DEFAULT_EPSILON, PROTECTED, Graph, Space

# Python's own fractions are exact too, but would take most of the time of a search.
_ZERO, _ONE = fmpq(0), fmpq(1)
_PRED, _LABEL, _UNIT = Name("pred"), Name("label"), Number(Fraction(1))
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


def reduced(space: Space, graph: Graph) -> Node:
    """The function of a graph, for pred and label from 0 to 1, in as few nodes as intervals show.

    >>> from lossdsl.grammar.printer import show_node
    >>> from lossdsl.search.reduced import reduced
    >>> from lossdsl.search.space import Graph, Space, Step
    >>> show_node(reduced(Space(), Graph((Step("negate", 0), Step("add", 2, 3)))))
    '1.00001'
    """
    bounds = _bounds(space)
    if bounds is None:
        return space.tree(graph).root
    nodes: list[Node] = [_PRED, _LABEL, _UNIT]
    ranges: list[_Range] = [(_ZERO, _ONE), (_ZERO, _ONE), (_ONE, _ONE)]
    for step in graph.steps:
        places = [step.first] if step.second < 0 else sorted((step.first, step.second))
        node, span = _applied(bounds, step.op, [nodes[p] for p in places], [ranges[p] for p in places])
        node, span = _clamped(bounds, node, span)
        nodes.append(node)
        ranges.append(span)
    return nodes[-1]


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
