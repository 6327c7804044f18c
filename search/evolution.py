"""Regularised evolution and random search, at the interface of the controller."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossdsl.grammar.tree import Node
from lossdsl.search.elite import texts, trees
from lossdsl.search.mutation import mutate, random_tree
from lossdsl.search.settings import Settings
from lossdsl.search.strategy import Arrays, Outcome, Proposal, generator_from, generator_state


class RandomStrategy:
    """Random trees, nothing learned: what any other strategy has to beat."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self.settings = settings
        self.rng = np.random.default_rng(np.random.SeedSequence(seed).generate_state(1)[0])

    def propose(self, count: int) -> list[Proposal]:
        """Trees of two to four levels."""
        return [Proposal(random_tree(self.rng, int(self.rng.integers(2, 5))), "random") for _ in range(count)]

    def observe(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing to learn."""

    def welcome(self, outcomes: Sequence[Outcome]) -> None:
        """Known losses are treated as its own."""
        self.observe(outcomes)

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The generator."""
        return {}, {"rng": generator_state(self.rng)}

    def restore(self, arrays: Arrays, meta: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.rng = generator_from(meta["rng"])


class EvolutionStrategy(RandomStrategy):
    """Regularised evolution (Real et al. 2019): a tournament picks the parent, the oldest member dies."""

    def __init__(self, settings: Settings, seed: int) -> None:
        super().__init__(settings, seed)
        self.population: deque[tuple[float, Node]] = deque(maxlen=settings.evolution.population)

    def propose(self, count: int) -> list[Proposal]:
        """Random trees until half the population is there, then children of tournament winners."""
        evolution = self.settings.evolution
        members = list(self.population)
        if len(members) < max(2, evolution.population // 2):
            return super().propose(count)
        roots = [root for _, root in members]
        proposals = []
        for _ in range(count):
            picked = self.rng.integers(len(members), size=evolution.tournament)
            child = max((members[k] for k in picked.tolist()), key=lambda member: member[0])[1]
            for _ in range(2 if self.rng.random() < 0.3 else 1):
                child = mutate(child, self.rng, roots)
            proposals.append(Proposal(child, "evolution"))
        return proposals

    def observe(self, outcomes: Sequence[Outcome]) -> None:
        """Let in what was trained."""
        for outcome in outcomes:
            if outcome.reward is not None and outcome.new:
                self.population.append((outcome.reward, outcome.root))

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Generator and population."""
        arrays, meta = super().state()
        return arrays, {**meta, "population": texts(list(self.population))}

    def restore(self, arrays: Arrays, meta: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        super().restore(arrays, meta)
        self.population = deque(trees(meta["population"]), maxlen=self.settings.evolution.population)
