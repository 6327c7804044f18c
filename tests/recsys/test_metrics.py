"""Each metric against a twin that is slow and plain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from lossdsl.recsys import metrics
from lossdsl.recsys.dataset import DataError, Rows


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
