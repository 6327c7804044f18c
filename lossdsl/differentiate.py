"""The slope of a formula as a formula: d loss / d pred, or d loss / d score where the formula contains score.

At kinks it follows PyTorch, as every compiled target does: a tie of min or max takes half of each, abs, sign and relu
give 0 at 0, clamp gives 1 at its bounds. The result is a tree of the same language, so `max` becomes an `if` and no
Heaviside or Dirac function ever appears.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from lossdsl.grammar.operators import OPERATORS
from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree, names, size, walk

_ZERO, _ONE, _TWO = Number(Fraction(0)), Number(Fraction(1)), Number(Fraction(2))
_HALF = Number(Fraction(1, 2))
_EPSILON = Number(Fraction(1, 10**6))

# Beyond so many parts, the slope of a min or max is written so that each of its slopes occurs once.
_SHORT = 60

Rule = Callable[[Apply, tuple[Node, ...], tuple[Node, ...]], Node]


def axis(tree: Tree) -> str:
    """The variable that the slope is along: `score` where the formula contains it, else `pred`."""
    return "score" if "score" in names(tree.root) else "pred"


def slope(tree: Tree) -> Tree:
    """The slope of a whole formula along its axis.

    Where pred and score both occur, pred is sigmoid(score), and its own slope pred*(1-pred).

    >>> from lossdsl.differentiate import slope
    >>> from lossdsl.grammar.parser import read
    >>> from lossdsl.grammar.printer import show
    >>> show(slope(read("label*log(pred)").tree)), show(slope(read("max(pred, 0.5)").tree))
    ('label*(1/pred)', 'if(pred > 0.5, 1, if(pred < 0.5, 0, 0.5))')
    """
    along = axis(tree)
    seeds: dict[str, Node] = {along: _ONE}
    if along == "score":
        pred = Name("pred")
        seeds["pred"] = Apply("mul", (pred, Apply("sub", (_ONE, pred))))
    root = derivative(tree.root, seeds)
    used = names(root)
    return Tree(root, tuple(b for b in tree.where if b.name in used))


def derivative(root: Node, seeds: dict[str, Node]) -> Node:
    """The derivative of a node, given that of each name that is no constant."""
    known: dict[Node, Node] = {}
    for node in walk(root):
        if isinstance(node, Name):
            known[node] = seeds.get(node.name, _ZERO)
        elif isinstance(node, Apply) and not OPERATORS[node.op].boolean:
            slopes = tuple(known[a] for a in node.args)
            moving = slopes[1:] if node.op == "if" else slopes
            known[node] = _ZERO if all(s == _ZERO for s in moving) else _RULES[node.op](node, node.args, slopes)
        else:
            known[node] = _ZERO
    return known[root]


def _add(a: Node, b: Node) -> Node:
    if a == _ZERO:
        return b
    return a if b == _ZERO else Apply("add", (a, b))


def _sub(a: Node, b: Node) -> Node:
    if b == _ZERO:
        return a
    return _neg(b) if a == _ZERO else Apply("sub", (a, b))


def _neg(a: Node) -> Node:
    if isinstance(a, Apply) and a.op == "neg":
        return a.args[0]
    return a if a == _ZERO else Apply("neg", (a,))


def _mul(a: Node, b: Node) -> Node:
    if _ZERO in (a, b):
        return _ZERO
    if a == _ONE:
        return b
    if b == _ONE:
        return a
    if isinstance(b, Apply) and b.op == "neg":
        return _neg(_mul(a, b.args[0]))
    return Apply("mul", (a, b))


def _div(a: Node, b: Node) -> Node:
    if isinstance(a, Apply) and a.op == "neg":
        return _neg(_div(a.args[0], b))
    return a if a == _ZERO else Apply("div", (a, b))


def _square(a: Node) -> Node:
    return Apply("pow", (a, _TWO))


def _less(a: Node, b: Node, then: Node, otherwise: Node) -> Node:
    return then if then == otherwise else Apply("if", (Apply("lt", (a, b)), then, otherwise))


def _more(a: Node, b: Node, then: Node, otherwise: Node) -> Node:
    return then if then == otherwise else Apply("if", (Apply("gt", (a, b)), then, otherwise))


def _half(a: Node) -> Node:
    return Number(a.value / 2) if isinstance(a, Number) else _div(a, _TWO)


def _pow(node: Apply, args: tuple[Node, ...], d: tuple[Node, ...]) -> Node:
    base, exponent = args
    result: Node = _ZERO
    if d[0] != _ZERO:
        if isinstance(exponent, Number) and exponent.value == 0:
            power: Node = _ZERO
        elif isinstance(exponent, Number) and exponent.value == 1:
            power = _ONE
        elif isinstance(exponent, Number) and exponent.value == 2:
            power = Apply("mul", (exponent, base))
        elif isinstance(exponent, Number) and exponent.value > 1:
            power = Apply("mul", (exponent, Apply("pow", (base, Number(exponent.value - 1)))))
        else:
            power = Apply("mul", (exponent, Apply("pow", (base, Apply("sub", (exponent, _ONE))))))
        result = _mul(power, d[0])
    if d[1] != _ZERO:
        result = _add(result, _mul(Apply("mul", (node, Apply("log", (base,)))), d[1]))
    return result


def _extreme(node: Apply, args: tuple[Node, ...], d: tuple[Node, ...]) -> Node:
    """Min or max of several is taken two by two, from the left."""
    so_far, slope_so_far = args[0], d[0]
    for other, slope_other in zip(args[1:], d[1:]):
        first, second = (_more, _less) if node.op == "max" else (_less, _more)
        if slope_so_far != slope_other:
            if size(slope_so_far) + size(slope_other) < _SHORT:
                tie = _half(_add(slope_so_far, slope_other))
                slope_so_far = first(so_far, other, slope_so_far, second(so_far, other, slope_other, tie))
            else:
                # The tie would write both slopes a second time, and sixty nested max would be 2^60 of them.
                share = first(so_far, other, _ONE, second(so_far, other, _ZERO, _HALF))
                rest = first(so_far, other, _ZERO, second(so_far, other, _ONE, _HALF))
                slope_so_far = _add(_mul(share, slope_so_far), _mul(rest, slope_other))
        so_far = Apply(node.op, (so_far, other))
    return slope_so_far


def _clamp(node: Apply, args: tuple[Node, ...], d: tuple[Node, ...]) -> Node:
    x, low, high = args
    return _less(x, low, d[1], _more(x, high, d[2], d[0]))


def _protected(node: Apply, args: tuple[Node, ...], d: tuple[Node, ...]) -> Node:
    x, epsilon = args[0], args[1] if len(args) > 1 else _EPSILON
    size = Apply("add", (Apply("abs", (x,)), epsilon))
    if node.op == "plog":
        slope: Node = _div(d[0], size)
    elif node.op == "pinv":
        slope = _neg(_div(d[0], _square(size)))
    else:
        slope = _div(d[0], Apply("mul", (_TWO, Apply("sqrt", (size,)))))
    # The square of the sign is 1 everywhere but at 0, where the function rests, as sign and abs do.
    return _mul(_square(Apply("sign", (x,))), slope)


def _sigmoid_pair(x: Node) -> Node:
    return Apply("mul", (Apply("sigmoid", (x,)), Apply("sigmoid", (Apply("neg", (x,)),))))


def _one_minus_square(node: Node) -> Node:
    return Apply("sub", (_ONE, _square(node)))


_RULES: dict[str, Rule] = {
    "add": lambda n, a, d: _add(d[0], d[1]),
    "sub": lambda n, a, d: _sub(d[0], d[1]),
    "mul": lambda n, a, d: _add(_mul(a[1], d[0]) if d[1] == _ZERO else _mul(d[0], a[1]), _mul(a[0], d[1])),
    "div": lambda n, a, d: (
        _div(d[0], a[1]) if d[1] == _ZERO else _sub(_div(d[0], a[1]), _mul(_div(a[0], _square(a[1])), d[1]))
    ),
    "pow": _pow,
    "neg": lambda n, a, d: _neg(d[0]),
    "log": lambda n, a, d: _div(d[0], a[0]),
    "log1p": lambda n, a, d: _div(d[0], Apply("add", (_ONE, a[0]))),
    "exp": lambda n, a, d: _mul(n, d[0]),
    "expm1": lambda n, a, d: _mul(Apply("exp", a), d[0]),
    "sqrt": lambda n, a, d: _div(d[0], Apply("mul", (_TWO, n))),
    "square": lambda n, a, d: _mul(Apply("mul", (_TWO, a[0])), d[0]),
    "reciprocal": lambda n, a, d: _neg(_div(d[0], _square(a[0]))),
    "abs": lambda n, a, d: _mul(Apply("sign", a), d[0]),
    "sign": lambda n, a, d: _ZERO,
    "sigmoid": lambda n, a, d: _mul(_sigmoid_pair(a[0]), d[0]),
    "logsigmoid": lambda n, a, d: _mul(Apply("sigmoid", (Apply("neg", a),)), d[0]),
    "tanh": lambda n, a, d: _mul(_one_minus_square(n), d[0]),
    "relu": lambda n, a, d: _more(a[0], _ZERO, d[0], _ZERO),
    "softplus": lambda n, a, d: _mul(Apply("sigmoid", a), d[0]),
    "min": _extreme,
    "max": _extreme,
    "clamp": _clamp,
    "if": lambda n, a, d: d[1] if d[1] == d[2] else Apply("if", (a[0], d[1], d[2])),
    "plog": _protected,
    "pinv": _protected,
    "psqrt": _protected,
}
