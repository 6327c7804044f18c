"""Value and slope of a Program by PyTorch operations called one after the other, for small batches on the CPU.

Entering TorchScript costs as much as four operations on a hundred elements. Each operation here returns a new tensor
and none writes in place: between one batch and the next the machine code of an operation leaves the caches, so that
one more kind of operation costs three times as much as one more call.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lossdsl.program import Program

# Up to this many elements; beyond, it pays that TorchScript writes into buffers that nothing needs any more.
SMALL = 8192

_add, _mul, _sum = torch.add, torch.mul, torch.sum


def _clamp(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(x, low), high)


_HALF = torch.tensor(0.5)
_HALVES = {torch.float32: _HALF, torch.float64: _HALF.double()}


def _tie(a: Tensor, b: Tensor) -> Tensor:
    return torch.heaviside(torch.sub(a, b), _HALVES[a.dtype])


def _lerp(weight: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.lerp(b, a, weight)


def _mix(weight: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return _add(_mul(weight, a), _mul(torch.rsub(weight, 1), b))


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "neg": torch.neg, "abs": torch.abs, "sign": torch.sign, "relu": torch.relu, "sqrt": torch.sqrt, "exp": torch.exp,
    "expm1": torch.expm1, "log": torch.log, "log1p": torch.log1p, "sigmoid": torch.sigmoid,
    "logsigmoid": torch.nn.functional.logsigmoid, "tanh": torch.tanh,
    "add": _add, "sub": torch.sub, "mul": _mul, "div": torch.div, "pow": torch.pow,
    "min": torch.minimum, "max": torch.maximum, "select": torch.where, "clamp": _clamp, "mix": _lerp,
    "lt": torch.lt, "le": torch.le, "gt": torch.gt, "ge": torch.ge, "eq": torch.eq,
}  # fmt: skip


class Stepped:
    """Value and slope as `(x, label) -> (loss, slope)`, both reduced as asked, for tensors on the CPU.

    >>> import lossdsl.lowering
    >>> f = Stepped(lossdsl.lowering.lower("mse", axis="pred"), "sum")
    >>> [t.tolist() for t in f(torch.tensor([0.5, 0.25]), torch.ones(2))]
    [0.8125, [-1.0, -1.5]]
    """

    def __init__(self, program: Program, reduction: str) -> None:
        self._program = program
        self._reduction = reduction
        steps = program.steps
        self._plan = [(*self._call(n), n) for n in self._order() if steps[n].args]
        self._start: list[Any] = [None] * (len(steps) + 1)  # one more for an input that is not read
        places = {s.name: n for n, s in enumerate(steps) if s.op == "input"}
        self._x, self._label = places.get(program.axis, -1), places.get("label", -1)
        self._made_for: tuple[torch.Size, torch.dtype] | None = None
        # What is handed out must be nobody else's: no constant, no input, and not the same tensor twice.
        self._copies = [
            not steps[program.value].args,
            not steps[program.slope].args or program.slope == program.value,
        ]

    def _order(self) -> list[int]:
        """The steps to take."""
        steps = self._program.steps
        needed = {self._program.value, self._program.slope}
        for number in range(len(steps) - 1, -1, -1):
            if number in needed:
                needed.update(self._share_of_a_tie(number) or steps[number].args)
        return sorted(needed)

    def _share_of_a_tie(self, number: int) -> tuple[int, int] | None:
        """(a, b) where the step is 0 for a < b, 1/2 for a = b and 1 for a > b: what a minimum's slope is made of.

        Only where one of them is finite, since it is taken from a-b.
        """
        steps = self._program.steps
        step = steps[number]
        order = steps[step.args[0]] if step.op == "select" else step
        inner = steps[step.args[2]] if step.op == "select" else step
        if order.op not in ("lt", "gt") or inner.op != "select" or steps[inner.args[0]].op != "eq":
            return None
        a, b = order.args
        first, tie, second = (steps[n].constant for n in (step.args[1], *inner.args[1:]))
        if set(steps[inner.args[0]].args) != {a, b} or tie != Fraction(1, 2) or {first, second} != {0, 1}:
            return None
        if not any(steps[n].op == "sigmoid" or steps[n].name == "pred" for n in (a, b)):
            return None
        return (a, b) if (order.op == "lt") == (first == 0) else (b, a)

    def _call(self, number: int) -> tuple[Callable[..., Tensor], int, int, int]:
        """The function, and the registers of its arguments; -1 for one that there is not."""
        steps = self._program.steps
        op, args = steps[number].op, steps[number].args
        if tie := self._share_of_a_tie(number):
            return _tie, *tie, -1
        constant = [steps[a].constant is not None for a in args]
        a, b, c = (*args, -1, -1)[:3]
        if op == "div" and steps[a].constant == 1:
            return torch.reciprocal, b, -1, -1
        if op == "pow" and constant[1]:
            # as a number, for which PyTorch has shorter ways than for a tensor
            return partial(_power, exponent=self._program.floats[b]), a, -1, -1
        if op == "mix" and any(constant):
            return _mix, a, b, c
        return _FUNCTIONS[op], a, b, c

    def _prepare(self, x: Tensor) -> None:
        """Constants in the shape of x, which PyTorch adds sooner than numbers and tensors without dimensions."""
        n = x.numel()
        for number, step in enumerate(self._program.steps):
            if step.constant is not None:
                self._start[number] = _filled(x, self._program.floats[number])
        share = 1.0 / n if n else float("nan")
        self._share, self._shares = torch.tensor(share, dtype=x.dtype), _filled(x, share)
        self._made_for = (x.shape, x.dtype)

    def __call__(self, x: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and slope; `x` and `label` have one shape and one dtype, and carry no gradient."""
        if self._made_for != (x.shape, x.dtype):
            self._prepare(x)
        r = self._start.copy()
        r[self._label] = label
        r[self._x] = x
        for function, a, b, c, n in self._plan:
            if b < 0:
                r[n] = function(r[a])
            elif c < 0:
                r[n] = function(r[a], r[b])
            else:
                r[n] = function(r[a], r[b], r[c])
        value, slope = r[self._program.value], r[self._program.slope]
        if self._reduction == "mean":
            return _mul(_sum(value), self._share), _mul(slope, self._shares)
        if self._copies[1]:
            slope = slope.clone()
        if self._reduction == "sum":
            return _sum(value), slope
        return (value.clone() if self._copies[0] else value), slope


def _power(base: Tensor, exponent: float) -> Tensor:
    return torch.pow(base, exponent)


def _filled(x: Tensor, number: float) -> Tensor:
    return torch.tensor(number, dtype=x.dtype).expand(x.shape).contiguous()
