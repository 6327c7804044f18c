"""One epoch of a recommender from a given state: what AutoLossGen pays its controller with."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np

from lossdsl.errors import LossError
from lossdsl.formula import Formula, parse
from lossdsl.grammar.tree import Tree
from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.objective import Objective
from lossdsl.recsys.trainer import Diverged, State, Trainer
from lossdsl.search.bench import Bench, Tabled
from lossdsl.search.controller import Controller
from lossdsl.search.proxy import slopes
from lossdsl.search.settings import LadderSettings, Settings

_READY = 512  # formulas whose tables are kept, of 64 KiB each


@dataclass(frozen=True, eq=False)
class Step:
    """Train `epochs` epochs from `start`; `regularised` adds L2 to the loss, as the original's own step does."""

    formula: str
    start: State
    epochs: int
    regularised: bool = False


@dataclass(frozen=True, eq=False)
class Stepped:
    """The validation metric after a step, and the state that it led to (None: not asked for, or diverged)."""

    reward: float | None
    state: State | None
    rows: int
    seconds: float
    note: str = ""


class OriginalBench(Bench):
    """Steps of the recommender with the settings of the published program.

    The order of rows in a step depends on the seed and on how many epochs the state has seen, so all candidates of an
    outer epoch see the rows in one order, as in the original.
    """

    def __init__(self, data: Dataset, settings: Settings) -> None:
        super().__init__(data, replace(settings, ladder=replace(LadderSettings(), folds=0)))
        self.settings = settings
        training = settings.training
        mf = settings.model == "biasedmf"
        self.recommender = replace(
            self.recommender,
            l2=training.l2[0],
            clip=settings.original.clip_value,
            init_bias_std=training.init_std if mf else 0.0,
            batch_size=training.batch_size or None,
            patience=0,
        ).resolve()
        self.regularised = replace(self.recommender, l2_in_loss=2 * training.l2[0]).resolve()
        # How the published program trains a recommender from scratch with a loss that was found.
        self.third_phase = replace(self.regularised, patience=training.patience).resolve()
        self._local = threading.local()
        # Formulas that are at hand as trees; a thread takes them from here, other processes and machines read the text.
        self.trees: dict[str, Tree] = {}
        # Every outer epoch draws many a formula of an earlier one; threads share what it took to make it ready.
        self._ready: OrderedDict[str, Tabled] = OrderedDict()

    def warm(self) -> None:
        """Compile the controller's loops, too."""
        super().warm()
        space = self.settings.space.space()
        controller = Controller(space, self.settings.controller)
        drawn = controller.draw(2)
        controller.descend(controller.gradient(drawn, np.zeros(2)))
        slopes(space, drawn.op, drawn.first, drawn.second, (np.full(2, 0.5), np.ones(2)))

    def start(self) -> State:
        """A fresh recommender."""
        return self._trainer(False, "(label-pred)^2" if not self.pairwise else "-logsigmoid(score)").state()

    def measure(self, state: State) -> float:
        """The validation metric of a state."""
        trainer = self._trainer(False, "(label-pred)^2" if not self.pairwise else "-logsigmoid(score)")
        trainer.load(state)
        return trainer.evaluate(self.evaluations[0], self.metric)

    def _trainer(self, regularised: bool, loss: str | Objective) -> Trainer:
        """This thread's trainer of that kind, with this loss."""
        known: dict[bool, Trainer] | None = getattr(self._local, "trainers", None)
        if known is None:
            known = self._local.trainers = {}
        objective = loss if isinstance(loss, Objective) else Objective(parse(loss, dialect="lossdsl"))
        trainer = known.get(regularised)
        if trainer is None:
            settings = self.regularised if regularised else self.recommender
            trainer = known[regularised] = Trainer(objective, self.data, settings, seed=self.settings.seed)
        else:
            trainer.use(objective)
        return trainer

    def _objective(self, text: str) -> Tabled:
        with self._lock:
            known = self._ready.get(text)
        if known is not None:
            return known
        tree = self.trees.get(text)
        made = Tabled(parse(text, dialect="lossdsl") if tree is None else Formula(tree, text))
        with self._lock:
            self._ready[text] = made
            if len(self._ready) > _READY:
                self._ready.popitem(last=False)
        return made

    def step(self, job: Step) -> Stepped:
        """Carry a step out."""
        started = time.perf_counter()
        rows = 0
        try:
            trainer = self._trainer(job.regularised, self._objective(job.formula))
            trainer.load(job.start)
            for _ in range(job.epochs):
                trainer.epoch(self.train, limit=self.limit)
                rows += self.limit or len(self.train)
            reward = trainer.evaluate(self.evaluations[0], self.metric)
        except (Diverged, LossError) as error:
            return Stepped(None, None, rows, time.perf_counter() - started, str(error))
        state = trainer.state() if job.regularised else None
        return Stepped(reward, state, rows, time.perf_counter() - started)


def make_bench(data: Dataset, settings: Settings) -> Bench:
    """The bench that the settings ask for."""
    return OriginalBench(data, settings) if settings.preset == "autolossgen" else Bench(data, settings)
