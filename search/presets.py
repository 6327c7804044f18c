"""Settings that belong together: those of the published method, of a model, of a task, and of the fair test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lossdsl.errors import LossError
from lossdsl.search.settings import Settings
from lossdsl.search.toml import merge

# AutoLossGen's own numbers, where they are not the defaults above. Its L2 acts three times (see recsys): the value is
# the one of its command line.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "": {},
    "autolossgen": {
        "controller": {"tanh_constant": 1.5, "lr": 1e-3, "entropy": 1e-4, "baseline_step": 0.01, "share": 1.0},
        "training": {
            "dim": 64, "batch_size": 128, "optimizer": "gd", "lr": 0.01, "l2": [1e-4], "final_l2": [1e-4],
            "init_std": 1.0, "epochs": 10000, "patience": 100,
        },
    },
}  # fmt: skip


# What the dearer models need smaller, so that a candidate takes seconds and not minutes.
_DEAR = {"batch": 24, "folds": 0, "first_epochs": 1, "final": 3, "final_seeds": 1, "tune": 1, "tune_tries": 4}
MODELS: Mapping[str, Mapping[str, Any]] = {
    "biasedmf": {},
    # Four short epochs at a high rate order losses as a plain loop's epoch over all rows does, by a rank correlation of
    # 0.91 with full training on MovieLens-100k, and the lowest quarter after two of them can go
    # (benchmarks/rung_study.py); four of 20,000 rows at 0.003 came to 0.80.
    "deepmodel": {
        "training": {"lr": 0.01, "l2": [1e-5], "final_l2": [1e-6, 1e-5, 1e-4], "epochs": 4, "patience": 4,
                     "train_rows": 10000, "test_seeds": 3, "test_stretch": 1, "test_patience": 5},
        "ladder": {**_DEAR, "first_epochs": 2, "keep": 0.75},
    },
    # Over 20 losses, epochs of 20,000 rows order them by a rank correlation of 0.63 to 0.74 with full training, a plain
    # loop's epoch over all rows by 0.27 at its best rate (the same study).
    "ranknet": {
        "training": {"l2": [1e-5], "final_l2": [1e-6, 1e-5], "epochs": 3, "patience": 1, "train_rows": 20000,
                     "test_rows": 20000, "test_seeds": 2, "test_stretch": 1, "test_patience": 5},
        "ladder": _DEAR,
    },
}  # fmt: skip


def for_model(settings: Settings, model: str) -> Settings:
    """The settings with what a model needs otherwise; those of a preset stay as they are."""
    if model not in MODELS:
        raise LossError(f"no model is called `{model}`; known: {', '.join(f'`{name}`' for name in MODELS)}")
    changed = replace(settings, model=model)
    return changed if settings.preset else merge(changed, MODELS[model], f"model {model}")


def for_test(settings: Settings) -> Settings:
    """The settings of the fair test: those of the search, where that is not the published method with a dear model.

    Its third phase would take hours for models that torch trains; their results are tested as in the practical search.
    """
    if not settings.preset or settings.model == "biasedmf":
        return settings
    plain = Settings(seed=settings.seed, data=settings.data, reading=settings.reading)
    return for_model(plain, settings.model)


TASKS = ("explicit", "implicit")
_IMPLICIT: Mapping[str, Any] = {
    "training": {"dim": 32, "batch_size": 2048, "lr": 0.01, "l2_start": 1e-5, "epochs": 40, "test_seeds": 5},
    "ladder": {"folds": 4, "first_epochs": 3},
}  # fmt: skip
# Where a ranking of all items costs more than a training, fewer users are ranked.
_IMPLICIT_DEAR: Mapping[str, Any] = {
    "training": {"batch_size": 0, "l2": [3e-5, 1e-4], "final_l2": [1e-5, 3e-5, 1e-4, 3e-4], "eval_users": 300,
                 "epochs": 20, "patience": 1, "train_rows": 20000, "test_rows": 20000, "test_seeds": 3,
                 "test_stretch": 1, "test_patience": 5},
    "ladder": {"batch": 32, "keep": 0.45, "final": 4, "final_seeds": 2, "tune": 2, "tune_tries": 8},
}  # fmt: skip


def for_task(settings: Settings, task: str) -> Settings:
    """The settings with what a task needs otherwise; those of a preset stay as they are."""
    if task not in TASKS:
        raise LossError(f"no task is called `{task}`; known: {', '.join(f'`{name}`' for name in TASKS)}")
    changed = replace(settings, task=task)
    if task == "explicit":
        return changed
    if settings.preset:
        raise LossError("the published method searches in the explicit task only")
    changed = merge(changed, _IMPLICIT, f"task {task}")
    return changed if settings.model == "biasedmf" else merge(changed, _IMPLICIT_DEAR, f"task {task}")


def preset(name: str) -> Settings:
    """The settings of a preset; the empty name is the practical search.

    >>> from lossdsl.search.presets import preset
    >>> preset("autolossgen").controller.lr
    0.001
    """
    if name not in PRESETS:
        known = ", ".join(f"`{key}`" for key in PRESETS if key)
        raise LossError(f"no preset is called `{name}`; known: {known}")
    return merge(replace(Settings(), preset=name), PRESETS[name], f"preset {name}")
