"""Trained models on disk: arrays without pickle, the loss as text, and which data it was."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lossdsl.errors import LossError, naming
from lossdsl.formula import parse
from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.trainer import State, Trainer
from lossdsl.recsys.training import TrainResult

SCHEMA = 1
WEIGHTS, FACTS = "weights.npz", "training.json"


@dataclass(frozen=True, eq=False)
class Saved:
    """A model as it was saved."""

    loss: str
    settings: Settings
    state: State
    seed: int
    data: str
    fingerprint: str
    metrics: dict[str, float]

    def trainer(self, data: Dataset, *, any_data: bool = False) -> Trainer:
        """The model over `data`, which has to be what it was trained on, unless `any_data` says that ids still fit."""
        if not any_data and data.fingerprint != self.fingerprint:
            theirs, ours = f"{self.data} ({self.fingerprint})", f"{data.name} ({data.fingerprint})"
            raise LossError(f"the model was trained on {theirs}, and this is {ours}")
        trainer = Trainer(self.loss, data, self.settings, seed=self.seed)
        trainer.load(self.state)
        return trainer


def prepare(path: str | Path) -> Path:
    """Whether a folder can be made and written to, before hours of training are spent; one sentence if it cannot.

    Nothing is left behind, so a training that fails leaves no empty folder.
    """
    path = Path(path)
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise LossError(f"{path}: cannot be written to ({error.strerror or error})") from None
    return path


def prepare_file(path: str | Path) -> None:
    """Whether a file can be written, before hours are spent; a file that is there stays as it is."""
    path = Path(path)
    if path.is_dir():
        raise LossError(f"{path}: cannot be written to (it is a folder)")
    if not path.parent.is_dir():
        raise LossError(f"{path}: cannot be written to (there is no folder {path.parent})")
    try:
        if path.exists():
            open(path, "ab").close()
        else:
            prepare(path.parent)
    except OSError as error:
        raise LossError(f"{path}: cannot be written to ({error.strerror or error})") from None


def save(result: TrainResult, path: str | Path) -> None:
    """Writes the first seed's model at its best epoch to a folder; a folder that was there is replaced as a whole.

    >>> from lossdsl.recsys import load, train
    >>> from lossdsl.recsys.store import read, save
    >>> save(train("bce", load("demo"), epochs=2, dim=2), "model")
    >>> read("model").loss
    '-label*log(pred) - (1-label)*log(1-pred)'
    """
    run = next((run for run in result.runs if run.state is not None), None)
    if run is None or run.state is None:
        raise LossError("there is nothing to save: no seed came to an epoch that could be measured")
    try:
        parse(result.loss)
    except LossError:
        raise LossError(f"the model cannot be saved: its loss, {result.loss}, is not a formula") from None
    path = Path(path)
    facts = {
        "schema": SCHEMA,
        "loss": result.loss,
        "settings": result.settings.to_dict(),
        "seed": run.seed,
        "epoch": run.state.epoch,
        "best_epoch": run.best_epoch,
        "metrics": run.metrics,
        "protocol": result.protocol,
    }
    # Both files are written aside and moved in, so that a full disk or a Ctrl-C leaves the old model or the new one.
    try:
        path.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=path))
    except OSError as error:
        raise LossError(f"{path}: cannot be written to ({error.strerror or error})") from None
    try:
        arrays: dict[str, Any] = dict(run.state.arrays)
        with naming(path / WEIGHTS):
            np.savez(aside / WEIGHTS, **arrays)
        with naming(path / FACTS):
            (aside / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        for name in (WEIGHTS, FACTS):
            os.replace(aside / name, path / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def read(path: str | Path) -> Saved:
    """Reads what `save` wrote; anything else is one `LossError` sentence. Nothing in the files is ever executed."""
    path = Path(path)
    try:
        facts: dict[str, Any] = json.loads((path / FACTS).read_text(encoding="utf-8"))
        with np.load(path / WEIGHTS, allow_pickle=False) as arrays:
            state = State({name: arrays[name] for name in arrays.files}, int(facts["epoch"]))
        protocol = facts["protocol"]
        return Saved(
            str(facts["loss"]),
            Settings.from_dict(facts["settings"]).resolve(),
            state,
            int(facts["seed"]),
            str(protocol["data"]),
            str(protocol["fingerprint"]),
            {str(name): float(value) for name, value in facts["metrics"].items()},
        )
    except FileNotFoundError as error:
        raise LossError(f"{path}: no saved model here ({Path(error.filename).name} is missing)") from None
    except LossError:
        raise
    except Exception as error:  # a damaged zip or JSON fails in many ways
        raise LossError(f"{path}: the saved model is damaged ({type(error).__name__}: {error})") from None
