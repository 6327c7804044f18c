"""Runs a Program on NumPy arrays; the light target that a search calls thousands of times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lossdsl.errors import LossError
from lossdsl.program import Program

Array = np.ndarray[Any, np.dtype[Any]]


def _sigmoid(x: Any) -> Any:
    if getattr(x, "dtype", None) == np.float32:
        # exp(-x) leaves float32 at x < -88, where sigmoid is still a number above zero
        t = np.exp(-np.abs(x))
        return np.where(x >= 0, np.float32(1), t) / (t + 1)
    return 1 / (1 + np.exp(-x))


def _logsigmoid(x: Any) -> Any:
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def _mix(weight: Any, a: Any, b: Any) -> Any:
    return weight * a + (1 - weight) * b


OPERATIONS: dict[str, Callable[..., Any]] = {
    "neg": np.negative, "abs": np.abs, "sign": np.sign, "relu": lambda x: np.maximum(x, 0), "sqrt": np.sqrt,
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sigmoid": _sigmoid,
    "logsigmoid": _logsigmoid, "tanh": np.tanh, "add": np.add, "sub": np.subtract, "mul": np.multiply,
    "div": np.divide, "pow": np.power, "min": np.minimum, "max": np.maximum, "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal, "eq": np.equal,
    "clamp": lambda x, low, high: np.minimum(np.maximum(x, low), high), "select": np.where, "mix": _mix,
}  # fmt: skip


def evaluate(
    program: Program, x: Any, label: Any = None, parameters: Mapping[str, float] | None = None
) -> tuple[Array, Array]:
    """Value and slope at `x` (pred or score, the program's axis) and `label`, which broadcast together.

    float32 stays float32, everything else is computed in float64. pred outside [0, 1] is refused; inside, 0 and 1
    stand for the nearest numbers strictly between. A NaN or an infinity in the result means that the formula has no
    finite value there; nothing warns.

    >>> from lossdsl.grammar.tree import Apply, Name, Tree
    >>> from lossdsl.lowering import lower
    >>> value, slope = evaluate(lower(Tree(Apply("square", (Name("score"),)))), [1.0, 3.0], 1)
    >>> value.tolist(), slope.tolist()
    ([1.0, 9.0], [2.0, 6.0])
    """
    x = np.asarray(x)
    if x.dtype != np.float32:
        x = x.astype(np.float64, copy=False)
    if program.axis == "pred":
        x = _inside(x)
    if label is None:
        if program.uses_label:
            raise LossError("this loss needs a label")
    else:
        label = np.asarray(label, dtype=x.dtype)
    registers: list[Any] = []
    push = registers.append
    with np.errstate(all="ignore"):
        for step, number in zip(program.steps, program.floats):
            op = step.op
            args = step.args
            if len(args) == 2:
                push(OPERATIONS[op](registers[args[0]], registers[args[1]]))
            elif len(args) == 1:
                push(OPERATIONS[op](registers[args[0]]))
            elif args:
                push(OPERATIONS[op](registers[args[0]], registers[args[1]], registers[args[2]]))
            elif op == "constant":
                push(number)
            elif op == "input":
                push(label if step.name == "label" else x)
            else:
                push(_parameter(step.name, parameters))
        shape = x.shape if label is None else np.broadcast_shapes(x.shape, label.shape)
        return _shaped(registers[program.value], x, shape), _shaped(registers[program.slope], x, shape)


def _inside(pred: Array) -> Array:
    limits = np.finfo(pred.dtype)
    inside = np.clip(pred, limits.tiny, 1 - limits.epsneg)
    if (pred < 0).any() or (pred > 1).any():
        raise LossError("pred has to lie in [0, 1]; for raw scores, lower the formula on the axis score")
    return inside


def _parameter(name: str | None, parameters: Mapping[str, float] | None) -> float:
    if name is None or parameters is None or name not in parameters:
        raise LossError(f"the parameter `{name}` has no value")
    return float(parameters[name])


def _shaped(result: Any, x: Array, shape: tuple[int, ...]) -> Array:
    if isinstance(result, np.ndarray) and result.shape == shape and result.dtype == x.dtype and result is not x:
        return result
    return np.broadcast_to(np.asarray(result, dtype=x.dtype), shape).copy()
