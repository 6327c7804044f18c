"""Proximal policy optimisation over the same controller, as a public fork of AutoLossGen uses it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lossdsl.search.reinforce import ControllerStrategy


class PpoStrategy(ControllerStrategy):
    """Learns several times from each batch; a recipe's probability may move by the clip only (Schulman et al. 2017).

    The fork clips the ratio of every single choice; here it is the ratio of the whole recipe, whose log-probability
    is the sum of theirs.
    """

    def learn(self, pay: Sequence[float]) -> None:
        """Some epochs of the clipped objective on the recipes that were drawn last."""
        assert self._drawn is not None
        ppo, drawn = self.settings.ppo, self._drawn
        mean = float(np.mean(pay))
        before_mean = mean if self.baseline is None else self.baseline
        self.baseline = ppo.baseline_keep * before_mean + (1 - ppo.baseline_keep) * mean
        advantage = torch.tensor([p - self.baseline for p in pay])
        before = drawn.log_prob.detach()
        for _ in range(ppo.epochs):
            again = self.editor.draw(len(pay), drawn.filled, self.learner.generator, drawn.choices)
            ratio = torch.exp(again.log_prob - before)
            clipped = ratio.clamp(1 - ppo.clip, 1 + ppo.clip)
            gain = torch.minimum(ratio * advantage, clipped * advantage).mean()
            self.learner.step(-gain - ppo.entropy * again.entropy.mean())
