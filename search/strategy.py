"""What every strategy of search is: something that proposes formulas and is told what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lossdsl.grammar.tree import Node

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A loss to try, and which part of the strategy it comes from."""

    root: Node
    source: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a proposal: its fate as in the ledger, and its reward where it has one (its own or a twin's).

    `root` is the loss turned the right way. `new` is False for one that trains like an earlier one; `credit` says how
    far the screen let it come, from 0 to 1.
    """

    fate: str
    reward: float | None
    root: Node
    new: bool = True
    credit: float = 1.0


class Strategy(Protocol):
    """Proposes, observes, and can be put away and taken out again between the two.

    `propose` and `observe` alternate, and the outcomes come in the order of the proposals. Two strategies with the same
    settings and seed that observe the same outcomes propose the same.
    """

    def propose(self, count: int) -> list[Proposal]:
        """The next `count` losses to try."""
        ...

    def observe(self, outcomes: Sequence[Outcome]) -> None:
        """What became of the last proposals."""
        ...

    def welcome(self, outcomes: Sequence[Outcome]) -> None:
        """What became of losses that were not its own, before its first proposal."""
        ...

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays, and plain data for JSON, from which `restore` goes on."""
        ...

    def restore(self, arrays: Arrays, meta: Mapping[str, Any]) -> None:
        """Go on from a state."""
        ...


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """A generator's state as plain data."""
    return dict(rng.bit_generator.state)


def generator_from(state: Mapping[str, Any]) -> np.random.Generator:
    """The generator that `generator_state` described."""
    rng = np.random.Generator(np.random.PCG64())
    rng.bit_generator.state = dict(state)
    return rng
