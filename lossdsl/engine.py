"""What modules of the same formula share: the Programs and the functions compiled from them, made when first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache, partial
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from lossdsl.border import Border
from lossdsl.errors import LossError, MissingExtra
from lossdsl.formula import Formula, as_formula
from lossdsl.grammar.limits import refuse
from lossdsl.grammar.tree import Binding, Tree, names
from lossdsl.lowering import lower
from lossdsl.onepass import Differentiable
from lossdsl.paths import KernelPath, ScriptPath
from lossdsl.program import Axis, Program
from lossdsl.targets import eager, llvm

REDUCTIONS = ("mean", "sum", "none")
BACKENDS = ("torchscript", "llvm", "eager", "compile", "auto")

# Formulas that PyTorch has as one operation, right at every input. Its BCE with logits is not among them: at score -20
# and label 0 it returns 0 in float32, where the loss is 2e-9.
_FUSED: tuple[tuple[str, Callable[..., Tensor]], ...] = (
    ("(pred-label)^2", torch.nn.functional.mse_loss),
    ("(label-pred)^2", torch.nn.functional.mse_loss),
    ("abs(pred-label)", torch.nn.functional.l1_loss),
    ("abs(label-pred)", torch.nn.functional.l1_loss),
)

_HUBER = {
    name: tuple(
        f"if(abs({a}-{b}) <= delta, ({a}-{b})^2/2, delta*(abs({a}-{b}) - delta/2)) where delta = 1"
        for a, b in ((name, "label"), ("label", name))
    )
    for name in ("pred", "score")
}

Recipe = tuple[str, "Mapping[str, float] | None", tuple[str, ...], "bool | None", str, str]


class Engine:
    """One formula, one reduction, one backend; holds no trainable state, so it can be shared."""

    def __init__(
        self,
        formula: Formula,
        params: Mapping[str, float] | None,
        trainable: tuple[str, ...],
        pairwise: bool,
        reduction: str,
        backend: str,
    ) -> None:
        self.formula = _with_values(formula, params or {}, trainable)
        self.trainable = trainable
        self.pairwise = pairwise
        self.reduction = reduction
        self.backend = backend
        text = str(self.formula)
        self.border = Border(text)
        self.recipe: Recipe = (text, None, trainable, pairwise, reduction, backend)
        self.start = {b.name: float(b.value) for b in self.formula.tree.where if b.value is not None}
        used = names(self.formula.tree.root)
        self.needs_score = "score" in used
        self.uses_label = "label" in used and not pairwise
        self._programs: dict[Axis, Program] = {}
        self._kept: dict[tuple[str, ...], Any] = {}
        # Lower now, so that a formula that cannot be computed fails here and not in the hundredth batch.
        self.program("score")
        if not (pairwise or self.needs_score):
            self.program("pred")
        self.needs_score = self.needs_score or pairwise
        for axis in self._programs:
            self.formula_of(axis)  # now, because torch.compile would trace its making too
        self.fast = backend in ("llvm", "auto") and _machine_code(self._programs["score"], backend, text)

    def program(self, axis: Axis) -> Program:
        """The Program along one axis."""
        if axis not in self._programs:
            try:
                self._programs[axis] = lower(self.formula, axis, pairwise=self.pairwise, free=self.trainable)
            except LossError as error:
                raise LossError(f"{error} (loss `{self.formula}`)") from None
            left = [p for p in self._programs[axis].parameters if p not in self.trainable]
            if left:
                raise LossError(f"the parameter `{left[0]}` needs one value, not a range (loss `{self.formula}`)")
        return self._programs[axis]

    def formula_of(self, axis: Axis) -> Callable[[Tensor, Tensor, Mapping[str, Tensor]], Tensor]:
        """The differentiable formula of every sample."""
        return self._keep(("formula", axis), lambda: _bound_run(eager.plan(self.program(axis))))

    def compiled_of(self, axis: Axis) -> Callable[[Tensor, Tensor, Mapping[str, Tensor]], Tensor]:
        """`formula_of` through torch.compile."""
        whole = self.formula_of(axis)
        return self._keep(("compiled", axis), lambda: torch.compile(whole, fullgraph=True, dynamic=True))

    def reduced_formula_of(self, axis: Axis, reduction: str) -> Differentiable:
        """The differentiable formula, reduced, without parameters."""
        whole = self.formula_of(axis)
        pick = {"mean": torch.mean, "sum": torch.sum, "none": lambda t: t}[reduction]
        return self._keep(("reduced", axis, reduction), lambda: lambda x, label: pick(whole(x, label, {})))

    def path_of(self, axis: Axis, labels: str | None) -> KernelPath | ScriptPath:
        """The short way of plain tensors."""
        return self.kernel_of(axis, labels) if self.fast else self.script_of(axis, self.reduction, labels)

    def kernel_of(self, axis: Axis, labels: str | None) -> KernelPath:
        """The way through machine code."""

        def make() -> KernelPath:
            formula = self.reduced_formula_of(axis, self.reduction)
            return KernelPath(self.program(axis), self.reduction, formula, self.pairwise, labels)

        return self._keep(("kernel", axis, str(labels)), make)

    def script_of(self, axis: Axis, reduction: str, labels: str | None = None) -> ScriptPath:
        """The way through TorchScript."""

        def make() -> ScriptPath:
            formula = self.reduced_formula_of(axis, reduction)
            fused = self.fused_of(axis)
            return ScriptPath(self.program(axis), reduction, formula, self.pairwise, labels, fused)

        return self._keep(("script", axis, reduction, str(labels)), make)

    def fused_of(self, axis: Axis) -> Callable[..., Tensor] | None:
        """PyTorch's own operation, where one computes this formula."""
        return self._keep(("fused", axis), lambda: _fused(self.program(axis)))

    def _keep(self, key: tuple[str, ...], make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


def _machine_code(program: Program, backend: str, formula: str) -> bool:
    if not llvm.applies(program):
        if backend == "llvm":
            raise LossError(f"the llvm backend takes constant exponents and no trainable parameters (loss `{formula}`)")
        return False
    try:
        fit = llvm.available()
    except ImportError:
        if backend == "llvm":
            raise MissingExtra("train", "the llvm backend") from None
        return False
    if not fit and backend == "llvm":
        raise LossError("the llvm backend needs llvmlite 0.44 or newer")
    return fit


def _bound_run(instructions: tuple[eager.Instruction, ...]) -> Callable[..., Tensor]:
    def whole(x: Tensor, label: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        return eager.run(instructions, x, label, parameters)

    return whole


@lru_cache(maxsize=1)
def _fused_programs() -> tuple[tuple[Program, Callable[..., Tensor]], ...]:
    axes: tuple[tuple[str, Axis], ...] = (("pred", "pred"), ("score", "score"))
    return tuple(
        (lower(text.replace("pred", name), axis), function) for text, function in _FUSED for name, axis in axes
    )


def _fused(program: Program) -> Callable[..., Tensor] | None:
    for known, function in _fused_programs():
        if _same(known, program):
            return function
    if any(s.op == "select" for s in program.steps):
        for step in program.steps:
            if step.constant is not None and step.constant > 0:
                for text in _HUBER[program.axis]:
                    if _same(lower(text, program.axis, values={"delta": step.constant}), program):
                        return partial(torch.nn.functional.huber_loss, delta=float(step.constant))
    return None


def _same(one: Program, other: Program) -> bool:
    return one.axis == other.axis and one.steps == other.steps and one.value == other.value


def _with_values(formula: Formula, params: Mapping[str, float], trainable: tuple[str, ...]) -> Formula:
    where = {b.name: b for b in formula.tree.where}
    for name in (*params, *trainable):
        if name not in where:
            has = f"it has {', '.join(where)}" if where else "it has none"
            raise LossError(f"there is no parameter `{name}`; {has} (loss `{formula}`)")
    for name, value in params.items():
        if not isinstance(value, Fraction) and not isfinite(float(value)):
            raise LossError(f"the parameter `{name}` cannot be {value} (loss `{formula}`)")
        exact = value if isinstance(value, Fraction) else Fraction(repr(float(value)))
        where[name] = Binding(name, exact, exact)
    for name in trainable:
        if where[name].value is None:
            raise LossError(f"the trainable parameter `{name}` needs a value to start from (loss `{formula}`)")
    if not params:
        return formula
    tree = Tree(formula.tree.root, tuple(where.values()))
    refuse(tree)  # else its text, which is what is saved, could not be read again
    return Formula(tree, formula.source, formula.dialect, formula.notes, formula.name, formula.pairwise)


@lru_cache(maxsize=256)
def _engine(
    formula: str | Formula,
    params: tuple[tuple[str, float], ...],
    trainable: tuple[str, ...],
    pairwise: bool | None,
    reduction: str,
    backend: str,
) -> Engine:
    read = as_formula(formula)
    return Engine(read, dict(params), trainable, read.pairwise if pairwise is None else pairwise, reduction, backend)


def engine(
    formula: str | Formula,
    params: Mapping[str, float] | None,
    trainable: tuple[str, ...],
    pairwise: bool | None,
    reduction: str,
    backend: str,
) -> Engine:
    """The engine for these arguments, made once."""
    if pairwise is None and isinstance(formula, Formula):
        pairwise = formula.pairwise  # which the equality of formulas, and with it the cache, does not look at
    return _engine(formula, tuple((params or {}).items()), trainable, pairwise, reduction, backend)
