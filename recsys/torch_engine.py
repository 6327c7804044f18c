"""The torch engine: any model, any callable loss, any device, by autograd; the reference for the fused engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lossdsl.recsys.dataset import Array, Dataset, Rows
from lossdsl.recsys.models import build, reseed
from lossdsl.recsys.objective import Objective
from lossdsl.recsys.pairs import Plan, pairs
from lossdsl.recsys.settings import Settings, SettingsError

# What torch calls a moment, and the name under which both engines keep it.
_MOMENTS = {"gd": {}, "adagrad": {"sum": "second"}, "adam": {"exp_avg": "first", "exp_avg_sq": "second"}}
_CHUNK = 65_536


def device_called(name: str) -> torch.device:
    """The device of that name, or one sentence where nothing can be computed on it."""
    try:
        device = torch.device(name)
        # Only an attempt tells: torch knows names of devices that it was built without, and `meta` holds no numbers.
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, AttributeError, ImportError):
        raise SettingsError(f"--device {name}: PyTorch finds no such device here; leave it out for the CPU") from None
    return device


class TorchEngine:
    """A module, its optimizer, and epochs over rows or pairs."""

    name = "torch"

    def __init__(self, settings: Settings, data: Dataset, seed: int, device: str = "cpu") -> None:
        self.settings = settings
        self.seed = seed
        self.device = device_called(device)
        self.model: nn.Module = build(settings, data, seed).to(self.device)
        self.dtype = torch.float64 if settings.dtype == "float64" else torch.float32
        self.optimizer = _optimizer(settings, list(self.model.parameters()))
        self.loss: Objective | None = None
        self._rows: tuple[Rows, tuple[Tensor, ...]] | None = None

    def use(self, loss: Objective) -> None:
        """Trains with this loss from now on."""
        self.loss = loss

    def epoch(self, rows: Rows, order: Array, number: int = 0) -> None:
        """Trains once on `rows[order]`, in batches in that order."""
        user, item, label, context = self._tensors(rows)
        self.model.train()
        reseed(self.model, self.seed, number)
        assert self.settings.batch_size is not None and self.loss is not None
        index = torch.from_numpy(np.asarray(order, np.int64)).to(self.device)
        for pick in index.split(self.settings.batch_size):
            if len(pick) == 1 and self.settings.model == "deepmodel":
                continue  # batch norm has no variance of a single row
            score = self.model(user[pick], item[pick], None if context is None else context[pick])
            self._step(self.loss.module(score=score, label=label[pick]))

    def epoch_pairs(self, rows: Rows, drawn: Plan, number: int = 0) -> None:
        """Trains once on the pairs of a plan; each row of a batch is scored once."""
        user, item, _, context = self._tensors(rows)
        self.model.train()
        reseed(self.model, self.seed, number)
        assert self.loss is not None
        for numbers, bounds in drawn.batches():
            better, worse = pairs(rows.label[numbers], bounds)
            if not len(better):
                continue
            pick = torch.from_numpy(numbers.astype(np.int64)).to(self.device)
            score = self.model(user[pick], item[pick], None if context is None else context[pick])
            ahead, behind = (torch.from_numpy(side).to(self.device) for side in (better, worse))
            self._step(self.loss.pair(score[ahead] - score[behind]))

    def _step(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        inside, clip = self.settings.l2_in_loss, self.settings.clip
        if inside or clip:
            with torch.no_grad():
                for parameter in self.model.parameters():
                    if parameter.grad is None:
                        continue
                    parameter.grad.add_(parameter, alpha=inside)
                    if clip:
                        parameter.grad.clamp_(-clip, clip)
        self.optimizer.step()

    def scores(self, rows: Rows) -> Array:
        """The score of each row, in the dtype of the weights."""
        user, item, _, context = self._tensors(rows, keep=False)
        self.model.eval()
        out = []
        with torch.no_grad():
            for start in range(0, len(rows), _CHUNK):
                part = slice(start, start + _CHUNK)
                out.append(self.model(user[part], item[part], None if context is None else context[part]))
        score: Array = torch.cat(out).cpu().numpy()
        return score

    def largest(self) -> float:
        """The largest parameter in size; NaN if one is NaN."""
        sizes = [float(parameter.detach().abs().max()) for parameter in self.model.parameters()]
        return max(sizes, key=lambda size: np.inf if np.isnan(size) else size)

    def arrays(self) -> dict[str, Array]:
        """Copies of all that a restart needs: parameters, running statistics, moments and the step."""
        out = {name: _numpy(value) for name, value in self.model.state_dict().items()}
        step = 0
        for name, parameter in self.model.named_parameters():
            state = self.optimizer.state.get(parameter, {})
            step = max(step, int(state.get("step", 0)))
            for theirs, ours in _MOMENTS[self.settings.optimizer].items():
                out[f"{ours}:{name}"] = _numpy(state[theirs]) if theirs in state else np.zeros_like(_numpy(parameter))
        if self.settings.optimizer != "gd":
            out["step"] = np.array(step)
        return out

    def load(self, arrays: dict[str, Array]) -> None:
        """Goes back to what `arrays` gave."""
        names = self.model.state_dict()
        self.model.load_state_dict({name: torch.from_numpy(np.array(arrays[name])) for name in names})
        self.optimizer = _optimizer(self.settings, list(self.model.parameters()))
        step = int(arrays.get("step", 0))
        for name, parameter in self.model.named_parameters():
            moments = _MOMENTS[self.settings.optimizer]
            if not moments or (step == 0 and self.settings.optimizer == "adam"):
                continue
            state: dict[str, Any] = {"step": torch.tensor(float(step))}
            for theirs, ours in moments.items():
                key = f"{ours}:{name}"
                value = torch.from_numpy(np.array(arrays[key])) if key in arrays else torch.zeros_like(parameter)
                state[theirs] = value.to(parameter)
            self.optimizer.state[parameter] = state

    def _tensors(self, rows: Rows, keep: bool = True) -> tuple[Any, ...]:
        if self._rows is not None and self._rows[0] is rows:
            return self._rows[1]
        columns = (rows.user.astype(np.int64), rows.item.astype(np.int64), rows.label.astype(self.settings.dtype))
        context = None if rows.context is None else torch.from_numpy(rows.context.copy()).to(self.device, self.dtype)
        tensors = (*(torch.from_numpy(column).to(self.device) for column in columns), context)
        if keep:
            self._rows = (rows, tensors)
        return tensors


def _numpy(value: Tensor) -> Array:
    return np.array(value.detach().cpu().numpy())


def _optimizer(settings: Settings, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if settings.optimizer == "gd":
        return torch.optim.SGD(parameters, lr=settings.lr, weight_decay=settings.l2)
    if settings.optimizer == "adagrad":
        return torch.optim.Adagrad(parameters, lr=settings.lr, weight_decay=settings.l2, eps=1e-10)
    return torch.optim.Adam(parameters, lr=settings.lr, weight_decay=settings.l2, fused=True)
