"""A search reads data as `lossdsl train` does, and goes on with the same."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.cli import compare_strategies, search
from lossdsl.cli.main import main
from lossdsl.cli.options import as_reading_options, take_reading
from lossdsl.cli.train import command as train
from lossdsl.recsys.data import Reading, load
from lossdsl.search.folds import blind
from lossdsl.search.presets import for_model, for_task
from lossdsl.search.settings import Settings
from lossdsl.search.toml import read

COLUMNS = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=1, max_size=6)
READINGS = st.fixed_dictionaries({}, optional={
    "split": st.sampled_from(["temporal", "random", "per-user"]),
    "threshold": st.floats(-5, 5),
    "seed": st.integers(0, 9),
    "user": COLUMNS, "item": COLUMNS, "label": COLUMNS, "time": COLUMNS,
    "duplicates": st.sampled_from(["keep", "last"]),
    "fold": st.integers(1, 5),
    "features": st.just(True),
})  # fmt: skip


def settings_of(command: click.Command, *args: str) -> Settings:
    """What a command line comes to, without the search."""
    found: list[Settings] = []

    def contest(settings: Settings, *_: Any, **__: Any) -> None:
        found.append(settings)
        raise click.Abort

    with pytest.MonkeyPatch.context() as patch, pytest.raises(click.Abort):
        patch.setattr("lossdsl.search.session.search", contest)
        patch.setattr("lossdsl.search.contest.contest", contest)
        patch.setattr("lossdsl.recsys.data.load", lambda *_: SimpleNamespace(notes=()))
        command.main([*args], standalone_mode=False)
    return found[0]


@pytest.mark.parametrize("command", [search.command, compare_strategies.command])
@given(reading=READINGS)
def test_the_options_of_train_mean_the_same(command: click.Command, reading: dict[str, Any]) -> None:
    words = ["--data", "demo", *as_reading_options(reading)]
    trained = Reading(**take_reading(train.make_context("train", [*words]).params))
    assert trained == Reading(**reading)
    assert settings_of(command, *words).reading.reading() == trained


@pytest.mark.parametrize("command", [search.command, compare_strategies.command])
def test_options_win_over_single_settings(command: click.Command) -> None:
    given = ["--data", "demo", "--set", "reading.fold=2", "--set", "reading.seed=3", "--split-seed", "4"]
    found = settings_of(command, *given)
    assert (found.reading.fold, found.reading.seed, found.seed) == (2, 4, 0)


@pytest.mark.parametrize("task", ["explicit", "implicit"])
def test_a_contest_takes_a_model_and_a_task_wherever_they_are_named(task: str) -> None:
    one = settings_of(compare_strategies.command, "--data", "demo", "--model", "ranknet", "--set", f"task={task}")
    other = settings_of(compare_strategies.command, "--data", "demo", "--set", "model=ranknet", "--set", f"task={task}")
    assert one == other == for_task(for_model(Settings(), "ranknet"), task)


SMALL = [
    "--set=ladder.folds=0", "--set=training.epochs=1", "--set=training.test_seeds=1", "--set=training.l2=[1e-4]",
    "--set=training.final_l2=[1e-4]", "--workers=1", "--budget=2trials",
]  # fmt: skip


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    """Ratings with unusual names, and a user who rated an item twice."""
    rows = [f"{u},{i},{1 + (3 * u + i) % 5},{10 * u + i}\n" for u in range(1, 9) for i in range(1, 13)]
    path = tmp_path / "ratings.csv"
    path.write_text("who,item_id,stars,timestamp\n" + "".join([*rows, "1,1,5,9999\n"]))
    return path


def test_data_that_train_reads_is_searched_and_gone_on_with(
    ratings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reading = ["--user", "who", "--label", "stars", "--duplicates", "last", "--split", "temporal", "--threshold", "2"]
    place = tmp_path / "run"
    with pytest.raises(SystemExit) as left:
        main(["search", "--data", str(ratings), "--run-dir", str(place), *SMALL, *reading])
    assert left.value.code in (0, 1), capsys.readouterr().err
    config = place / "config.toml"
    settings = read(config.read_text(encoding="utf-8"), Settings(), "config")
    data = load(ratings, user="who", label="stars", duplicates="last", split="temporal", threshold=2.0)
    assert settings.fingerprint == blind(data).fingerprint
    with pytest.raises(SystemExit) as left:
        main(["search", "--resume", "--run-dir", str(place), "--budget", "3trials", "--workers", "1"])
    assert left.value.code in (0, 1), capsys.readouterr().err


def test_a_negative_seed_of_a_split_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["search", "--split-seed", "-1", "--run-dir", str(tmp_path / "run"), *SMALL])
    assert left.value.code == 2
    assert capsys.readouterr().err == "lossdsl: the seed of a split is 0 or more, not -1\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("change", ["controller.init=-1.0", "strategy=foo", "ladder.slots=300000"])
def test_a_contest_is_refused_before_it_is_written(
    change: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["compare-strategies", "--data", "demo", "--run-dir", str(tmp_path / "run"), "--set", change])
    assert left.value.code == 2 and "internal" not in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
