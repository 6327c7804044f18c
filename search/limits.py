"""What the settings of a search may be, said before anything is written: a batch of nothing would search for ever."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any

from lossdsl.errors import LossError
from lossdsl.search.settings import Settings

# setting -> the least value, and the largest where there is one
LEAST: dict[str, tuple[float, float]] = {
    "seed": (0, math.inf),
    **dict.fromkeys(
        (
            "space.nodes", "controller.size", "ppo.epochs", "evolution.population", "evolution.tournament",
            "training.test_seeds", "training.train_neg", "ladder.batch", "ladder.first_epochs", "ladder.final",
            "ladder.final_seeds", "ladder.tune_every", "ladder.slots", "ladder.steps", "ladder.max_size",
            "original.aggregate", "original.train_steps", "original.reject_divisor", "original.points",
            "original.search_epochs", "original.max_rejections", "original.save_every",
        ),
        (1, math.inf),
    ),
    **dict.fromkeys(
        (
            "training.train_rows", "training.test_rows", "training.eval_users", "ladder.folds", "ladder.tune",
            "ladder.tune_tries", "ladder.shorten", "ladder.tie", "ladder.size_price", "controller.lr",
            "original.step_epochs",
        ),
        (0, math.inf),
    ),
    **dict.fromkeys(("training.l2", "training.final_l2"), (0, math.inf)),
    "training.l2_start": (1e-12, math.inf),
    **dict.fromkeys(("controller.share", "ladder.keep"), (0, 1)),
}  # fmt: skip
# What may be empty: the data decides.
OPEN = ("training.l2", "training.final_l2")


def check(settings: Settings) -> None:
    """Refuse settings that no search can be made with.

    >>> from dataclasses import replace
    >>> from lossdsl.search.limits import check
    >>> from lossdsl.search.settings import Settings
    >>> try:
    ...     check(replace(Settings(), seed=-1))
    ... except ValueError as error:
    ...     print(error)
    `seed` has to be 0 or more, not -1
    """
    if settings.preset and settings.strategy != "controller":
        raise LossError(f"the published method has its own controller; leave out --strategy {settings.strategy}, "
                        "or the preset")  # fmt: skip
    for name, value in _flat(settings):
        if isinstance(value, tuple) and not value and (name not in OPEN or settings.preset):
            raise LossError(f"`{name}` is empty")
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, float) and not math.isfinite(one):
                raise LossError(f"`{name}` has to be a number, not {one}")
            if name in LEAST:
                least, most = LEAST[name]
                if not least <= one <= most:
                    wanted = f"{least} or more" if most == math.inf else f"from {least} to {most}"
                    raise LossError(f"`{name}` has to be {wanted}, not {one}")


def _flat(settings: Any, place: str = "") -> list[tuple[str, Any]]:
    """All settings with their names, as `--set` takes them."""
    out: list[tuple[str, Any]] = []
    for f in fields(settings):
        value = getattr(settings, f.name)
        out += _flat(value, f"{place}{f.name}.") if is_dataclass(value) else [(place + f.name, value)]
    return out
