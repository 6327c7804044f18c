"""A whole search on small data: the same trials again, after a kill, with more workers, and whatever the test holds."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lossdsl.checking import check
from lossdsl.equivalence import slope_key
from lossdsl.errors import LossError
from lossdsl.formula import parse
from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Dataset, Rows
from lossdsl.search.bench import Bench, Job, Result
from lossdsl.search.budget import LEAST_TRAINED, Clock
from lossdsl.search.evaluator import Evaluator, OutOfTime
from lossdsl.search.ledger import Trial, read_trials
from lossdsl.search.presets import preset
from lossdsl.search.session import announced, search
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign, read_file
from tests.search.conftest import timeless


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("demo")


def small(*changes: str, **own: object) -> Settings:
    """A search that takes a second or two."""
    settings = Settings(data="demo", **own)  # type: ignore[arg-type]
    for change in (
        "ladder.batch=16", "ladder.tune_every=3", "ladder.final=2", "ladder.final_seeds=1", "ladder.tune=1",
        "ladder.tune_tries=3", "training.epochs=4", "training.final_l2=[1e-4]", "training.test_seeds=2",
        "training.l2=[1e-4]", "ladder.first_epochs=2", *changes,
    ):  # fmt: skip
        settings = assign(settings, change)
    return settings


def trials(path: Path) -> list[Trial]:
    return list(read_trials(path))


def same(a: list[Trial], b: list[Trial]) -> bool:
    return len(a) == len(b) and all(timeless(one) == timeless(two) for one, two in zip(a, b))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Dataset) -> Path:
    path = tmp_path_factory.mktemp("search") / "run"
    search(small(seed=3), run_dir=path, data=data, budget="120trials")
    return path


def test_every_formula_parses_and_prints_as_itself(run: Path) -> None:
    found = trials(run)
    assert [t.number for t in found] == list(range(1, 121))
    assert {t.fate for t in found} >= {"trained", "filtered"}
    for trial in found:
        assert str(parse(trial.formula, dialect="lossdsl")) == trial.formula


def test_the_best_is_proved_and_tested(run: Path) -> None:
    best = json.loads((run / "best.json").read_text())
    assert best["verdict"] == "valid"
    assert best["formula"] in {t.formula for t in trials(run)}
    test = best["test"]
    assert len(test["best"]["values"]) == len(test["bce"]["values"]) == 2
    assert test["difference"]["low"] <= test["difference"]["mean"] <= test["difference"]["high"]
    sizes = [row["nodes"] for row in best["front"]]
    finals = [row["final"] for row in best["front"]]
    assert sizes == sorted(sizes) and finals == sorted(finals)


def test_the_same_seed_writes_the_same_trials_whatever_the_workers(run: Path, tmp_path: Path, data: Dataset) -> None:
    search(small(seed=3), run_dir=tmp_path / "again", data=data, budget="90trials", workers=3)
    assert same(trials(tmp_path / "again"), trials(run)[:90])
    search(small(seed=4), run_dir=tmp_path / "other", data=data, budget="20trials")
    assert not same(trials(tmp_path / "other"), trials(run)[:20])


def test_a_reward_comes_back_from_its_formula(run: Path, data: Dataset) -> None:
    settings = small(seed=3)
    bench = Bench(data, settings)
    whole = [t for t in trials(run) if t.fate == "trained" and t.why is None][:3]
    assert len(whole) == 3
    for trial in whole:
        assert trial.seed is not None
        job = Job(trial.formula, settings.training.l2, (trial.seed,), first_epochs=settings.ladder.first_epochs)
        assert bench.run(job).reward == trial.reward


def test_a_run_goes_on_where_it_stopped(run: Path, tmp_path: Path, data: Dataset) -> None:
    path = tmp_path / "run"
    search(small(seed=3), run_dir=path, data=data, budget="70trials")
    for budget in ("71trials", "120trials"):
        search(run_dir=path, data=data, budget=budget, resume=True)
    assert same(trials(path), trials(run))


def test_nothing_is_begun_where_a_run_was_to_go_on(tmp_path: Path, data: Dataset) -> None:
    with pytest.raises(LossError, match="run holds no run to resume, and no settings to begin one with are given"):
        search(run_dir=tmp_path / "run", data=data, budget="5trials", resume=True)
    assert not (tmp_path / "run").exists()
    assert search(small(), run_dir=tmp_path / "run", data=data, budget="5trials", resume=True).trials == 5


def test_a_smaller_budget_throws_nothing_away(run: Path, tmp_path: Path, data: Dataset) -> None:
    path = tmp_path / "run"
    shutil.copytree(run, path)
    before = {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
    with pytest.raises(LossError, match="has 120 trials already; give it a --budget of more than that"):
        search(run_dir=path, data=data, budget="100trials", resume=True)
    assert {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()} == before


def test_a_budget_of_rows_below_what_was_used_is_refused(run: Path, data: Dataset) -> None:
    with pytest.raises(LossError, match="has trained on [0-9,]+ rows already; give it a --budget of more than that"):
        search(run_dir=run, data=data, budget="1000rows", resume=True)


def test_a_resume_without_time_loses_no_trial_and_no_rank(tmp_path: Path, data: Dataset) -> None:
    path = tmp_path / "run"
    whole = search(small(seed=3), run_dir=path, data=data, budget="110trials")
    before = trials(path)
    again = search(run_dir=path, data=data, budget="0.001s", resume=True)
    assert same(trials(path)[:110], before)
    assert whole.best is not None and again.best is not None
    assert {key: again.best[key] for key in ("number", "formula", "final", "front")} == {
        key: whole.best[key] for key in ("number", "formula", "final", "front")
    }
    assert read_file(path / "config.toml").budget == "0.001s"  # what the next resume goes by


def test_what_trains_when_the_time_ends_is_no_trial(
    tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Evaluator.map

    def ends(self: Evaluator, jobs: Iterable[Job], late: Callable[[], bool]) -> Iterator[Result]:
        yield from itertools.islice(real(self, jobs, late), 2)
        raise OutOfTime

    monkeypatch.setattr(Evaluator, "map", ends)
    result = search(small(seed=3), run_dir=tmp_path / "run", data=data, budget="120trials")
    assert result.trials == sum(result.fates.values()) == len(trials(tmp_path / "run"))


def test_the_test_rows_never_reach_the_search(run: Path, tmp_path: Path, data: Dataset) -> None:
    noise = Rows(data.test.user, data.test.item[::-1].copy(), 1 - data.test.label)
    search(small(seed=3), run_dir=tmp_path / "noise", data=replace(data, test=noise), budget="80trials")
    assert same(trials(tmp_path / "noise"), trials(run)[:80])


STRATEGIES = [("random", "random"), ("evolution", "evolution"), ("ppo", "mutation")]


@pytest.mark.parametrize(("strategy", "source"), STRATEGIES)
def test_every_strategy_stops_and_goes_on(strategy: str, source: str, tmp_path: Path, data: Dataset) -> None:
    settings = small("evolution.population=2", "training.epochs=2", "ppo.epochs=2", strategy=strategy, seed=1)
    search(settings, run_dir=tmp_path / "whole", data=data, budget="220trials")
    search(settings, run_dir=tmp_path / "parts", data=data, budget="130trials")
    search(run_dir=tmp_path / "parts", data=data, budget="220trials", resume=True)
    assert same(trials(tmp_path / "whole"), trials(tmp_path / "parts"))
    assert source in {t.source for t in trials(tmp_path / "whole")}


def test_a_seeded_run_starts_from_the_known_losses_and_says_so(tmp_path: Path, data: Dataset) -> None:
    settings = small(seed=3, seeded=True)
    search(settings, run_dir=tmp_path / "whole", data=data, budget="60trials")
    found = trials(tmp_path / "whole")
    names = [t for t in found if t.source == "known"]
    assert found[: len(names)] == names and sum(t.fate == "trained" for t in names) >= 5
    assert json.loads((tmp_path / "whole" / "best.json").read_text())["seeded"] is True
    search(settings, run_dir=tmp_path / "parts", data=data, budget="40trials")
    search(run_dir=tmp_path / "parts", data=data, budget="60trials", resume=True)
    assert same(trials(tmp_path / "parts"), found)
    with pytest.raises(LossError, match="starts from no known losses"):
        search(replace(preset("autolossgen"), seeded=True), run_dir=tmp_path / "no", data=data, budget="10trials")


def test_only_proved_losses_train_and_every_trial_has_the_provers_key(run: Path) -> None:
    for trial in trials(run):
        assert trial.hash == slope_key(trial.formula)
        if trial.fate in ("trained", "duplicate"):
            assert check(trial.formula).verdict == "valid"
    twins = {t.hash for t in trials(run) if t.fate == "trained"}
    assert len(twins) == sum(t.fate == "trained" for t in trials(run))


@pytest.mark.parametrize("name", ["", "autolossgen"])
def test_a_machine_of_no_speed_at_all_still_gets_its_first_losses(name: str, tmp_path: Path, data: Dataset) -> None:
    settings = small(seed=3) if not name else assign(replace(preset(name), data="demo"), "training.dim=4")
    clock = iter(range(10**9))
    result = search(settings, run_dir=tmp_path / "run", data=data, budget="60s", now=lambda: 1000.0 * next(clock))
    assert result.fates["trained"] == LEAST_TRAINED
    if not name:
        assert result.best is not None and result.best["verdict"] == "valid"


def test_what_takes_long_is_announced() -> None:
    said: list[str] = []
    with announced(said.append, "compiling", after=0.0):
        for _ in range(500):
            if said:
                break
            time.sleep(0.01)
    with announced(said.append, "never", after=3600.0):
        pass
    assert said == ["compiling"]


def test_what_is_compiled_is_compiled_before_the_clock_starts(
    tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    warm, start = Bench.warm, Clock.__init__
    monkeypatch.setattr(Bench, "warm", lambda self: (order.append("warm"), warm(self))[1])
    monkeypatch.setattr(Clock, "__init__", lambda self, *a: (order.append("clock"), start(self, *a))[1])
    search(small(seed=3), run_dir=tmp_path / "run", data=data, budget="20trials")
    assert order == ["warm", "clock"]
