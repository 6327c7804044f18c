"""Local rules of simplification: a shorter form of one operator on arguments that are simple already."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

from lossdsl.grammar.numerals import write_decimal
from lossdsl.grammar.operators import OPERATORS
from lossdsl.grammar.tree import Apply, Node, Number
from lossdsl.ranges import Ranges

_ZERO, _ONE = Number(Fraction(0)), Number(Fraction(1))


class Maker(Protocol):
    """Who asks: `make` builds a node by these rules, `total` says whether nodes are real and finite everywhere."""

    ranges: Ranges

    def make(self, op: str, *args: Node) -> Node: ...

    def total(self, *nodes: Node) -> bool: ...


# A rule returns None where it has nothing to say.
_Rule = Callable[[Maker, tuple[Node, ...]], "Node | None"]


def constant(node: Node) -> Fraction | None:
    """The value of a number, or of a negative one."""
    if isinstance(node, Number):
        return node.value
    inner = _inside(node, "neg")
    return -inner.value if isinstance(inner, Number) else None


def _inside(node: Node, op: str) -> Node | None:
    """The argument of `node` where it is `op` of one."""
    return node.args[0] if isinstance(node, Apply) and node.op == op else None


def _negated(node: Node) -> Node | None:
    """The opposite of `node`, where that is shorter: `x` for `-x`, `x*y` for `-x*y`."""
    if not isinstance(node, Apply):
        return None
    if node.op == "neg":
        return node.args[0]
    if node.op in ("mul", "div"):
        opposite = _negated(node.args[0])
        return None if opposite is None else Apply(node.op, (opposite, node.args[1]))
    return None


def fold(op: str, args: tuple[Node, ...]) -> Node | None:
    values = [v for v in map(constant, args) if v is not None]
    if len(values) != len(args) or op == "neg":
        return None
    x, y = values[0], values[-1]
    if op in ("add", "sub", "mul"):
        value = x + y if op == "add" else x - y if op == "sub" else x * y
    elif op == "div" and y:
        value = x / y
    elif op == "square":
        value = x * x
    elif op == "pow" and y.denominator == 1 and 1 <= y <= 16:
        value = x ** int(y)
    elif op in ("min", "max"):
        value = min(values) if op == "min" else max(values)
    elif op == "abs":
        value = abs(x)
    elif op == "relu":
        value = max(x, Fraction(0))
    elif op == "sign":
        value = Fraction((x > 0) - (x < 0))
    else:
        return None
    if write_decimal(abs(value)) is None:
        return None
    number = Number(abs(value))
    return number if value >= 0 else Apply("neg", (number,))


def _neg(s: Maker, args: tuple[Node, ...]) -> Node | None:
    x = args[0]
    opposite = _negated(x)
    if opposite is not None:
        return opposite
    if x == _ZERO:
        return x
    if isinstance(x, Apply) and x.op == "sub":
        return Apply("sub", (x.args[1], x.args[0]))
    return None


def _add(s: Maker, args: tuple[Node, ...]) -> Node | None:
    a, b = args
    if a == _ZERO:
        return b
    if b == _ZERO:
        return a
    minus = _negated(b)
    if minus is not None:
        return s.make("sub", a, minus)
    minus = _negated(a)
    return s.make("sub", b, minus) if minus is not None else None


def _sub(s: Maker, args: tuple[Node, ...]) -> Node | None:
    a, b = args
    if b == _ZERO:
        return a
    if a == _ZERO:
        return s.make("neg", b)
    if a == b and s.total(a):
        return _ZERO
    minus = _negated(b)
    return s.make("add", a, minus) if minus is not None else None


def _mul(s: Maker, args: tuple[Node, ...]) -> Node | None:
    a, b = args
    for one, other in ((a, b), (b, a)):
        if one == _ONE:
            return other
        if one == _ZERO and s.total(other):
            return _ZERO
        if constant(one) == -1:
            return s.make("neg", other)
    left, right = _inside(a, "neg"), _inside(b, "neg")
    if left is not None and right is not None:
        return s.make("mul", left, right)
    if right is not None:
        return s.make("neg", s.make("mul", a, right))
    for one, other in ((b, a), (a, b)):
        if isinstance(one, Apply) and one.op == "div" and one.args[0] == _ONE:
            return s.make("div", other, one.args[1])
        inverse = _inside(one, "reciprocal")
        if inverse is not None:
            return s.make("div", other, inverse)
    return None


def _div(s: Maker, args: tuple[Node, ...]) -> Node | None:
    a, b = args
    if b == _ONE:
        return a
    nonzero = s.ranges.of(b).nonzero
    if a == _ZERO and nonzero and s.total(b):
        return _ZERO
    if a == b and nonzero and s.total(b):
        return _ONE
    top, bottom = _inside(a, "neg"), _inside(b, "neg")
    if top is not None and bottom is not None:
        return s.make("div", top, bottom)
    if a == _ONE and isinstance(b, Apply) and b.op == "div" and s.ranges.of(b.args[1]).nonzero:
        return s.make("div", b.args[1], b.args[0])  # 1/(x/y) is undefined at y = 0, y/x is not
    return None


def _reciprocal(s: Maker, args: tuple[Node, ...]) -> Node | None:
    inner = _inside(args[0], "reciprocal")
    return inner if inner is not None and s.ranges.of(inner).nonzero else None


def _pow(s: Maker, args: tuple[Node, ...]) -> Node | None:
    base, exponent = args
    value = constant(exponent)
    if value == 1:
        return base
    if value == 0 and s.ranges.of(base).nonzero and s.total(base):
        return _ONE
    if value == -1:
        return s.make("div", _ONE, base)
    if value is not None and value.denominator == 1 and value % 2 == 0:
        inner = _inside(base, "abs") or _inside(base, "neg")
        return s.make("pow", inner, exponent) if inner is not None else None
    return None


def _square(s: Maker, args: tuple[Node, ...]) -> Node | None:
    inner = _inside(args[0], "abs") or _inside(args[0], "neg")
    if inner is not None:
        return s.make("square", inner)
    inner = _inside(args[0], "sqrt")
    return inner if inner is not None and s.ranges.of(inner).not_negative else None


def _abs(s: Maker, args: tuple[Node, ...]) -> Node | None:
    x = args[0]
    found = s.ranges.of(x)
    if found.not_negative:
        return x
    if found.not_positive:
        return s.make("neg", x)
    inner = _inside(x, "neg")
    return s.make("abs", inner) if inner is not None else None


def _sign(s: Maker, args: tuple[Node, ...]) -> Node | None:
    found = s.ranges.of(args[0])
    if not found.total:
        return None
    return _ONE if found.positive else Apply("neg", (_ONE,)) if found.negative else None


def _relu(s: Maker, args: tuple[Node, ...]) -> Node | None:
    found = s.ranges.of(args[0])
    if found.not_negative:
        return args[0]
    return _ZERO if found.not_positive and found.total else None


def _extreme(op: str) -> _Rule:
    def rule(s: Maker, args: tuple[Node, ...]) -> Node | None:
        flat: list[Node] = []
        for arg in args:
            flat.extend(arg.args if isinstance(arg, Apply) and arg.op == op else (arg,))
        kept: list[Node] = []
        for index, arg in enumerate(flat):
            others = kept + flat[index + 1 :]
            if not (s.total(arg) and any(_hides(s, op, other, arg) for other in others)) and arg not in kept:
                kept.append(arg)
        if len(kept) == 1:
            return kept[0]
        return Apply(op, tuple(kept)) if len(kept) < len(args) or len(flat) > len(args) else None

    return rule


def _hides(s: Maker, op: str, winner: Node, loser: Node) -> bool:
    a, b = s.ranges.of(winner), s.ranges.of(loser)
    return a.below(b) if op == "min" else b.below(a)


def _clamp(s: Maker, args: tuple[Node, ...]) -> Node | None:
    x, low, high = args
    found, least, most = (s.ranges.of(a) for a in args)
    if not least.below(most):
        return None
    if least.below(found) and s.total(low):
        return s.make("min", x, high)
    if found.below(most) and s.total(high):
        return s.make("max", x, low)
    return None


def _if(s: Maker, args: tuple[Node, ...]) -> Node | None:
    condition, yes, no = args
    assert isinstance(condition, Apply)
    a, b = (s.ranges.of(side) for side in condition.args)
    strict = condition.op in ("lt", "gt")
    less, more = (a, b) if condition.op in ("lt", "le") else (b, a)
    if not s.total(*condition.args):
        return None
    if yes == no:
        return yes
    if less.below(more, strict=strict) and s.total(no):
        return yes
    return no if more.below(less, strict=not strict) and s.total(yes) else None


def _log(s: Maker, args: tuple[Node, ...]) -> Node | None:
    x = args[0]
    for op, name in (("exp", ""), ("sigmoid", "logsigmoid")):
        inner = _inside(x, op)
        if inner is not None:
            return s.make(name, inner) if name else inner
    if isinstance(x, Apply) and (x.op == "reciprocal" or (x.op == "div" and x.args[0] == _ONE)):
        return s.make("neg", s.make("log", x.args[-1]))
    if x == _ONE:
        return _ZERO
    if isinstance(x, Apply) and x.op == "add":
        for one, other in (x.args, x.args[::-1]):
            inner = _inside(other, "exp")
            if one == _ONE and inner is not None:
                return s.make("softplus", inner)
    return None


def _exp(s: Maker, args: tuple[Node, ...]) -> Node | None:
    inner = _inside(args[0], "log")
    if inner is not None and s.ranges.of(inner).positive:
        return inner
    return _ONE if args[0] == _ZERO else None


def _sqrt(s: Maker, args: tuple[Node, ...]) -> Node | None:
    x = args[0]
    inner = _inside(x, "square")
    if inner is None and isinstance(x, Apply) and x.op == "pow" and constant(x.args[1]) == 2:
        inner = x.args[0]
    if inner is not None:
        return s.make("abs", inner)
    return x if x in (_ZERO, _ONE) else None


RULES: dict[str, _Rule] = {
    "neg": _neg, "add": _add, "sub": _sub, "mul": _mul, "div": _div, "reciprocal": _reciprocal, "pow": _pow,
    "square": _square, "abs": _abs, "sign": _sign, "relu": _relu, "min": _extreme("min"), "max": _extreme("max"),
    "clamp": _clamp, "if": _if, "log": _log, "exp": _exp, "sqrt": _sqrt,
}  # fmt: skip
assert set(RULES) <= set(OPERATORS)
