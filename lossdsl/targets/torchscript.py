"""Prints a Program as TorchScript: the value and slope in one function, or a whole module that can be saved.

`torch.jit` is deprecated since PyTorch 2.11 without a successor that loads in C++ as simply. What is used here, a
`CompilationUnit` and a `ScriptModule` with `define`, warns in no version; `torch.jit.load` does, on the user's side.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lossdsl.border import Border
from lossdsl.program import Axis, Program, reachable

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


def module(
    formula: str,
    programs: Mapping[Axis, Program],
    reduction: str = "mean",
    pairwise: bool = False,
    labels: str | None = None,
    parameters: Mapping[str, Tensor] | None = None,
) -> torch.jit.ScriptModule:
    """A TorchScript module with the forward of `lossdsl.Loss`; `module(...).save(path)` writes it.

    `programs` holds the Program on score, and that on pred where there is one.

    What it holds is the plain stable formula, so that autograd, and with it second derivatives, are right wherever it
    is loaded, without lossdsl.

    >>> import lossdsl.lowering
    >>> m = module("hinge", {"score": lossdsl.lowering.lower("hinge")}, "sum")
    >>> m(score=torch.tensor([0.5, -0.25]), label=torch.ones(2))
    tensor(1.7500)
    """
    methods = module_source(formula, programs, reduction, pairwise, labels)

    # A class of its own for each loss: PyTorch keeps the compiled methods by class, and would give a second module of
    # the same class those of the first.
    class ScriptedLoss(torch.jit.ScriptModule):
        def __init__(self) -> None:
            super().__init__()
            for name, value in (parameters or {}).items():
                setattr(self, name, torch.nn.Parameter(value.detach().clone()))
            for method in methods:
                self.define(f"{method}\n")

    return ScriptedLoss()


def module_source(
    formula: str, programs: Mapping[Axis, Program], reduction: str, pairwise: bool, labels: str | None
) -> list[str]:
    """The methods of `module` as TorchScript text."""
    border = Border(formula)
    methods = [SIGMOID, _INSIDE.format(outside=border.outside)]
    for axis, program in programs.items():
        text = Text(program, differentiable=True, parameter="self.{}.to(x.dtype)")
        lines = [f"    {line}" for line in text.lines(program.value)]
        head = f"def on_{axis}(self, x: Tensor, label: Tensor) -> Tensor:"
        methods.append("\n".join([head, *lines, f"    return {text.whole(program.value)}"]))
    uses_label = any(p.uses_label for p in programs.values())
    no_pred = border.pairs_need_score if pairwise else border.needs_score
    methods.append(
        _FORWARD.format(
            both=border.both,
            neither=border.neither,
            on_pred="loss = self.on_pred(x, y)" if "pred" in programs else f"raise ValueError({no_pred!r})",
            project="x = self.inside(pred)" if "pred" in programs else f"raise ValueError({no_pred!r})",
            label_given=f"raise ValueError({border.pairs_have_no_label!r})" if pairwise else "y = label.to(x.dtype)",
            label_missing=f"raise ValueError({border.label_missing!r})" if uses_label else "y = x",
            label_look=_LABEL_LOOK.format(
                test={"{0,1}": "y * y", "[0,1]": "torch.clamp(y, 0.0, 1.0)", "{1}": "torch.ones_like(y)"}[labels],
                message=border.label_outside_of(labels),
            )
            if labels is not None and uses_label
            else "",
            shapes=border.shapes_differ,
            not_floating=border.not_floating,
            reduced={"mean": "torch.mean(loss)", "sum": "torch.sum(loss)", "none": "loss"}[reduction],
        )
    )
    return methods


_INSIDE = """
def inside(self, pred: Tensor) -> Tensor:
    low, high = 1.1754943508222875e-38, 0.9999999403953552
    if pred.dtype == torch.float64:
        low, high = 2.2250738585072014e-308, 0.9999999999999999
    elif pred.dtype == torch.bfloat16:
        high = 0.99609375
    elif pred.dtype == torch.float16:
        low, high = 6.103515625e-05, 0.99951171875
    fixed = pred.detach()
    if bool(torch.any((fixed < 0.0) | (fixed > 1.0))):
        raise ValueError({outside!r})
    return pred + (torch.clamp(fixed, low, high) - fixed)
"""

_LABEL_LOOK = """
    if not torch.equal({test}, y):
        raise ValueError({message!r})
"""

_FORWARD = """
def forward(self, pred: Optional[Tensor] = None, label: Optional[Tensor] = None, *, score: Optional[Tensor] = None,
            weight: Optional[Tensor] = None) -> Tensor:
    if score is not None:
        if pred is not None:
            raise ValueError({both!r})
        x = score
    elif pred is not None:
        x = pred
    else:
        raise ValueError({neither!r})
    if not x.is_floating_point():
        raise ValueError({not_floating!r})
    given = x.dtype
    if score is None and pred is not None:
        {project}
    if given == torch.bfloat16 or given == torch.float16:
        x = x.float()
    if label is not None:
        if label.size() != x.size():
            raise ValueError({shapes!r})
        {label_given}
    else:
        {label_missing}
    {label_look}
    if score is not None:
        loss = self.on_score(x, y)
    else:
        {on_pred}
    if weight is not None:
        if weight.size() != x.size():
            raise ValueError({shapes!r})
        loss = loss * weight
    return {reduced}.to(given)
"""
