"""Folds are cut as the test was, and nothing of the test is left in what a search sees."""

from __future__ import annotations

import numpy as np

from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Columns, Rows, from_columns
from lossdsl.recsys.splits import leave_one_out
from lossdsl.search.folds import blind, protocol_folds, with_negatives


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
