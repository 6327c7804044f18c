"""Truth for the compiler: a formula evaluated on its tree with 120 digits, and how far rounding may lead away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree, walk
from lossdsl.program import Program

DIGITS = 120


class Unclear(Exception):
    """At a kink, a jump or outside of the domain, where there is no one truth."""


@dataclass(frozen=True)
class Dual:
    """A number and its slope; independent of `lossdsl.slopes`, on purpose."""

    v: Any
    d: Any


def _number(x: Any) -> Dual:
    return Dual(x if isinstance(x, mpf) else mpf(x), mpf(0))


def _chain(x: Dual, value: Any, derivative: Any) -> Dual:
    return Dual(value, derivative * x.d if x.d != 0 else mpf(0))


def _clear(a: Any, b: Any) -> None:
    if abs(a - b) <= mpf(10) ** -60 * (1 + abs(a)):
        raise Unclear


def _log(x: Dual) -> Dual:
    if x.v <= 0:
        raise Unclear
    return _chain(x, mp.log(x.v), 1 / x.v)


def _log1p(x: Dual) -> Dual:
    if x.v <= -1:
        raise Unclear
    return _chain(x, mp.log1p(x.v), 1 / (1 + x.v))


def _exp(x: Dual) -> Dual:
    if abs(x.v) > 10**5:
        raise Unclear
    return _chain(x, mp.exp(x.v), mp.exp(x.v))


def _add(a: Dual, b: Dual) -> Dual:
    return Dual(a.v + b.v, a.d + b.d)


def _neg(a: Dual) -> Dual:
    return Dual(-a.v, -a.d)


def _mul(a: Dual, b: Dual) -> Dual:
    return Dual(a.v * b.v, a.d * b.v + a.v * b.d)


def _inverse(a: Dual) -> Dual:
    if a.v == 0:
        raise Unclear
    return _chain(a, 1 / a.v, -1 / a.v**2)


def _sign(x: Dual) -> Dual:
    if x.v == 0 and x.d == 0:
        return _number(0)
    _clear(x.v, 0)
    return _number(1 if x.v > 0 else -1)


def _abs(x: Dual) -> Dual:
    return _mul(_sign(x), x)


def _sqrt(x: Dual) -> Dual:
    if x.v <= 0:
        raise Unclear
    return _chain(x, mp.sqrt(x.v), 1 / (2 * mp.sqrt(x.v)))


def _sigmoid(x: Dual) -> Dual:
    return _inverse(_add(_number(1), _exp(_neg(x))))


def _extreme(which: Any, a: Dual, b: Dual) -> Dual:
    if a.v == b.v and a.d == b.d:
        return a
    _clear(a.v, b.v)
    return a if which(a.v, b.v) == a.v else b


def _pow(a: Dual, b: Dual) -> Dual:
    if b.d == 0 and b.v == int(b.v):
        n = int(b.v)
        if a.v == 0 and n < 1:
            raise Unclear
        return _chain(a, a.v**n, n * a.v ** (n - 1) if n else mpf(0))
    return _exp(_mul(b, _log(a)))


def _holds(op: str, a: Dual, b: Dual) -> bool:
    _clear(a.v, b.v)
    return bool(a.v < b.v) if op in ("lt", "le") else bool(a.v > b.v)


def _apply(op: str, a: list[Any]) -> Any:
    if op in ("lt", "le", "gt", "ge"):
        return _holds(op, a[0], a[1])
    if op == "if":
        return a[1] if a[0] else a[2]
    if op in ("min", "max"):
        result = a[0]
        for other in a[1:]:
            result = _extreme(min if op == "min" else max, result, other)
        return result
    if op == "clamp":
        return _extreme(min, _extreme(max, a[0], a[1]), a[2])
    if op in ("plog", "pinv", "psqrt"):
        inner = _add(_abs(a[0]), a[1] if len(a) > 1 else _number(mpf(1) / 10**6))
        return _mul(_sign(a[0]), {"plog": _log, "pinv": _inverse, "psqrt": _sqrt}[op](inner))
    table = {
        "add": _add, "mul": _mul, "neg": _neg, "pow": _pow, "log": _log, "exp": _exp, "sqrt": _sqrt, "abs": _abs,
        "sign": _sign, "sigmoid": _sigmoid, "reciprocal": _inverse,
        "sub": lambda x, z: _add(x, _neg(z)), "div": lambda x, z: _mul(x, _inverse(z)),
        "log1p": _log1p, "expm1": lambda x: _chain(x, mp.expm1(x.v), _exp(x).v),
        "square": lambda x: _mul(x, x), "logsigmoid": lambda x: _neg(_log1p(_exp(_neg(x)))),
        "softplus": lambda x: _log1p(_exp(x)), "relu": lambda x: _extreme(max, x, _number(0)),
        "tanh": lambda x: _chain(x, mp.tanh(x.v), 1 / mp.cosh(x.v) ** 2),
    }  # fmt: skip
    return table[op](*a)


def truth(
    tree: Tree, axis: str, x: float, label: float, parameters: Mapping[str, Any] | None = None
) -> tuple[Any, Any]:
    """Value and slope along `axis` as mpf; raises Unclear at kinks and outside of the domain."""
    with mp.workdps(DIGITS):
        at = {axis: Dual(mpf(float(x)), mpf(1)), "label": _number(float(label))}
        if axis == "score":
            at["pred"] = _sigmoid(at["score"])
        for binding in tree.where:
            value = (parameters or {}).get(binding.name, binding.value)
            fraction = Fraction(value)
            at[binding.name] = _number(mpf(fraction.numerator) / fraction.denominator)
        done: dict[Node, Any] = {}
        for node in walk(tree.root):
            if isinstance(node, Number):
                done[node] = _number(mpf(node.value.numerator) / node.value.denominator)
            elif isinstance(node, Name):
                done[node] = at[node.name]
            else:
                assert isinstance(node, Apply)
                done[node] = _apply(node.op, [done[a] for a in node.args])
        result = done[tree.root]
        return result.v, result.d


# How many units in the last place an operation may be off by itself, over all targets.
_OWN = {"exp": 2, "expm1": 3, "log": 2, "log1p": 3, "sigmoid": 4, "logsigmoid": 4, "tanh": 4, "pow": 4, "mix": 3}

_EXACT = frozenset(("neg", "abs", "max", "min", "relu", "select", "sign", "clamp", "lt", "le", "gt", "ge", "eq"))


def bound(
    program: Program, x: float, label: float, dtype: Any, parameters: Mapping[str, float] | None = None
) -> tuple[float, float]:
    """Running error bounds of value and slope: what rounding each step may add up to, to first order.

    Infinite where a rounded argument may fall on the other side of a kink, a jump or the edge of the domain.
    """
    eps, tiny = float(np.finfo(dtype).eps), float(np.finfo(dtype).tiny)
    limit = float(np.finfo(dtype).max)
    v: list[float] = []
    e: list[float] = []
    with np.errstate(all="ignore"):
        for step, constant in zip(program.steps, program.floats):
            a = [np.float64(v[i]) for i in step.args]
            f = [e[i] for i in step.args]
            if step.op == "input":
                value, error = (label if step.name == "label" else x), 0.0
            elif step.op in ("constant", "parameter"):
                value = constant if step.op == "constant" else float((parameters or {})[step.name or ""])
                near = dtype(value)
                exact = np.isfinite(near) and step.constant is not None and Fraction(float(near)) == step.constant
                error = 0.0 if exact else abs(value) * eps + tiny if np.isfinite(near) else np.inf
            else:
                value, error = _step(step.op, a, f, eps)
                if step.op not in _EXACT:
                    error += _OWN.get(step.op, 1) * eps * abs(value) + 4 * tiny
                if not abs(value) < limit:
                    error = np.inf
            v.append(float(value))
            e.append(float(error) if error == error else np.inf)
    return e[program.value], e[program.slope]


def _step(op: str, a: list[Any], f: list[float], eps: float) -> tuple[float, float]:
    if op in ("lt", "le", "gt", "ge", "eq"):
        far = abs(a[0] - a[1]) > 2 * (f[0] + f[1])
        close = not far and (not f[0] + f[1] == 0 or (op == "eq" and a[0] == a[1]))
        holds = {"lt": a[0] < a[1], "le": a[0] <= a[1], "gt": a[0] > a[1], "ge": a[0] >= a[1], "eq": a[0] == a[1]}[op]
        return float(holds), np.inf if close else 0.0
    if op == "select":
        return (a[1] if a[0] else a[2]), (np.inf if f[0] else f[1] if a[0] else f[2])
    if op in ("max", "min"):
        pick = int((a[1] > a[0]) == (op == "max"))
        return a[pick], f[pick] if abs(a[0] - a[1]) > f[0] + f[1] else max(f)
    if op == "clamp":
        return min(max(a[0], a[1]), a[2]), max(f)
    if op in ("neg", "abs", "relu"):
        return {"neg": -a[0], "abs": abs(a[0]), "relu": max(a[0], 0.0)}[op], f[0]
    if op == "sign":
        return np.sign(a[0]), 0.0 if abs(a[0]) > f[0] or f[0] == 0 else np.inf
    if op in ("add", "sub"):
        return (a[0] + a[1] if op == "add" else a[0] - a[1]), f[0] + f[1]
    if op == "mul":
        return a[0] * a[1], abs(a[0]) * f[1] + abs(a[1]) * f[0] + f[0] * f[1]
    if op == "mix":
        w, p, q = a
        size = abs(w * p) + abs((1 - w) * q)
        return w * p + (1 - w) * q, abs(w) * f[1] + abs(1 - w) * f[2] + abs(p - q) * f[0] + 3 * eps * size
    if op == "div":
        value = a[0] / a[1]
        return value, np.inf if f[1] > 0.1 * abs(a[1]) else 1.2 * (f[0] + abs(value) * f[1]) / abs(a[1])
    if op in ("log", "sqrt"):
        if f[0] > 0.1 * a[0]:
            return np.nan, np.inf
        return (np.log(a[0]), 1.2 * f[0] / a[0]) if op == "log" else (np.sqrt(a[0]), 0.6 * f[0] / np.sqrt(a[0]))
    if op == "log1p":
        return np.log1p(a[0]), np.inf if f[0] > 0.1 * (1 + a[0]) else 1.2 * f[0] / (1 + a[0])
    if op in ("exp", "expm1"):
        return (np.exp(a[0]) if op == "exp" else np.expm1(a[0])), np.exp(a[0]) * (1.2 * f[0] if f[0] < 0.1 else np.inf)
    if op in ("sigmoid", "logsigmoid"):
        q = 1 / (1 + np.exp(a[0]))
        p = 1 / (1 + np.exp(-a[0]))
        wide = 1.2 * f[0] if f[0] < 0.1 else np.inf
        return (p, p * q * wide) if op == "sigmoid" else (min(a[0], 0.0) - np.log1p(np.exp(-abs(a[0]))), q * wide)
    if op == "tanh":
        return np.tanh(a[0]), f[0]
    assert op == "pow"
    value = np.power(a[0], a[1])
    if f[0] > 0.1 * abs(a[0]) or (a[0] <= 0 and f[1] > 0):
        return value, np.inf
    relative = abs(a[1]) * f[0] / abs(a[0]) if a[0] else 0.0
    inexact = abs(np.log(abs(a[0]))) * (f[1] + abs(a[1]) * eps) if a[0] else 0.0
    return value, abs(value) * 1.5 * (relative + inexact) if relative + inexact < 0.2 else np.inf


def ulps(value: float, true: Any, dtype: Any) -> float:
    """Distance in units of eps relative to the truth; what underflows is measured in smallest normal numbers."""
    with mp.workdps(DIGITS):
        info = np.finfo(dtype)
        scale = max(abs(true) * float(info.eps), mpf(float(info.tiny)))
        return float(abs(mpf(float(value)) - true) / scale)


def written(program: Program, number: int | None = None) -> str:
    """The value of a Program (or another step) as one nested expression, whatever the order of its steps."""
    step = program.steps[program.value if number is None else number]
    inside = [written(program, a) for a in step.args]
    if step.op in ("add", "mul", "min", "max", "eq"):
        inside.sort()
    return f"{step.op}({', '.join([*inside, str(step.constant or step.name or '')])})"


@pytest.fixture(scope="session")
def precise() -> SimpleNamespace:
    """`truth`, `bound`, `ulps`, `written` and `Unclear`."""
    return SimpleNamespace(truth=truth, bound=bound, ulps=ulps, written=written, Unclear=Unclear, digits=DIGITS)


@pytest.fixture
def own_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Machine code of the tests, not that of whoever runs them."""
    monkeypatch.setenv("LOSSDSL_CACHE", str(tmp_path_factory.getbasetemp() / "kernels"))
