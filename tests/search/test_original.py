"""The published method: its schedule, its rewards from the present recommender, and that a kill changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossdsl.equivalence import slope_key
from lossdsl.formula import parse
from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.training import train
from lossdsl.search import original_bench
from lossdsl.search.budget import Budget, Clock
from lossdsl.search.evaluator import Evaluator
from lossdsl.search.final import FinalTest
from lossdsl.search.ledger import Ledger, Trial, read_trials
from lossdsl.search.original import OriginalSearch, recommender_state
from lossdsl.search.original_bench import OriginalBench, Step
from lossdsl.search.presets import preset
from lossdsl.search.session import search
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign
from lossdsl.search.verdict import Judge
from tests.search.conftest import timeless


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("demo")


def published(*changes: str) -> Settings:
    settings = preset("autolossgen")
    for change in (
        "data=demo",
        "training.dim=4",
        "original.train_steps=2",
        "original.save_every=2",
        "seed=5",
        *changes,
    ):
        settings = assign(settings, change)
    return settings


def same(a: list[Trial], b: list[Trial]) -> bool:
    return len(a) == len(b) and all(timeless(one) == timeless(two) for one, two in zip(a, b))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Dataset) -> Path:
    path = tmp_path_factory.mktemp("original") / "run"
    search(published(), run_dir=path, data=data, budget="140trials")
    return path


def test_every_formula_parses_and_prints_as_itself(run: Path) -> None:
    for trial in read_trials(run):
        assert str(parse(trial.formula, dialect="lossdsl")) == trial.formula


def test_the_two_halves_take_turns(run: Path) -> None:
    found = list(read_trials(run))
    starts = [trial.start for trial in found]
    assert starts == sorted(starts) and starts[-1] and starts[-1] >= 2
    for epoch in range(starts[-1]):
        sources = [trial.source for trial in found if trial.start == epoch]
        learning = sources.index(next(s for s in sources if s != "controller"))
        assert learning % 10 == 0 and learning >= 20
        assert sources[learning:] == ["step"] or set(sources[learning:]) == {"sample"}


@pytest.mark.parametrize("model", ["biasedmf", "ranknet"])
def test_state_and_formula_give_the_reward_again(model: str, tmp_path: Path, data: Dataset) -> None:
    changes = ("training.train_rows=600", "training.layers=[8]", "original.train_steps=4", "original.save_every=1")
    settings = published(f"model={model}", *changes)
    search(settings, run_dir=tmp_path / "run", data=data, budget="35trials")
    with Ledger.open(tmp_path / "run") as ledger:
        state = ledger.load()
    assert state is not None
    start, epoch = recommender_state(*state), state[1]["epoch"]
    trained = [t for t in read_trials(tmp_path / "run") if t.fate == "trained" and t.start == epoch]
    bench = OriginalBench(data, settings)
    assert len(trained) >= 3
    for trial in trained[:3]:
        assert bench.step(Step(trial.formula, start, 1)).reward == trial.reward


def test_a_run_goes_on_where_it_stopped(run: Path, tmp_path: Path, data: Dataset) -> None:
    path = tmp_path / "run"
    search(published(), run_dir=path, data=data, budget="33trials")
    search(run_dir=path, data=data, budget="75trials", resume=True, workers=2)
    search(run_dir=path, data=data, budget="140trials", resume=True)
    assert same(list(read_trials(path)), list(read_trials(run)))


def test_fates_follow_the_slopes(run: Path) -> None:
    for trial in read_trials(run):
        if "pred" not in trial.formula:
            assert (trial.fate, trial.why) == ("filtered", "its slope is zero")
        if trial.fate == "trained":
            assert trial.reward is not None and 0 < trial.reward < 1 and trial.rows and trial.seed is not None


def test_the_baseline_moves_on_accepted_rewards_only(tmp_path: Path, data: Dataset) -> None:
    settings = published()
    bench = OriginalBench(data, settings)
    with Ledger.create(tmp_path, "") as ledger, Evaluator(bench, data, 1) as evaluator:
        judge = Judge(pairwise=False)
        method = OriginalSearch(settings, bench, ledger, evaluator, Clock(Budget(trials=10)), judge)
        method.baseline = method.start_metric = 0.5
        drawn = replace(method.controller.draw(3), entropy=np.array([10.0, 20.0, 30.0]))
        candidates = [replace(one, text=text) for one, text in zip(method._candidates(drawn), "abc")]
        weight = method._weight(drawn, candidates, [0.6, -1.0, 0.4])
    # By hand: reward + entropy * 1e-4; the baseline moves by a hundredth, before the advantage is taken.
    first = 0.6 + 1e-3
    baseline = 0.5 + 0.01 * (first - 0.5)
    expected = [-(first - baseline) / 10, -(-1 + 2e-3 - baseline) / 10, -(-1 + 3e-3 - baseline) / 10]
    assert method.baseline == pytest.approx(baseline)
    assert weight == pytest.approx(np.array(expected))
    assert (method.best_text, method.best_reward) == ("a", 0.6)


def test_duplicates_are_told_by_the_slope_of_the_mean(tmp_path: Path, data: Dataset) -> None:
    settings = published()
    bench = OriginalBench(data, settings)
    with Ledger.create(tmp_path, "") as ledger, Evaluator(bench, data, 1) as evaluator:
        clock = Clock(Budget(trials=10))
        method = OriginalSearch(settings, bench, ledger, evaluator, clock, Judge(pairwise=False))
        # Slopes of the mean over 20 points: pred, pred + label, pred + 0.0019*pred, 2*pred, label.
        steep = {"pred": 1.0, "pred + label": 1.0, "1.0019*pred": 1.0019, "2*pred": 2.0, "label": 0.0}
        like = {text: np.full(20, slope / 20) for text, slope in steep.items()}
    assert method._alike(like["pred"], like["pred + label"])
    assert method._alike(like["pred"], like["1.0019*pred"])  # 0.0019 / 20 is just under 1e-4
    assert not method._alike(like["pred"], like["2*pred"])
    assert method._why(like["label"]) == "its slope is zero" and not method._why(like["pred"])


def test_every_trial_has_the_provers_key(run: Path) -> None:
    for trial in list(read_trials(run))[:40]:
        assert trial.hash == slope_key(trial.formula)
    assert len({trial.hash for trial in read_trials(run)}) > 20


def test_workers_change_nothing(run: Path, tmp_path: Path, data: Dataset) -> None:
    search(published(), run_dir=tmp_path / "three", data=data, budget="140trials", workers=3)
    assert same(list(read_trials(tmp_path / "three")), list(read_trials(run)))


def test_the_result_is_tested_by_the_published_third_phase(data: Dataset) -> None:
    settings = published("training.test_seeds=2", "training.epochs=6")
    bench = OriginalBench(data, settings)
    third = bench.third_phase
    assert (third.optimizer, third.lr, third.l2, third.l2_in_loss, third.clip, third.patience, third.dim) == (
        "gd", 0.01, 1e-4, 2e-4, 50.0, 100, 4)  # fmt: skip
    tested = FinalTest(data, bench, third).run("bce", "bce", scale=False)
    alone = train("bce", data, settings=third, seed=1000, seeds=2)
    assert tested.values == pytest.approx(alone.metrics["auc"].values, abs=1e-12)


def test_a_formula_that_comes_again_is_not_made_ready_again(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = OriginalBench(data, published())
    start = bench.start()
    monkeypatch.setattr("lossdsl.search.original_bench._READY", 2)
    made: list[str] = []
    real = original_bench.parse
    monkeypatch.setattr(original_bench, "parse", lambda text, **rest: made.append(text) or real(text, **rest))
    first = [bench.step(Step(text, start, 1, regularised=True)) for text in ("pred", "label*pred", "pred")]
    assert made == ["pred", "label*pred"] and first[0].reward == first[2].reward
    bench.step(Step("pred^2", start, 1))  # the oldest goes
    again = bench.step(Step("pred", start, 1, regularised=True))
    assert made == ["pred", "label*pred", "pred^2", "pred"] and again.reward == first[0].reward
    assert again.state is not None and first[0].state is not None and again.state.digest == first[0].state.digest
