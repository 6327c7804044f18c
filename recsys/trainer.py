"""One training that can be stepped, measured, saved and taken back: what `train` and the search drive."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lossdsl.errors import LossError
from lossdsl.recsys import metrics
from lossdsl.recsys.dataset import Array, Dataset, Rows
from lossdsl.recsys.fused import FusedEngine
from lossdsl.recsys.kernels import shuffle
from lossdsl.recsys.negatives import Known, evaluation_rows, with_negatives
from lossdsl.recsys.objective import as_objective
from lossdsl.recsys.pairs import Groups, groups, plan
from lossdsl.recsys.settings import DEFAULTS, ENGINES, Settings, SettingsError

if TYPE_CHECKING:
    from lossdsl.recsys.mlp import MLPEngine
    from lossdsl.recsys.torch_engine import TorchEngine

EXPLODED = 1e6


class Diverged(LossError):
    """A training whose parameters are no numbers any more, or larger than a million."""


@dataclass(frozen=True, eq=False)
class State:
    """All that a restart needs: named arrays, and how many epochs have been drawn so far."""

    arrays: dict[str, Array]
    epoch: int

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that change with any bit of the state."""
        total = hashlib.sha256(str(self.epoch).encode())
        for name in sorted(self.arrays):
            total.update(name.encode() + np.ascontiguousarray(self.arrays[name]).tobytes())
        return total.hexdigest()[:16]


class Trainer:
    """A recommender in training.

    The order of rows in epoch e depends on the seed and e alone, so a state plus a loss gives the next epoch again, to
    the last bit on one machine. `engine="auto"` takes the fused one where it applies.

    >>> from lossdsl.recsys.data import load
    >>> from lossdsl.recsys.settings import Settings
    >>> from lossdsl.recsys.trainer import Trainer
    >>> trainer = Trainer("bce", load("demo"), Settings(dim=4), seed=1)
    >>> start = trainer.state()
    >>> trainer.epoch()
    >>> first = trainer.evaluate("validation")
    >>> trainer.load(start)
    >>> trainer.epoch()
    >>> trainer.evaluate("validation") == first
    True
    """

    def __init__(
        self,
        loss: Any,
        data: Dataset,
        settings: Settings = DEFAULTS,
        *,
        seed: int = 0,
        engine: str = "auto",
        device: str = "cpu",
    ) -> None:
        self.settings = settings.resolve(documents=data.documents)
        metrics.metric(self.settings.metric or "auc")
        self.data = data
        self.seed = seed
        self.number = 0
        self.objective = as_objective(loss)
        if data.documents and (self.settings.model == "biasedmf" or not self.settings.pairs):
            raise SettingsError("documents have grades and features; they are ranked by pairs, with ranknet")
        if data.documents and self.settings.task == "implicit":
            # A document of another query is no negative: the ranking of all of them would mean nothing.
            raise SettingsError("documents are graded for their own query alone; leave out the implicit task")
        self._groups: tuple[Rows, Groups] | None = None
        self._watched: dict[str, Rows] = {}
        self._order: tuple[int, int, Array] = (0, 0, np.arange(0, dtype=np.int32))
        self._known: tuple[Rows, Known] | None = None
        self.engine: FusedEngine | MLPEngine | TorchEngine = self._choose(engine, device)
        self.use(self.objective)

    def _choose(self, engine: str, device: str) -> FusedEngine | MLPEngine | TorchEngine:
        if engine not in ENGINES:
            raise SettingsError(f"no engine is called `{engine}`; there are {', '.join(ENGINES)}")
        why_not = self._not_fused(device)
        if engine == "fused" and why_not:
            raise SettingsError(f"the fused engine does not apply: {why_not}")
        fused = engine != "torch" and not why_not
        if fused and self.settings.model == "biasedmf":
            return FusedEngine(self.settings, self.data, self.seed)
        if fused:
            from lossdsl.recsys.mlp import MLPEngine

            return MLPEngine(self.settings, self.data, self.seed)
        from lossdsl.recsys.torch_engine import TorchEngine

        return TorchEngine(self.settings, self.data, self.seed, device)

    def _not_fused(self, device: str) -> str:
        if device != "cpu":
            return f"it runs on the CPU, not on {device}"
        if self.objective.program is None:
            return "the loss is a callable that cannot be looked into"
        if self.settings.pairs and self.objective.pair_program is None:
            return "the loss of a pair needs a formula"
        return ""

    def use(self, loss: Any) -> None:
        """Goes on with another loss; parameters and moments stay as they are."""
        objective = as_objective(loss)
        engine: Any = self.engine
        if engine.name == "fused":
            curves = objective.curves(pairs=bool(self.settings.pairs), dtype=self.settings.dtype)
            if curves is None:
                raise SettingsError("the fused engine needs a formula; this loss is a callable")
            engine.use(curves)
        else:
            engine.use(objective)
        self.objective = objective

    def epoch(self, rows: Rows | None = None, *, limit: int | None = None) -> None:
        """Trains one epoch on `rows` (default: the train split), or on the first `limit` of it as shuffled.

        Raises `Diverged` when the parameters stop being numbers of a sane size.
        """
        rows = self.data.train if rows is None else rows
        seed, fresh = map(int, np.random.SeedSequence([self.seed, 5, self.number]).generate_state(2, np.uint64))
        self.number += 1
        if self.settings.task == "implicit":
            # Known is what these rows hold: a positive kept back from them that is never drawn would give itself away.
            if self._known is None or self._known[0] is not rows:
                self._known = (rows, Known(self.data.users, self.data.items, rows))
            liked = rows.take(rows.label > 0)
            rows = with_negatives(liked, self._known[1], self.settings.train_neg, fresh, self.settings.train_sampler)
        if self.settings.pairs:
            assert self.settings.batch_size is not None
            if self._groups is None or self._groups[0] is not rows:
                self._groups = (rows, groups(rows))
            drawn = plan(self._groups[1], self.settings.batch_size, seed)
            if isinstance(self.engine, FusedEngine):
                self.engine.epoch_pairs(rows, drawn)
            else:
                self.engine.epoch_pairs(rows, drawn, self.number)
        else:
            order = self._shuffled(len(rows), seed)
            order = order if limit is None else order[:limit]
            if isinstance(self.engine, FusedEngine):
                self.engine.epoch(rows, order)
            else:
                self.engine.epoch(rows, order, self.number)
        largest = self.engine.largest()
        if not largest < EXPLODED:
            what = f"grew to {largest:.3g}" if np.isfinite(largest) else "became NaN or infinite"
            raise Diverged(f"a parameter {what} in epoch {self.number}; try a smaller learning rate")

    def _shuffled(self, count: int, seed: int) -> Array:
        # A search tries many losses from one state, all in one order.
        if self._order[:2] != (count, seed):
            order = np.arange(count, dtype=np.int32)
            shuffle(order, np.uint64(seed))
            self._order = (count, seed, order)
        return self._order[2]

    def scores(self, rows: Rows | str) -> Array:
        """The score of each row of `watched(split)`, or of rows of your own."""
        return self.engine.scores(self.watched(rows) if isinstance(rows, str) else rows)

    def watched(self, split: str) -> Rows:
        """What is measured for a split: its rows, with sampled negatives or all other items where settings say so."""
        if split not in self._watched:
            settings = self.settings
            self._watched[split] = evaluation_rows(self.data, split, task=settings.task, count=settings.test_neg)
        return self._watched[split]

    def evaluate(self, rows: Rows | str = "validation", metric: str | None = None) -> float:
        """A metric (default: the one in the settings) on a split or on rows of your own."""
        rows = self.watched(rows) if isinstance(rows, str) else rows
        name = metric or self.settings.metric
        assert name is not None
        return metrics.compute(name, rows, self.scores(rows))

    def state(self) -> State:
        """A copy of all that a restart needs."""
        return State(self.engine.arrays(), self.number)

    def again(self, start: State, loss: Any, l2: float) -> None:
        """Begins anew from a state, with another loss and L2: what a new trainer gives, without making one.

        >>> from lossdsl.recsys.data import load
        >>> from lossdsl.recsys.settings import Settings
        >>> from lossdsl.recsys.trainer import Trainer
        >>> data = load("demo")
        >>> one, other = (Trainer(loss, data, Settings(dim=4, l2=l2)) for loss, l2 in (("bce", 0.0), ("mse", 1e-3)))
        >>> start = one.state()
        >>> one.epoch()
        >>> one.again(start, "mse", 1e-3)
        >>> one.epoch(), other.epoch()
        (None, None)
        >>> one.state().digest == other.state().digest
        True
        """
        if self.engine.name == "torch":
            raise LossError("the torch engine's optimizer keeps the L2 that it was made with; make a new trainer")
        self.settings = self.engine.settings = replace(self.settings, l2=l2)
        self.load(start)
        self.use(loss)

    def load(self, state: State) -> None:
        """Goes back to a state, of either engine."""
        try:
            self.engine.load(state.arrays)
        except (KeyError, ValueError, RuntimeError) as error:
            raise LossError(f"this state belongs to another model or other data ({error})") from None
        self.number = state.epoch
