"""The autograd node around a kernel that gives loss and slope in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Kernel = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Differentiable = Callable[[Tensor, Tensor], Tensor]


class OnePass(torch.autograd.Function):
    """Forward runs the kernel, backward multiplies by its slope.

    A backward pass that is itself to be differentiated takes the differentiable formula instead: a node whose slope is
    a plain number would give silently wrong second derivatives.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, label: Tensor, kernel: Kernel, formula: Differentiable, owned: bool) -> Tensor:
        loss, ctx.slope = kernel(x, label)
        ctx.save_for_backward(x, label)
        ctx.kernel = kernel
        ctx.formula = formula
        ctx.owned = owned
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        grad = grads[0]
        slope, ctx.slope = ctx.slope, None
        if torch.is_grad_enabled():
            x, label = ctx.saved_tensors
            (slope,) = torch.autograd.grad(ctx.formula(x, label), x, grad, create_graph=True)
            return slope, None, None, None, None
        if slope is None:  # a second backward through a retained graph: the first one gave its slope away
            slope = ctx.kernel(*ctx.saved_tensors)[1]
        if ctx.owned:
            if grad.is_cpu and grad.item() == 1.0:
                return slope, None, None, None, None
            return slope.mul_(grad), None, None, None, None
        return slope * grad, None, None, None, None
