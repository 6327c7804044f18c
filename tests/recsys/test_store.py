"""Saved models: the same numbers again, nothing that could run, and never half of one."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from lossdsl.errors import LossError
from lossdsl.recsys import store
from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.store import FACTS, WEIGHTS, prepare, prepare_file, read, save
from lossdsl.recsys.training import train
from tests.recsys.conftest import made

KINDS = [
    dict(model="biasedmf", dim=3),
    dict(model="biasedmf", dim=3, optimizer="gd", dtype="float64"),
    dict(model="deepmodel", dim=3, layers=(6,)),
    dict(model="ranknet", dim=3, layers=(6,)),
]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_scores_as_what_was_saved(small: Dataset, tmp_path: Path, kind: dict) -> None:
    result = train("focal where gamma = 1", small, epochs=4, lr=0.03, **kind)
    save(result, tmp_path / "deep" / "model")
    saved = read(tmp_path / "deep" / "model")
    assert saved.loss == result.loss and saved.fingerprint == small.fingerprint and saved.settings == result.settings
    assert saved.state.digest == result.runs[0].state.digest
    trainer = saved.trainer(made())
    assert trainer.evaluate("test", "auc") == result.runs[0].metrics["auc"] == saved.metrics["auc"]


def test_formula_as_text_fingerprint_and_no_pickle(small: Dataset, tmp_path: Path) -> None:
    save(train("mse", small, epochs=1, dim=2), tmp_path)
    facts = json.loads((tmp_path / FACTS).read_text())
    assert facts["loss"] == "(label-pred)^2"
    assert facts["protocol"]["fingerprint"] == small.fingerprint
    with zipfile.ZipFile(tmp_path / WEIGHTS) as file:
        for name in file.namelist():
            head = file.read(name)[:200]
            assert name.endswith(".npy") and head.startswith(b"\x93NUMPY") and b"'O'" not in head


def test_a_loss_that_is_no_formula_cannot_be_saved(small: Dataset, tmp_path: Path) -> None:
    def loss(score: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return ((score - label) ** 2).mean()

    result = train(loss, small, epochs=1, dim=2)
    with pytest.raises(LossError, match="cannot be saved: its loss, function, is not a formula"):
        save(result, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_other_data_is_refused_unless_meant(small: Dataset, tmp_path: Path) -> None:
    save(train("bce", small, epochs=1, dim=2), tmp_path)
    with pytest.raises(LossError, match="the model was trained on made .*, and this is made"):
        read(tmp_path).trainer(made(seed=1))
    assert read(tmp_path).trainer(made(seed=1), any_data=True).evaluate("test") > 0
    with pytest.raises(LossError, match="this state belongs to another model or other data"):
        read(tmp_path).trainer(made(users=30), any_data=True)


def test_a_pickle_in_the_weights_is_never_opened(small: Dataset, tmp_path: Path) -> None:
    save(train("bce", small, epochs=1, dim=2), tmp_path)

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    np.savez(tmp_path / WEIGHTS, user_vectors=np.array([Bomb()], dtype=object))
    with pytest.raises(LossError, match="the saved model is damaged"):
        read(tmp_path)
    assert not (tmp_path / "exploded").exists()


def damage(path: Path, how: str) -> None:
    facts = json.loads((path / FACTS).read_text())
    if how == "no weights":
        (path / WEIGHTS).unlink()
    elif how == "cut weights":
        whole = (path / WEIGHTS).read_bytes()
        (path / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    elif how == "cut facts":
        (path / FACTS).write_text((path / FACTS).read_text()[:40])
    elif how == "empty facts":
        (path / FACTS).write_text("")
    elif how == "no loss":
        (path / FACTS).write_text(json.dumps({name: value for name, value in facts.items() if name != "loss"}))
    elif how == "new setting":
        (path / FACTS).write_text(json.dumps({**facts, "settings": {**facts["settings"], "warp": 9}}))
    elif how == "a list":
        (path / FACTS).write_text("[]")


SAID = {
    "no weights": "no saved model here \\(weights.npz is missing\\)",
    "cut weights": "the saved model is damaged",
    "cut facts": "the saved model is damaged",
    "empty facts": "the saved model is damaged",
    "no loss": "the saved model is damaged",
    "new setting": "no setting is called `warp`",
    "a list": "the saved model is damaged",
}


@pytest.mark.parametrize("how", list(SAID))
def test_a_damaged_model_is_one_sentence(small: Dataset, tmp_path: Path, how: str) -> None:
    save(train("bce", small, epochs=1, dim=2), tmp_path)
    damage(tmp_path, how)
    with pytest.raises(LossError, match=SAID[how]) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_save_that_breaks_off_leaves_the_old_model(
    small: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(train("bce", small, epochs=1, dim=2), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*args: object, **kwargs: object) -> None:
        (Path(str(args[0]))).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.np, "savez", full)
    with pytest.raises((OSError, LossError), match="No space left"):
        save(train("mse", small, epochs=1, dim=2), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_preparing_leaves_nothing_behind(tmp_path: Path) -> None:
    prepare(tmp_path / "a" / "b")
    prepare_file(tmp_path / "table.csv")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "kept.csv").write_text("mine")
    prepare_file(tmp_path / "kept.csv")
    assert (tmp_path / "kept.csv").read_text() == "mine"
    with pytest.raises(LossError, match="table.csv: cannot be written to \\(there is no folder"):
        prepare_file(tmp_path / "no" / "table.csv")
    with pytest.raises(LossError, match="cannot be written to \\(it is a folder\\)"):
        prepare_file(tmp_path)
    with pytest.raises(LossError, match="cannot be written to"):
        prepare(tmp_path / "kept.csv" / "model")
