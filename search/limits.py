"""What the settings of a search may be, said before anything is written: a batch of nothing would search for ever."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any

from lossdsl.errors import LossError
from lossdsl.search.presets import for_model, for_task, preset
from lossdsl.search.settings import Settings
from lossdsl.search.strategies import make

# setting -> the least value and the largest. What is larger would fill the memory or end no more; where a large value
# only makes a search slow, its budget ends it.
BOUNDS: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    **dict.fromkeys(
        (
            "original.max_rejections", "original.save_every", "original.reject_divisor", "ladder.tune_every",
            "ladder.first_epochs",
        ),
        (1, math.inf),
    ),
    **dict.fromkeys(("training.epochs", "evolution.population", "ladder.max_size"), (1, 100_000)),
    **dict.fromkeys(
        ("space.nodes", "ladder.steps", "ladder.final_seeds", "training.test_seeds", "training.test_stretch"), (1, 100)
    ),
    **dict.fromkeys(
        (
            "controller.size", "ppo.epochs", "evolution.tournament", "training.dim", "training.train_neg",
            "ladder.slots", "ladder.final", "original.aggregate", "original.train_steps", "original.points",
            "original.search_epochs",
        ),
        (1, 1000),
    ),
    "original.step_epochs": (0, 1000),
    "ladder.batch": (1, 10_000),
    "ladder.folds": (0, 100),
    **dict.fromkeys(("ladder.tune", "ladder.tune_tries", "ladder.shorten"), (0, 1000)),
    **dict.fromkeys(
        (
            "training.batch_size", "training.train_rows", "training.test_rows", "training.eval_users",
            "training.patience", "training.test_patience", "training.init_std", "ladder.tie", "ladder.size_price",
            "original.clip_value", "original.zero_slope", "original.same_slope", "controller.clip_norm",
        ),
        (0, math.inf),
    ),
    **dict.fromkeys(("controller.init", "controller.lr", "controller.entropy", "ppo.entropy"), (0, 100)),
    "controller.tanh_constant": (0, 1000),
    "controller.eps": (1e-12, math.inf),
    "training.lr": (1e-12, math.inf),
    **dict.fromkeys(("controller.beta1", "controller.beta2"), (0, 0.999999)),  # at 1, Adam divides by nought
    **dict.fromkeys(("training.l2", "training.final_l2"), (0, math.inf)),
    "training.l2_start": (1e-12, math.inf),
    "training.layers": (0, 10_000),
    "space.epsilon": (1e-300, math.inf),
    **dict.fromkeys(
        (
            "controller.share", "controller.baseline_step", "ppo.clip", "ppo.baseline_keep", "ladder.keep",
            "original.point_low", "original.point_high",
        ),
        (0, 1),
    ),
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
    `seed` has to be from 0 to 4294967295, not -1
    """
    if settings.preset and settings.strategy != "controller":
        raise LossError(f"the published method has its own controller; leave out --strategy {settings.strategy}, "
                        "or the preset")  # fmt: skip
    for_task(for_model(preset(settings.preset), settings.model), settings.task)  # says what there is not
    given = dict(_flat(settings))
    for name, value in given.items():
        if isinstance(value, tuple) and not value and (name not in OPEN or settings.preset):
            raise LossError(f"`{name}` is empty")
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, float) and not math.isfinite(one):
                raise LossError(f"`{name}` has to be a number, not {one}")
            if name in BOUNDS:
                least, most = BOUNDS[name]
                if not least <= one <= most:
                    wanted = f"{least} or more" if most == math.inf else f"from {least} to {most}"
                    raise LossError(f"`{name}` has to be {wanted}, not {one}")
    for low, high in (("space.clamp_low", "space.clamp_high"), ("original.point_low", "original.point_high")):
        if not given[low] < given[high]:
            raise LossError(f"`{low}` has to be below `{high}`, not {given[low]} and {given[high]}")
    settings.space.space()  # these two say what they cannot be made of
    make(settings)


def _flat(settings: Any, place: str = "") -> list[tuple[str, Any]]:
    """All settings with their names, as `--set` takes them."""
    out: list[tuple[str, Any]] = []
    for f in fields(settings):
        value = getattr(settings, f.name)
        out += _flat(value, f"{place}{f.name}.") if is_dataclass(value) else [(place + f.name, value)]
    return out
