"""REINFORCE: the controller of the practical search learns from what became of its recipes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lossdsl.search.editor import Editor, Recipes
from lossdsl.search.elite import Elite
from lossdsl.search.learner import Learner
from lossdsl.search.moves import cook
from lossdsl.search.mutation import mutate
from lossdsl.search.settings import Settings
from lossdsl.search.strategy import Arrays, Outcome, Proposal, generator_from, generator_state

# What the controller is paid: up to CREDIT for how far the screen let a proposal come, CREDIT for one that is known
# already, 1 for a new valid loss, and up to QUALITY more for how it ranks among the last RECENT rewards. Ranks,
# because rewards of good losses differ by thousandths.
CREDIT = 0.5
QUALITY = 2.0
RECENT = 200


class ControllerStrategy:
    """The LSTM controller over recipes, with a share of small random steps around the best.

    The validity verdict of the screen is a free reward: most proposals are never trained, and the controller learns
    from them all the same.
    """

    def __init__(self, settings: Settings, seed: int) -> None:
        torch_seed, numpy_seed = np.random.SeedSequence(seed).generate_state(2)
        self.settings = settings
        ladder = settings.ladder
        self.editor = Editor(
            ladder.steps,
            ladder.slots,
            settings.controller,
            generator=torch.Generator().manual_seed(int(torch_seed)),
        )
        self.learner = Learner(self.editor, settings.controller, int(torch_seed) + 1)
        self.rng = np.random.default_rng(numpy_seed)
        self.elite = Elite(ladder.slots)
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.baseline: float | None = None
        self._drawn: Recipes | None = None

    def propose(self, count: int) -> list[Proposal]:
        """Recipes of the controller first, then small steps around the best."""
        slots = self.elite.roots
        own = count if len(slots) < 2 else max(1, round(count * self.settings.controller.share))
        self._drawn = self.draw(own, len(slots))
        proposals = [Proposal(cook(recipe, slots), "controller") for recipe in self._drawn.recipes]
        for _ in range(count - own):
            parent = slots[min(int(self.rng.exponential(len(slots) / 3)), len(slots) - 1)]
            proposals.append(Proposal(mutate(parent, self.rng, slots), "mutation"))
        return proposals

    def draw(self, count: int, filled: int) -> Recipes:
        """Recipes with what the update needs."""
        return self.editor.draw(count, filled, self.learner.generator)

    def observe(self, outcomes: Sequence[Outcome]) -> None:
        """Pay the controller, and let the best into the slots."""
        assert self._drawn is not None
        pay = [self.pay(outcome) for outcome in outcomes]
        self.welcome(outcomes)
        self.learn(pay[: len(self._drawn.recipes)])
        self._drawn = None

    def welcome(self, outcomes: Sequence[Outcome]) -> None:
        """Let the best into the slots."""
        for outcome in outcomes:
            if outcome.reward is not None and outcome.new:
                self.recent.append(outcome.reward)
                self.elite.add(outcome.reward, outcome.root)

    def pay(self, outcome: Outcome) -> float:
        """What an outcome is worth to the controller."""
        if outcome.reward is None:
            return CREDIT * outcome.credit
        if not outcome.new:
            return CREDIT
        below = sum(other < outcome.reward for other in self.recent)
        return 1.0 + (QUALITY * below / len(self.recent) if self.recent else 0.0)

    def learn(self, pay: Sequence[float]) -> None:
        """One step of REINFORCE on the recipes that were drawn last."""
        assert self._drawn is not None
        settings = self.settings.controller
        if self.baseline is None:
            self.baseline = float(np.mean(pay))
        advantage = torch.tensor([p - self.baseline for p in pay])
        loss = -(advantage * self._drawn.log_prob).mean() - settings.entropy * self._drawn.entropy.mean()
        self.learner.step(loss)
        self.baseline += settings.baseline_step * (float(np.mean(pay)) - self.baseline)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and plain data from which `restore` goes on."""
        meta = {
            "elite": self.elite.state(),
            "recent": list(self.recent),
            "baseline": self.baseline,
            "rng": generator_state(self.rng),
        }
        return self.learner.state(), meta

    def restore(self, arrays: Arrays, meta: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.learner.restore(arrays)
        self.elite.restore(meta["elite"])
        self.recent = deque(meta["recent"], maxlen=RECENT)
        self.baseline = meta["baseline"]
        self.rng = generator_from(meta["rng"])
