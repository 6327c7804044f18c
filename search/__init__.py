"""The search for losses: what `lossdsl search`, `compare-strategies` and `report` do, as functions."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossdsl.search.contest import Contest as Contest
    from lossdsl.search.contest import contest as compare_strategies
    from lossdsl.search.ledger import Trial as Trial
    from lossdsl.search.ledger import read_trials as read_trials
    from lossdsl.search.page import report as report
    from lossdsl.search.presets import for_model as for_model
    from lossdsl.search.presets import for_task as for_task
    from lossdsl.search.presets import preset as preset
    from lossdsl.search.session import SearchResult as SearchResult
    from lossdsl.search.session import search as search
    from lossdsl.search.settings import Settings as Settings

# name -> the module that has it, and its name there. `contest` is that module's own name as well, and would be hidden
# by it as soon as something imports the module.
_HOME = {
    "search": ("session", "search"),
    "SearchResult": ("session", "SearchResult"),
    "Settings": ("settings", "Settings"),
    "preset": ("presets", "preset"),
    "for_model": ("presets", "for_model"),
    "for_task": ("presets", "for_task"),
    "compare_strategies": ("contest", "contest"),
    "Contest": ("contest", "Contest"),
    "Trial": ("ledger", "Trial"),
    "read_trials": ("ledger", "read_trials"),
    "report": ("page", "report"),
}

__all__ = [
    "Contest", "SearchResult", "Settings", "Trial", "compare_strategies", "for_model", "for_task", "preset",
    "read_trials", "report", "search",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOME:
        module, there = _HOME[name]
        value = getattr(import_module(f"lossdsl.search.{module}"), there)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'lossdsl.search' has no attribute {name!r}")
