"""The fused engine's side of a training: parameters and moments in flat arrays, epochs in compiled loops."""

from __future__ import annotations

import numpy as np

from lossdsl.recsys import epochs, flat, kernels
from lossdsl.recsys.curves import Curves
from lossdsl.recsys.dataset import Array, Dataset, Rows
from lossdsl.recsys.models import initial_mf
from lossdsl.recsys.pairs import Plan
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.slopes import Table
from lossdsl.recsys.steps import KINDS, Pace, largest_or_nan

# In the order in which they lie in the flat array.
NAMES = ("user_vectors", "item_vectors", "user_bias", "item_bias", "global_bias")
_NONE = np.empty(0, np.int64)
MOMENTS: dict[str, tuple[str, ...]] = {"gd": (), "adagrad": ("second",), "adam": ("first", "second")}


class FusedEngine:
    """BiasedMF on the CPU, a whole epoch a call, the GIL released meanwhile."""

    name = "fused"

    def __init__(self, settings: Settings, data: Dataset, seed: int) -> None:
        self.settings = settings
        self.data = data
        dtype = np.dtype(settings.dtype)
        start = initial_mf(
            data.users, data.items, settings.dim, settings.init_std, settings.init_bias_std, settings.global_bias, seed
        )
        self.weights = flat.joined([start[name] for name in NAMES], dtype)
        self.moments = {name: flat.like(self.weights) for name in MOMENTS[settings.optimizer]}
        self.gradient = flat.like(self.weights if self._dense or settings.clip > 0 else self.weights[:0])
        self.step = 0
        self.loss: Curves | None = None
        self._table: Table | None = None

    @property
    def _dense(self) -> bool:
        return self.settings.optimizer != "gd"

    def use(self, loss: Curves) -> None:
        """Trains with this loss from now on."""
        self.loss = loss
        self._table = loss.table()

    def epoch(self, rows: Rows, order: Array) -> None:
        """Trains once on `rows[order]`, in batches in that order."""
        assert self.settings.batch_size is not None
        cuts = np.append(np.arange(0, len(order), self.settings.batch_size), len(order))
        self._run(rows, order, cuts, _NONE, _NONE)

    def epoch_pairs(self, rows: Rows, drawn: Plan) -> None:
        """Trains once on the pairs of a plan."""
        self._run(rows, drawn.order, drawn.part[drawn.batch], drawn.part, drawn.batch)

    def _run(self, rows: Rows, order: Array, cuts: Array, part: Array, first: Array) -> None:
        s, feed = self.settings, epochs.Feed(rows.user, rows.item, rows.label, order, cuts, part, first)
        # Where nothing is clipped it does not matter on which side of the clipping L2 is added.
        decay, inside = (s.l2, s.l2_in_loss) if s.clip > 0 else (s.l2 + s.l2_in_loss, 0.0)
        pace = Pace(s.lr, decay, inside, s.clip)
        shape = (self.data.users, self.data.items, s.dim)
        if not self._dense:
            epochs.descent(self.weights, self.gradient, *shape, feed, pace, self._table)
            return
        moments = (self.moments.get(name, self.gradient[:0]) for name in ("first", "second"))
        self.step = epochs.dense(
            KINDS[s.optimizer], self.weights, self.gradient, *moments, self.step, *shape, feed, pace, self._table
        )

    def scores(self, rows: Rows) -> Array:
        """The score of each row, in the dtype of the weights."""
        out = np.empty(len(rows), self.weights.dtype)
        shape = (self.data.users, self.data.items, self.settings.dim)
        kernels.scores(self.weights, *shape, rows.user, rows.item, out)
        return out

    def largest(self) -> float:
        """The largest parameter in size; NaN if one is NaN."""
        return largest_or_nan(self.weights)

    def arrays(self) -> dict[str, Array]:
        """Copies of all that a restart needs, under the names that the torch engine uses too."""
        out = self._named("", self.weights)
        for name, moment in self.moments.items():
            out.update(self._named(f"{name}:", moment))
        if self._dense:
            out["step"] = np.array(self.step)
        return {name: array.copy() for name, array in out.items()}

    def load(self, arrays: dict[str, Array]) -> None:
        """Goes back to what `arrays` gave."""
        for prefix, numbers in (("", self.weights), *((f"{name}:", moment) for name, moment in self.moments.items())):
            for name, view in self._named(prefix, numbers).items():
                if name in arrays:
                    view[...] = arrays[name]
                elif prefix:
                    view[...] = 0
                else:
                    raise KeyError(name)
        self.step = int(arrays.get("step", 0))
        self.gradient[:] = 0

    def _named(self, prefix: str, numbers: Array) -> dict[str, Array]:
        users, items, dim = self.data.users, self.data.items, self.settings.dim
        return flat.named(numbers, dict(zip(NAMES, ((users, dim), (items, dim), (users,), (items,), (1,)))), prefix)
