"""How much L2 suits the data is found before the search, from its own rows alone, and once for a run."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.errors import LossError
from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Dataset, Rows
from lossdsl.search.bench import YARDSTICK, Bench, Tabled
from lossdsl.search.calibration import FINAL, LADDER, MOST_BEYOND, STEP, around, beyond, climb
from lossdsl.search.contest import contest
from lossdsl.search.final import FinalTest
from lossdsl.search.ledger import read_trials
from lossdsl.search.presets import for_model, for_task, preset
from lossdsl.search.session import search
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign, read
from tests.search.conftest import timeless


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("demo")


def small(*changes: str) -> Settings:
    settings = Settings(data="demo")
    for change in ("ladder.batch=8", "ladder.folds=1", "ladder.final=1", "ladder.final_seeds=1", "training.epochs=4",
                   "training.test_seeds=1", *changes):  # fmt: skip
        settings = assign(settings, change)
    return settings


@given(st.floats(-9, 9), st.floats(-2, 2))
def test_climbing_ends_within_a_quarter_step_of_a_single_peak(peak: float, start: float) -> None:
    seen: list[float] = []

    def value(l2: float) -> float:
        seen.append(l2)
        return -abs(math.log2(l2) - peak)

    found = climb(value, 2**start)
    assert abs(math.log2(found) - peak) <= 0.25 + 1e-9
    assert len(seen) == len(set(seen))  # no training is done twice


@given(st.lists(st.floats(1e-6, 1e-2), min_size=1, max_size=5, unique=True), st.floats(1e-9, 10))
def test_beyond_an_end_is_where_the_best_may_lie(places: list[float], peak: float) -> None:
    places = sorted(places)
    tried: list[float] = []

    def value(l2: float) -> float:
        tried.append(l2)
        return -abs(math.log(l2 / peak))

    found = beyond(value, tuple(places))
    assert value(found) >= max(value(place) for place in places)
    if len(places) == 1:
        assert found == places[0]
    elif found in places[1:-1]:
        assert set(tried) == set(places)  # nothing more where the best has neighbours on both sides
    assert len(set(tried)) <= len(places) + MOST_BEYOND


def test_what_is_left_open_is_found_and_the_rest_is_kept(data: Dataset) -> None:
    bench = Bench(data, small())
    training = bench.calibrated(2).training
    assert training.l2 == around(training.l2[0], LADDER) and training.final_l2[2] == training.l2[0]
    assert len(training.final_l2) == len(FINAL)
    assert Bench(data, small()).calibrated().training == training  # whatever the threads
    assert bench.calibrated() is bench.settings
    half = Bench(data, small("training.l2=[3e-5]")).calibrated().training
    assert half.l2 == (3e-5,) and half.final_l2 == around(3e-5, FINAL)
    for settings in (preset("autolossgen"), for_model(Settings(), "ranknet"), for_model(Settings(), "deepmodel"),
                     for_task(for_model(Settings(), "ranknet"), "implicit")):  # fmt: skip
        assert settings.training.l2 and settings.training.final_l2  # too dear to look for


def test_it_is_the_best_of_its_neighbours(data: Dataset) -> None:
    """On the built-in data, several times what suits MovieLens-100k."""
    settings = assign(Settings(), "ladder.folds=1")
    bench = Bench(data, settings)
    unit = bench.calibrated().training.l2[0]
    assert unit > 2 * settings.training.l2_start
    objective = Tabled(YARDSTICK)

    def level(l2: float) -> float:
        return float(np.mean([bench.fit(objective, l2, 0, view=view).best for view in bench.views]))

    assert level(unit) > max(level(unit / 2), level(unit * 2))


def test_a_run_keeps_what_it_found(tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = search(small(), run_dir=tmp_path / "whole", data=data, budget="40trials")
    config = tmp_path / "whole" / "config.toml"
    training = read(config.read_text(), Settings(), "").training
    assert training == whole.settings.training and training.l2

    path = tmp_path / "cut"
    search(small(), run_dir=path, data=data, budget="20trials")
    monkeypatch.setattr("lossdsl.search.bench.climb", lambda *_: pytest.fail("looked for again"))
    search(run_dir=path, data=data, budget="40trials", resume=True)
    trials = [list(read_trials(tmp_path / name)) for name in ("whole", "cut")]
    assert len(trials[0]) == 40 and all(timeless(one) == timeless(two) for one, two in zip(*trials))


def test_a_run_that_died_before_it_found_it_finds_it_when_it_goes_on(
    tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lossdsl.search.bench.climb", dies)
        with pytest.raises(KeyboardInterrupt):
            search(small(), run_dir=tmp_path / "run", data=data, budget="20trials")
    result = search(run_dir=tmp_path / "run", data=data, budget="20trials", resume=True)
    assert result.settings.training.l2 == Bench(data, small()).calibrated().training.l2


def test_the_test_rows_have_no_part_in_it(data: Dataset) -> None:
    noise = Rows(data.test.user, data.test.item[::-1].copy(), 1 - data.test.label)
    other = Bench(replace(data, test=noise), small()).calibrated()
    assert other.training == Bench(data, small()).calibrated().training


def test_searches_of_a_contest_find_it_each_and_go_on(tmp_path: Path, data: Dataset) -> None:
    for rows in (100_000, 200_000):
        found = contest(small(), data, ["random"], [0], rows, tmp_path)
    for k, open_last in enumerate(("training.l2=[1e-4]", "training.final_l2=[1e-4]")):
        for rows in (50_000, 100_000):  # half of it open
            contest(small(open_last), data, ["random"], [0], rows, tmp_path / f"half {k}")
    with pytest.raises(LossError, match="training differ"):
        contest(small("training.l2=[1e-4]"), data, ["random"], [0], 200_000, tmp_path)
    config = tmp_path / "random-0" / "config.toml"
    config.write_text(config.read_text().replace("final_l2 = [", "final_l2 = [1e-7, "))
    with pytest.raises(LossError, match="training differ"):
        contest(small(), data, ["random"], [0], 200_000, tmp_path)
    assert found.curves[0].cost[-1] >= 200_000


def test_the_fair_test_looks_beyond_what_suits_another_loss(data: Dataset) -> None:
    grid = [1e-5, 2e-5]  # far below what bce wants here
    settings = small("training.l2=[1e-5]", f"training.final_l2={grid}", "training.epochs=30", "training.patience=9")
    assert FinalTest(data, Bench(data, settings)).run("bce", "bce").l2 == pytest.approx(2e-5 * STEP**MOST_BEYOND)


def test_of_nought_and_of_what_explodes_there_is_nothing_beyond(data: Dataset) -> None:
    assert around(0.0, FINAL) == (0.0,)
    tried: list[float] = []
    assert beyond(lambda l2: tried.append(l2) or -l2, (0.0, 1e-5)) == 0.0 and tried == [0.0, 1e-5]  # type: ignore[func-returns-value]
    assert beyond(lambda l2: -math.inf, (1e-5, 2e-5)) == 1e-5
    assert Bench(data, small("training.l2=[0]")).calibrated().training.final_l2 == (0.0,)


@pytest.mark.parametrize("quarter", range(-8, 9))
def test_what_is_found_is_what_stands_in_the_settings(
    quarter: int, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a search that is resumed, or one of a contest, would be taken for another."""
    monkeypatch.setattr("lossdsl.search.bench.climb", lambda *_: 6e-5 * 2 ** (quarter / 4))
    training = Bench(data, small()).calibrated().training
    assert training.l2 == around(training.l2[0], LADDER) and training.final_l2 == around(training.l2[0], FINAL)


def test_it_ends_by_what_was_trained_and_not_by_the_clock(
    tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent: list[float] = []
    assert climb(lambda l2: spent.append(l2) or l2, 1.0, lambda: len(spent) > 2) == 4.0  # type: ignore[func-returns-value]
    clock = itertools.count(0.0, 100.0)
    slow = search(small(), run_dir=tmp_path / "slow", data=data, budget="1s", now=lambda: next(clock))
    assert slow.settings.training.l2 == Bench(data, small()).calibrated().training.l2
    monkeypatch.setattr("lossdsl.search.bench.CALIBRATION_ROWS", 1)
    assert Bench(data, small()).calibrated().training.l2[0] == small().training.l2_start
