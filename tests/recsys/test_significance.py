"""The bootstrap's pieces against slow twins, and its behaviour where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.recsys import metrics
from lossdsl.recsys.dataset import Rows
from lossdsl.recsys.significance import Bootstrap, difference, holm


def sample(seed: int, users: int = 15, rows: int = 90) -> tuple[Rows, np.ndarray]:
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, rows)
    made = Rows(random.integers(0, users, rows), np.arange(rows), label)
    return made, np.round(label + random.standard_normal(rows) * 1.5, 1)


@pytest.mark.parametrize("metric", ["auc", "gauc", "ndcg@5", "rmse"])
def test_a_replicate_is_the_metric_of_the_drawn_users(metric: str) -> None:
    """A user drawn three times is three users with the same rows."""
    rows, score = sample(1)
    bootstrap = Bootstrap(rows, metric, replicates=12, seed=4)
    got = bootstrap._one(score)
    for weights, value in zip(bootstrap.weights, got):
        user, picked = [], []
        for place, weight in enumerate(weights):
            mine = np.flatnonzero(rows.user == bootstrap.users[place])
            for copy in range(weight):
                user.extend([1000 * copy + place] * len(mine))
                picked.extend(mine)
        drawn = Rows(user, np.arange(len(user)), rows.label[picked])
        assert value == pytest.approx(metrics.compute(metric, drawn, score[picked]), rel=1e-9)


def test_of_a_score_that_is_no_number_no_replicate_is_known() -> None:
    rows, score = sample(1)
    score[3] = np.nan
    assert np.isnan(Bootstrap(rows, "auc", replicates=12)._one(score)).all()


def test_a_loss_does_not_differ_from_itself() -> None:
    rows, score = sample(2)
    bootstrap = Bootstrap(rows, "auc", replicates=300)
    same = difference(bootstrap.replicates([score]), bootstrap.replicates([score]))
    assert (same.mean, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_pairing_narrows_the_interval_of_a_difference() -> None:
    rows, score = sample(3, users=80, rows=800)
    near = score + np.random.default_rng(0).standard_normal(800) * 0.05
    bootstrap = Bootstrap(rows, "auc", replicates=400)
    one, two = bootstrap.replicates([score]), bootstrap.replicates([near])
    apart = difference(one, two)
    assert apart.high - apart.low < 0.5 * (one.interval[1] - one.interval[0])


def test_seeds_widen_the_interval() -> None:
    rows, score = sample(4, users=80, rows=800)
    noise = np.random.default_rng(1).standard_normal(800)
    bootstrap = Bootstrap(rows, "auc", replicates=400)
    steady = bootstrap.replicates([score + 2 * noise] * 4).interval
    shaky = bootstrap.replicates([score + k * noise for k in (0, 1, 4, 30)]).interval
    assert shaky[1] - shaky[0] > 1.2 * (steady[1] - steady[0])


def test_a_clear_winner_is_found() -> None:
    rows, score = sample(5, users=80, rows=800)
    noise = np.random.default_rng(2).standard_normal(800)
    bootstrap = Bootstrap(rows, "auc", replicates=400)
    apart = difference(bootstrap.replicates([score]), bootstrap.replicates([noise]))
    assert apart.low > 0 and apart.p < 0.01


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=8))
def test_holm_by_its_definition(p_values: list[float]) -> None:
    """Reject in order while p <= level / (number left); an adjusted p is the least level that rejects."""
    adjusted = holm(p_values)
    ranked = sorted(p_values)
    for p, got in zip(p_values, adjusted):
        want = max(min(1.0, (len(ranked) - k) * q) for k, q in enumerate(ranked) if q <= p)
        assert got >= p and got == pytest.approx(min(want, 1.0)) or ranked.count(p) > 1
