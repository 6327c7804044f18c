"""Recommenders that train with any formula: data, splits, models, training, metrics."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossdsl.recsys.data import load as load
    from lossdsl.recsys.dataset import DataError as DataError
    from lossdsl.recsys.dataset import Dataset as Dataset
    from lossdsl.recsys.dataset import Rows as Rows
    from lossdsl.recsys.settings import Settings as Settings
    from lossdsl.recsys.trainer import Diverged as Diverged
    from lossdsl.recsys.trainer import State as State
    from lossdsl.recsys.trainer import Trainer as Trainer
    from lossdsl.recsys.training import TrainResult as TrainResult
    from lossdsl.recsys.training import train as train

_HOME = {
    "load": "data",
    "DataError": "dataset",
    "Dataset": "dataset",
    "Rows": "dataset",
    "Settings": "settings",
    "Diverged": "trainer",
    "State": "trainer",
    "Trainer": "trainer",
    "TrainResult": "training",
    "train": "training",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"lossdsl.recsys.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'lossdsl.recsys' has no attribute {name!r}")
