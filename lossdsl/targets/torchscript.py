"""Prints a Program as TorchScript: the value and slope in one function, or a whole module that can be saved.

`torch.jit` is deprecated since PyTorch 2.11 without a successor that loads in C++ as simply. What is used here, a
`CompilationUnit` and a `ScriptModule` with `define`, warns in no version; `torch.jit.load` does, on the user's side.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from lossdsl.program import Program, reachable

OnePass = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

_UNARY = {
    "neg": "torch.neg", "abs": "torch.abs", "sign": "torch.sign", "relu": "torch.relu", "sqrt": "torch.sqrt",
    "exp": "torch.exp", "expm1": "torch.expm1", "log": "torch.log", "log1p": "torch.log1p",
    "sigmoid": "torch.sigmoid", "logsigmoid": "torch.nn.functional.logsigmoid", "tanh": "torch.tanh",
}  # fmt: skip
_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "=="}
_MIRROR = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq"}

# The derivative that autograd takes of torch.sigmoid is p*(1-p): 0 at score 20 in float32. This one keeps its digits.
SIGMOID = '''
def stable_sigmoid(self, x: Tensor) -> Tensor:
    right = x >= 0
    t = torch.exp(torch.where(right, -x, x))
    return torch.where(right, torch.ones_like(t), t) / (1.0 + t)
'''  # fmt: skip


class Text:
    """The lines that compute the steps of a Program, constants written in place."""

    def __init__(self, program: Program, differentiable: bool, parameter: str = "{}") -> None:
        self.program = program
        self.differentiable = differentiable
        self.parameter = parameter

    def lines(self, *roots: int) -> list[str]:
        """Assignments to v0, v1, … for all that `roots` need."""
        steps = self.program.steps
        return [f"v{n} = {self.right(n)}" for n in reachable(steps, roots) if steps[n].args]

    def name(self, number: int) -> str:
        """How step `number` is spoken of."""
        step = self.program.steps[number]
        if step.constant is not None:
            value = self.program.floats[number]
            return repr(value) if value >= 0 else f"({value!r})"
        if step.op == "input":
            return "label" if step.name == "label" else "x"
        if step.op == "parameter":
            return self.parameter.format(step.name)
        return f"v{number}"

    def whole(self, number: int) -> str:
        """Step `number` as a tensor of the input's shape, whatever it depends on."""
        steps = self.program.steps
        if any(steps[n].op == "input" for n in reachable(steps, (number,))):
            return self.name(number)
        return f"(torch.zeros_like(x) + {self.name(number)})"

    def _constant(self, number: int) -> bool:
        return self.program.steps[number].constant is not None

    def _tensor(self, number: int) -> str:
        if not self._constant(number):
            return self.name(number)
        return f"torch.scalar_tensor({self.name(number)}, dtype=x.dtype, device=x.device)"

    def right(self, number: int) -> str:
        step = self.program.steps[number]
        op, args = step.op, step.args
        a = [self.name(n) for n in args]
        if op == "sigmoid" and self.differentiable:
            return f"self.stable_sigmoid({a[0]})"
        if op in _UNARY:
            return f"{_UNARY[op]}({a[0]})"
        if op == "div" and a[0] == "1.0":
            return f"torch.reciprocal({a[1]})"
        if op in _MIRROR and self._constant(args[0]):
            return f"{a[1]} {_INFIX[_MIRROR[op]]} {a[0]}"
        if op in _INFIX:
            return f"{a[0]} {_INFIX[op]} {a[1]}"
        if op == "pow":
            return f"torch.pow({a[0]}, {a[1]})"
        if op == "mix" and not self.differentiable and not any(map(self._constant, args)):
            return f"torch.lerp({a[2]}, {a[1]}, {a[0]})"
        if op == "mix":
            return f"{a[0]} * {a[1]} + (1.0 - {a[0]}) * {a[2]}"
        if op == "select":
            b, c = args[1], args[2]
            return f"torch.where({a[0]}, {self._tensor(b) if self._constant(c) else a[1]}, {a[2]})"
        if op in ("min", "max"):
            # clamp has the same values but another slope at a tie, so it serves only where slopes are steps
            if not self.differentiable and any(map(self._constant, args)):
                constant, other = (0, 1) if self._constant(args[0]) else (1, 0)
                return f"torch.clamp_{'min' if op == 'max' else 'max'}({a[other]}, {a[constant]})"
            return f"torch.{op}imum({self._tensor(args[0])}, {self._tensor(args[1])})"
        if all(map(self._constant, args[1:])):
            return f"torch.clamp({a[0]}, {a[1]}, {a[2]})"
        return f"torch.clamp({self._tensor(args[0])}, {self._tensor(args[1])}, {self._tensor(args[2])})"
