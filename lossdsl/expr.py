"""From tree to SymPy: the symbolic form that people read and work with.

SymPy evaluates as it builds: `x/x` becomes 1, `0*log(p)` becomes 0, `9^9^9` a number of 370 million digits. Here every
node is built with `evaluate=False`, so the SymPy tree says what the formula says, and building it takes time in
proportion to the formula.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree, walk

if TYPE_CHECKING:
    import sympy

_EPSILON = Fraction(1, 10**6)


def expression(tree: Tree) -> sympy.Expr:
    """The formula as a SymPy expression, nothing simplified.

    `pred`, `label` and `score` are plain symbols; a parameter is the value that `where` gives it, and a symbol where
    that is a range.

    >>> from lossdsl.expr import expression
    >>> from lossdsl.grammar.parser import read
    >>> expression(read("pred/pred + 0*log(label)").tree)
    0*log(label) + pred/pred
    """
    import sympy

    values = {b.name: b.value for b in tree.where}
    built: dict[Node, sympy.Expr] = {}
    for node in walk(tree.root):
        if isinstance(node, Number):
            built[node] = rational(node.value)
        elif isinstance(node, Name):
            value = values.get(node.name)
            built[node] = sympy.Symbol(node.name) if value is None else rational(value)
        elif isinstance(node, Apply):
            built[node] = _RULES[node.op](*(built[a] for a in node.args))
    return built[tree.root]


def rational(value: Fraction) -> sympy.Rational:
    """An exact SymPy number."""
    import sympy

    return sympy.Rational(value.numerator, value.denominator)


def _add(a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
    import sympy

    return sympy.Add(a, b, evaluate=False)


def _mul(a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
    import sympy

    return sympy.Mul(a, b, evaluate=False)


def _pow(a: sympy.Expr, b: sympy.Expr | int) -> sympy.Expr:
    import sympy

    return sympy.Pow(a, b, evaluate=False)


def _neg(a: sympy.Expr) -> sympy.Expr:
    import sympy

    # A product of -1 and a number would print as `-1*2`; a negative number says the same.
    return -a if a.is_Number else sympy.Mul(-1, a, evaluate=False)


def _call(name: str) -> Callable[..., sympy.Expr]:
    def build(*args: sympy.Expr) -> sympy.Expr:
        import sympy

        return getattr(sympy, name)(*args, evaluate=False)

    return build


def _half() -> sympy.Expr:
    import sympy

    return sympy.Rational(1, 2)


def _one() -> sympy.Expr:
    import sympy

    return sympy.Integer(1)


def _log(a: sympy.Expr) -> sympy.Expr:
    return _call("log")(a)


def _exp(a: sympy.Expr) -> sympy.Expr:
    return _call("exp")(a)


def _protected(a: sympy.Expr, epsilon: sympy.Expr | None) -> tuple[sympy.Expr, sympy.Expr]:
    """Sign of `a`, and its size plus epsilon."""
    return _call("sign")(a), _add(_call("Abs")(a), rational(_EPSILON) if epsilon is None else epsilon)


def _plog(a: sympy.Expr, epsilon: sympy.Expr | None = None) -> sympy.Expr:
    sign, size = _protected(a, epsilon)
    return _mul(sign, _log(size))


def _pinv(a: sympy.Expr, epsilon: sympy.Expr | None = None) -> sympy.Expr:
    sign, size = _protected(a, epsilon)
    return _mul(sign, _pow(size, -1))


def _psqrt(a: sympy.Expr, epsilon: sympy.Expr | None = None) -> sympy.Expr:
    sign, size = _protected(a, epsilon)
    return _mul(sign, _pow(size, _half()))


def _if(condition: sympy.Expr, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr:
    """A Piecewise made as SymPy makes it in the end; its own constructor rewrites the condition, evaluate or not."""
    from sympy import Basic, Piecewise, true
    from sympy.functions.elementary.piecewise import ExprCondPair

    pairs = (Basic.__new__(ExprCondPair, a, condition), Basic.__new__(ExprCondPair, b, true))
    return Basic.__new__(Piecewise, *pairs)


def _extreme(name: str) -> Callable[..., sympy.Expr]:
    def build(*args: sympy.Expr) -> sympy.Expr:
        import sympy

        kind = getattr(sympy, name)
        distinct = list(dict.fromkeys(args))
        if len(distinct) == 1:
            return distinct[0]
        # SymPy sorts the arguments by their numeric value, and exp(exp(exp(9))) has one that nobody waits for.
        if any(a.has(sympy.exp, sympy.Pow) and _has_constant_power(a) for a in args):
            return sympy.Expr.__new__(kind, *distinct)
        return kind(*args, evaluate=False)

    return build


def _has_constant_power(expr: sympy.Expr) -> bool:
    import sympy

    return any(not part.free_symbols for part in expr.atoms(sympy.exp, sympy.Pow))


def _softplus(a: sympy.Expr) -> sympy.Expr:
    return _log(_add(_one(), _exp(a)))


_RULES: dict[str, Callable[..., sympy.Expr]] = {
    "add": _add,
    "sub": lambda a, b: _add(a, _neg(b)),
    "mul": _mul,
    "div": lambda a, b: _mul(a, _pow(b, -1)),
    "pow": _pow,
    "neg": _neg,
    "lt": _call("StrictLessThan"),
    "le": _call("LessThan"),
    "gt": _call("StrictGreaterThan"),
    "ge": _call("GreaterThan"),
    "log": _log,
    "log1p": lambda a: _log(_add(_one(), a)),
    "exp": _exp,
    "expm1": lambda a: _add(_exp(a), _neg(_one())),
    "sqrt": lambda a: _pow(a, _half()),
    "square": lambda a: _pow(a, 2),
    "reciprocal": lambda a: _pow(a, -1),
    "abs": _call("Abs"),
    "sign": _call("sign"),
    "sigmoid": lambda a: _pow(_add(_one(), _exp(_neg(a))), -1),
    "logsigmoid": lambda a: _neg(_softplus(_neg(a))),
    "tanh": _call("tanh"),
    "relu": lambda a: _extreme("Max")(rational(Fraction(0)), a),
    "softplus": _softplus,
    "min": _extreme("Min"),
    "max": _extreme("Max"),
    "clamp": lambda a, low, high: _extreme("Min")(_extreme("Max")(a, low), high),
    "if": _if,
    "plog": _plog,
    "pinv": _pinv,
    "psqrt": _psqrt,
}
