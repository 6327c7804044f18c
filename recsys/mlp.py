"""RankNet and DeepModel on the CPU without autograd: slopes of the scores by the loss's curves, back by hand."""

from __future__ import annotations

import numpy as np

from lossdsl.recsys import flat
from lossdsl.recsys.curves import Curves
from lossdsl.recsys.dataset import Array, Dataset, Rows
from lossdsl.recsys.models import DeepModel, RankNet, build, epoch_seed
from lossdsl.recsys.pairs import Plan, any_pair
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.slopes import Table, pair_slopes, row_slopes
from lossdsl.recsys.stack import Batch, Stack
from lossdsl.recsys.steps import KINDS, Pace, step_dense

_CHUNK = 8192
MOMENTS: dict[str, tuple[str, ...]] = {"gd": (), "adagrad": ("second",), "adam": ("first", "second")}


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
        self.w, self.g = (flat.named(numbers, self.names) for numbers in (self.weights, self.gradient))
        # What a batch norm remembers besides its parameters; nothing where there is none.
        self.statistics = {
            name: value.numpy().copy() for name, value in model.named_buffers() if "features" not in name
        }
        features = (model.inputs.user_features, model.inputs.item_features)
        tables = [None if table is None else np.asarray(table.detach().numpy()) for table in features]
        hidden, normed = len(settings.layers or ()), isinstance(model, DeepModel)
        self.stack = Stack(self.w, self.g, self.statistics, tables, hidden, settings.dropout, normed)
        self.loss: Curves | None = None
        self._table: Table | None = None

    def use(self, loss: Curves) -> None:
        """Trains with this loss from now on."""
        self.loss = loss
        self._table = loss.table()

    def epoch(self, rows: Rows, order: Array, number: int = 0) -> None:
        """Trains once on `rows[order]`, in batches in that order."""
        assert self.settings.batch_size is not None
        self.stack.masks.restart(epoch_seed(self.seed, number))
        rows = rows.take(order)
        for start in range(0, len(rows), self.settings.batch_size):
            part = slice(start, start + self.settings.batch_size)
            if start == len(rows) - 1 and self.statistics:
                continue  # batch norm has no variance of a single row
            self._batch(rows, part, None)

    def epoch_pairs(self, rows: Rows, drawn: Plan, number: int = 0) -> None:
        """Trains once on the pairs of a plan."""
        self.stack.masks.restart(epoch_seed(self.seed, number))
        rows = rows.take(drawn.order)
        start = 0
        for numbers, bounds in drawn.batches():
            part = slice(start, start + len(numbers))
            start = part.stop
            # A batch without a pair is not looked at: no mask is drawn for it, and no running mean follows it.
            if any_pair(rows.label[part], bounds):
                self._batch(rows, part, bounds)

    def _batch(self, rows: Rows, part: slice, bounds: Array | None) -> None:
        batch = _cut(rows, part, bounds)
        room = self.stack.forward(batch)
        label = rows.label[part]
        if bounds is None:
            row_slopes(room.scores, label, self._table)
        else:
            pair_slopes(room.scores, label, bounds, self._table)
        self.stack.backward(batch, room)
        s = self.settings
        decay, inside = (s.l2, s.l2_in_loss) if s.clip > 0 else (s.l2 + s.l2_in_loss, 0.0)
        self.step += 1
        nothing = self.gradient[:0]
        step_dense(
            KINDS[s.optimizer], self.weights, self.gradient, self.moments.get("first", nothing),
            self.moments.get("second", nothing), self.step, Pace(s.lr, decay, inside, s.clip),
        )  # fmt: skip

    def scores(self, rows: Rows) -> Array:
        """The score of each row, in the dtype of the weights."""
        parts = [_cut(rows, slice(start, start + _CHUNK), None) for start in range(0, len(rows), _CHUNK)]
        return np.concatenate(self.stack.scores(parts))

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


def _cut(rows: Rows, part: slice, bounds: Array | None) -> Batch:
    context = None if rows.context is None else rows.context[part]
    return Batch(rows.user[part], rows.item[part], context, bounds)
