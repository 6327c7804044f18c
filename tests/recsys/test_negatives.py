"""Negatives are never known positives, and the draws follow their law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.recsys.dataset import DataError, Rows
from lossdsl.recsys.negatives import SAMPLERS, Known, evaluation_rows, full_ranking, with_negatives
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.trainer import Trainer
from tests.recsys.conftest import made


def pairs(rows: Rows) -> set[tuple[int, int]]:
    return set(zip(rows.user.tolist(), rows.item.tolist()))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 12), st.sampled_from(SAMPLERS), st.integers(1, 5))
def test_never_a_known_positive(seed: int, items: int, sampler: str, count: int) -> None:
    random = np.random.default_rng(seed)
    rows = Rows(random.integers(0, 6, 40), random.integers(0, items, 40), random.integers(0, 2, 40))
    known = Known(6, items, rows)
    liked = pairs(rows.take(rows.label > 0))
    got = with_negatives(rows, known, count, seed, sampler)
    drawn = got.take(np.arange(len(rows), len(got)))
    assert not pairs(drawn) & liked
    assert (drawn.label == 0).all() and ((drawn.item >= 0) & (drawn.item < items)).all()
    full = [u for u in range(6) if len({i for v, i in liked if v == u}) == items]
    assert len(drawn) == count * int((~np.isin(rows.user, full)).sum())


def test_nearly_everything_known_is_still_drawn() -> None:
    """The one item that is left is found, however rare it is drawn."""
    rows = Rows(np.zeros(4999), np.r_[0:2500, 2501:5000], np.ones(4999))
    got = with_negatives(rows.take(np.arange(3)), Known(1, 5000, rows), 1, seed=0)
    assert got.item[3:].tolist() == [2500] * 3


def test_laws_of_the_samplers() -> None:
    taken = Rows(np.arange(60) % 6 + 1, np.repeat([0, 1, 2], [40, 15, 5]), np.ones(60))
    known = Known(8, 4, taken)
    for sampler, share in (("uniform", [1 / 4] * 4), ("popularity", [41 / 64, 16 / 64, 6 / 64, 1 / 64])):
        items = known.draw(np.full(4000, 7), 5, 1, sampler)[1]
        got = np.bincount(items, minlength=4) / len(items)
        np.testing.assert_allclose(got, share, atol=5 * np.sqrt(0.25 / len(items)))


def test_draws_depend_on_the_seed() -> None:
    rows = made().train
    one, two, three = (with_negatives(rows, Known(12, 9, rows), 3, seed).item.tolist() for seed in (1, 1, 2))
    assert one == two != three


def test_full_ranking_is_every_item_but_the_seen() -> None:
    seen = Rows([0, 0, 1, 2], [0, 1, 2, 0], [1, 0, 1, 1])
    positives = Rows([0, 1, 1], [3, 0, 3], [1, 1, 1])
    rows = full_ranking(positives, Known(3, 4, seen), 3)
    assert pairs(rows) == {(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 3)}
    assert pairs(rows.take(rows.label > 0)) == {(0, 3), (1, 0), (1, 3)}


def test_a_ranking_that_cannot_be_held_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from lossdsl.recsys import negatives

    monkeypatch.setattr(negatives, "LARGEST", 7)
    with pytest.raises(DataError, match="4 items for each of 2 users is too much.*--test-neg"):
        full_ranking(Rows([0, 1, 1], [3, 0, 3], [1, 1, 1]), Known(3, 4, Rows([2], [0], [1])), 3)


def test_test_ranking_leaves_out_what_validation_liked() -> None:
    data = made(users=20, items=15, rows=120)
    rows = evaluation_rows(data, "test", task="implicit", count=0)
    liked = pairs(data.train.take(data.train.label > 0)) | pairs(data.validation.take(data.validation.label > 0))
    assert not pairs(rows) & liked
    assert pairs(rows.take(rows.label > 0)) == pairs(data.test.take(data.test.label > 0)) - liked


def test_explicit_with_negatives_keeps_the_rows_first() -> None:
    data = made()
    rows = evaluation_rows(data, "validation", task="explicit", count=2)
    n = len(data.validation)
    assert rows.item[:n].tolist() == data.validation.item.tolist() and (rows.label[n:] == 0).all()


@pytest.mark.parametrize("model", ["biasedmf", "ranknet"])
def test_the_implicit_task_learns_taste(model: str) -> None:
    """Two kinds of users and items; what is left to rank are the items of one's own kind."""
    random = np.random.default_rng(0)
    user, item = np.divmod(random.permutation(40 * 30), 30)
    mine = user % 2 == item % 2
    user, item = user[mine], item[mine]
    from lossdsl.recsys.dataset import Columns, from_columns

    both = lambda part: Columns(  # noqa: E731
        np.r_[user[part], 0, 1], np.r_[item[part], 1, 0], np.r_[np.ones(len(user[part])), 0, 0]
    )
    cut = np.split(np.arange(len(user)), [400, 500])
    data = from_columns("taste", *(both(part) for part in cut), duplicates="keep")
    chosen = Settings(model=model, task="implicit", dim=4, lr=0.03, l2=1e-3, init_std=0.1, layers=(16,), dropout=0.0,
                      train_neg=2, batch_size=64)  # fmt: skip
    trainer = Trainer("bce", data, chosen)
    assert trainer.settings.metric == "ndcg@20"
    before = trainer.evaluate("test")
    for _ in range(25):
        trainer.epoch()
    assert trainer.evaluate("test") > max(before + 0.2, 0.75)


def test_an_unknown_sampler() -> None:
    with pytest.raises(DataError, match="`uniform` or by `popularity`"):
        Known(2, 3, Rows([0], [0], [1])).draw(np.zeros(1, int), 1, 0, "zipf")


def test_what_is_sampled_has_no_features_of_a_row() -> None:
    rows = Rows([0, 1], [0, 1], [1, 1], np.ones((2, 3)))
    known = Known(2, 5, rows)
    for made_of in (lambda: with_negatives(rows, known, 2, 0), lambda: full_ranking(rows, known, 2)):
        with pytest.raises(DataError, match="sampled negatives have no features of a row"):
            made_of()
    assert with_negatives(rows, known, 0, 0) is rows
