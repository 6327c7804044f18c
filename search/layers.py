"""Settings from several places, one over the other: a file, single settings, the options of a command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lossdsl.search.presets import for_model, for_task, preset
from lossdsl.search.settings import Settings
from lossdsl.search.toml import merge

# Who says so, and what, as tables in TOML.
Layer = tuple[str, Mapping[str, Any]]
# What brings numbers of its own.
_FIRST = ("preset", "model", "task")


def layered(layers: Iterable[Layer]) -> Settings:
    """The settings that the layers come to, the weakest of them first.

    A preset, a model and a task bring numbers of their own. So it is these that are found first, wherever they are
    named, and all that the layers say besides goes over those numbers.

    >>> from lossdsl.search.layers import layered
    >>> settings = layered([("a file", {"training": {"epochs": 9}}), ("options", {"model": "ranknet"})])
    >>> settings.training.epochs, settings.training.train_rows
    (9, 20000)
    """
    layers = list(layers)
    named = Settings()
    for origin, document in layers:
        named = merge(named, {name: document[name] for name in _FIRST if name in document}, origin)
    settings = for_task(for_model(preset(named.preset), named.model), named.task)
    for origin, document in layers:
        settings = merge(settings, document, origin)
    return settings
