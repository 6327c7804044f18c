"""Whether 32-bit arithmetic stays finite: running error bounds over boxes of inputs, all boxes of a round at once.

Judged is the compiled Program, value and slope, at every float32 pred in [0, 1] (projected as the compiled losses do)
and every float32 score in [-100, 100], at single labels or at all in [0, 1]. Each step is an interval in double
precision, widened by far more than the rounding of a float32 step, so that it holds whatever the machine computes; a
sample of single inputs refutes.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from lossdsl.errors import LossError
from lossdsl.grammar.tree import Tree, names
from lossdsl.lowering import lower
from lossdsl.program import Program
from lossdsl.report import PROVED, REFUTED, UNDECIDED, Exact, Finding, Witness
from lossdsl.targets.numpy import evaluate

Array = np.ndarray[Any, np.dtype[np.float64]]
Box = tuple[Array, Array, "np.ndarray[Any, np.dtype[np.bool_]]"]
"""Lower ends, upper ends, and whether the value may be infinite or NaN, box by box."""

LARGEST = float(np.finfo(np.float32).max)
TINY = float(np.finfo(np.float32).tiny)
ULPS = 2.0**-20
"""Relative widening of a step: sixteen units in the last place of a float32."""
SUBNORMAL = 2.0**-148
ROUNDS = 5
FIRST, AGAIN = 256, 16
LABELS = 16
"""Into how many parts the labels between 0 and 1 are cut at first; each round halves them."""
MAX_LEFT = 4096
SOFT = (*(Fraction(k, 8) for k in range(1, 8)), Fraction(1, 3), Fraction(1, 32), Fraction(31, 32))
METHOD = "running error bounds on float32 steps"


def float_safe(
    tree: Tree, labels: tuple[Fraction, ...], parameters: dict[str, Fraction], between: bool = False
) -> Finding:
    """Finite value and slope at every float32 pred in [0, 1] and score in [-100, 100]; `between`, at all labels too."""
    axes = ("score",) if "score" in names(tree.root) else ("pred", "score")
    for axis in axes:
        try:
            program = lower(tree, axis)  # type: ignore[arg-type]
        except LossError as error:
            return Finding("float_safe", UNDECIDED, f"cannot be compiled: {error}")
        for label in (*labels, *SOFT) if between else labels:
            place = _refute(program, float(label))
            if place is not None:
                return _overflow(axis, label, place, parameters)
        for first, last in [(Fraction(0), Fraction(1))] if between else [(label, label) for label in labels]:
            left = _prove(program, float(first), float(last))
            if left is not None:
                where = f"at label {left[1]:.3g} near {axis} = {left[0]:.6g}"
                return Finding("float_safe", UNDECIDED, f"whether float32 stays finite {where}", method=METHOD)
    return Finding("float_safe", PROVED, "value and slope stay finite in float32", False, "[0, 1]", METHOD)


def _overflow(
    axis: str, label: Fraction, place: tuple[float, float, float], parameters: dict[str, Fraction]
) -> Finding:
    x, value, slope = place
    at: dict[str, Exact] = {"label": str(label), axis: str(Fraction(x)), **{k: str(v) for k, v in parameters.items()}}
    what = f"value {value:g}, slope {slope:g}"
    detail = f"at label {label} and {axis} = {x:g} float32 gives {what}"
    mend = "use softplus, logsigmoid, log1p or expm1, or clamp the argument of exp"
    return Finding("float_safe", REFUTED, detail, method="a float32 computation",
                   witness=Witness(at, f"{value:g}", f"in float32: {what}"), mend=mend)  # fmt: skip


def _samples(axis: str) -> Any:
    if axis == "score":
        spread = np.linspace(-100, 100, 801)
        return np.unique(np.concatenate([spread, [0.0, 88.7, -88.7, 1e-30, -1e-30]])).astype(np.float32)
    powers = 2.0 ** -np.arange(0, 127, 2)
    near_one = 1 - 2.0 ** -np.arange(1, 25)
    return np.unique(np.concatenate([[0.0, 1.0], powers, near_one, np.linspace(0, 1, 101)]).astype(np.float32))


def _refute(program: Program, label: float) -> tuple[float, float, float] | None:
    """An input, the value and the slope there, if one of them is not finite."""
    x = _samples(program.axis)
    value, slope = evaluate(program, x, np.full(x.shape, label, dtype=np.float32))
    bad = ~(np.isfinite(value) & np.isfinite(slope))
    if not bad.any():
        return None
    # The plainest place: the one closest to the middle.
    centre = 0.0 if program.axis == "score" else 0.5
    places = np.flatnonzero(bad)
    i = places[np.argmin(np.abs(x[places] - centre))]
    return float(x[i]), float(value[i]), float(slope[i])


def _prove(program: Program, first: float, last: float) -> tuple[float, float] | None:
    """None if value and slope stay finite for all inputs and labels, else a place and label where that is not shown."""
    if program.axis == "score":
        edges = np.linspace(-100, 100, FIRST + 1)
    else:
        half = np.geomspace(TINY, 0.5, FIRST // 2 + 1)
        other = 1 - np.geomspace(2.0**-24, 0.5, FIRST // 2 + 1)
        edges = np.unique(np.concatenate([half, other]))
    cells, halves = (LABELS, 2) if first < last else (1, 1)
    x, label = _each((edges[:-1], edges[1:]), _parts(np.array([first]), np.array([last]), cells))
    for _ in range(ROUNDS):
        bad = _may_fail(program, *x, label)
        if not bad.any():
            return None
        low, high, least, most = x[0][bad], x[1][bad], label[0][bad], label[1][bad]
        if len(low) * AGAIN > MAX_LEFT * halves:
            break
        x = _parts(np.repeat(low, halves), np.repeat(high, halves), AGAIN)
        least, most = _parts(least, most, halves)
        label = np.repeat(least, AGAIN), np.repeat(most, AGAIN)
    return float(low[0]), float(least[0])


def _parts(low: Array, high: Array, count: int) -> tuple[Array, Array]:
    """Each interval cut into so many, one after another."""
    cuts = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, count + 1)
    cuts[:, -1] = high
    return cuts[:, :-1].ravel(), cuts[:, 1:].ravel()


def _each(x: tuple[Array, Array], label: tuple[Array, Array]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Every box of x with every box of labels."""
    m, n = len(x[0]), len(label[0])
    return (np.repeat(x[0], n), np.repeat(x[1], n)), (np.tile(label[0], m), np.tile(label[1], m))


def _may_fail(program: Program, low: Array, high: Array, label: tuple[Array, Array]) -> Any:
    none = np.zeros(low.shape, dtype=bool)
    boxes: list[Box] = []
    with np.errstate(all="ignore"):
        for step, number in zip(program.steps, program.floats):
            if step.op == "constant":
                c = np.full(low.shape, float(np.float32(number)))
                boxes.append((c, c, none))
            elif step.op == "input":
                boxes.append((*label, none) if step.name == "label" else (low, high, none))
            elif step.op == "parameter":
                return ~none
            else:
                boxes.append(_step(step.op, [boxes[a] for a in step.args]))
    return boxes[program.value][2] | boxes[program.slope][2]


def _step(op: str, args: list[Box]) -> Box:
    bad = args[0][2].copy()
    for _, _, more in args[1:]:
        bad |= more
    if op == "select":
        return _select(*args)
    if op in _COMPARE:
        sure, never = _COMPARE[op](args[0], args[1])
        return np.where(sure, 1.0, 0.0), np.where(never, 0.0, 1.0), bad
    if op in _EXACT:
        low, high = _EXACT[op](*args)
        return low, high, bad
    low, high, wrong = _ROUNDED[op](*args)
    low, high = low - np.abs(low) * ULPS - SUBNORMAL, high + np.abs(high) * ULPS + SUBNORMAL
    if op in _RANGES:
        low, high = np.maximum(low, _RANGES[op][0]), np.minimum(high, _RANGES[op][1])
    bad |= wrong | ~(np.isfinite(low) & np.isfinite(high)) | (low < -LARGEST) | (high > LARGEST)
    return np.where(bad, 0.0, low), np.where(bad, 0.0, high), bad


def _select(c: Box, a: Box, b: Box) -> Box:
    yes, no = (c[0] > 0) & ~c[2], (c[1] == 0) & ~c[2]
    low = np.where(yes, a[0], np.where(no, b[0], np.minimum(a[0], b[0])))
    high = np.where(yes, a[1], np.where(no, b[1], np.maximum(a[1], b[1])))
    return low, high, np.where(yes, a[2], np.where(no, b[2], a[2] | b[2] | c[2]))


def _products(a: Box, b: Box) -> tuple[Array, Array]:
    four = [a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1]]
    return np.minimum.reduce(four), np.maximum.reduce(four)


def _clean(a: Box) -> Any:
    return np.zeros(a[0].shape, dtype=bool)


def _mul(a: Box, b: Box) -> tuple[Array, Array, Any]:
    if a is b:
        low, high = _size(a)
        return low * low, high * high, _clean(a)
    return (*_products(a, b), _clean(a))


def _div(a: Box, b: Box) -> tuple[Array, Array, Any]:
    crosses = (b[0] <= 0) & (b[1] >= 0)
    safe = np.where(crosses, 1.0, b[0]), np.where(crosses, 1.0, b[1])
    low, high = _products(a, (1 / safe[1], 1 / safe[0], b[2]))
    return low, high, crosses


def _pow(a: Box, b: Box) -> tuple[Array, Array, Any]:
    """Where the base is positive; whole powers of others by the size of the base, if that keeps off zero."""
    positive = a[0] > 0
    whole = (b[0] == b[1]) & (b[0] == np.round(b[0]))
    low, high = _size(a)
    base_low, base_high = np.where(positive, a[0], np.maximum(low, 0)), np.where(positive, a[1], high)
    small = np.where(base_low > 0, base_low, TINY * SUBNORMAL)
    logs = np.log(small), np.log(np.maximum(base_high, small)), a[2]
    e_low, e_high = _products(logs, b)
    least, most = np.exp(e_low), np.exp(e_high)
    odd = np.abs(b[0] % 2) == 1
    low = np.where(positive, least, np.where(odd, -most, np.where(base_low > 0, least, 0.0)))
    fine = positive | (whole & ((b[0] >= 0) | (base_low > 0)))
    # exp(e log x) is less exact than one step, so its bounds are widened here as well.
    slack = 64 * ULPS * (1 + np.maximum(np.abs(e_low), np.abs(e_high)))
    return low - np.abs(low) * slack, most * (1 + slack), ~fine


def _size(a: Box) -> tuple[Array, Array]:
    crosses = (a[0] <= 0) & (a[1] >= 0)
    return np.where(crosses, 0.0, np.minimum(np.abs(a[0]), np.abs(a[1]))), np.maximum(np.abs(a[0]), np.abs(a[1]))


def _rising(f: Callable[[Any], Any]) -> Callable[[Box], tuple[Array, Array, Any]]:
    return lambda a: (f(a[0]), f(a[1]), _clean(a))


def _log(a: Box) -> tuple[Array, Array, Any]:
    wrong = a[0] <= 0
    return np.log(np.where(wrong, 1.0, a[0])), np.log(np.where(wrong, 1.0, a[1])), wrong


def _log1p(a: Box) -> tuple[Array, Array, Any]:
    wrong = a[0] <= -1
    return np.log1p(np.where(wrong, 0.0, a[0])), np.log1p(np.where(wrong, 0.0, a[1])), wrong


def _sqrt(a: Box) -> tuple[Array, Array, Any]:
    wrong = a[0] < 0
    return np.sqrt(np.where(wrong, 0.0, a[0])), np.sqrt(np.where(wrong, 0.0, a[1])), wrong


def _mix(w: Box, a: Box, b: Box) -> tuple[Array, Array, Any]:
    first, second = _products(w, a), _products((1 - w[1], 1 - w[0], w[2]), b)
    return first[0] + second[0], first[1] + second[1], _clean(w)


def _logsigmoid(x: Any) -> Any:
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def _sigmoid(x: Any) -> Any:
    return np.exp(_logsigmoid(x))


_COMPARE: dict[str, Callable[[Box, Box], tuple[Any, Any]]] = {
    "lt": lambda a, b: (a[1] < b[0], a[0] >= b[1]),
    "le": lambda a, b: (a[1] <= b[0], a[0] > b[1]),
    "gt": lambda a, b: (a[0] > b[1], a[1] <= b[0]),
    "ge": lambda a, b: (a[0] >= b[1], a[1] < b[0]),
    "eq": lambda a, b: ((a[0] == a[1]) & (b[0] == b[1]) & (a[0] == b[0]), (a[1] < b[0]) | (b[1] < a[0])),
}
_EXACT: dict[str, Callable[..., tuple[Array, Array]]] = {
    "neg": lambda a: (-a[1], -a[0]),
    "abs": lambda a: _size(a),
    "sign": lambda a: (np.sign(a[0]), np.sign(a[1])),
    "relu": lambda a: (np.maximum(a[0], 0), np.maximum(a[1], 0)),
    "min": lambda a, b: (np.minimum(a[0], b[0]), np.minimum(a[1], b[1])),
    "max": lambda a, b: (np.maximum(a[0], b[0]), np.maximum(a[1], b[1])),
    "clamp": lambda x, a, b: (np.minimum(np.maximum(x[0], a[0]), b[0]), np.minimum(np.maximum(x[1], a[1]), b[1])),
}
_ROUNDED: dict[str, Callable[..., tuple[Array, Array, Any]]] = {
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1], _clean(a)),
    "sub": lambda a, b: (a[0] - b[1], a[1] - b[0], _clean(a)),
    "mul": _mul, "div": _div, "pow": _pow, "log": _log, "log1p": _log1p, "sqrt": _sqrt, "mix": _mix,
    "exp": _rising(np.exp), "expm1": _rising(np.expm1), "tanh": _rising(np.tanh),
    "sigmoid": _rising(_sigmoid), "logsigmoid": _rising(_logsigmoid),
}  # fmt: skip
_RANGES = {"exp": (0.0, np.inf), "expm1": (-1.0, np.inf), "sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0),
           "sqrt": (0.0, np.inf), "logsigmoid": (-np.inf, 0.0)}  # fmt: skip
