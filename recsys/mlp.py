"""RankNet by hand: the matrix products of its layers, and compiled loops for all that stands between them."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from lossdsl.recsys import flat
from lossdsl.recsys.curves import Curves
from lossdsl.recsys.dataset import Array, Dataset, Rows
from lossdsl.recsys.kernels import JIT, chance
from lossdsl.recsys.models import Masks, RankNet, build, epoch_seed
from lossdsl.recsys.pairs import Plan
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.slopes import Table, pair_slopes, row_slopes
from lossdsl.recsys.steps import KINDS, Pace, step_dense

_CHUNK = 8192
MOMENTS: dict[str, tuple[str, ...]] = {"gd": (), "adagrad": ("second",), "adam": ("first", "second")}


class MLPEngine:
    """RankNet on the CPU without autograd; all parameters are views of one flat array, so a step is one loop."""

    name = "fused"

    def __init__(self, settings: Settings, data: Dataset, seed: int) -> None:
        self.settings = settings
        self.seed = seed
        model = build(settings, data, seed)
        assert isinstance(model, RankNet) and settings.dropout is not None
        self.names = {name: tuple(p.shape) for name, p in model.named_parameters()}
        self.weights = flat.joined([p.detach().numpy() for p in model.parameters()], np.dtype(settings.dtype))
        self.gradient = flat.like(self.weights)
        self.moments = {name: flat.like(self.weights) for name in MOMENTS[settings.optimizer]}
        self.step = 0
        self.keep = 1 - settings.dropout
        self.masks = Masks(0)
        self.w, self.g = (flat.named(numbers, self.names) for numbers in (self.weights, self.gradient))
        count = (len(settings.layers or ()) + 1) * 3
        stack = [k for k in range(0, count, 3)]  # linear layers stand at 0, 3, 6, …: activation and dropout between
        self.layers = [tuple(_pair(part, f"stack.{k}") for part in (self.w, self.g)) for k in stack]
        inputs = model.inputs
        self.tables = [
            None if table is None else np.asarray(table.detach().numpy())
            for table in (inputs.user_features, inputs.item_features)
        ]
        self.embeds = inputs.user_vectors is not None
        self.width = inputs.width
        self.loss: Curves | None = None
        self._table: Table | None = None

    def use(self, loss: Curves) -> None:
        """Trains with this loss from now on."""
        self.loss = loss
        self._table = loss.table()

    def epoch(self, rows: Rows, order: Array, number: int = 0) -> None:
        """Trains once on `rows[order]`, in batches in that order."""
        assert self.settings.batch_size is not None
        self.masks.restart(epoch_seed(self.seed, number))
        for start in range(0, len(order), self.settings.batch_size):
            self._batch(rows, order[start : start + self.settings.batch_size], None)

    def epoch_pairs(self, rows: Rows, drawn: Plan, number: int = 0) -> None:
        """Trains once on the pairs of a plan."""
        self.masks.restart(epoch_seed(self.seed, number))
        for numbers, bounds in drawn.batches():
            self._batch(rows, numbers, bounds)

    def _batch(self, rows: Rows, numbers: Array, bounds: Array | None) -> None:
        assert self.loss is not None
        user, item = rows.user[numbers], rows.item[numbers]
        context = None if rows.context is None else rows.context[numbers]
        values, factors = self._forward(user, item, context, train=True)
        slope = values[-1].numpy().reshape(-1)
        label = rows.label[numbers]
        if bounds is None:
            row_slopes(slope, label.astype(slope.dtype), self._table)
        elif not pair_slopes(slope, label.astype(slope.dtype), bounds, self._table):
            return
        back = values[-1]
        for k in range(len(self.layers) - 1, -1, -1):
            (weight, _), (weight_slope, bias_slope) = self.layers[k]
            torch.mm(back.t(), values[k], out=weight_slope)
            _columns(back.numpy(), bias_slope.numpy())
            if k > 0 or self.embeds:
                back = torch.mm(back, weight)
            if k > 0:
                _times(back.numpy().reshape(-1), factors[k - 1].reshape(-1))
        if self.embeds:
            dim = self.settings.dim
            _scatter(back.numpy(), user, self.g["inputs.user_vectors"], 0, dim)
            _scatter(back.numpy(), item, self.g["inputs.item_vectors"], dim, dim)
        s = self.settings
        decay, inside = (s.l2, s.l2_in_loss) if s.clip > 0 else (s.l2 + s.l2_in_loss, 0.0)
        self.step += 1
        nothing = self.gradient[:0]
        step_dense(
            KINDS[s.optimizer], self.weights, self.gradient, self.moments.get("first", nothing),
            self.moments.get("second", nothing), self.step, Pace(s.lr, decay, inside, s.clip),
        )  # fmt: skip

    def _forward(
        self, user: Array, item: Array, context: Array | None, *, train: bool
    ) -> tuple[list[Tensor], list[Array]]:
        """What goes into each layer, and at last the scores; and by what each activation multiplied."""
        first = np.empty((len(user), self.width), self.weights.dtype)
        parts: list[Any] = (
            [(self.w["inputs.user_vectors"], user), (self.w["inputs.item_vectors"], item)] if self.embeds else []
        )
        parts += [(table, index) for table, index in zip(self.tables, (user, item)) if table is not None]
        start = 0
        for table, index in parts:
            _gather(table, index, first, start)
            start += table.shape[1]
        if context is not None:
            first[:, start:] = context
        values, factors = [torch.from_numpy(first)], []
        for k, ((weight, bias), _) in enumerate(self.layers):
            out = torch.addmm(bias, values[-1], weight.t())
            if k < len(self.layers) - 1:
                flat = out.numpy().reshape(-1)
                share = 65536
                if train and self.keep < 1:
                    share = max(1, round(self.keep * 65536))
                factor = np.empty_like(flat)
                _activate(flat, factor, self.masks.seed, self.masks.drawn, share)
                if share < 65536 or (train and self.settings.dropout):
                    self.masks.drawn += len(flat)
                factors.append(factor)
            values.append(out)
        return values, factors

    def scores(self, rows: Rows) -> Array:
        """The score of each row, in the dtype of the weights."""
        out = []
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            context = None if rows.context is None else rows.context[part]
            out.append(self._forward(rows.user[part], rows.item[part], context, train=False)[0][-1].numpy()[:, 0])
        return np.concatenate(out)

    def largest(self) -> float:
        """The largest parameter in size; NaN if one is NaN."""
        return float(np.abs(self.weights).max())

    def arrays(self) -> dict[str, Array]:
        """Copies of all that a restart needs, under the names that the torch engine uses too."""
        out = dict(self.w)
        for name, moment in self.moments.items():
            out.update({f"{name}:{key}": view for key, view in flat.named(moment, self.names).items()})
        if self.moments:
            out["step"] = np.array(self.step)
        return {name: np.array(array) for name, array in out.items()}

    def load(self, arrays: dict[str, Array]) -> None:
        """Goes back to what `arrays` gave."""
        for name, view in self.w.items():
            view[...] = arrays[name]
        for moment, numbers in self.moments.items():
            for name, view in flat.named(numbers, self.names).items():
                view[...] = arrays.get(f"{moment}:{name}", 0)
        self.step = int(arrays.get("step", 0))
        self.gradient[:] = 0


def _pair(views: dict[str, Array], layer: str) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(views[f"{layer}.weight"]), torch.from_numpy(views[f"{layer}.bias"])


@numba.njit(**JIT)
def _gather(table: Any, index: Any, out: Any, start: int) -> None:
    for j in range(index.shape[0]):
        for k in range(table.shape[1]):
            out[j, start + k] = table[index[j], k]


@numba.njit(**JIT)
def _scatter(slope: Any, index: Any, out: Any, start: int, width: int) -> None:
    for j in range(index.shape[0]):
        for k in range(width):
            out[index[j], k] += slope[j, start + k]


@numba.njit(**JIT)
def _columns(x: Any, out: Any) -> None:
    for j in range(x.shape[0]):
        for k in range(x.shape[1]):
            out[k] += x[j, k]


@numba.njit(**JIT)
def _times(x: Any, factor: Any) -> None:
    for k in range(x.shape[0]):
        x[k] *= factor[k]


@numba.njit(**JIT)
def _activate(x: Any, factor: Any, seed: Any, drawn: Any, share: int) -> None:
    """LeakyReLU 0.2 and dropout in place; `factor` keeps by what each number was multiplied."""
    n = x.shape[0]
    up = x.dtype.type(65536 / share)
    down = x.dtype.type(0.2) * up
    zero = x.dtype.type(0.0)
    if share == 65536:
        for k in range(n):
            factor[k] = up if x[k] > zero else down
            x[k] *= factor[k]
        return
    least = np.uint32(share)
    start = np.uint32(drawn)
    for k in range(n):
        f = up if x[k] > zero else down
        f = f if chance(np.uint32(start + np.uint32(k)), seed) < least else zero
        factor[k] = f
        x[k] *= f
