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
    """Holds a controller, Adam and a generator; `step` takes one clipped step down a loss."""

    def __init__(self, network: nn.Module, settings: ControllerSettings, seed: int) -> None:
        self.network = network
        self.settings = settings
        self.generator = torch.Generator().manual_seed(seed)
        self.optimizer = torch.optim.Adam(
            network.parameters(), lr=settings.lr, betas=(settings.beta1, settings.beta2), eps=settings.eps
        )

    def step(self, loss: Tensor) -> float:
        """Descend once; returns the norm of the gradient before clipping."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        return float(norm)

    def state(self) -> dict[str, NDArray[Any]]:
        """Weights, Adam's moments and the generator, as arrays."""
        arrays = {f"weight.{name}": p.detach().numpy().copy() for name, p in self.network.named_parameters()}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                arrays[f"adam.{key}.{name}"] = value.detach().numpy().copy()
        arrays["generator"] = self.generator.get_state().numpy().copy()
        return arrays

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `state`."""
        with torch.no_grad():
            for name, parameter in self.network.named_parameters():
                weight = arrays.get(f"weight.{name}")
                if weight is None or weight.shape != tuple(parameter.shape):
                    raise LossError(f"the state does not fit the controller: `{name}` has another shape")
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
                moments = {
                    key: torch.from_numpy(np.array(arrays[f"adam.{key}.{name}"]))
                    for key in ("step", "exp_avg", "exp_avg_sq")
                    if f"adam.{key}.{name}" in arrays
                }
                if moments:
                    self.optimizer.state[parameter] = moments
        self.generator.set_state(torch.from_numpy(np.array(arrays["generator"])))
