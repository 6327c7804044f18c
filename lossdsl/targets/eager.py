"""Runs a Program with plain PyTorch operations, so that autograd, torch.func and torch.compile can all look inside.

The other targets fall back on this one wherever a second derivative, a transform or a trainable parameter is asked for.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from lossdsl.program import Program, reachable

# One instruction: operation, argument numbers, constant, name. Plain tuples, because torch.compile traces them.
Instruction = tuple[str, tuple[int, ...], float, str]


def stable_sigmoid(x: Tensor) -> Tensor:
    """`torch.sigmoid` whose derivative keeps its digits: PyTorch computes p*(1-p), which is 0 at x = 20 in float32.

    >>> x = torch.tensor(20.0, requires_grad=True)
    >>> bool(torch.autograd.grad(stable_sigmoid(x), x)[0] > 2e-9)
    True
    """
    right = x >= 0
    t = torch.exp(torch.where(right, -x, x))
    return torch.where(right, 1.0, t) / (1 + t)


def _tensor(value: Any, like: Tensor) -> Tensor:
    return value if isinstance(value, Tensor) else torch.full((), value, dtype=like.dtype, device=like.device)


def _select(condition: Tensor, a: Any, b: Any, like: Tensor) -> Tensor:
    return torch.where(condition, _tensor(a, like), _tensor(b, like))


def _clamp(x: Any, low: Any, high: Any, like: Tensor) -> Tensor:
    if isinstance(low, float) and isinstance(high, float):
        return torch.clamp(x, low, high)
    return torch.clamp(_tensor(x, like), _tensor(low, like), _tensor(high, like))


_PLAIN: dict[str, Callable[..., Any]] = {
    "neg": operator.neg, "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv,
    "pow": operator.pow, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "abs": torch.abs, "sign": torch.sign, "relu": torch.relu, "sqrt": torch.sqrt, "exp": torch.exp,
    "expm1": torch.expm1, "log": torch.log, "log1p": torch.log1p, "sigmoid": stable_sigmoid,
    "logsigmoid": torch.nn.functional.logsigmoid, "tanh": torch.tanh,
    "mix": lambda w, a, b: w * a + (1 - w) * b,
}  # fmt: skip
# These take the input too: its dtype and device are those of a constant argument.
_WITH_LIKE: dict[str, Callable[..., Any]] = {
    "min": lambda a, b, like: torch.minimum(_tensor(a, like), _tensor(b, like)),
    "max": lambda a, b, like: torch.maximum(_tensor(a, like), _tensor(b, like)),
    "eq": lambda a, b, like: torch.eq(_tensor(a, like), _tensor(b, like)),
    "select": _select, "clamp": _clamp,
}  # fmt: skip


def plan(program: Program) -> tuple[Instruction, ...]:
    """The instructions of the value alone; its slope is left to autograd."""
    kept = reachable(program.steps, (program.value,))
    new = {old: number for number, old in enumerate(kept)}
    return tuple(
        (s.op, tuple(new[a] for a in s.args), program.floats[number], s.name or "")
        for number, s in ((number, program.steps[number]) for number in kept)
    )


def run(
    instructions: tuple[Instruction, ...], x: Tensor, label: Tensor | None, parameters: Mapping[str, Tensor]
) -> Tensor:
    """The loss of every sample, differentiable in all that is given.

    >>> import lossdsl.lowering
    >>> steps = plan(lossdsl.lowering.lower("mse", axis="pred"))
    >>> run(steps, torch.tensor([0.5, 0.25]), torch.ones(2), {})
    tensor([0.2500, 0.5625])
    """
    registers: list[Any] = []
    for op, args, constant, name in instructions:
        if op == "constant":
            registers.append(constant)
        elif op == "input":
            registers.append(label if name == "label" else x)
        elif op == "parameter":
            registers.append(parameters[name].to(x.dtype))
        elif op in _PLAIN:
            registers.append(_PLAIN[op](*[registers[a] for a in args]))
        else:
            registers.append(_WITH_LIKE[op](*[registers[a] for a in args], x))
    result: Any = registers[-1]
    if not isinstance(result, Tensor) or result.shape != x.shape:
        result = _tensor(result, x).expand(x.shape)
    if x.requires_grad and not result.requires_grad:
        # a loss that does not depend on x has the slope zero, which autograd has to be told
        return torch.where(torch.zeros_like(x, dtype=torch.bool), x, result)
    return torch.clone(result) if result is x or result is label else result
