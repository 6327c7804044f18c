"""What `loss_valid_check.py` of the original program counts for a formula."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

from lossdsl.formula import Formula
from lossdsl.grammar.tree import Apply, Name, Node, Number

POINTS = 1000
_EPSILON = 1e-6


def valid_check(formula: Formula, text: str = "") -> int:
    """The number that `loss_valid_check.py` gives: of 1,000 points and both labels, how often a slope has the good
    sign.

    Its function is a third one, neither what is printed nor what is trained: no clamps, logarithms of x + 1e-6 or -x,
    and 1 / (|x| + 1e-6) with the sign of x. Here it is evaluated as it stands there, but without `eval`.

    >>> from lossdsl.formula import parse
    >>> from lossdsl.search.oldcheck import valid_check
    >>> valid_check(parse("((label + - (pred))) ^ 2", "autolossgen-plain"))
    2000
    """
    if "label" not in (text or str(formula)):
        return 0
    source = random.Random(0)
    x = np.clip([source.random() for _ in range(POINTS)], _EPSILON, 1 - _EPSILON)
    count = 0
    with np.errstate(all="ignore"):
        for label, sign in ((1.0, -1.0), (0.0, 1.0)):
            slope = (
                _theirs(formula.tree.root, x + _EPSILON, label) - _theirs(formula.tree.root, x - _EPSILON, label)
            ) / (2 * _EPSILON)
            count += int((sign * slope > _EPSILON).sum())
    return count


def _theirs(root: Node, x: NDArray[np.float64], label: float) -> NDArray[np.float64]:
    def value(node: Node) -> NDArray[np.float64]:
        if isinstance(node, Number):
            return np.full_like(x, float(node.value))
        if isinstance(node, Name):
            return x if node.name == "pred" else np.full_like(x, label)
        assert isinstance(node, Apply)
        a = [value(child) for child in node.args]
        match node.op:
            case "add":
                return a[0] + a[1]
            case "sub":
                return a[0] - a[1]
            case "mul":
                return a[0] * a[1]
            case "div":
                return a[0] * _inverse(a[1])
            case "reciprocal":
                return _inverse(a[0])
            case "neg":
                return -a[0]
            case "pow":
                return np.asarray(a[0] ** a[1])
            case "square":
                return a[0] * a[0]
            case "log":
                return np.log(np.where(a[0] >= 0, a[0] + _EPSILON, -a[0]))
            case "max":
                return np.maximum.reduce(a)
            case "min":
                return np.minimum.reduce(a)
            case "exp":
                return np.exp(a[0])
            case "abs":
                return np.abs(a[0])
            case "sqrt":
                return np.sqrt(a[0])
            case "sigmoid":
                return 1 / (1 + np.exp(-a[0]))
            case "tanh":
                return np.tanh(a[0])
            case "relu":
                return np.maximum(a[0], 0)
        return np.full_like(x, np.nan)

    return value(root)


def _inverse(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(x < 0, -1.0, 1.0) / (np.abs(x) + _EPSILON)
