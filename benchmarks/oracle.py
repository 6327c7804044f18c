"""Values and slopes of a loss in 220 digits, computed without the engine.

Shares the parser with the package and nothing else. What digits cannot show is not guessed: `OutOfSight` says so.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import mpmath
from mpmath import mpf

from lossdsl.formula import Formula
from lossdsl.grammar.tree import Apply, Name, Node, Number, names, walk

DIGITS = 220
FARTHEST = 10**100
"""Size of the largest exponent of e."""
BLURRED = mpf(10) ** -100
"""A value closer to zero than this may be on either side of it, or zero, if something got lost on the way."""
Pair = tuple[Any, Any]
"""A value and its derivative along the axis."""


class NotFinite(Exception):
    """A sub-expression is not a real, finite number."""


class OutOfSight(Exception):
    """Nothing is said of the place: a power of e that takes longer than anyone waits, or one lost beside a number."""


class Dual(NamedTuple):
    """A value and its slope on one side of the place.

    `kink`: the slope on the other side may be another. `lost`: something too small to show is missing in the value;
    1 + e^-1e30 is 1 in any number of digits that fits into a computer, and yet less 1 it is no zero to divide by.
    """

    value: Any
    slope: Any
    kink: bool = False
    lost: bool = False


def number(q: Fraction) -> Any:
    return mpf(q.numerator) / q.denominator


class Oracle:
    """Value and slope (along score or pred) of one formula, by dual numbers."""

    def __init__(self, formula: Formula, labels: tuple[int, ...] = (0, 1)) -> None:
        mpmath.mp.dps = DIGITS
        self.order = list(walk(formula.tree.root))
        self.root = formula.tree.root
        self.score = "score" in names(formula.tree.root)
        self.labelled = "label" in names(formula.tree.root)
        self.parameters = {b.name: b.low for b in formula.tree.where}
        self.labels = labels
        self._known: dict[tuple[Any, Any, int], Pair | Exception] = {}

    def place(self, pred: Any) -> Any:
        """The place on the formula's own axis."""
        return mpmath.log(pred / (1 - pred)) if self.score else pred

    def __call__(self, x: Any, label: Any) -> Pair:
        """Loss and slope at a place of the axis; at a kink the mean of the slopes on both sides."""
        # Without label in the formula both labels are one.
        key = x, label if self.labelled else None, mpmath.mp.prec
        if key not in self._known:
            try:
                after = self._compute(x, label, 1)
                before = self._compute(x, label, -1) if after.kink else after
                self._known[key] = after.value, (after.slope + before.slope) / 2
            except (NotFinite, OutOfSight) as trouble:
                self._known[key] = trouble
        found = self._known[key]
        if isinstance(found, Exception):
            raise found
        return found

    def lost(self, x: Any, label: Any) -> bool:
        """Whether a part of the loss at a place differs from a number by less than the digits show."""
        return self._compute(x, label, 1).lost

    def _compute(self, x: Any, label: Any, side: int) -> Dual:
        env: dict[Node, Dual] = {}
        for node in self.order:
            env[node] = self._node(node, env, x, label, side)
            v = env[node].value
            if not isinstance(v, mpf) or not mpmath.isfinite(v):
                raise NotFinite
        return env[self.root]

    def _node(self, node: Node, env: dict[Node, Dual], x: Any, label: Any, side: int) -> Dual:
        if isinstance(node, Number):
            return Dual(number(node.value), mpf(0))
        if isinstance(node, Name):
            if node.name == "label":
                return Dual(mpf(label), mpf(0))
            if node.name == "score":
                return Dual(x, mpf(1))
            if node.name == "pred":
                return apply("sigmoid", [Dual(x, mpf(1))], side) if self.score else Dual(x, mpf(1))
            return Dual(number(self.parameters[node.name]), mpf(0))
        assert isinstance(node, Apply)
        if node.op == "sub" and node.args[0] == node.args[1]:
            return Dual(mpf(0), mpf(0))
        return apply(node.op, [env[a] for a in node.args], side)


def apply(op: str, args: list[Dual], side: int) -> Dual:
    """One operator on values and slopes; `side` is 1 for slopes just after the place, -1 for those just before it."""
    lost = any(a.lost for a in args)
    if op in CHOICES:
        return CHOICES[op](op, args, side, lost)
    try:
        value, slope, here = _smooth(op, args, lost)
    except (ZeroDivisionError, OverflowError, ValueError):
        raise (OutOfSight if lost else NotFinite) from None
    return Dual(value, slope, any(a.kink for a in args), lost or here)


def _smooth(op: str, args: list[Dual], lost: bool) -> tuple[Any, Any, bool]:
    """Operators without kinks: value, slope, and whether this one lost something."""
    u, du = args[0][:2]
    v, dv = args[1][:2] if len(args) > 1 else (mpf(0), mpf(0))
    if op in ("add", "sub"):
        v, dv = (v, dv) if op == "add" else (-v, -dv)
        return u + v, du + dv, bool(u and v) and u + v in (u, v)
    if op == "mul":
        return u * v, du * v + u * dv, False
    if op == "div":
        return u / v, (du * v - u * dv) / v**2, False
    if op == "neg":
        return -u, -du, False
    if op == "reciprocal":
        return 1 / u, -du / u**2, False
    if op == "square":
        return u * u, 2 * u * du, False
    if op == "pow":
        return _power(u, du, v, dv, lost)
    if op == "log":
        _above_zero(u, lost)
        return mpmath.log(u), du / u, False
    if op == "log1p":
        _above_zero(1 + u, lost)
        return mpmath.log1p(u), du / (1 + u), False
    if op == "exp":
        e = exponential(u)
        return e, e * du, bool(u) and e == 1
    if op == "expm1":
        e = exponential(u)
        value = mpmath.expm1(u)
        return value, e * du, value == -1
    if op == "sqrt":
        if u <= 0 and (u or lost):
            _above_zero(u, lost)
        root = mpmath.sqrt(u)
        return root, (du / (2 * root) if root else mpf(0)), False
    if op == "sigmoid":
        s = 1 / (1 + exponential(-u))
        return s, du * s / (1 + exponential(u)), s == 1
    if op == "logsigmoid":
        return -mpmath.log1p(exponential(-u)), du / (1 + exponential(u)), False
    if op == "softplus":
        return mpmath.log1p(exponential(u)), du / (1 + exponential(-u)), False
    assert op == "tanh"
    if abs(u) > FARTHEST:
        raise OutOfSight
    t = mpmath.tanh(u)
    return t, du * mpmath.sech(u) ** 2, abs(t) == 1


def _above_zero(w: Any, lost: bool) -> None:
    if lost and abs(w) <= BLURRED:
        raise OutOfSight
    if w <= 0:
        raise NotFinite


def exponential(x: Any) -> Any:
    """e^x, which mpmath would compute for hours where x itself has thousands of digits."""
    if abs(x) > FARTHEST:
        raise OutOfSight
    return mpmath.exp(x)


def _power(u: Any, du: Any, v: Any, dv: Any, lost: bool) -> tuple[Any, Any, bool]:
    """u^v as the language has it: whole exponents of anything, others of what is not negative."""
    if dv == 0 and v == int(v) and abs(v) < 10**6:
        n = int(v)
        return (u**n, n * u ** (n - 1) * du, False) if n else (mpf(1), mpf(0), False)
    if u < 0 or (u == 0 and (v <= 0 or lost)):
        _above_zero(u, lost)
    if u == 0:
        return mpf(0), mpf(0), False
    w = exponential(v * mpmath.log(u))
    return w, w * (dv * mpmath.log(u) + v * du / u), w == 1 and u != 1


# -- operators with kinks and jumps --------------------------------------------------------------------------------


def _sign(u: Dual) -> Any:
    """The sign on the place itself."""
    if u.lost and abs(u.value) <= BLURRED:
        raise OutOfSight
    return mpmath.sign(u.value)


def _size(u: Dual, side: int) -> Dual:
    sign = mpmath.sign(u.value) or side * mpmath.sign(u.slope)
    return Dual(abs(u.value), sign * u.slope, u.kink or not u.value, u.lost)


def _best(op: str, args: list[Dual], side: int, lost: bool) -> Dual:
    """min or max; of equal values the one that is ahead just beside the place has the slope."""
    way = 1 if op == "max" else -1
    best = args[0]
    for other in args[1:]:
        lead = way * (other.value - best.value)
        if not lead and (other.slope != best.slope or other.kink):
            if lost and abs(other.slope - best.slope) > BLURRED:
                raise OutOfSight
            lead = way * side * (other.slope - best.slope)
            best = best._replace(kink=True)
            other = other._replace(kink=True)
        if lead > 0:
            best = other
    return best


def _clamped(op: str, args: list[Dual], side: int, lost: bool) -> Dual:
    return _best("min", [_best("max", args[:2], side, lost), args[2]], side, lost)


def _rectified(op: str, args: list[Dual], side: int, lost: bool) -> Dual:
    return _best("max", [args[0], Dual(mpf(0), mpf(0))], side, lost)


def _compared(op: str, args: list[Dual], side: int, lost: bool) -> Dual:
    a, b = args[0].value, args[1].value
    # Equal but for the last digits may be equal: 1 - (1-pred) is pred, and (1e-6)^0.5 is 1/1000.
    if (lost and abs(a - b) <= BLURRED) or 0 < abs(a - b) <= BLURRED * (abs(a) + abs(b)):
        raise OutOfSight
    return Dual(mpf({"lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}[op]), mpf(0))


def _protected(op: str, args: list[Dual], side: int, lost: bool) -> Dual:
    u, epsilon = args[0], args[1] if len(args) > 1 else Dual(mpf(1) / 10**6, mpf(0))
    sign = _sign(u)
    size = apply("add", [_size(u, side), epsilon], side)
    inner = apply({"plog": "log", "pinv": "reciprocal", "psqrt": "sqrt"}[op], [size], side)
    return Dual(sign * inner.value, sign * inner.slope, inner.kink, inner.lost)


CHOICES = {
    "abs": lambda op, args, side, lost: _size(args[0], side),
    "sign": lambda op, args, side, lost: Dual(_sign(args[0]), mpf(0)),
    "if": lambda op, args, side, lost: args[1] if args[0].value else args[2],
    "relu": _rectified,
    "clamp": _clamped,
    **dict.fromkeys(("min", "max"), _best),
    **dict.fromkeys(("lt", "le", "gt", "ge"), _compared),
    **dict.fromkeys(("plog", "pinv", "psqrt"), _protected),
}
