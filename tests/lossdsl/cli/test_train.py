"""`lossdsl train`: what it prints, what it saves, and how it refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from lossdsl.cli.main import main
from lossdsl.cli.train import command, read_loss
from lossdsl.formula import parse
from tests.recsys.conftest import shared  # noqa: F401

torch.set_num_threads(1)


def run(*args: str) -> Result:
    return CliRunner().invoke(command, list(args), standalone_mode=False)


def whole(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Exit code and both streams of the command as a user sees it."""
    with pytest.raises(SystemExit) as left:
        main(["train", *args])
    out = capsys.readouterr()
    return int(left.value.code or 0), out.out, out.err


def test_json_has_the_promised_shape() -> None:
    result = run("--loss", "bce", "--data", "demo", "--epochs", "3", "--dim", "4", "--seeds", "3", "--json")
    facts = json.loads(result.stdout)
    assert facts["schema"] == 1 and facts["loss"] == "-label*log(pred) - (1-label)*log(1-pred)"
    auc = facts["metrics"]["auc"]
    assert auc["mean"] == pytest.approx(np.mean(auc["values"])) and auc["low"] < auc["mean"] < auc["high"]
    assert len(auc["values"]) == len(facts["best_epoch"]) == 3
    assert facts["protocol"]["settings"]["dim"] == 4 and facts["protocol"]["engine"] == "fused"
    again = json.loads(
        run("--loss", "bce", "--data", "demo", "--epochs", "3", "--dim", "4", "--seeds", "3", "--json").stdout
    )
    assert again["metrics"] == facts["metrics"]


def test_text_names_split_and_epoch() -> None:
    out = run("--loss", "-label*log(pred) - (1-label)*log(1-pred)", "--data", "demo", "--epochs", "2").stdout
    assert "on test, best validation epoch" in out and "15,670 train" in out


def test_the_loss_matters_on_the_demo() -> None:
    """A good loss shows on the built-in data: the three that the original ships are far behind."""

    def auc(loss: str) -> float:
        facts = json.loads(run("--loss", loss, "--data", "demo", "--epochs", "15", "--json").stdout)
        return facts["metrics"]["auc"]["mean"]

    assert auc("bce") > auc("maxr") + 0.02


@pytest.mark.parametrize("model", ["deepmodel", "ranknet"])
def test_the_other_models_run(model: str) -> None:
    args = (
        "--loss",
        "bce",
        "--data",
        "demo",
        "--model",
        model,
        "--epochs",
        "1",
        "--layers",
        "8,4",
        "--dim",
        "4",
        "--json",
    )
    facts = json.loads(run(*args).stdout)
    assert facts["protocol"]["settings"]["layers"] == [8, 4]
    assert facts["metrics"]["gauc"]["mean"] > 0.4


def test_negatives_are_drawn_as_asked_and_told() -> None:
    args = ("--loss", "bce", "--data", "demo", "--epochs", "1", "--dim", "2", "--json", "--task", "implicit")
    args += ("--train-neg", "2", "--train-sampler", "popularity")
    facts = json.loads(run(*args, "--test-neg", "9").stdout)
    assert facts["protocol"]["candidates"] == "the rows of the split, each with 9 sampled negatives"
    chosen = facts["protocol"]["settings"]
    assert (chosen["train_neg"], chosen["train_sampler"], chosen["test_neg"]) == (2, "popularity", 9)
    assert sorted(facts["metrics"]) == ["mrr", "ndcg@20", "recall@20"]
    full = json.loads(run(*args).stdout)
    assert full["protocol"]["candidates"] == "all items that are new to the user"
    # The same model: among nine others it is easier to come first than among all.
    assert facts["metrics"]["mrr"]["mean"] > full["metrics"]["mrr"]["mean"]


def test_features_reach_a_model_when_asked_for(tmp_path: Path) -> None:
    """Labels that follow the item's year alone, and test items that train has never seen."""
    random = np.random.default_rng(0)
    year = random.integers(0, 2, 60)
    (tmp_path / "toy.item.csv").write_text("iid\ti_year\n" + "".join(f"{i}\t{y}\n" for i, y in enumerate(year)))
    for name, items in (("train", range(40)), ("validation", range(40, 50)), ("test", range(50, 60))):
        rows = "".join(f"{u}\t{i}\t{year[i]}\n" for u in range(9) for i in items)
        (tmp_path / f"toy.{name}.csv").write_text("uid\tiid\tlabel\n" + rows)
    args = ("--loss", "bce", "--data", str(tmp_path), "--model", "deepmodel", "--layers", "8", "--dim", "2")
    args += ("--epochs", "25", "--lr", "0.02", "--batch-size", "32", "--json")
    assert json.loads(run(*args, "--features").stdout)["metrics"]["auc"]["mean"] > 0.95
    assert json.loads(run(*args).stdout)["metrics"]["auc"]["mean"] < 0.9


def test_saved_and_loaded_it_measures_the_same(tmp_path: Path) -> None:
    place = str(tmp_path / "deep" / "model")
    first = json.loads(run("--loss", "focal", "--data", "demo", "--epochs", "3", "--save", place, "--json").stdout)
    again = json.loads(run("--load", place, "--data", "demo", "--json").stdout)
    assert again["metrics"] == first["metrics"]
    assert sorted(os.listdir(place)) == ["training.json", "weights.npz"]
    assert "as saved" in run("--load", place, "--data", "demo").stdout


BEST = {"formula": "(pred-label)^2", "verdict": "valid", "nodes": 4, "number": 7, "seeded": False}


def test_a_run_directory_gives_its_best(tmp_path: Path) -> None:
    (tmp_path / "best.json").write_text(json.dumps(BEST))
    assert '"(pred-label)^2"' in run("--loss", str(tmp_path), "--data", "demo", "--epochs", "1", "--json").stdout


@pytest.mark.parametrize("formula", [3, None, "log(", ["pred"]])
def test_a_damaged_best_is_named(formula: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "best.json").write_text(json.dumps(BEST | {"formula": formula}))
    code, out, err = whole(capsys, "--loss", str(tmp_path), "--data", "demo")
    assert (code, out) == (2, "") and f"{tmp_path}/best.json: not the result of a search: `formula` is " in err


def test_a_parameter_that_may_have_many_values_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = whole(capsys, "--loss", "focal where gamma in [0, 1]", "--data", "demo")
    assert (code, out) == (1, "")
    assert err == "the parameter `gamma` needs one value, not a range, to be trained with\n"


def test_an_unreadable_formula_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = whole(capsys, "--loss", "log(a", "--data", "demo")
    assert code == 1 and not out and "1:6" in err


def test_an_invalid_loss_is_refused_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = whole(capsys, "--loss", "label*(1-pred)", "--data", "demo", "--epochs", "1")
    assert code == 1 and not out and "uses_pred" in err
    code, out, err = whole(capsys, "--loss", "label*(1-pred)", "--data", "demo", "--epochs", "1", "--check", "warn")
    assert code == 0 and out and "uses_pred" in err


def test_an_explosion_is_a_finding_with_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = whole(capsys, "--loss", "exponential", "--data", "demo", "--optimizer", "gd", "--lr", "1e9")
    assert code == 1 and not out and "smaller learning rate" in err


WRONG = {
    ("--data", "demo"): "give a loss with --loss",
    ("--loss", "bce", "--data", "nowhere"): "no such data",
    ("--loss", "bce", "--data", "demo", "--model", "ranknet", "--layers", "8,x"): "whole numbers with commas",
    ("--loss", "bce", "--data", "demo", "--layers", "8"): "--layers belongs to --model deepmodel and ranknet",
    ("--loss", "bce", "--data", "demo", "--dropout", "0.5"): "--dropout belongs to --model deepmodel and ranknet",
    ("--loss", "bce", "--data", "demo", "--train-neg", "9"): "--train-neg belongs to --task implicit",
    ("--loss", "bce", "--data", "demo", "--train-sampler", "uniform"): "--train-sampler belongs to --task implicit",
    ("--loss", "bce", "--data", "demo", "--lr", "-1"): "lr has to be above 0",
    ("--loss", "bce", "--data", "demo", "--metric", "acu"): "no metric is called `acu`",
    ("--loss", "bce", "--data", "demo", "--engine", "fused", "--device", "cuda"): "the fused engine does not apply",
    ("--load", "nowhere", "--data", "demo"): "no saved model here",
    ("--load", "x", "--loss", "bce", "--data", "demo"): "it does not go with --loss",
    ("--load", "x", "--save", "y", "--data", "demo"): "it does not go with --save",
    ("--load", "x", "--data", "demo", "--lr", "0.1"): "it does not go with --lr",
    ("--load", "x", "--data", "demo", "--model", "biasedmf"): "it does not go with --model",
    ("--load", "x", "--data", "demo", "--rows"): "it does not go with --pairs/--rows",
    ("--loss", "bce", "--data", "demo", "--save", ""): "an empty name is no folder",
}


@pytest.mark.parametrize("args", list(WRONG))
def test_wrong_usage_is_one_sentence_and_two(capsys: pytest.CaptureFixture[str], args: tuple[str, ...]) -> None:
    code, out, err = whole(capsys, *args)
    assert code == 2 and not out and WRONG[args] in err and "internal" not in err


def test_a_place_that_is_a_file_is_refused_before_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("mine")
    code, out, err = whole(capsys, "--loss", "bce", "--data", "demo", "--save", str(tmp_path / "taken"))
    assert code == 2 and "cannot be written to" in err and (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("name", ["foo", "cuda:99", "meta", ""])
def test_a_device_that_is_not_there_is_named(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = f"lossdsl: --device {name}: PyTorch finds no such device here; leave it out for the CPU\n"
    assert whole(capsys, "--loss", "bce", "--data", "demo", "--device", name) == (2, "", said)


def test_a_negative_seed_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = whole(capsys, "--loss", "bce", "--data", "demo", "--first-seed", "-5")
    assert code == 2 and not out and "'--first-seed': -5" in err and "internal" not in err


def test_a_run_without_a_loss_is_no_formula(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("runs/first", "bce"):
        Path(folder).mkdir(parents=True)
    said = "lossdsl: runs/first is a directory without best.json: no search has found a loss there\n"
    assert whole(capsys, "--loss", "runs/first", "--data", "demo") == (2, "", said)
    assert str(read_loss("bce")) == str(parse("bce"))  # a folder of that name hides no loss


def test_a_formula_may_be_longer_than_a_name_of_a_file() -> None:
    assert str(read_loss("+".join(["pred"] * 100))).startswith("pred")


@pytest.mark.slow
def test_movielens_gives_the_known_number(shared: Path) -> None:  # noqa: F811
    """Two independent measurements: 0.8067 to 0.8076."""
    args = ("--loss", "bce", "--data", str(shared / "ml100k01-1-5"), "--seeds", "3", "--json")
    facts = json.loads(run(*args).stdout)
    assert facts["metrics"]["auc"]["mean"] == pytest.approx(0.807, abs=0.002)


@pytest.mark.slow
def test_the_preset_follows_the_original_program(shared: Path) -> None:  # noqa: F811
    """The original: BCE 0.507 at epoch 100 and 0.605 at 400, MaxR 0.675 at 100."""

    def last(loss: str, epochs: int) -> float:
        args = ("--preset", "autolossgen", "--data", str(shared / "ml100k01-1-5"), "--json", "--seeds", "2")
        facts = json.loads(run("--loss", loss, "--epochs", str(epochs), *args).stdout)
        return float(np.mean(facts["last_epoch"]["auc"]))

    assert last("bce", 100) < 0.53
    assert 0.59 <= last("bce", 400) <= 0.65
    assert 0.66 <= last("maxr", 100) <= 0.69
