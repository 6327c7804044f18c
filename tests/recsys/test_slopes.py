"""Slopes of rows and of pairs, against the pairs written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.recsys.curves import Curves, evaluate
from lossdsl.recsys.objective import Objective
from lossdsl.recsys.pairs import pairs
from lossdsl.recsys.slopes import PAIRS_AT_ONCE, pair_slopes, row_slopes

LOSSES = ("bce", "hinge", "-logsigmoid(score)")
labels = st.sampled_from([0.0, 1.0, 1.0, 2.0, -1.0, np.nan, np.inf, -np.inf])


def by_hand(curves: Curves, score: np.ndarray, label: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, int]:
    """Each pair on its own, by the list of all pairs."""
    better, worse = pairs(label, bounds)
    slope = evaluate(curves.tape, (score[better] - score[worse]).astype(np.float64), 1.0)
    out = np.zeros(len(score))
    np.add.at(out, better, slope)
    np.add.at(out, worse, -slope)
    return out / max(1, len(better)), len(better)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(labels, min_size=1, max_size=12), min_size=1, max_size=5),
    st.sampled_from(LOSSES), st.sampled_from([("float64", 1e-12), ("float32", 1e-4)]), st.integers(0, 1000),
)  # fmt: skip
def test_each_pair_of_a_group_counts_once(
    groups: list[list[float]], loss: str, kind: tuple[str, float], seed: int
) -> None:
    """A label that is NaN belongs to no pair; infinite ones are better or worse than all."""
    dtype, limit = kind
    label = np.concatenate([np.array(group, dtype) for group in groups])
    bounds = np.r_[0, np.cumsum([len(group) for group in groups])]
    score = np.random.default_rng(seed).normal(size=len(label)).astype(dtype)
    curves = Objective(loss).curves(pairs=True, dtype=dtype)
    want, count = by_hand(curves, score, label, bounds)
    got = score.copy()
    assert pair_slopes(got, label, bounds, curves.table()) == count
    np.testing.assert_allclose(got, want, atol=limit)


@pytest.mark.parametrize("sizes", [(90,), (30, 47, 1, 2, 60), (64, 64)])
def test_more_pairs_than_are_worked_out_at_once(sizes: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    label = random.integers(0, 3, sum(sizes)).astype(np.float64)
    score = random.normal(size=len(label))
    bounds = np.r_[0, np.cumsum(sizes)]
    curves = Objective("bce").curves(pairs=True, dtype="float64")
    want, count = by_hand(curves, score, label, bounds)
    assert count > PAIRS_AT_ONCE
    assert pair_slopes(score, label, bounds, curves.table()) == count
    np.testing.assert_allclose(score, want, atol=1e-13)


def test_rows_get_the_slope_of_their_mean() -> None:
    score, label = np.array([0.0, 3.0, -100.0]), np.array([1.0, 0.0, 1.0])
    row_slopes(score, label, Objective("bce").curves(pairs=False, dtype="float64").table())
    np.testing.assert_allclose(score, np.array([-0.5, 1 / (1 + np.exp(-3.0)), -1.0]) / 3, rtol=1e-12)
