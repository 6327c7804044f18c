"""Value and slope as one TorchScript function, written for a pass without autograd.

Buffers are used again as soon as nothing reads them: for a million elements an allocation costs more than a product.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lossdsl.program import COMPARISONS, Program, reachable
from lossdsl.targets.torchscript import Text

OnePass = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

# From here on computing takes longer than calling, and one logarithm is shared by logsigmoid(x) and logsigmoid(-x).
LARGE = 1500

_IN_PLACE = frozenset(
    ("neg", "abs", "sign", "relu", "sqrt", "exp", "expm1", "log", "log1p", "sigmoid", "tanh")
    + ("add", "sub", "mul", "div")
)


class _OnePassText(Text):
    """Text whose lines write into arguments that are not needed any more."""

    def __init__(self, program: Program, roots: tuple[int, ...], large: bool) -> None:
        super().__init__(program, differentiable=False)
        self.large = large
        self.order = [n for n in reachable(program.steps, roots) if program.steps[n].args]
        self.shared = self._shared_logarithms() if large else {}
        self.last = dict.fromkeys(roots, len(program.steps))
        for n in reversed(self.order):
            for a in self._reads(n):
                self.last.setdefault(a, n)

    def _reads(self, number: int) -> tuple[int, ...]:
        return self.program.steps[number].args

    def _shared_logarithms(self) -> dict[int, int]:
        """For each logsigmoid of x where that of -x is needed too: x without its sign."""
        steps = self.program.steps
        of: dict[int, list[int]] = {}
        for n in self.order:
            if steps[n].op == "logsigmoid":
                inner = steps[n].args[0]
                of.setdefault(steps[inner].args[0] if steps[inner].op == "neg" else inner, []).append(n)
        return {n: x for x, both in of.items() if len(both) == 2 for n in both}

    def text(self) -> list[str]:
        lines: list[str] = []
        written: set[int] = set()
        for n in self.order:
            if n not in self.shared:
                lines.append(f"v{n} = {self._reusing(n)}")
                continue
            x = self.shared[n]
            if x not in written:
                written.add(x)
                lines.append(f"l{x} = torch.nn.functional.logsigmoid(torch.abs({self.name(x)}))")
            argument = self.name(self.program.steps[n].args[0])
            lines.append(f"v{n} = torch.clamp_max({argument}, 0.0).add_(l{x})")
        return lines

    def _dead(self, argument: int, reader: int) -> bool:
        step = self.program.steps[argument]
        fresh = bool(step.args) and step.op not in COMPARISONS
        return fresh and self.last[argument] == reader

    def _reusing(self, number: int) -> str:
        steps = self.program.steps
        op, args = steps[number].op, steps[number].args
        a = [self.name(n) for n in args]
        if op in _IN_PLACE and self._dead(args[0], number) and len(set(args)) == len(args):
            return f"{a[0]}.{op}_({', '.join(a[1:])})"
        if op in ("add", "mul") and len(args) == 2 and self._dead(args[1], number) and args[0] != args[1]:
            return f"{a[1]}.{op}_({a[0]})"
        if op in ("sub", "div") and self._dead(args[1], number) and steps[args[0]].constant is None:
            return f"torch.{op}({a[0]}, {a[1]}, out={a[1]})"
        if op == "div" and a[0] == "1.0" and self._dead(args[1], number):
            return f"{a[1]}.reciprocal_()"
        if op == "mix" and not any(steps[n].constant is not None for n in args):
            for at in (1, 2):
                if self._dead(args[at], number):
                    return f"torch.lerp({a[2]}, {a[1]}, {a[0]}, out={a[at]})"
        return self.right(number)


def one_pass(program: Program, reduction: str) -> OnePass:
    """Compile value and slope into one function `(x, label) -> (loss, slope)`, both reduced as asked.

    >>> import lossdsl.lowering
    >>> f = one_pass(lossdsl.lowering.lower("mse", axis="pred"), "sum")
    >>> [t.tolist() for t in f(torch.tensor([0.5, 0.25]), torch.ones(2))]
    [0.8125, [-1.0, -1.5]]
    """
    small = _compiled(program, reduction, large=False)
    if sum(step.op == "logsigmoid" for step in program.steps) < 2:
        return small
    large: list[OnePass] = []

    def either(x: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        if x.numel() < LARGE:
            return small(x, label)
        if not large:
            large.append(_compiled(program, reduction, large=True))
        return large[0](x, label)

    return either


def _compiled(program: Program, reduction: str, large: bool) -> OnePass:
    return torch.jit.CompilationUnit(source(program, reduction, large)).one_pass  # type: ignore[no-any-return]


def source(program: Program, reduction: str, large: bool = False) -> str:
    """The TorchScript text of `one_pass`."""
    text = _OnePassText(program, (program.value, program.slope), large)
    lines = text.text()
    value, slope = text.whole(program.value), text.whole(program.slope)
    if not program.steps[program.slope].args or program.slope == program.value:
        slope = f"{slope}.clone()"  # the slope is given away, so it must be nobody else's
    if reduction == "sum":
        value = f"torch.sum({value})"
    elif reduction == "mean":
        value = f"torch.mean({value})"
        lines.append("n = max(1, x.numel())")
        slope = f"{slope}.div_(n)"
    elif not program.steps[program.value].args:
        value = f"{value}.clone()"
    body = "\n".join(f"    {line}" for line in lines)
    return (
        "def one_pass(x: Tensor, label: Tensor) -> Tuple[Tensor, Tensor]:\n"
        f"{body}\n    loss = {value}\n    return loss, {slope}\n"
    )
