"""The layers of RankNet and DeepModel, there and back: matrix products, compiled loops for all that stands between.

The rows of a group of pairs share their user, so what the first layer makes of the user's vector is worked out once a
group, and the slopes of a group are summed before they go back to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lossdsl.recsys import layers
from lossdsl.recsys.dataset import Array
from lossdsl.recsys.models import Masks
from lossdsl.recsys.rooms import Room, Rooms, Sheet


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of a batch; where `bounds` cut them into groups, each group has one user."""

    user: Array
    item: Array
    context: Array | None
    bounds: Array | None = None


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


class Linear:
    """A weight, or some columns of it, and its slope, as views."""

    def __init__(self, weight: Array, slope: Array) -> None:
        self.weight = Sheet(weight)
        self.slope = Sheet(slope)
        height, width = weight.shape
        self._turned = Sheet(np.empty((width, height), weight.dtype)) if height > width else None

    def learn(self, inside: Sheet, back: Sheet) -> None:
        """Writes the slope, `back.T @ inside`; a few wide rows are made twice as fast as many narrow ones."""
        if self._turned is None:
            torch.mm(back.turned, inside.tensor, out=self.slope.tensor)
        else:
            torch.mm(inside.turned, back.tensor, out=self._turned.tensor)
            layers.transpose(self._turned.array, self.slope.array)


class Layer:
    """A linear layer and the batch norm behind it."""

    def __init__(
        self, w: Mapping[str, Array], g: Mapping[str, Array], statistics: Mapping[str, Array], k: int, normed: bool
    ) -> None:
        weight, bias = f"stack.{k}.weight", f"stack.{k}.bias"
        self.linear = Linear(w[weight], g[weight])
        self.bias = torch.from_numpy(w[bias])
        self.base = w[bias][None]
        self.norm: Norm | None = None
        self.bias_slope = g[bias][None]
        if normed:
            name = f"stack.{k + 1}"
            self.norm = Norm(
                w[f"{name}.weight"], w[f"{name}.bias"], g[f"{name}.weight"], g[f"{name}.bias"],
                statistics[f"{name}.running_mean"], statistics[f"{name}.running_var"],
                statistics[f"{name}.num_batches_tracked"],
            )  # fmt: skip
            # A bias before a batch norm moves nothing, so its slope is nought, and stays it in `g`.
            self.bias_slope = np.zeros_like(self.bias_slope)


class Stack:
    """The layers over the parameters `w` and their slopes `g`, both views by name."""

    def __init__(
        self,
        w: Mapping[str, Array],
        g: Mapping[str, Array],
        statistics: Mapping[str, Array],
        tables: Sequence[Array | None],
        hidden: int,
        dropout: float,
        normed: bool,
    ) -> None:
        self.w, self.g = w, g
        self.tables = tables  # features of users and of items
        self.embeds = "inputs.user_vectors" in w
        self.dim = dim = w["inputs.user_vectors"].shape[1] if self.embeds else 0
        self.dropout = dropout
        self.leak = 0.0 if normed else 0.2
        self.masks = Masks(0)
        # A linear layer, (batch norm,) activation and dropout, and so on.
        apart = 4 if normed else 3
        found = [Layer(w, g, statistics, k * apart, normed and k < hidden) for k in range(hidden + 1)]
        self.hidden, self.last = found[:-1], found[-1]
        weight, slope = (found[0].linear.weight.array, found[0].linear.slope.array)
        # Only a layer without batch norm has a place where what a group shares can be added.
        self.shares = self.embeds and hidden > 0 and not normed
        self.shared = Linear(weight[:, :dim], slope[:, :dim])
        self.own = Linear(weight[:, dim:], slope[:, dim:])
        self.to_vectors, self.to_items = (torch.from_numpy(weight[:, a : 2 * dim]) for a in (0, dim))
        self._widths = [layer.linear.weight.array.shape[1] for layer in found]
        self._rooms = Rooms(self._widths, dim, weight.dtype)

    def scores(self, parts: Sequence[Batch]) -> list[Array]:
        """The scores of each part, without dropout."""
        rooms = Rooms(self._widths, self.dim, self._rooms.dtype)
        return [self.forward(part, rooms).scores.copy() for part in parts]

    def forward(self, batch: Batch, evaluation: Rooms | None = None) -> Room:
        """A room whose `scores` are those of the batch, and which `backward` needs; of a training by default."""
        shared = batch.bounds if self.shares else None
        groups = 0 if shared is None else len(shared) - 1
        room = (evaluation or self._rooms).of(len(batch.user), groups)
        inside = room.inputs
        self._fill(batch, inside.array, groups > 0)
        for k, layer in enumerate(self.hidden):
            linear, base, bounds = layer.linear, layer.base, layers.WHOLE
            if k == 0 and shared is not None:
                linear, base, bounds = self.own, room.base.array, shared
                layers.gather(self.w["inputs.user_vectors"], _users(batch), room.users.array, 0)
                torch.addmm(layer.bias, room.users.tensor, self.shared.weight.turned, out=room.base.tensor)
            out = room.outs[k]
            torch.mm(inside.tensor, linear.weight.turned, out=out.tensor)
            if layer.norm is not None:
                self._normalize(out.array, layer, room, k, evaluation is None)
                base = np.zeros_like(base)
            self._activate(out.array, room.factors[k], base, bounds, evaluation is None)
            inside = out
        layers.dot(inside.array, self.last.linear.weight.array[0], self.last.base[0], room.scores)
        return room

    def backward(self, batch: Batch, room: Room) -> None:
        """Adds the slopes of all parameters to `g`, where `room.scores` have become slopes of the scores."""
        shared = batch.bounds if self.shares else None
        dim = self.dim
        if not self.hidden:
            back = Sheet(np.empty_like(room.inputs.array))
            ones = np.ones_like(back.array)
            self._spread(room, room.inputs.array, ones, back.array, layers.WHOLE, np.zeros_like(ones[:1]))
        for k in range(len(self.hidden) - 1, -1, -1):
            layer, made = self.hidden[k], room.backs[k]
            linear, bounds, sums = layer.linear, layers.WHOLE, layer.bias_slope
            if k == 0 and shared is not None:
                linear, bounds, sums = self.own, shared, room.sums.array
            if layer is self.hidden[-1]:
                self._spread(room, room.outs[k].array, room.factors[k], made.array, bounds, sums)
            else:
                layers.turn(made.array, room.factors[k], bounds, sums)
            if layer.norm is not None:
                norm = layer.norm
                layers.unnormalize(
                    made.array, room.hats[k], room.inverses[k], norm.scale, norm.scale_slope, norm.shift_slope
                )
            linear.learn(room.outs[k - 1] if k else room.inputs, made)
            if k:
                torch.mm(made.tensor, linear.weight.tensor, out=room.backs[k - 1].tensor)
        if self.hidden and self.embeds:
            back = room.vectors
            torch.mm(room.backs[0].tensor, self.to_vectors if shared is None else self.to_items, out=back.tensor)
        if shared is not None:
            layers.columns(room.sums.array, self.hidden[0].bias_slope[0])
            self.shared.learn(room.users, room.sums)
            torch.mm(room.sums.tensor, self.shared.weight.tensor, out=room.back_to_users.tensor)
            layers.scatter(room.back_to_users.array, _users(batch), self.g["inputs.user_vectors"], 0, dim)
            layers.scatter(back.array, batch.item, self.g["inputs.item_vectors"], 0, dim)
        elif self.embeds:
            layers.scatter(back.array, batch.user, self.g["inputs.user_vectors"], 0, dim)
            layers.scatter(back.array, batch.item, self.g["inputs.item_vectors"], dim, dim)

    def _fill(self, batch: Batch, inputs: Array, shared: bool) -> None:
        """What goes into the first layer, but for the user's vector where it is shared."""
        start = 0
        vectors = [(self.w.get("inputs.user_vectors"), batch.user), (self.w.get("inputs.item_vectors"), batch.item)]
        for table, index in (*vectors[shared:], *zip(self.tables, (batch.user, batch.item))):
            if table is not None:
                layers.gather(table, index, inputs, start)
                start += table.shape[1]
        if batch.context is not None:
            inputs[:, start:] = batch.context

    def _normalize(self, out: Array, layer: Layer, room: Room, k: int, train: bool) -> None:
        norm: Any = layer.norm
        layers.add(out, layer.base[0])
        if train:
            layers.normalize(out, room.hats[k], room.inverses[k], norm.scale, norm.shift, norm.mean, norm.variance)
            norm.count[...] += 1
        else:
            layers.rescale(out, norm.scale, norm.shift, norm.mean, norm.variance)

    def _activate(self, out: Array, factor: Array, base: Array, bounds: Array, train: bool) -> None:
        keep = 1 - self.dropout
        share = max(1, round(keep * 65536)) if train and keep < 1 else 65536
        layers.activate(out, factor, base, bounds, self.leak, self.masks.seed, self.masks.drawn, share)
        if train and self.dropout:
            self.masks.drawn += out.size

    def _spread(self, room: Room, top: Array, factor: Array, back: Array, bounds: Array, sums: Array) -> None:
        linear = self.last.linear
        layers.spread(
            room.scores, linear.weight.array[0], top, factor, back, linear.slope.array[0], self.last.bias_slope[0],
            bounds, sums,
        )  # fmt: skip


def _users(batch: Batch) -> Array:
    """The user of each group."""
    assert batch.bounds is not None
    return batch.user[batch.bounds[:-1]]
