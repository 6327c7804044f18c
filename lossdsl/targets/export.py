"""A loss as a `torch.export` program: a graph of ATen operations, saved as .pt2, loaded without lossdsl."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lossdsl.program import Program
from lossdsl.targets import eager


class _OnOneAxis(nn.Module):
    """The loss as a module with the one signature that an exported program has."""

    def __init__(self, program: Program, reduction: str, parameters: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.plan = eager.plan(program)
        self.reduction = reduction
        self.names = tuple(parameters)
        for name, value in parameters.items():
            self.register_parameter(name, nn.Parameter(value.detach().clone()))

    def _loss(self, x: Tensor, label: Tensor) -> Tensor:
        loss = eager.run(self.plan, x, label, {name: getattr(self, name) for name in self.names})
        return loss.mean() if self.reduction == "mean" else loss.sum() if self.reduction == "sum" else loss

    @staticmethod
    def _inside(pred: Tensor) -> Tensor:
        limits = torch.finfo(pred.dtype)
        fixed = pred.detach()
        return pred + (fixed.clamp(limits.tiny, 1 - limits.eps / 2) - fixed)


class _OnPred(_OnOneAxis):
    def forward(self, pred: Tensor, label: Tensor) -> Tensor:
        return self._loss(self._inside(pred), label)


class _OnPredAlone(_OnOneAxis):
    def forward(self, pred: Tensor) -> Tensor:
        return self._loss(self._inside(pred), pred)


class _OnScore(_OnOneAxis):
    def forward(self, score: Tensor, label: Tensor) -> Tensor:
        return self._loss(score, label)


class _OnScoreAlone(_OnOneAxis):
    def forward(self, score: Tensor) -> Tensor:
        return self._loss(score, score)


def exported(program: Program, reduction: str = "mean", parameters: Mapping[str, Tensor] | None = None) -> Any:
    """An ExportedProgram of `(pred, label)` or `(score, label)`, one-dimensional float32 with a dynamic length.

    A graph cannot look at values, so it does not refuse a pred outside of [0, 1]; it projects it.

    >>> import lossdsl.lowering
    >>> program = exported(lossdsl.lowering.lower("mse", axis="pred"))
    >>> program.module()(torch.tensor([0.5, 0.25, 1.0]), torch.ones(3))
    tensor(0.2708)
    """
    classes = {
        ("pred", True): _OnPred, ("pred", False): _OnPredAlone,
        ("score", True): _OnScore, ("score", False): _OnScoreAlone,
    }  # fmt: skip
    module = classes[program.axis, program.uses_label](program, reduction, parameters or {})
    example = (torch.full((4,), 0.5),) * (2 if program.uses_label else 1)
    length = torch.export.Dim("length")
    shapes = tuple({0: length} for _ in example)
    return torch.export.export(module, tuple(t.clone() for t in example), dynamic_shapes=shapes)
