"""The short ways through a loss: plain tensors, nothing wrong with them, value and slope in one pass.

At 128 elements a kernel takes half a microsecond and PyTorch's bookkeeping thirty, so every call here is counted.
Whatever is not plain gets None, and takes the long way in `lossdsl.loss`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lossdsl.onepass import Differentiable, attach
from lossdsl.program import Program
from lossdsl.targets import llvm, scripted

_transforms_active = torch._C._are_functorch_transforms_active
compiling = torch.compiler.is_compiling
_forward_ad = torch.autograd.forward_ad
_jit_tracing = torch._C._get_tracing_state
_grad_enabled = torch.is_grad_enabled
_empty_like, _scalar, _single, _strided = torch.empty_like, torch.scalar_tensor, torch.float32, torch.strided
_PLAIN = (Tensor, torch.nn.Parameter)
# The dtypes of the scripted way, and what pred is projected onto: smallest normal number, largest number below 1.
_RANGE = {d: (torch.finfo(d).tiny, 1 - torch.finfo(d).eps / 2) for d in (torch.float32, torch.float64)}

Fused = Callable[..., Tensor]


def traced(x: Tensor) -> bool:
    """Whether torch.func, forward-mode differentiation, a compiler or a tensor subclass looks at what is done."""
    return (
        compiling()
        or type(x) not in _PLAIN
        or x.is_meta
        or _forward_ad._current_level >= 0
        or _transforms_active()
        or _jit_tracing() is not None
    )


def _plain(x: Tensor, label: Tensor) -> bool:
    """Two tensors of one shape and dtype, and nobody who looks at what is done with them or wants a label's slope."""
    return (
        type(x) in _PLAIN
        and type(label) in _PLAIN
        and x.dtype is label.dtype
        and x.shape == label.shape
        and (not label.requires_grad or label is x)
        and _forward_ad._current_level < 0
        and not (_transforms_active() or compiling())
        and _jit_tracing() is None
    )


class Path:
    """What both ways hold."""

    def __init__(self, program: Program, reduction: str, formula: Differentiable, pairwise: bool) -> None:
        self.program = program
        self.reduction = reduction
        self.formula = formula
        self._wants_label = program.uses_label
        self._refuses_label = pairwise

    def _label(self, x: Tensor, label: Tensor | None) -> Tensor | None:
        if label is None:
            return None if self._wants_label else x  # x is never read as a label: the formula has none
        return None if self._refuses_label else label


class KernelPath(Path):
    """Contiguous float32 on the CPU, by machine code that also looks whether pred and label are allowed.

    >>> from lossdsl.lowering import lower
    >>> path = KernelPath(lower("mse", axis="pred"), "sum", torch.nn.functional.mse_loss, False, None)
    >>> path(torch.tensor([0.5, 0.25]), torch.ones(2))
    tensor(0.8125)
    >>> path(torch.tensor([0.5, 0.25], dtype=torch.float64), torch.ones(2)) is None
    True
    """

    def __init__(
        self, program: Program, reduction: str, formula: Differentiable, pairwise: bool, labels: str | None
    ) -> None:
        super().__init__(program, reduction, formula, pairwise)
        self._mean = reduction == "mean"
        self._call = llvm.kernel(program, "each" if reduction == "none" else "sum", labels).function

    def __call__(self, x: Tensor, label: Tensor | None) -> Tensor | None:
        """The loss; None where this way is not open, or an input lies outside of what is allowed."""
        if label is None or self._refuses_label:
            label = self._label(x, label)
            if label is None:
                return None
        if not (
            _plain(x, label)
            and x.dtype is _single
            and x.is_cpu
            and label.is_cpu
            and x.layout is _strided
            and x.is_contiguous()
            and label.is_contiguous()
            and x.numel()
            and not (x.is_neg() or label.is_neg())
        ):
            return None
        loss, slope = self.run(x, label)
        if loss is None:
            return None
        if x.requires_grad and _grad_enabled():
            return attach(x, label, loss, slope, self)
        return loss if isinstance(loss, Tensor) else _scalar(loss, dtype=_single)

    def run(self, x: Tensor, label: Tensor) -> tuple[Any, Tensor]:
        """Loss and slope; the loss is None where an input lies outside, or a loss is NaN."""
        slope = _empty_like(x)
        n = x.numel()
        if self.reduction == "none":
            each = _empty_like(x)
            total = self._call(x.data_ptr(), label.data_ptr(), slope.data_ptr(), n, 1.0, each.data_ptr())
            return (each if total == total else None), slope
        share = 1.0 / n if self._mean else 1.0
        loss = share * self._call(x.data_ptr(), label.data_ptr(), slope.data_ptr(), n, share)
        return (loss if loss == loss else None), slope


class ScriptPath(Path):
    """float32 or float64 on any device, by TorchScript, or by PyTorch's own operation where there is one."""

    def __init__(
        self,
        program: Program,
        reduction: str,
        formula: Differentiable,
        pairwise: bool,
        labels: str | None,
        fused: Fused | None,
    ) -> None:
        super().__init__(program, reduction, formula, pairwise)
        self.fused = fused
        self.run = scripted.OnePass(program, reduction)
        self._projects = program.axis == "pred"
        self._labels = labels if program.uses_label else None

    def __call__(self, x: Tensor, label: Tensor | None) -> Tensor | None:
        """The loss; None where this way is not open, or an input lies outside of what is allowed."""
        if label is None or self._refuses_label:
            label = self._label(x, label)
            if label is None:
                return None
        if not (_plain(x, label) and x.dtype in _RANGE and not x.is_meta):
            return None
        fixed = x.detach()
        if self._projects:
            low, high = _RANGE[x.dtype]
            if not x.numel():
                return None
            least, most = torch.aminmax(fixed)
            if not (least.item() >= low and most.item() <= high):
                return None
        if self._labels is not None and not torch.equal(_allowed(label, self._labels), label):
            return None
        return self.through(x, fixed, label)

    def through(self, x: Tensor, fixed: Tensor, label: Tensor) -> Tensor:
        """The loss of inputs that have been looked at; `fixed` is x without its history."""
        if self.fused is not None:
            return self.fused(x, label, reduction=self.reduction)
        loss, slope = self.run(fixed, label)
        return attach(x, label, loss, slope, self) if x.requires_grad and _grad_enabled() else loss


def _allowed(label: Tensor, labels: str) -> Tensor:
    """Equal to `label` exactly where all labels are in the set."""
    if labels == "{0,1}":
        return label * label
    return label.clamp(0, 1) if labels == "[0,1]" else torch.ones_like(label)
