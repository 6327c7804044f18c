"""RankNet and DeepModel by hand: the matrix products of their layers, compiled loops for all that stands between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossdsl.recsys import flat, layers
from lossdsl.recsys.curves import Curves
from lossdsl.recsys.dataset import Array, Dataset, Rows
from lossdsl.recsys.models import DeepModel, Masks, RankNet, build, epoch_seed
from lossdsl.recsys.pairs import Plan, any_pair
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.slopes import Table, pair_slopes, row_slopes
from lossdsl.recsys.steps import KINDS, Pace, step_dense

_CHUNK = 8192
MOMENTS: dict[str, tuple[str, ...]] = {"gd": (), "adagrad": ("second",), "adam": ("first", "second")}


@dataclass(frozen=True, eq=False)
class Norm:
    """A batch norm's parameters, their slopes, and its running statistics, as views."""

    scale: Array
    shift: Array
    scale_slope: Array
    shift_slope: Array
    mean: Array
    variance: Array
    count: Array


@dataclass(frozen=True, eq=False)
class Layer:
    """A linear layer's parameters and their slopes, as views, and the batch norm behind it."""

    weight: Tensor
    bias: Tensor
    weight_slope: Tensor
    bias_slope: Array
    norm: Norm | None


@dataclass(frozen=True, eq=False)
class Passed:
    """What the way back has to know of a layer's activation: factors, and what its batch norm made."""

    factor: Array
    hat: Array | None
    inverse: Array | None


class MLPEngine:
    """RankNet or DeepModel on the CPU without autograd; a step is one loop over the one array of all parameters."""

    name = "fused"

    def __init__(self, settings: Settings, data: Dataset, seed: int) -> None:
        self.settings = settings
        self.seed = seed
        model = build(settings, data, seed)
        assert isinstance(model, RankNet | DeepModel) and settings.dropout is not None
        self.names = {name: tuple(p.shape) for name, p in model.named_parameters()}
        self.weights = flat.joined([p.detach().numpy() for p in model.parameters()], np.dtype(settings.dtype))
        self.gradient = flat.like(self.weights)
        self.moments = {name: flat.like(self.weights) for name in MOMENTS[settings.optimizer]}
        self.step = 0
        self.keep = 1 - settings.dropout
        self.masks = Masks(0)
        self.w, self.g = (flat.named(numbers, self.names) for numbers in (self.weights, self.gradient))
        normed = isinstance(model, DeepModel)
        self.leak = 0.0 if normed else 0.2
        # What a batch norm remembers besides its parameters; nothing where there is none.
        self.statistics = {
            name: value.numpy().copy() for name, value in model.named_buffers() if "features" not in name
        }
        # A linear layer, (batch norm,) activation and dropout, and so on.
        apart, hidden = (4 if normed else 3), len(settings.layers or ())
        self.layers = [self._layer(k * apart, normed and k < hidden) for k in range(hidden + 1)]
        inputs = model.inputs
        self.tables = [
            None if table is None else np.asarray(table.detach().numpy())
            for table in (inputs.user_features, inputs.item_features)
        ]
        self.embeds = inputs.user_vectors is not None
        self.width = inputs.width
        self.loss: Curves | None = None
        self._table: Table | None = None

    def _layer(self, k: int, normed: bool) -> Layer:
        w, g, norm = self.w, self.g, None
        if normed:
            name, kept = f"stack.{k + 1}", self.statistics
            norm = Norm(
                w[f"{name}.weight"], w[f"{name}.bias"], g[f"{name}.weight"], g[f"{name}.bias"],
                kept[f"{name}.running_mean"], kept[f"{name}.running_var"], kept[f"{name}.num_batches_tracked"],
            )  # fmt: skip
        weight, bias, slope = (
            torch.from_numpy(views[f"stack.{k}.{part}"]) for views, part in ((w, "weight"), (w, "bias"), (g, "weight"))
        )
        return Layer(weight, bias, slope, g[f"stack.{k}.bias"], norm)

    def use(self, loss: Curves) -> None:
        """Trains with this loss from now on."""
        self.loss = loss
        self._table = loss.table()

    def epoch(self, rows: Rows, order: Array, number: int = 0) -> None:
        """Trains once on `rows[order]`, in batches in that order."""
        assert self.settings.batch_size is not None
        self.masks.restart(epoch_seed(self.seed, number))
        for start in range(0, len(order), self.settings.batch_size):
            numbers = order[start : start + self.settings.batch_size]
            if len(numbers) == 1 and self.statistics:
                continue  # batch norm has no variance of a single row
            self._batch(rows, numbers, None)

    def epoch_pairs(self, rows: Rows, drawn: Plan, number: int = 0) -> None:
        """Trains once on the pairs of a plan."""
        self.masks.restart(epoch_seed(self.seed, number))
        for numbers, bounds in drawn.batches():
            # A batch without a pair is not looked at: no mask is drawn for it, and no running mean follows it.
            if any_pair(rows.label[numbers], bounds):
                self._batch(rows, numbers, bounds)

    def _batch(self, rows: Rows, numbers: Array, bounds: Array | None) -> None:
        user, item = rows.user[numbers], rows.item[numbers]
        context = None if rows.context is None else rows.context[numbers]
        values, passed = self._forward(user, item, context, train=True)
        slope = values[-1].numpy().reshape(-1)
        label = rows.label[numbers].astype(slope.dtype)
        if bounds is None:
            row_slopes(slope, label, self._table)
        else:
            pair_slopes(slope, label, bounds, self._table)
        self._backward(values, passed, user, item)
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
    ) -> tuple[list[Tensor], list[Passed]]:
        """What goes into each layer, and at last the scores; and what each activation did."""
        first = np.empty((len(user), self.width), self.weights.dtype)
        parts: list[Any] = (
            [(self.w["inputs.user_vectors"], user), (self.w["inputs.item_vectors"], item)] if self.embeds else []
        )
        parts += [(table, index) for table, index in zip(self.tables, (user, item)) if table is not None]
        start = 0
        for table, index in parts:
            layers.gather(table, index, first, start)
            start += table.shape[1]
        if context is not None:
            first[:, start:] = context
        values, passed = [torch.from_numpy(first)], []
        for layer in self.layers[:-1]:
            out = torch.addmm(layer.bias, values[-1], layer.weight.t())
            passed.append(self._activate(out.numpy(), layer.norm, train))
            values.append(out)
        last = self.layers[-1]
        values.append(torch.addmm(last.bias, values[-1], last.weight.t()))
        return values, passed

    def _activate(self, out: Array, norm: Norm | None, train: bool) -> Passed:
        hat = inverse = None
        if norm is not None and train:
            hat, inverse = np.empty_like(out), np.empty_like(out[0])
            layers.normalize(out, hat, inverse, norm.scale, norm.shift, norm.mean, norm.variance)
            norm.count[...] += 1
        elif norm is not None:
            layers.rescale(out, norm.scale, norm.shift, norm.mean, norm.variance)
        numbers = out.reshape(-1)
        factor = np.empty_like(numbers)
        share = max(1, round(self.keep * 65536)) if train and self.keep < 1 else 65536
        layers.activate(numbers, factor, self.leak, self.masks.seed, self.masks.drawn, share)
        if train and self.settings.dropout:
            self.masks.drawn += len(numbers)
        return Passed(factor, hat, inverse)

    def _backward(self, values: list[Tensor], passed: list[Passed], user: Array, item: Array) -> None:
        back = values[-1]
        for k in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[k]
            if k < len(passed):
                layers.times(back.numpy().reshape(-1), passed[k].factor)
            norm = layer.norm
            if norm is not None:
                # A bias before a batch norm moves nothing, so its slope is nought, and stays it here.
                made = passed[k]
                layers.unnormalize(back.numpy(), made.hat, made.inverse, norm.scale, norm.scale_slope, norm.shift_slope)
            else:
                layers.columns(back.numpy(), layer.bias_slope)
            torch.mm(back.t(), values[k], out=layer.weight_slope)
            if k > 0 or self.embeds:
                back = torch.mm(back, layer.weight)
        if self.embeds:
            dim = self.settings.dim
            layers.scatter(back.numpy(), user, self.g["inputs.user_vectors"], 0, dim)
            layers.scatter(back.numpy(), item, self.g["inputs.item_vectors"], dim, dim)

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
        out = {**self.w, **self.statistics}
        for name, moment in self.moments.items():
            out.update({f"{name}:{key}": view for key, view in flat.named(moment, self.names).items()})
        if self.moments:
            out["step"] = np.array(self.step)
        return {name: np.array(array) for name, array in out.items()}

    def load(self, arrays: dict[str, Array]) -> None:
        """Goes back to what `arrays` gave."""
        for name, view in (self.w | self.statistics).items():
            view[...] = arrays[name]
        for moment, numbers in self.moments.items():
            for name, view in flat.named(numbers, self.names).items():
                view[...] = arrays.get(f"{moment}:{name}", 0)
        self.step = int(arrays.get("step", 0))
        self.gradient[:] = 0
