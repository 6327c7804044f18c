"""How new losses are made of old ones: recipes of steps, of which many keep a valid loss valid.

A recipe starts from the leaves `pred`, `label`, 1 and from slots, which hold the best losses so far. Operators make
anything; *moves* (`blend`, `halves`, `heavier`, `lighter`, `odds`, `steeper`, `root`, `sharper`) give a valid loss
whenever their operands are valid losses, because they are sums, maxima, positive weights, the half for one label of one
loss beside the half for the other of another, or increasing substitutions of pred.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from lossdsl.grammar.tree import Apply, Name, Node, Number

PRED, SCORE, LABEL, ONE = Name("pred"), Name("score"), Name("label"), Number(Fraction(1))


def number(value: Fraction) -> Node:
    """A constant, with its minus as a node of its own."""
    return Number(value) if value >= 0 else Apply("neg", (Number(-value),))


def value_of(node: Node) -> Fraction | None:
    """The value of a constant, negated or not; None for anything else."""
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Apply) and node.op == "neg" and isinstance(node.args[0], Number):
        return -node.args[0].value
    return None


def plus(a: Node, b: Node) -> Node:
    """a + b, folded where both are constants."""
    x, y = value_of(a), value_of(b)
    if x is not None and y is not None:
        return number(x + y)
    if x == 0:
        return b
    if y == 0:
        return a
    if isinstance(b, Apply) and b.op == "neg":
        return Apply("sub", (a, b.args[0]))
    return Apply("add", (a, b))


def times(a: Node, b: Node) -> Node:
    """a * b; constants are folded, come first, and 1 is dropped."""
    if value_of(b) is not None:
        a, b = b, a
    x, y = value_of(a), value_of(b)
    if x is None:
        return Apply("mul", (a, b))
    if y is not None:
        return number(x * y)
    if x == 0:
        return number(x)
    if isinstance(b, Apply) and b.op == "mul" and (inner := value_of(b.args[0])) is not None:
        return times(number(x * inner), b.args[1])
    if isinstance(b, Apply) and b.op == "neg":
        return times(number(-x), b.args[0])
    if x == 1:
        return b
    if x == -1:
        return minus(b)
    return Apply("mul", (a, b))


def minus(a: Node) -> Node:
    """-a, without a double minus."""
    if isinstance(a, Apply) and a.op == "neg":
        return a.args[0]
    if isinstance(a, Apply) and a.op == "sub":
        return Apply("sub", (a.args[1], a.args[0]))
    if isinstance(a, Apply) and a.op == "mul" and (x := value_of(a.args[0])) is not None:
        return times(number(-x), a.args[1])
    return Apply("neg", (a,))


def complement(a: Node) -> Node:
    """1 - a, without a double complement."""
    if isinstance(a, Apply) and a.op == "sub" and a.args[0] == ONE:
        return a.args[1]
    x = value_of(a)
    if x is not None:
        return number(1 - x)
    return Apply("sub", (ONE, a))


_EVEN = ("square", "abs")
_VALUES: dict[str, Callable[[float], float]] = {
    "log": math.log,
    "exp": math.exp,
    "square": lambda x: x * x,
    "sqrt": math.sqrt,
    "reciprocal": lambda x: 1 / x,
    "relu": lambda x: max(x, 0.0),
    "softplus": lambda x: math.log1p(math.exp(x)),
}


def short(value: float, digits: int = 3) -> Fraction:
    """A short decimal near a number, exactly."""
    return Fraction(f"{value:.{digits}g}")


def unary(op: str, a: Node) -> Node:
    """A function of one argument; of a constant it is a (short) constant, and signs that do not matter are dropped."""
    x = value_of(a)
    if x is not None:
        try:
            value = _VALUES[op](float(x))
        except (ValueError, ZeroDivisionError, OverflowError):
            value = math.inf
        if abs(value) < 1e6:
            return number(short(value))
    if isinstance(a, Apply) and a.op == "neg":
        if op in _EVEN:
            a = a.args[0]
        elif op == "reciprocal":
            return minus(Apply(op, a.args))
    if op == "sqrt" and isinstance(a, Apply) and a.op == "square" and a.args[0] in (PRED, LABEL):
        return a.args[0]
    if op == "square" and isinstance(a, Apply) and a.op == "sqrt":
        return a.args[0]
    if op == "reciprocal" and isinstance(a, Apply) and a.op == "reciprocal":
        return a.args[0]
    return Apply(op, (a,))


def extreme(op: str, a: Node, b: Node) -> Node:
    """The larger or the smaller of two; of a thing and itself, the thing."""
    return a if a == b else Apply(op, (a, b))


def agree(a: Node, b: Node) -> Node:
    """a*b + (1-a)*(1-b), the probability that two coins show the same side.

    With label and pred it is the probability that the prediction gives to what happened, and it is written so that
    floating point keeps it exact to the last digit however sure the prediction is.
    """
    return plus(times(a, b), times(complement(a), complement(b)))


LEAVES: tuple[Node, ...] = (PRED, LABEL, ONE)


def substitute(node: Node, change: Callable[[Node], Node | None]) -> Node:
    """The tree with every topmost sub-tree for which `change` gives a new one replaced by it."""
    known: dict[Node, Node] = {}

    def go(n: Node) -> Node:
        if n not in known:
            new = change(n)
            if new is None:
                new = Apply(n.op, tuple(go(a) for a in n.args)) if isinstance(n, Apply) else n
            known[n] = new
        return known[n]

    return go(node)


def _skewed(k: Fraction) -> Node:
    """sigmoid(score - log(k)) in terms of pred: exact, so that proofs stay algebra."""
    return Apply("div", (PRED, plus(PRED, times(number(k), complement(PRED)))))


def _skew_of(node: Node) -> Fraction | None:
    """k where a node is what `_skewed(k)` builds."""
    match node:
        case Apply(op="div", args=(Name("pred"), Apply(op="add", args=(Name("pred"), weighted)))):
            k = value_of(weighted.args[0]) if isinstance(weighted, Apply) and weighted.op == "mul" else Fraction(1)
            return k if k is not None and node == _skewed(k) else None
    return None


def odds(loss: Node, k: Fraction) -> Node:
    """The loss with the odds of pred divided by k: its zero point moves to score = log(k)."""

    def change(node: Node) -> Node | None:
        before = _skew_of(node)
        if before is not None:
            return PRED if before * k == 1 else _skewed(before * k)
        if node == SCORE:
            return plus(SCORE, number(short(-math.log(k)) if k != 1 else Fraction(0)))
        return _skewed(k) if node == PRED else None

    return substitute(loss, change)


def steeper(loss: Node, k: Fraction) -> Node:
    """The loss of k times the score: beyond the zero point its slopes rise and rest sooner, for k below 1 later."""

    def change(node: Node) -> Node | None:
        return Apply("sigmoid", (times(number(k), SCORE),)) if node == PRED else None

    if k == 1:
        return loss
    return substitute(substitute(loss, lambda node: times(number(k), SCORE) if node == SCORE else None), change)


def at_label(loss: Node, label: int) -> Node:
    """What a loss is at one label, folded where it costs nothing."""
    known: dict[Node, Node] = {LABEL: number(Fraction(label))}

    def go(node: Node) -> Node:
        if node not in known:
            if isinstance(node, Apply):
                args = tuple(go(arg) for arg in node.args)
                fold = _FOLDED.get(node.op) if len(args) <= 2 else None
                known[node] = fold(*args) if fold else Apply(node.op, args)
            else:
                known[node] = node
        return known[node]

    return go(loss)


_FOLDED: dict[str, Callable[..., Node]] = {
    "add": plus,
    "sub": lambda a, b: plus(a, minus(b)),
    "mul": times,
    "neg": minus,
}


def halves(a: Node, b: Node, c: Fraction) -> Node:
    """At label 1 the one loss, at label 0 c times the other."""
    return plus(times(LABEL, at_label(a, 1)), times(number(c), times(complement(LABEL), at_label(b, 0))))


def heavier(loss: Node, c: Fraction) -> Node:
    """The loss with label 1 weighted 1 + c."""
    return times(loss, plus(ONE, times(number(c), LABEL)))


def lighter(loss: Node, c: Fraction) -> Node:
    """The loss with label 0 weighted 1 + c."""
    return times(loss, plus(ONE, times(number(c), complement(LABEL))))


Build = Callable[[Node, Node, Fraction], Node]

# name -> (operands, whether it takes a constant, whether valid operands give a valid loss, how it is built)
MOVES: dict[str, tuple[int, bool, bool, Build]] = {
    "add": (2, False, True, lambda a, b, c: plus(a, b)),
    "multiply": (2, False, False, lambda a, b, c: times(a, b)),
    "max": (2, False, True, lambda a, b, c: extreme("max", a, b)),
    "min": (2, False, False, lambda a, b, c: extreme("min", a, b)),
    "agree": (2, False, False, lambda a, b, c: agree(a, b)),
    "complement": (1, False, False, lambda a, b, c: complement(a)),
    "negate": (1, False, False, lambda a, b, c: minus(a)),
    "log": (1, False, False, lambda a, b, c: unary("log", a)),
    "exp": (1, False, True, lambda a, b, c: unary("exp", a)),
    "square": (1, False, False, lambda a, b, c: unary("square", a)),
    "sqrt": (1, False, False, lambda a, b, c: unary("sqrt", a)),
    "reciprocal": (1, False, False, lambda a, b, c: unary("reciprocal", a)),
    "relu": (1, False, False, lambda a, b, c: unary("relu", a)),
    "softplus": (1, False, True, lambda a, b, c: unary("softplus", a)),
    "shift": (1, True, True, lambda a, b, c: plus(a, number(c))),
    "scale": (1, True, True, lambda a, b, c: times(number(c), a)),
    "blend": (2, True, True, lambda a, b, c: plus(a, times(number(c), b))),
    "heavier": (1, True, True, lambda a, b, c: heavier(a, c)),
    "lighter": (1, True, True, lambda a, b, c: lighter(a, c)),
    "odds": (1, True, True, lambda a, b, c: odds(a, c)),
    "steeper": (1, True, True, lambda a, b, c: steeper(a, c)),
    "halves": (2, True, True, lambda a, b, c: halves(a, b, c)),
    "root": (1, False, True, lambda a, b, c: substitute(a, lambda n: unary("sqrt", n) if n == PRED else None)),
    "sharper": (1, False, True, lambda a, b, c: substitute(a, lambda n: unary("square", n) if n == PRED else None)),
}
OPERATIONS = tuple(MOVES)
CONSTANTS = tuple(Fraction(c) for c in ("1/16", "1/8", "1/4", "1/2", "1", "3/2", "2", "3", "5", "8", "16", "32"))


@dataclass(frozen=True, slots=True)
class Edit:
    """One step of a recipe; `second` and `constant` are -1 where the operation takes none."""

    operation: int
    first: int
    second: int = -1
    constant: int = -1


Recipe = tuple[Edit, ...]


def cook(recipe: Recipe, slots: Sequence[Node]) -> Node:
    """What a recipe makes of the leaves and the slots.

    >>> from lossdsl.search.moves import OPERATIONS, Edit, cook
    >>> recipe = (Edit(OPERATIONS.index("agree"), 1, 0), Edit(OPERATIONS.index("log"), 3))
    >>> from lossdsl.grammar.printer import show_node
    >>> show_node(cook(recipe, ()))
    'log(label*pred + (1-label)*(1-pred))'
    """
    nodes: list[Node] = [*LEAVES, *slots]
    for edit in recipe:
        _, takes, _, build = MOVES[OPERATIONS[edit.operation]]
        first = nodes[edit.first]
        second = nodes[edit.second] if edit.second >= 0 else first
        nodes.append(build(first, second, CONSTANTS[edit.constant] if takes else Fraction(1)))
    return nodes[-1]
