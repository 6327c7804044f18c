"""Splits keep every row once, and time where they promise it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.recsys.dataset import Columns, DataError
from lossdsl.recsys.splits import SPLITTERS, at_random, leave_one_out, per_user, rolled_back, temporal


@st.composite
def interactions(draw) -> Columns:
    n = draw(st.integers(20, 80))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    return Columns(random.integers(0, 5, n), np.arange(n), random.integers(0, 2, n), random.permutation(n))


@settings(max_examples=60, deadline=None)
@given(interactions(), st.sampled_from(sorted(SPLITTERS)))
def test_every_row_is_in_one_part(rows: Columns, name: str) -> None:
    parts = SPLITTERS[name](rows)
    assert sorted(np.concatenate([part.item for part in parts]).tolist()) == rows.item.tolist()


@settings(max_examples=60, deadline=None)
@given(interactions())
def test_leave_one_out_by_the_rule_in_words(rows: Columns) -> None:
    train, validation, test = leave_one_out(rows)
    for user in range(5):
        mine = rows.take(rows.user == user)
        mine = mine.take(np.argsort(mine.time))
        liked = [k for k, y in enumerate(mine.label) if y]
        cut = [len(mine), len(mine)]
        if len(mine) >= 5 and liked:
            cut[1] = liked[-1]
            cut[0] = liked[-2] if len(liked) > 1 else liked[-1]
        expected = np.split(mine.item, cut)
        for part, items in zip((train, validation, test), expected):
            assert part.item[part.user == user].tolist() == items.tolist()


@settings(max_examples=60, deadline=None)
@given(interactions())
def test_temporal_parts_follow_one_another(rows: Columns) -> None:
    train, validation, test = temporal(rows, validation=0.2, test=0.1)
    assert train.time.max() < validation.time.min() and validation.time.max() < test.time.min()
    assert len(test) == round(len(rows) * 0.1) and len(validation) == round(len(rows) * 0.2)


@settings(max_examples=60, deadline=None)
@given(interactions())
def test_per_user_takes_the_latest_share_of_each(rows: Columns) -> None:
    train, validation, test = per_user(rows, validation=0.25, test=0.2)
    for user in range(5):
        count = (rows.user == user).sum()
        sizes = [int((part.user == user).sum()) for part in (train, validation, test)]
        assert sizes == [count - int(count * 0.25) - int(count * 0.2), int(count * 0.25), int(count * 0.2)]
        times = [part.time[part.user == user] for part in (train, validation, test)]
        together = np.concatenate([t for t in times])
        assert (np.diff(np.concatenate([np.sort(t) for t in times])) > 0).all() and len(together) == count


def test_random_depends_on_the_seed_alone() -> None:
    rows = Columns(np.zeros(50, int), np.arange(50), np.ones(50))
    one, two, three = (at_random(rows, seed=seed)[2].item.tolist() for seed in (1, 1, 2))
    assert one == two != three


def test_shares_that_leave_nothing() -> None:
    rows = Columns(np.zeros(9, int), np.arange(9), np.ones(9), np.arange(9))
    with pytest.raises(DataError, match="leave nothing to train on"):
        temporal(rows, validation=0.5, test=0.5)
    with pytest.raises(DataError, match="timestamp"):
        temporal(Columns(rows.user, rows.item, rows.label))


@settings(max_examples=60, deadline=None)
@given(interactions(), st.integers(0, 3))
def test_rolled_back_by_the_rule_in_words(rows: Columns, count: int) -> None:
    kept = rolled_back(rows, count)
    for user in range(5):
        mine = rows.take(rows.user == user)
        mine = mine.take(np.argsort(mine.time))
        liked = [k for k, y in enumerate(mine.label) if y]
        end = len(mine) if count == 0 else liked[-count] if len(liked) >= count else 0
        assert kept.item[kept.user == user].tolist() == mine.item[:end].tolist()


@settings(max_examples=30, deadline=None)
@given(interactions())
def test_the_validation_of_a_split_is_the_test_of_the_next(rows: Columns) -> None:
    now, before = leave_one_out(rows, least=0), leave_one_out(rolled_back(rows, 1), least=0)
    several = [u for u in range(5) if rows.label[rows.user == u].sum() > 1]
    for user in several:
        assert now[1].item[now[1].user == user].tolist() == before[2].item[before[2].user == user].tolist()
