"""Folds are cut as the test was, and nothing of the test is left in what a search sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Columns, DataError, Rows, from_columns
from lossdsl.recsys.splits import leave_one_out, rolled_back
from lossdsl.search.folds import blind, joined, protocol_folds, rolled_views, with_negatives


def rows(seed: int, users: int = 20, count: int = 400) -> Columns:
    rng = np.random.default_rng(seed)
    label = rng.integers(2, size=count).astype(np.float64)
    return Columns(rng.integers(users, size=count), np.arange(count), label, np.arange(count))


def test_the_first_fold_is_what_the_protocol_would_test_on() -> None:
    columns = rows(0)
    train, validation, test = leave_one_out(columns)
    everything = from_columns("all", columns, columns, columns, duplicates="keep")
    rest, folds = protocol_folds(everything.train, 2)
    assert set(folds[0].item.tolist()) == set(test.item.tolist())
    assert set(folds[1].item.tolist()) == set(validation.item.tolist())
    assert set(rest.item.tolist()) == set(train.item.tolist())


def test_users_with_few_rows_stay_in_train() -> None:
    few = Rows([0] * 5 + [1] * 10, list(range(15)), [1] * 15)
    rest, folds = protocol_folds(few, 2, least=5)
    assert set(np.concatenate([fold.user for fold in folds]).tolist()) == {1}
    assert len(rest) + sum(map(len, folds)) == 15


def items(rows: Rows) -> set[int]:
    return set(rows.item.tolist())


@given(st.integers(0, 10**6), st.integers(0, 4))
def test_a_view_is_the_protocol_at_an_earlier_time(seed: int, count: int) -> None:
    # Users with many rows, so that all of them take part in every fold.
    columns = rows(seed, users=12, count=900)
    before = [leave_one_out(rolled_back(columns, k)) for k in range(count + 1)]
    assume(all(len(set(part.label)) == 2 for parts in before for part in parts))
    everything = from_columns("all", *before[0], duplicates="keep")
    views = rolled_views(everything.train, everything.validation, count)
    for j, view in enumerate(views):
        train, validation, test = (set(part.item.tolist()) for part in before[j])
        named = {name: set(everything.item_ids[list(items(part))].tolist()) for name, part in
                 [("train", view.train), *((str(k), part) for k, part in enumerate(view.evaluations))]}  # fmt: skip
        assert named["train"] == train
        assert named["0"] == validation
        # Of the test of that time all is known but of view 0, whose test is the one that no search sees.
        assert len(view.evaluations) == (1 if j == 0 else 2)
        if j:
            assert named["1"] == test


def test_a_set_of_one_label_is_no_measure() -> None:
    train = Rows([0] * 8, list(range(8)), [1, 0, 1, 0, 1, 0, 1, 1])
    views = rolled_views(train, Rows([0, 0], [8, 9], [1, 0]), 1)
    assert [[part.item.tolist() for part in view.evaluations] for view in views] == [[[8, 9]], [[8, 9]]]


def test_the_blind_data_does_not_depend_on_the_test() -> None:
    data = load("demo")
    noise = Rows(data.test.user[::-1], data.test.item[::-1], 1 - data.test.label)
    other = type(data)("demo", data.train, data.validation, noise, data.user_ids, data.item_ids)
    assert blind(data).fingerprint == blind(other).fingerprint
    ids = {(u, i) for u, i in zip(data.test.user.tolist(), data.test.item.tolist())}
    hidden = blind(data)
    seen = {
        (int(data.user_index([hidden.user_ids[u]])[0]), int(data.item_index([hidden.item_ids[i]])[0]))
        for part in (hidden.train, hidden.validation, hidden.test)
        for u, i in zip(part.user[:50].tolist(), part.item[:50].tolist())
    }
    assert not ids & seen


def test_sampled_negatives_are_unseen_and_different() -> None:
    data = load("demo")
    made = with_negatives(data.validation, (data.train,), data.items, 10, 3)
    n = len(data.validation)
    assert len(made) == 11 * n and made.label[n:].max() == 0
    known = {(u, i) for part in (data.train, data.validation) for u, i in zip(part.user.tolist(), part.item.tolist())}
    sampled = list(zip(made.user[n:].tolist(), made.item[n:].tolist()))
    assert not known & set(sampled) and len(set(sampled)) == len(sampled)
    again = with_negatives(data.validation, (data.train,), data.items, 10, 3)
    assert np.array_equal(made.item, again.item)


def test_features_of_rows_go_along_and_sampled_negatives_have_none() -> None:
    context = np.arange(16, dtype=np.float32).reshape(8, 2)
    given_rows = Rows([0] * 4 + [1] * 4, [*range(8)], [0, 1] * 4, context)
    parts = (given_rows.take(np.arange(3)), given_rows.take(np.arange(3, 8)))
    np.testing.assert_array_equal(joined(parts).context, context)
    with pytest.raises(DataError, match="leave out --features"):
        with_negatives(given_rows, (), 20, 2, 0)
