"""The bench trains and measures: both tasks and both kinds of loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossdsl.formula import parse
from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Columns, Dataset, Rows, from_columns
from lossdsl.recsys.objective import Objective
from lossdsl.recsys.trainer import Trainer
from lossdsl.search.bench import YARDSTICK, Bench, Fit, Job, few_users, some_users
from lossdsl.search.folds import View
from lossdsl.search.presets import for_model, for_task
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign

BCE = "-log(label*pred + (1-label)*(1-pred))"


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("demo")


def tuned(settings: Settings, *changes: str) -> Settings:
    for change in ("training.epochs=2", "training.final_l2=[1e-4]", "training.test_seeds=2", *changes):
        settings = assign(settings, change)
    return settings


def test_a_first_rung_and_a_first_l2_end_a_job(data: Dataset) -> None:
    bench = Bench(data, tuned(Settings(), "training.epochs=6", "ladder.folds=0"))
    whole = bench.run(Job(BCE, (1e-4, 2e-4), (0,), first_epochs=2))
    assert whole.epochs == 12 and whole.rows == 12 * len(bench.train)
    stopped = bench.run(Job(BCE, (1e-4, 2e-4), (0,), first_bar=0.99, first_epochs=2))
    assert stopped.epochs == 2 and stopped.note == "below the first rung" and stopped.first == whole.first
    half = bench.run(Job(BCE, (1e-4, 2e-4), (0,), bar=0.99, first_epochs=2))
    assert half.epochs == 6


def test_other_views_are_for_what_is_good_in_the_first(data: Dataset) -> None:
    settings = tuned(Settings(), "ladder.folds=2")
    bench, lone = Bench(data, settings), Bench(data, tuned(settings, "ladder.folds=0"))
    good = bench.run(Job(BCE, (1e-4, 2e-4), (0,)))
    assert len(bench.views) == 3 and good.epochs == 2 * (2 + 2)
    assert good.rows == 4 * len(bench.train) + 2 * sum(len(view.train) for view in bench.views[1:])
    weak = bench.run(Job(BCE, (1e-4, 2e-4), (0,), bar=0.99))
    assert weak.epochs == 2
    # The first view is what a bench without further views has; its yardstick is brought to the mean of all.
    alone = lone.run(Job(BCE, (1e-4,), (0,)))
    gap = weak.reward - alone.reward
    objective = Objective(parse(YARDSTICK))
    l2 = bench.calibrated().training.l2
    level = [bench.fit(objective, l2[0], settings.seed, view=view).best for view in bench.views]
    assert gap == pytest.approx(np.mean(level) - level[0], abs=1e-12)
    # So the yardstick itself has the same reward, measured in one view or in all.
    same = [bench.run(Job(YARDSTICK, l2[:1], (settings.seed,), bar=bar)) for bar in (-np.inf, 0.99)]
    assert same[0].reward == pytest.approx(same[1].reward, abs=1e-12)


def exploding(monkeypatch: pytest.MonkeyPatch, where: Callable[[Bench, float, int, View | None], bool]) -> None:
    """Trainings explode where they are said to, after their epochs."""
    real = Bench.fit

    def fit(
        self: Bench, objective: Objective, l2: float, seed: int, *rungs: Any, view: View | None = None, **named: Any
    ) -> Fit:
        found = real(self, objective, l2, seed, *rungs, view=view, **named)
        return replace(found, note="exploded") if where(self, l2, seed, view) else found

    monkeypatch.setattr(Bench, "fit", fit)


def test_what_explodes_in_a_later_view_has_no_reward(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(data, tuned(Settings(), "ladder.folds=1"))
    bench.run(Job(BCE, (1e-4,), (0,)))
    exploding(monkeypatch, lambda bench, l2, seed, view: view is bench.views[1])
    result = bench.run(Job(BCE, (1e-4,), (0,)))
    assert result.reward == -np.inf and result.note == "exploded"


@pytest.mark.parametrize("seed", [0, 1])
def test_an_l2_with_which_a_training_explodes_is_none_to_choose(
    seed: int, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(data, tuned(Settings(), "ladder.folds=1"))
    good = bench.run(Job(BCE, (2e-4,), (0, 1)))
    exploding(monkeypatch, lambda bench, l2, at, view: l2 == 1e-4 and at == seed)
    for l2s in ((1e-4, 2e-4), (2e-4, 1e-4)):
        result = bench.run(Job(BCE, l2s, (0, 1)))  # in all views all the same
        assert (result.reward, result.l2, result.note, len(result.values)) == (good.reward, 2e-4, "", 2)
    # Below the bar nothing more is tried: what explodes at the first L2 has failed then.
    for l2s, bar in (((1e-4,), -np.inf), ((1e-4, 2e-4), 0.1)):
        result = bench.run(Job(BCE, l2s, (0, 1), bar=bar))
        assert (result.reward, result.note, result.values) == (-np.inf, "exploded", ())


def test_seeds_are_averaged(data: Dataset) -> None:
    bench = Bench(data, tuned(Settings()))
    one, two = (bench.run(Job(BCE, (1e-4,), (seed,))).reward for seed in (0, 1))
    both = bench.run(Job(BCE, (1e-4,), (0, 1)))
    assert both.values == (one, two) and both.reward == pytest.approx((one + two) / 2)


def test_the_implicit_task_ranks_all_unseen_items(data: Dataset) -> None:
    settings = tuned(for_task(Settings(), "implicit"), "training.eval_users=20", "training.dim=4")
    bench = Bench(data, settings)
    assert bench.metric == "ndcg@20" and len(np.unique(bench.evaluations[0].user)) == 20
    assert 0 < bench.run(Job(BCE, (1e-4,), (0,))).reward < 1


def test_implicit_folds_are_ranked_together_and_give_nothing_away(data: Dataset) -> None:
    bench = Bench(data, tuned(for_task(Settings(), "implicit"), "ladder.folds=2", "training.dim=4"))
    (ranked,) = bench.evaluations
    positives = {(u, i) for u, i in zip(ranked.user[ranked.label > 0], ranked.item[ranked.label > 0])}
    trained = set(zip(bench.train.user, bench.train.item))
    assert (bench.train.label > 0).all() and not positives & trained
    # Folds hold the last positives of train, and validation's own; nothing that is trained on stands in the ranking.
    liked = bench.data.train.take(bench.data.train.label > 0)
    fold = set(zip(liked.user, liked.item)) - trained
    valid = bench.data.validation.take(bench.data.validation.label > 0)
    assert fold and positives == fold | set(zip(valid.user, valid.item))
    assert not set(zip(ranked.user, ranked.item)) & trained
    # A positive that was kept back is drawn as a negative as any other unseen item is.
    trainer = Trainer(BCE, bench.data, replace(bench.recommender, train_neg=200), seed=0)
    seen: list[Rows] = []
    trainer.engine.epoch = lambda rows, order: seen.append(rows)  # type: ignore[method-assign]
    trainer.epoch(bench.train)
    assert fold & set(zip(seen[0].user, seen[0].item))


def test_ranknet_is_measured_per_user_with_sampled_negatives(data: Dataset) -> None:
    settings = tuned(for_model(Settings(), "ranknet"), "training.layers=[8]", "training.train_rows=800")
    bench = Bench(data, settings)
    assert bench.metric == "gauc" and len(bench.evaluations[0]) == 11 * len(data.validation)
    assert 0.3 < bench.run(Job("-logsigmoid(score)", (1e-5,), (0,))).reward < 1


def test_a_model_of_pairs_has_the_batch_of_its_settings(data: Dataset) -> None:
    settings = tuned(for_model(Settings(), "ranknet"), "training.layers=[8]")
    for chosen, size in ((settings, 128), (tuned(settings, "training.batch_size=64"), 64), (tuned(Settings()), 512)):
        assert Bench(data, chosen).recommender.batch_size == size


def test_few_users_without_a_pair_do_not_stop_what_is_compiled_beforehand() -> None:
    """Most users like everything, so the handful that warms up has no pair; the others do."""
    rng = np.random.default_rng(0)
    user, item = np.repeat(np.arange(60), 150), np.tile(np.arange(150), 60)
    label = np.where(user < 50, 1, rng.integers(0, 2, len(user)))
    rows = Columns(user, item, label)
    cut = np.minimum(item // 50, 2)
    mixed = from_columns("mixed", *(rows.take(cut == k) for k in range(3)))
    settings = tuned(for_model(Settings(), "ranknet"), "training.layers=[4]", "training.dim=2")
    bench = Bench(mixed, settings)
    drawn = some_users(bench.train, 100, 0)
    assert set(drawn.label.tolist()) == {1.0}
    bench.warm()


def test_drawn_users_come_whole(data: Dataset) -> None:
    rows = some_users(data.train, 500, 3)
    for user in np.unique(rows.user).tolist():
        assert (rows.user == user).sum() == (data.train.user == user).sum()
    assert len(np.unique(few_users(data.train, 7, 0).user)) == 7
    assert few_users(data.train, 0, 0) is data.train


@pytest.mark.parametrize("model", ["biasedmf", "deepmodel", "ranknet"])
def test_a_trainer_that_is_used_again_gives_what_a_new_one_gives(model: str, data: Dataset) -> None:
    settings = tuned(for_model(Settings(), model), "training.layers=[8]", "training.train_rows=800")
    bench = Bench(data, settings)
    losses = ("-logsigmoid(score)", "exp(-score)") if model == "ranknet" else (BCE, "(label-pred)^2")
    jobs = [Job(loss, (1e-5, 1e-2), (0,)) for loss in (*losses, losses[0])]
    # In between, one that leaves nothing but NaN behind.
    found = [bench.run(jobs[0]), bench.run(Job("sqrt(-1 - score^2)", (0.0,), (0,)))]
    found += [bench.run(job) for job in jobs[1:]]
    alone = [Bench(data, settings).run(job) for job in jobs]
    assert found[1].note
    assert [one.reward for one in (found[0], *found[2:])] == [one.reward for one in alone]
    assert alone[0].reward != alone[1].reward
