"""The way around everything: plain float32 tensors on the CPU go straight to the compiled kernel.

At 128 elements the kernel takes half a microsecond and PyTorch's bookkeeping thirty, so every call here is counted.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossdsl.onepass import Differentiable
from lossdsl.program import Program
from lossdsl.targets import llvm

_transforms_active = torch._C._are_functorch_transforms_active
_compiling = torch.compiler.is_compiling
_forward_ad = torch.autograd.forward_ad
_grad_enabled = torch.is_grad_enabled
_empty_like, _scalar, _single, _strided = torch.empty_like, torch.scalar_tensor, torch.float32, torch.strided
_PLAIN = (Tensor, torch.nn.Parameter)


class _Slope(torch.autograd.Function):
    """Hands back a slope that is known already; `kept` is (slope, x, label, their versions, path)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: tuple[Any, ...], loss: float | Tensor) -> Tensor:
        # Plain attributes instead of save_for_backward, which costs more than the kernel. Versions guard against
        # changes in place, as saved tensors would.
        ctx.kept = kept
        return loss if isinstance(loss, Tensor) else _scalar(loss, dtype=_single)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        grad = grads[0]
        slope, x, label, x_version, label_version, path = ctx.kept
        if torch.is_grad_enabled() or slope is None:
            if x._version != x_version or label._version != label_version:
                raise RuntimeError("a tensor that this loss needs for its gradient was changed in place")
            if torch.is_grad_enabled():
                return *torch.autograd.grad(path.formula(x, label), x, grad, create_graph=True), None, None
            slope = path.run(x, label)[1]
        # The slope is given away: whoever receives it may change it in place.
        ctx.kept = (None, x, label, x_version, label_version, path)
        if grad.dim() or grad.item() != 1.0:
            slope.mul_(grad)
        return slope, None, None


# Function.apply first looks for functorch wrappers in Python; `FastPath` has made sure that there are none.
_apply = getattr(super(torch.autograd.Function, _Slope), "apply", _Slope.apply)


class FastPath:
    """One kernel and the conditions under which it may be used.

    >>> from lossdsl.lowering import lower
    >>> path = FastPath(lower("mse", axis="pred"), "sum", None, torch.nn.functional.mse_loss)
    >>> path(torch.tensor([0.5, 0.25]), torch.ones(2))
    tensor(0.8125)
    >>> path(torch.tensor([0.5, 0.25], dtype=torch.float64), torch.ones(2)) is None
    True
    """

    def __init__(
        self,
        program: Program,
        reduction: str,
        labels: str | None,
        formula: Differentiable,
        pairwise: bool = False,
    ) -> None:
        self._wants_label = program.uses_label
        self._refuses_label = pairwise
        self.formula = formula
        self.reduction = reduction
        self._mean = reduction == "mean"
        self._call = llvm.kernel(program, "each" if reduction == "none" else "sum", labels).function

    def __call__(self, x: Tensor, label: Tensor | None) -> Tensor | None:
        """The loss; None where this way is not open, or an input lies outside of what is allowed."""
        if label is None:
            if self._wants_label:
                return None
            label = x  # never read: the formula has no label
        elif self._refuses_label:
            return None
        if not (
            type(x) in _PLAIN
            and type(label) in _PLAIN
            and x.dtype is _single
            and label.dtype is _single
            and x.is_cpu
            and label.is_cpu
            and x.shape == label.shape
            and x.layout is _strided
            and x.is_contiguous()
            and label.is_contiguous()
            and (not label.requires_grad or label is x)
            and (n := x.numel())
            and _forward_ad._current_level < 0
            and not (_transforms_active() or _compiling() or x.is_neg() or label.is_neg())
        ):
            return None
        slope = _empty_like(x)
        if self.reduction == "none":
            loss, slope = self.run(x, label)
            if loss is None:
                return None
        else:
            share = 1.0 / n if self._mean else 1.0
            loss = share * self._call(x.data_ptr(), label.data_ptr(), slope.data_ptr(), n, share)
            if loss != loss:
                return None
        if x.requires_grad and _grad_enabled():
            return _apply(x, (slope, x, label, x._version, label._version, self), loss)  # type: ignore[no-any-return]
        return loss if isinstance(loss, Tensor) else _scalar(loss, dtype=_single)

    def run(self, x: Tensor, label: Tensor) -> tuple[Any, Tensor]:
        """Loss and slope; the loss is None where an input lies outside, or a loss is NaN."""
        slope = _empty_like(x)
        pointers = x.data_ptr(), label.data_ptr(), slope.data_ptr()
        if self.reduction != "none":
            share = 1.0 / x.numel() if self._mean else 1.0
            return share * self._call(*pointers, x.numel(), share), slope
        each = _empty_like(x)
        total = self._call(*pointers, x.numel(), 1.0, each.data_ptr())
        return (each if total == total else None), slope
