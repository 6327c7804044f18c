"""Value and slope as one TorchScript function, written for a pass without autograd.

Buffers are used again as soon as nothing reads them: for a million elements an allocation costs more than a product.
Constants come as tensors without dimensions: for a hundred elements PyTorch spends longer on wrapping a number than on
the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lossdsl.program import COMPARISONS, Program, reachable
from lossdsl.targets.signs import without_signs
from lossdsl.targets.torchscript import Text

# From here on computing takes longer than calling, and one logarithm is shared by logsigmoid(x) and logsigmoid(-x).
LARGE = 1500

_IN_PLACE = frozenset(
    ("neg", "abs", "sign", "relu", "sqrt", "exp", "expm1", "log", "log1p", "sigmoid", "tanh")
    + ("add", "sub", "mul", "div")
)
_OUT = {"min": "minimum", "max": "maximum"}


class _OnePassText(Text):
    """Text whose lines write into arguments that are not needed any more."""

    def __init__(self, program: Program, roots: tuple[int, ...], large: bool) -> None:
        super().__init__(program, differentiable=False)
        self.constants: dict[int, str] = {}
        self.order = [n for n in reachable(program.steps, roots) if program.steps[n].args]
        self.absorbed = self._products_of_sums(roots)
        self.order = [n for n in self.order if n not in self.absorbed]
        self.shared = self._shared_logarithms() if large else {}
        self.last = dict.fromkeys(roots, len(program.steps))
        for n in reversed(self.order):
            for a in self._reads(n):
                self.last.setdefault(a, n)

    def _products_of_sums(self, roots: tuple[int, ...]) -> set[int]:
        """Products that only one sum or difference reads, as its last argument: both are one pass (`addcmul`)."""
        steps = self.program.steps
        readers: dict[int, list[int]] = {root: [-1] for root in roots}
        for n in self.order:
            for a in steps[n].args:
                readers.setdefault(a, []).append(n)
        self._sums: dict[int, tuple[int, int]] = {}  # by sum: what is added to, and the product
        for n in self.order:
            if steps[n].op in ("add", "sub"):
                first, last = steps[n].args
                for kept, product in ((first, last), (last, first))[: 2 if steps[n].op == "add" else 1]:
                    if steps[product].op == "mul" and readers[product] == [n] and kept != product:
                        self._sums[n] = (kept, product)
                        break
        # a sum whose product is a sum's product too would be read by nobody
        return {product for _, product in self._sums.values()}

    def _reads(self, number: int) -> tuple[int, ...]:
        if number in self._sums:
            kept, product = self._sums[number]
            return (kept, *self.program.steps[product].args)
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

    def name(self, number: int) -> str:
        if self.program.steps[number].constant is None:
            return super().name(number)
        return self.constants.setdefault(number, f"c{len(self.constants)}")

    def right(self, number: int) -> str:
        step = self.program.steps[number]
        a = [self.name(n) for n in step.args]
        constant = [self.program.steps[n].constant is not None for n in step.args]
        if step.op == "div" and self.program.steps[step.args[0]].constant == 1:
            return f"torch.reciprocal({a[1]})"
        if step.op in ("min", "max"):
            return f"torch.{step.op}imum({a[0]}, {a[1]})"
        if step.op == "clamp":
            return f"torch.minimum(torch.maximum({a[0]}, {a[1]}), {a[2]})"
        if step.op == "select":
            return f"torch.where({a[0]}, {a[1]}, {a[2]})"
        if step.op == "pow" and constant[1]:
            return f"torch.pow({a[0]}, {self.program.floats[step.args[1]]!r})"
        if step.op == "mix" and any(constant):
            return f"{a[0]} * {a[1]} + (1.0 - {a[0]}) * {a[2]}"
        return super().right(number)

    def _dead(self, argument: int, reader: int) -> bool:
        step = self.program.steps[argument]
        fresh = bool(step.args) and step.op not in COMPARISONS
        return fresh and self.last[argument] == reader

    def _reusing(self, number: int) -> str:
        steps = self.program.steps
        op, args = steps[number].op, steps[number].args
        a = [self.name(n) for n in args]
        if number in self._sums:
            return self._with_product(number)
        if op in _IN_PLACE and self._dead(args[0], number) and len(set(args)) == len(args):
            return f"{a[0]}.{op}_({', '.join(a[1:])})"
        if op in ("add", "mul") and len(args) == 2 and self._dead(args[1], number) and args[0] != args[1]:
            return f"{a[1]}.{op}_({a[0]})"
        if op == "div" and steps[args[0]].constant == 1 and self._dead(args[1], number):
            return f"{a[1]}.reciprocal_()"
        if op in ("sub", "div", "min", "max") and self._dead(args[1], number) and args[0] != args[1]:
            return f"torch.{_OUT.get(op, op)}({a[0]}, {a[1]}, out={a[1]})"
        if op == "mix" and not any(steps[n].constant is not None for n in args):
            for at in (1, 2):
                if self._dead(args[at], number):
                    return f"torch.lerp({a[2]}, {a[1]}, {a[0]}, out={a[at]})"
        return self.right(number)

    def _with_product(self, number: int) -> str:
        """A sum of something and a product, or their difference, in one pass."""
        steps = self.program.steps
        kept, product = self._sums[number]
        sign = -1.0 if steps[number].op == "sub" else 1.0
        one, two = steps[product].args
        for own, other in ((one, two), (two, one)):
            if steps[own].constant is not None:
                alpha = f"alpha={sign * self.program.floats[own]!r}"
                if self._dead(kept, number) and kept != other:
                    return f"{self.name(kept)}.add_({self.name(other)}, {alpha})"
                into = f", out={self.name(other)}" if self._dead(other, number) and kept != other else ""
                return f"torch.add({self.name(kept)}, {self.name(other)}, {alpha}{into})"
        factors = f"{self.name(one)}, {self.name(two)}"
        value = ", value=-1.0" if sign < 0 else ""
        if self._dead(kept, number) and kept not in (one, two):
            return f"{self.name(kept)}.addcmul_({factors}{value})"
        into = next((f", out={self.name(n)}" for n in (one, two) if n != kept and self._dead(n, number)), "")
        return f"torch.addcmul({self.name(kept)}, {factors}{value}{into})"


class OnePass:
    """Value and slope of a Program as `(x, label) -> (loss, slope)`, both reduced as asked.

    >>> import lossdsl.lowering
    >>> f = OnePass(lossdsl.lowering.lower("mse", axis="pred"), "sum")
    >>> [t.tolist() for t in f(torch.tensor([0.5, 0.25]), torch.ones(2))]
    [0.8125, [-1.0, -1.5]]
    """

    def __init__(self, program: Program, reduction: str) -> None:
        self.program = program
        self.reduction = reduction
        self._two_logarithms = sum(step.op == "logsigmoid" for step in program.steps) > 1
        self._functions: dict[bool, tuple[Callable[..., tuple[Tensor, Tensor]], tuple[float, ...]]] = {}
        self._constants: dict[tuple[bool, torch.dtype], tuple[Tensor, ...]] = {}
        self._share: tuple[int, torch.dtype, tuple[Tensor, ...]] = (-1, torch.float32, ())

    def script(self, large: bool) -> tuple[Callable[..., tuple[Tensor, Tensor]], tuple[float, ...]]:
        """The TorchScript function and its constants, compiled when first asked for."""
        if large not in self._functions:
            text, constants = source(self.program, self.reduction, large)
            self._functions[large] = torch.jit.CompilationUnit(text).one_pass, constants
        return self._functions[large]

    def __call__(self, x: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and slope; `x` and `label` have one shape and one dtype, and carry no gradient."""
        n, dtype = x.numel(), x.dtype
        large = self._two_logarithms and n >= LARGE
        function, numbers = self.script(large)
        constants = self._constants.get((large, dtype))
        if constants is None:
            constants = tuple(torch.tensor(c, dtype=dtype) for c in numbers)
            self._constants[large, dtype] = constants
        known, of, share = self._share
        if known != n or of is not dtype:
            one = 1.0 / n if n else float("nan")
            share = (torch.tensor(one, dtype=dtype), torch.tensor(-one, dtype=dtype))
            self._share = (n, dtype, share)
        return function(x, label, *share, *constants)


def source(program: Program, reduction: str, large: bool = False) -> tuple[str, tuple[float, ...]]:
    """The TorchScript text, and the constants that its function takes after x, label, 1/n and -1/n."""
    program, *negated = without_signs(program)
    text = _OnePassText(program, (program.value, program.slope), large)
    lines = text.text()
    value, slope = text.whole(program.value), text.whole(program.slope)
    signs = ["minus" if sign else "share" for sign in negated]
    # the slope is given away, so it must be nobody else's
    shared = not program.steps[program.slope].args or program.slope == program.value
    if reduction == "mean":
        value = f"torch.sum({value}).mul_({signs[0]})"
        slope = f"{slope} * {signs[1]}" if shared else f"{slope}.mul_({signs[1]})"
    else:
        if reduction == "sum":
            value = f"torch.sum({value})"
        elif shared or not program.steps[program.value].args:
            value = f"{value}.clone()"
        slope = f"{slope}.clone()" if shared else slope
        value, slope = (f"{one}.neg_()" if sign else one for one, sign in zip((value, slope), negated))
    body = "\n".join(f"    {line}" for line in lines)
    arguments = "".join(f", {name}: Tensor" for name in text.constants.values())
    return (
        f"def one_pass(x: Tensor, label: Tensor, share: Tensor, minus: Tensor{arguments}) -> Tuple[Tensor, Tensor]:\n"
        f"{body}\n    loss = {value}\n    slope = {slope}\n    return loss, slope\n"
    ), tuple(program.floats[number] for number in text.constants)
