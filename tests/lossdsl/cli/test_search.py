"""`lossdsl search` as a user meets it before anything trains: what is refused leaves nothing behind."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from lossdsl.cli.main import main
from lossdsl.cli.options import take_reading
from lossdsl.cli.search import command, settings_of, summary, training
from lossdsl.cli.train import command as train
from lossdsl.recsys.data import Reading
from lossdsl.search.presets import for_model, for_task, preset
from lossdsl.search.session import SearchResult, search
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign


def refused(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    with pytest.raises(SystemExit) as left:
        main(["search", *args])
    assert left.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("exists", [False, True])
def test_resuming_what_is_no_run_begins_none(exists: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "typo"
    if exists:
        place.mkdir()
    said = refused(capsys, "--resume", "--run-dir", str(place), "--budget", "1trials")
    assert said == f"lossdsl: {place} holds no run to resume; leave out --resume to begin one there\n"
    assert not exists and not place.exists() or list(place.iterdir()) == []


def test_an_empty_name_is_not_the_present_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for option in ("--run-dir", "--tensorboard"):
        assert f"{option}': an empty name is no folder" in refused(capsys, option, "", "--budget", "1trials")
    with pytest.raises(SystemExit) as left:
        main(["compare-strategies", "--data", "demo", "--run-dir", ""])
    assert left.value.code == 2 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        ["--budget", "9"],
        ["--data", "nowhere"],
        ["--set", "ladder.batch=0"],
        ["--preset", "autolossgen", "--strategy", "ppo"],
        ["--cluster", "tcp://127.0.0.1:1"],
    ],
)
def test_no_run_directory_is_named_for_what_is_refused(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "--run-dir", str(tmp_path / "run"), *options)
    assert said.startswith("lossdsl: ") and "run directory" not in said
    assert not (tmp_path / "run").exists()


TRAINS = [
    (Settings(), ["--epochs", "200", "--patience", "15", "--l2", "0.00012", "--seeds", "5", "--first-seed", "1000"]),
    (for_task(Settings(), "implicit"), [
        "--task", "implicit", "--dim", "32", "--lr", "0.01", "--batch-size", "2048", "--epochs", "200",
        "--train-neg", "8", "--patience", "15", "--l2", "0.00012", "--seeds", "5", "--first-seed", "1000",
    ]),
    (assign(for_model(Settings(), "ranknet"), "training.layers=[64, 32]"), [
        "--model", "ranknet", "--layers", "64,32", "--patience", "5", "--l2", "0.00012", "--seeds", "2",
        "--first-seed", "1000",
    ]),
    (preset("autolossgen"), ["--preset", "autolossgen"]),
    (for_model(preset("autolossgen"), "deepmodel"), [
        "--model", "deepmodel", "--lr", "0.01", "--epochs", "4", "--patience", "5", "--l2", "0.00012", "--seeds", "3",
        "--first-seed", "1000",
    ]),
]  # fmt: skip


def test_the_command_that_trains_names_nothing_that_train_refuses() -> None:
    settings = assign(Settings(), "training.layers=[8]")
    assert "--layers" not in training(SearchResult(Path("a run"), {"l2": 0.1}, 0, {}, 0.0, settings))
    assert "--layers" in training(SearchResult(Path("r"), {"l2": 0.1}, 0, {}, 0.0, for_model(settings, "deepmodel")))
    of_pairs = assign(for_model(Settings(), "ranknet"), "training.batch_size=64")
    assert "--batch-size 64" in training(SearchResult(Path("r"), {"l2": 0.1}, 0, {}, 0.0, of_pairs))


@pytest.mark.parametrize(("settings", "more"), TRAINS)
def test_the_command_that_trains_with_the_result(settings: Settings, more: list[str]) -> None:
    settings = replace(settings, data="my data.csv")
    result = SearchResult(Path("a run"), {"l2": 0.00012}, 0, {}, 0.0, settings)
    words = shlex.split(training(result))
    assert words == ["lossdsl", "train", "--loss", "a run", "--data", "my data.csv", *more]
    train.make_context("train", words[2:])  # it takes them all


def test_the_command_that_trains_comes_to_what_the_search_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(data="demo")
    for change in ("ladder.batch=8", "ladder.folds=0", "training.epochs=12", "training.dim=3", "training.l2=[2e-4]",
                   "training.final_l2=[1e-4, 3e-4]", "ladder.final=1", "training.test_seeds=2"):  # fmt: skip
        settings = assign(settings, change)
    result = search(settings, run_dir=tmp_path / "run", budget="60trials")
    assert result.best is not None
    words = shlex.split(training(result))
    with pytest.raises(SystemExit):
        main([*words[1:], "--json"])
    mean = json.loads(capsys.readouterr().out)["metrics"]["auc"]["mean"]
    assert mean == pytest.approx(result.best["test"]["best"]["mean"])
    for late, warned in ((0, False), (2, True)):
        result.best["test"]["best"]["best_was_last"], result.best["test"]["bce"]["best_was_last"] = 0, late
        assert ("the best epoch was the last one allowed: bce in 2 of 2" in summary(result)) == warned


@pytest.mark.parametrize(("settings", "more"), TRAINS)
def test_the_command_that_trains_reads_the_data_as_the_search_did(settings: Settings, more: list[str]) -> None:
    for change in ("threshold=-0.5", "seed=4", "user=-who", "time=my time", "duplicates=last", "features=true"):
        settings = assign(settings, f"reading.{change}")
    result = SearchResult(Path("a run"), {"l2": 0.00012}, 0, {}, 0.0, settings)
    words = shlex.split(training(result))
    said = train.make_context("train", words[2:]).params
    assert Reading(**take_reading(said)) == settings.reading.reading()
    assert not set(more) - set(words)


@pytest.mark.parametrize("model", ["biasedmf", "deepmodel", "ranknet"])
def test_a_model_and_a_task_are_options_settings_or_lines_of_a_file(model: str, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(f'model = "{model}"\ntask = "implicit"\n')
    options = ["--model", model, "--task", "implicit"]

    def come_to(*args: str) -> Settings:
        said = command.make_context("search", [*args]).params
        names = ("preset", "config", "assignments", "resume")
        preset, config, assignments, resume = (said.pop(name) for name in names)
        for name in ("run_dir", "workers", "cluster", "board", "budget"):
            said.pop(name)
        return settings_of(preset, config, assignments, said, resume)

    ways = (
        come_to(*options),
        come_to("--set", f"model={model}", "--set", "task=implicit"),
        come_to("--config", str(file)),
        come_to("--config", str(file), "--set", "model=ranknet", "--set", "task=explicit", *options),
    )
    assert set(ways) == {for_task(for_model(Settings(), model), "implicit")}


@pytest.mark.parametrize("options", [["--set", "preset=foo"], ["--preset", "autolossgen", "--set", "task=implicit"],
                                     ["--set", "model=foo"], ["--set", "task=foo"]])  # fmt: skip
def test_what_a_setting_names_and_there_is_not(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "--run-dir", str(tmp_path / "run"), "--budget", "1trials", *options)
    assert "no preset" in said or "no model" in said or "no task" in said or "explicit task only" in said
    assert not (tmp_path / "run").exists()


def test_settings_that_are_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b'data = "caf\xe9"\n')
    said = f"lossdsl: {file}: not text in UTF-8, from byte 11 on\n"
    assert refused(capsys, "--config", str(file), "--run-dir", str(tmp_path / "run")) == said
    assert refused(capsys, "--resume", "--run-dir", str(tmp_path)) == said
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]
