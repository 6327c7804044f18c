"""The fair test: its interval, seeds that the search has not used, and nothing chosen by the test rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.recsys import metrics
from lossdsl.recsys.course import Course, follow
from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Columns, Dataset, Rows, from_columns
from lossdsl.recsys.trainer import Trainer
from lossdsl.search import final
from lossdsl.search.bench import Bench
from lossdsl.search.final import FinalTest, fresh_seeds, patience_of
from lossdsl.search.presets import for_model, for_task
from lossdsl.search.session import search
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign

BCE = "-log(label*pred + (1-label)*(1-pred))"
PAIRS = "-logsigmoid(score)"


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("demo")


def tuned(settings: Settings, *changes: str) -> Settings:
    quick = ("training.epochs=2", "training.l2=[1e-4]", "training.final_l2=[1e-4]", "training.test_seeds=2")
    for change in (*quick, "training.dim=4", "training.layers=[8]", "training.train_rows=800", *changes):
        settings = assign(settings, change)
    return settings


def letor(folder: Path) -> Dataset:
    random = np.random.default_rng(0)
    for n, name in enumerate(("train", "vali", "test")):
        grades, features = random.integers(0, 3, 120), random.random((120, 2))
        lines = [
            f"{grade} qid:{100 * n + k // 6} 1:{grade + a:.3f} 2:{b:.3f}"
            for k, (grade, (a, b)) in enumerate(zip(grades, features))
        ]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return load(str(folder))


KINDS = {
    "explicit": (Settings(), "auc"),
    "implicit": (for_task(Settings(), "implicit"), "ndcg@20"),
    "ranknet": (for_model(Settings(), "ranknet"), "gauc"),
    "documents": (for_model(Settings(), "ranknet"), "ndcg@10"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_interval_is_that_of_the_mean_over_the_seeds(kind: str, data: Dataset, tmp_path: Path) -> None:
    """Twelve seeds that differ much: their mean is far surer than one of them."""
    settings, metric = KINDS[kind]
    data = letor(tmp_path) if kind == "documents" else data
    test = FinalTest(data, Bench(data, tuned(settings)))
    assert test.bench.metric == metric
    if kind == "documents":  # those of another query are no negatives
        assert test.test is data.test and test.validation is data.validation
        assert [rows is data.validation for rows in test.bench.evaluations] == [True]
    one = test.run("one", PAIRS if kind in ("ranknet", "documents") else BCE)
    assert len(one.values) == 2 and one.l2 == 1e-4
    same = test.difference(one, replace(one, name="two"))
    assert same.mean == 0 and same.low <= 0 <= same.high
    random = np.random.default_rng(1)
    rows = test.test

    def seeds(gain: float) -> final.Tested:
        noise = [random.normal(0, 1, len(rows)) for _ in range(12)]
        scores = tuple(gain * random.uniform(0, 2) * rows.label + each for each in noise)
        return final.Tested(
            "made", "made", 0.0, tuple(metrics.compute(metric, rows, score) for score in scores), scores
        )

    better, worse = seeds(0.6), seeds(0.3)
    gap = test.difference(better, worse)
    assert gap.mean == pytest.approx(better.mean - worse.mean, abs=1e-12)
    assert gap.low < gap.mean < gap.high
    lone = np.subtract.outer(better.values, worse.values)
    assert gap.high - gap.low < 0.6 * float(np.diff(np.quantile(lone, (0.025, 0.975)))[0])


def test_a_clear_difference_has_a_clear_interval(data: Dataset) -> None:
    test = FinalTest(data, Bench(data, tuned(Settings(), "training.epochs=8")))
    better, worse = test.run("bce", "bce"), test.run("flat", f"1e-3*({BCE})", scale=False)
    gap = test.difference(better, worse)
    assert 0 < gap.low < gap.mean < gap.high and gap.mean == pytest.approx(better.mean - worse.mean)


def test_what_explodes_has_no_difference(data: Dataset) -> None:
    test = FinalTest(data, Bench(data, tuned(Settings())))
    good = test.run("bce", "bce")
    lost = final.Tested(
        "lost", "lost", 0.0, (good.values[0], np.nan), (good.scores[0], np.full(len(test.test), np.nan))
    )
    for pair in ((good, lost), (lost, good)):
        gap = test.difference(*pair)
        assert np.isnan([gap.mean, gap.low, gap.high]).all()


# -- seeds ---------------------------------------------------------------------------------------------------------


@given(st.one_of(st.integers(0, 1100), st.integers(0, 2**40)), st.integers(1, 2000), st.integers(1, 50))
def test_no_seed_of_the_test_is_one_of_the_search(seed: int, final_seeds: int, test_seeds: int) -> None:
    settings = Settings(seed=seed)
    settings = replace(settings, ladder=replace(settings.ladder, final_seeds=final_seeds))
    settings = replace(settings, training=replace(settings.training, test_seeds=test_seeds))
    found = fresh_seeds(settings)
    assert len(found) == 1 + test_seeds
    searched = range(seed, seed + final_seeds + 1)
    assert found.start > searched[-1] or found.stop <= searched[0]
    usual = range(999, 1000 + test_seeds)
    assert (found == usual) is not bool(set(usual) & {seed, searched[-1]} or seed < 999 <= searched[-1])


@pytest.mark.parametrize("seed", [0, 997])
def test_the_search_and_its_test_train_with_other_seeds(
    seed: int, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: dict[bool, set[int]] = {True: set(), False: set()}
    real = Trainer.__init__

    def note(self: Trainer, loss: Any, given: Dataset, *args: Any, seed: int = 0, **named: Any) -> None:
        seeds[given is data].add(seed)
        real(self, loss, given, *args, seed=seed, **named)

    monkeypatch.setattr(Trainer, "__init__", note)
    settings = tuned(Settings(seed=seed, seeded=True), "ladder.final=1", "ladder.folds=0")
    search(settings, run_dir=tmp_path / "run", data=data, budget="20trials")
    used = {0, *range(seed, seed + 4)}  # 0 is the engine's, asked for its name
    assert seeds[False] == used and seeds[True] == set(fresh_seeds(settings)) and not used & seeds[True]
    assert seed or seeds[True] == {999, 1000, 1001}


# -- what is chosen ------------------------------------------------------------------------------------------------


def courses(test: FinalTest, loss: str, monkeypatch: pytest.MonkeyPatch) -> tuple[float, list[tuple[float, ...]]]:
    """The L2 that was chosen, and the metric on validation after every epoch of every training."""
    found: list[tuple[float, ...]] = []

    def noted(*args: Any, **named: Any) -> Course[Any]:
        course = follow(*args, **named)
        found.append(course.history)
        return course

    monkeypatch.setattr(final, "follow", noted)
    return test.run("one", loss).l2, found


def unseen(data: Dataset, seed: int) -> Rows:
    """Test rows of other items: for every user ten that stand in none of the user's other rows."""
    random = np.random.default_rng(seed)
    met: dict[int, set[int]] = {}
    for rows in (data.train, data.validation):
        for user, item in zip(rows.user.tolist(), rows.item.tolist()):
            met.setdefault(user, set()).add(item)
    picked = [random.permutation(sorted(set(range(data.items)) - met.get(user, set())))[:10]
              for user in range(data.users)]  # fmt: skip
    item = np.concatenate(picked)
    return Rows(np.repeat(np.arange(data.users), [len(p) for p in picked]), item, random.integers(0, 2, len(item)))


@pytest.mark.parametrize("kind", ["explicit", "implicit", "ranknet"])
def test_the_test_rows_choose_nothing(kind: str, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = KINDS[kind]
    settings = tuned(settings, "training.final_l2=[1e-5, 1e-3, 1e-1]", "training.test_seeds=1", "training.epochs=3")
    loss = PAIRS if kind == "ranknet" else BCE
    others = [data, *(replace(data, test=unseen(data, seed)) for seed in (0, 1))]
    found = [courses(FinalTest(one, Bench(one, settings)), loss, monkeypatch) for one in others]
    assert found[0] == found[1] == found[2] and len(found[0][1]) >= 4


@pytest.mark.parametrize("kind", ["explicit", "implicit", "ranknet"])
def test_items_that_only_the_test_has_are_not_ranked_for_validation(kind: str, data: Dataset) -> None:
    def columns(rows: Rows, beyond: int = 0) -> Columns:
        return Columns(data.user_ids[rows.user], data.item_ids[rows.item] + beyond, rows.label)

    # As the items of the test get smaller ids, all others get another number.
    parts = [columns(data.train, 1000), columns(data.validation, 1000), columns(data.test)]
    more = from_columns("more", *parts)
    fewer = from_columns("fewer", *parts[:2], columns(data.test.take(np.arange(100)), 1000), duplicates="keep")
    settings = tuned(KINDS[kind][0])
    ranked = []
    for one in (more, fewer):
        rows = FinalTest(one, Bench(one, settings)).validation
        ids = zip(one.user_ids[rows.user].tolist(), one.item_ids[rows.item].tolist(), rows.label.tolist())
        ranked.append(list(ids))
    assert more.items > fewer.items and ranked[0] == ranked[1]


@pytest.mark.parametrize(("own", "more", "found"), [(3, 15, 15), (20, 15, 20), (3, 0, 0), (0, 15, 0)])
def test_a_patience_of_nought_means_never(own: int, more: int, found: int) -> None:
    settings = tuned(Settings(), f"training.patience={own}", f"training.test_patience={more}")
    assert patience_of(settings)[1] == found


def test_the_test_goes_on_for_longer_than_the_search_and_counts_what_was_not_through(data: Dataset) -> None:
    short, long = (
        # At such a rate the best epoch is far from either end, on whatever processor.
        FinalTest(data, Bench(data, tuned(Settings(), "training.lr=0.3", f"training.test_stretch={stretch}")))
        for stretch in (1, 40)
    )
    assert (short.recommender.epochs, long.recommender.epochs, long.recommender.patience) == (2, 80, 15)
    one, other = short.run("bce", "bce"), long.run("bce", "bce")
    assert (one.unfinished, other.unfinished) == (2, 0)
    assert other.mean > one.mean
