"""Each metric against a twin that is slow and plain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from lossdsl.recsys import metrics
from lossdsl.recsys.dataset import DataError, Rows
from lossdsl.recsys.ranks import ranking, ranking_unsorted


def naive_auc(label: list[float], score: list[float]) -> float:
    good = [s for s, y in zip(score, label) if y > 0]
    bad = [s for s, y in zip(score, label) if not y > 0]
    if not good or not bad:
        return float("nan")
    return sum((a > b) + 0.5 * (a == b) for a in good for b in bad) / (len(good) * len(bad))


@st.composite
def scored(draw) -> tuple[Rows, np.ndarray]:
    """Rows of a few users, with scores from few values, so that ties are common."""
    n = draw(st.integers(2, 40))
    user = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    label = draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=n, max_size=n))
    score = draw(st.lists(st.sampled_from([-1.5, 0.0, 0.25, 1.0, 3.0, 1e-30]), min_size=n, max_size=n))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    return Rows(user, list(range(n)), label), np.array(score, dtype)


@settings(max_examples=100, deadline=None)
@given(scored())
def test_auc(case: tuple[Rows, np.ndarray]) -> None:
    rows, score = case
    want = naive_auc(rows.label.tolist(), score.tolist())
    np.testing.assert_allclose(metrics.auc(rows, score), want, rtol=1e-12)
    if not np.isnan(want):
        np.testing.assert_allclose(roc_auc_score(rows.label, score), want, rtol=1e-12)


NUMBERS = st.one_of(st.floats(width=32, allow_nan=False), st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45]))


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.tuples(NUMBERS, st.booleans()), min_size=1, max_size=40))
def test_auc_of_short_floats_is_that_of_long_ones(rows: list[tuple[float, bool]]) -> None:
    score, label = (np.array(column) for column in zip(*rows))
    some = Rows(np.zeros(len(rows)), np.arange(len(rows)), label)
    long, short = metrics.auc(some, score.astype(np.float64)), metrics.auc(some, score.astype(np.float32))
    assert short == long or np.isnan(short) and np.isnan(long)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_score_that_is_no_number_has_no_auc(dtype: type, place: int) -> None:
    score = np.array([0.1, 0.2, 0.3], dtype)
    score[place] = -np.nan
    assert np.isnan(metrics.auc(Rows([0, 0, 0], [0, 1, 2], [1, 0, 1]), score))


@settings(max_examples=100, deadline=None)
@given(scored())
def test_per_user_auc(case: tuple[Rows, np.ndarray]) -> None:
    rows, score = case
    each = [naive_auc(rows.label[rows.user == u].tolist(), score[rows.user == u].tolist()) for u in range(5)]
    each = [value for value in each if not np.isnan(value)]
    np.testing.assert_allclose(metrics.gauc(rows, score), np.mean(each) if each else np.nan, rtol=1e-12)


def test_a_metric_by_an_unknown_name() -> None:
    with pytest.raises(DataError, match="no metric is called `acu`; there are auc"):
        metrics.compute("acu", Rows([0], [0], [1.0]), np.zeros(1))


def naive_ranking(name: str, k: int, label: list[float], score: list[float]) -> float:
    """One user's metric by its definition; nan without a positive."""
    if not any(y > 0 for y in label):
        return float("nan")
    ranked = [y for _, y in sorted(zip(score, label), key=lambda pair: (-pair[0], pair[1]))]
    k = k or len(ranked)
    top = ranked[:k]
    liked = sum(y > 0 for y in label)
    if name == "ndcg":
        gain = lambda rows: sum((2**y - 1) / np.log2(place + 2) for place, y in enumerate(rows))  # noqa: E731
        return gain(top) / gain(sorted(label, reverse=True)[:k])
    if name == "recall":
        return sum(y > 0 for y in top) / liked
    if name == "precision":
        return sum(y > 0 for y in top) / k
    if name == "hr":
        return float(any(y > 0 for y in top))
    places = [place for place, y in enumerate(top) if y > 0]
    if name == "mrr":
        return 1 / (places[0] + 1) if places else 0.0
    return sum((hit + 1) / (place + 1) for hit, place in enumerate(places)) / min(liked, k, len(ranked))


@settings(max_examples=60, deadline=None)
@given(scored(), st.sampled_from([0, 1, 3, 10]))
@pytest.mark.parametrize("name", ["ndcg", "recall", "hr", "mrr", "map", "precision"])
def test_ranking_metrics(name: str, case: tuple[Rows, np.ndarray], k: int) -> None:
    rows, score = case
    if not k and name in ("recall", "precision"):
        k = 5  # without @k these are the metrics of a prediction
    each = [
        naive_ranking(name, k, rows.label[rows.user == u].tolist(), score[rows.user == u].tolist()) for u in range(5)
    ]
    each = [value for value in each if value == value]
    got = metrics.compute(f"{name}@{k}" if k else name, rows, score)
    np.testing.assert_allclose(got, np.mean(each) if each else np.nan, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(scored())
def test_metrics_of_a_prediction(case: tuple[Rows, np.ndarray]) -> None:
    rows, score = case
    y = rows.label.astype(float).tolist()
    p = [1 / (1 + np.exp(-float(s))) for s in score]
    guess = [float(v > 0.5) for v in p]
    n, hit = len(y), sum(a * b for a, b in zip(guess, y))
    want = {
        "rmse": np.sqrt(sum((a - b) ** 2 for a, b in zip(p, y)) / n),
        "mae": sum(abs(a - b) for a, b in zip(p, y)) / n,
        "log_loss": -sum(np.log(a if b else 1 - a) for a, b in zip(p, y)) / n,
        "accuracy": sum(a == b for a, b in zip(guess, y)) / n,
        "precision": hit / sum(guess) if sum(guess) else 0.0,
        "recall": hit / sum(y) if sum(y) else 0.0,
    }
    total = want["precision"] + want["recall"]
    want["f1"] = 2 * want["precision"] * want["recall"] / total if total else 0.0
    for name, value in want.items():
        np.testing.assert_allclose(metrics.compute(name, rows, score), value, rtol=1e-6, atol=1e-12)


def test_ties_count_against_the_model() -> None:
    rows = Rows([0, 0, 0, 0], [0, 1, 2, 3], [1, 0, 0, 0])
    assert metrics.compute("mrr", rows, np.zeros(4)) == 0.25
    assert metrics.compute("ndcg@3", rows, np.zeros(4)) == 0.0


def test_graded_relevance_counts_in_ndcg() -> None:
    rows = Rows([0, 0, 0], [0, 1, 2], [2, 1, 0])
    best, swapped = (metrics.compute("ndcg@10", rows, np.array(score)) for score in ([3, 2, 1.0], [2, 3, 1.0]))
    assert best == 1.0
    assert swapped == pytest.approx((1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3)))


def test_values_of_single_users_have_the_mean_as_mean() -> None:
    random = np.random.default_rng(0)
    rows = Rows(random.integers(0, 9, 200), np.arange(200), random.integers(0, 2, 200))
    score = random.standard_normal(200)
    for name in ("gauc", "ndcg@5"):
        assert np.mean(list(metrics.per_user(name, rows, score).values())) == pytest.approx(
            metrics.compute(name, rows, score)
        )


@pytest.mark.parametrize("name", ["ndcg@", "ndcg@0", "auc@5", "recall@-1", "map@x", "", "hr@1.5"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(DataError, match="no metric is called"):
        metrics.metric(name)


@pytest.mark.parametrize("depth", [0, 1, 3])
@settings(max_examples=60, deadline=None)
@given(scored(), st.lists(st.sampled_from([0.0, 0.0, 1.0, 2.0]), min_size=40, max_size=40))
def test_counting_ranks_gives_what_sorting_gives(
    depth: int, case: tuple[Rows, np.ndarray], grades: list[float]
) -> None:
    rows, score = case
    order = np.argsort(rows.user, kind="stable")
    rows = Rows(rows.user[order], rows.item, np.array(grades[: len(rows)], np.float32))
    by_sorting = ranking(np.lexsort((rows.label, -score, rows.user)), rows.label, rows.user, depth)
    np.testing.assert_allclose(ranking_unsorted(score, rows.label, rows.user, depth), by_sorting, rtol=1e-12)


def test_a_full_ranking_takes_the_short_way_and_gives_the_same() -> None:
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(5), 300)
    label = np.zeros(1500, np.float32)
    label[rng.choice(1500, 12, replace=False)] = 1
    score = rng.integers(0, 40, 1500).astype(np.float32)
    rows, mixed = Rows(user, np.arange(1500), label), rng.permutation(1500)
    for name in ("ndcg@20", "recall@20", "mrr", "map", "hr@5", "precision@5"):
        shuffled = metrics.compute(name, rows.take(mixed), score[mixed])
        assert metrics.compute(name, rows, score) == pytest.approx(shuffled, rel=1e-12)
    score[7] = np.nan  # a NaN is never better than a number, so the row that has it comes last
    label[:] = 0
    label[7] = 1
    assert metrics.compute("hr@20", Rows(user, np.arange(1500), label), score) == 0.0
