"""The autograd node of a loss whose slope came along with its value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

Kernel = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Differentiable = Callable[[Tensor, Tensor], Tensor]


class OnePass(Protocol):
    """What the node needs once more: the same loss as plain PyTorch, and the slope computed again."""

    formula: Differentiable

    def run(self, x: Tensor, label: Tensor) -> tuple[Any, Tensor]:
        """Loss and slope, detached; the slope is fresh, so that it may be given away."""


class _Slope(torch.autograd.Function):
    """Hands back a slope that is known already.

    A backward pass that is itself to be differentiated takes the differentiable formula instead: a node whose slope is
    a plain number would give silently wrong second derivatives.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: tuple[Any, ...], loss: float | Tensor) -> Tensor:
        # Plain attributes instead of save_for_backward, which costs more than a kernel. Versions guard against changes
        # in place, as saved tensors would.
        ctx.kept = kept
        return loss if isinstance(loss, Tensor) else torch.scalar_tensor(loss, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        grad = grads[0]
        slope, x, label, versions, again = ctx.kept
        if torch.is_grad_enabled() or slope is None:
            if versions != (x._version, label._version):
                raise RuntimeError("a tensor that this loss needs for its gradient was changed in place")
            if torch.is_grad_enabled():
                return *torch.autograd.grad(again.formula(x, label), x, grad, create_graph=True), None, None
            slope = again.run(x.detach(), label.detach())[1]
        # The slope is given away: whoever receives it may change it in place. A second backward computes it again.
        ctx.kept = (None, x, label, versions, again)
        if grad.dim() or not grad.is_cpu or grad.item() != 1.0:
            slope.mul_(grad)
        return slope, None, None


# Function.apply first looks for functorch wrappers, in Python; who calls `attach` has made sure that there are none.
_apply: Any = getattr(super(torch.autograd.Function, _Slope), "apply", _Slope.apply)


def attach(x: Tensor, label: Tensor, loss: float | Tensor, slope: Tensor, again: OnePass) -> Tensor:
    """Make `loss` the result of a node whose gradient in `x` is `slope`."""
    return _apply(x, (slope, x, label, (x._version, label._version), again), loss)
