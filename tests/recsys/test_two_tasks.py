"""Both tasks, for losses of rows and of pairs, go through train, compare and search, on every engine that applies."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossdsl.cli.main import main
from lossdsl.recsys.compare import compare
from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.trainer import Trainer
from lossdsl.recsys.training import train
from lossdsl.recsys.tuning import Point
from lossdsl.search.presets import for_model, for_task
from lossdsl.search.session import search
from lossdsl.search.settings import Settings as SearchSettings

TASKS = ("explicit", "implicit")
# The model, and whether it trains on pairs.
KINDS = {"rows": ("biasedmf", False), "pairs": ("biasedmf", True), "ranknet": ("ranknet", True)}
QUICK = Settings(dim=4, layers=(8,), dropout=0.0, batch_size=1024, epochs=2, lr=0.01)


@pytest.fixture(scope="module")
def data() -> Dataset:
    """The demo of 80 users, small enough for a full ranking by every engine."""
    whole = load("demo")
    parts = (whole.split(name) for name in ("train", "validation", "test"))
    train, validation, test = (rows.take(rows.user < 80) for rows in parts)
    return replace(whole, train=train, validation=validation, test=test)


def loss_of(kind: str) -> str:
    return "bce" if kind == "rows" else "bpr"


def settings_of(kind: str, task: str) -> Settings:
    model, pairs = KINDS[kind]
    return replace(QUICK, model=model, pairs=pairs, task=task, train_neg=2)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_train(kind: str, task: str, data: Dataset) -> None:
    result = train(loss_of(kind), data, settings=settings_of(kind, task), seeds=2)
    metrics = {"explicit": {"auc", "gauc"}, "implicit": {"ndcg@20", "recall@20"}}[task]
    assert metrics <= set(result.metrics) and len(result.metrics[sorted(metrics)[0]].values) == 2
    assert all(0 < value.mean < 1 for value in result.metrics.values())
    if kind != "ranknet":
        assert result.engine == "fused"


@pytest.mark.parametrize("kind", KINDS)
def test_an_implicit_ranking_has_every_item_that_is_new_and_one_negative_each_epoch_is_fresh(
    kind: str, data: Dataset
) -> None:
    trainer = Trainer(loss_of(kind), data, settings_of(kind, "implicit"), seed=3)
    rows = trainer.watched("validation")
    liked = data.train.take(data.train.label > 0)
    for user in np.unique(rows.user)[:10].tolist():
        assert set(rows.item[rows.user == user]) == set(range(data.items)) - set(liked.item[liked.user == user])
    met = []
    name = "epoch_pairs" if KINDS[kind][1] else "epoch"
    setattr(trainer.engine, name, lambda rows, *rest: met.append(rows))
    trainer.epoch()
    trainer.epoch()
    for rows in met:
        assert (rows.label > 0).sum() == len(liked) and (rows.label == 0).sum() == 2 * len(liked)
    assert (met[0].item != met[1].item).any()


@pytest.mark.parametrize("kind", ["rows", "pairs"])
def test_both_engines_train_the_implicit_task_alike(kind: str, data: Dataset) -> None:
    values = [
        train(loss_of(kind), data, settings=settings_of(kind, "implicit"), engine=engine).metrics["ndcg@20"].mean
        for engine in ("fused", "torch")
    ]
    assert values[0] == pytest.approx(values[1], abs=2e-3)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_compare(kind: str, task: str, data: Dataset) -> None:
    points = [Point(0.01, 1e-5 * 2**k) for k in range(12)]
    settings = replace(settings_of(kind, task), epochs=1)
    losses = [loss_of(kind), "softplus(-score)^2" if kind != "rows" else "mse"]
    found = compare(losses, [data], [settings.model], settings=settings, points=points, seeds=2)
    assert {cell.metric for cell in found.cells} == {
        "ndcg@20" if task == "implicit" else "auc" if kind == "rows" else "gauc"
    }
    against = found.cells[1].against
    assert against is not None and against.low <= against.high


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("model", ["biasedmf", "ranknet"])
def test_search(model: str, task: str, data: Dataset, tmp_path: Path) -> None:
    settings = for_task(for_model(SearchSettings(seed=1), model), task)
    training = replace(settings.training, dim=4, layers=(8,), epochs=1, test_seeds=1, train_neg=2, l2=(1e-5,),
                       final_l2=(1e-5,))  # fmt: skip
    settings = replace(settings, training=training, ladder=replace(settings.ladder, final_seeds=1, tune_every=99))
    result = search(settings, run_dir=tmp_path / "run", data=data, budget="60trials")
    assert result.best is not None and result.best["verdict"] == "valid"
    metric = "ndcg@20" if task == "implicit" else "gauc" if model == "ranknet" else "auc"
    assert result.best["test"]["metric"] == metric
    assert result.best["test"]["baseline"] == ("bpr" if model == "ranknet" else "bce")


@pytest.mark.parametrize("command", ["train", "compare"])
def test_pairs_and_task_on_the_command_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    usual = ("--loss", "bpr", "--data", "demo", "--epochs", "1", "--dim", "2", "--batch-size", "4096", "--json")
    more = ("--task", "implicit", "--train-neg", "1", "--pairs", "--seeds", "1", "--workers", "1")
    grid = ("--lrs", "0.01,0.02", "--l2s", "0,1e-6,2e-6,4e-6,8e-6,1.6e-5") if command == "compare" else ()
    with pytest.raises(SystemExit) as left:
        main([command, *usual, *more, *grid])
    out = json.loads(capsys.readouterr().out)
    assert not left.value.code
    if command == "train":
        assert out["protocol"]["settings"]["pairs"] is True and "recall@20" in out["metrics"]
    else:
        assert out["cells"][0]["metric"] == "ndcg@20"
