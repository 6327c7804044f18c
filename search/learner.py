"""A network with its optimizer and its random numbers, which can be put away and taken out again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lossdsl.errors import LossError
from lossdsl.search.settings import ControllerSettings


class Learner:
    """Holds a controller, Adam and a generator; `step` takes one clipped step down a loss.

    Adam is written out (Kingma and Ba 2015, with PyTorch's epsilon): importing PyTorch's own costs more than a second.
    """

    def __init__(self, network: nn.Module, settings: ControllerSettings, seed: int) -> None:
        self.network = network
        self.settings = settings
        self.generator = torch.Generator().manual_seed(seed)
        self.steps = 0
        self.moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in self._parameters()}

    def _parameters(self) -> list[tuple[str, nn.Parameter]]:
        return list(self.network.named_parameters())

    def step(self, loss: Tensor) -> float:
        """Descend once; returns the norm of the gradient before clipping."""
        settings = self.settings
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip_norm))
        self.steps += 1
        rate = settings.lr / (1 - settings.beta1**self.steps)
        root = (1 - settings.beta2**self.steps) ** 0.5
        with torch.no_grad():
            for name, parameter in self._parameters():
                if parameter.grad is None:
                    continue
                first, second = self.moments[name]
                first.lerp_(parameter.grad, 1 - settings.beta1)
                second.mul_(settings.beta2).addcmul_(parameter.grad, parameter.grad, value=1 - settings.beta2)
                parameter.addcdiv_(first, (second.sqrt() / root).add_(settings.eps), value=-rate)
                parameter.grad = None
        return norm

    def state(self) -> dict[str, NDArray[Any]]:
        """Weights, moments and the generator, as arrays."""
        arrays: dict[str, NDArray[Any]] = {"steps": np.array(self.steps)}
        for name, parameter in self._parameters():
            first, second = self.moments[name]
            arrays[f"weight.{name}"] = parameter.detach().numpy().copy()
            arrays[f"first.{name}"], arrays[f"second.{name}"] = first.numpy().copy(), second.numpy().copy()
        arrays["generator"] = self.generator.get_state().numpy().copy()
        return arrays

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `state`."""
        with torch.no_grad():
            for name, parameter in self._parameters():
                weight = arrays.get(f"weight.{name}")
                if weight is None or weight.shape != tuple(parameter.shape):
                    raise LossError(f"the state does not fit the controller: `{name}` has another shape")
                parameter.copy_(torch.from_numpy(np.array(weight)))
                for kind, moment in zip(("first", "second"), self.moments[name]):
                    moment.copy_(torch.from_numpy(np.array(arrays[f"{kind}.{name}"])))
        self.steps = int(arrays["steps"])
        self.generator.set_state(torch.from_numpy(np.array(arrays["generator"])))
