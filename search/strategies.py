"""Names of strategies, and how each is made."""

from __future__ import annotations

from lossdsl.errors import LossError
from lossdsl.search.settings import Settings
from lossdsl.search.strategy import Strategy

STRATEGIES = ("controller", "ppo", "evolution", "random")


def make(settings: Settings) -> Strategy:
    """The strategy that the settings name, drawn from their seed.

    >>> from lossdsl.search.settings import Settings
    >>> from lossdsl.search.strategies import make
    >>> len(make(Settings(strategy="random")).propose(3))
    3
    """
    from lossdsl.search.evolution import EvolutionStrategy, RandomStrategy
    from lossdsl.search.ppo import PpoStrategy
    from lossdsl.search.reinforce import ControllerStrategy

    kinds: dict[str, type[Strategy]] = {
        "controller": ControllerStrategy,
        "ppo": PpoStrategy,
        "evolution": EvolutionStrategy,
        "random": RandomStrategy,
    }
    if settings.strategy not in kinds:
        raise LossError(f"no strategy is called `{settings.strategy}`; there are {', '.join(kinds)}")
    return kinds[settings.strategy](settings, settings.seed)  # type: ignore[call-arg]
