"""Pairs of one user: all, once, never a tie; and what training on them means."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.recsys.dataset import DataError, Rows
from lossdsl.recsys.objective import Objective
from lossdsl.recsys.pairs import groups, pairs, plan
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.trainer import Trainer
from tests.recsys.conftest import made


@st.composite
def grouped(draw) -> Rows:
    n = draw(st.integers(4, 60))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    label = random.integers(0, draw(st.sampled_from([2, 3])), n)
    label[:2] = (0, 1)
    user = random.integers(0, 5, n)
    user[:2] = 0
    return Rows(user, np.arange(n), label)


@settings(max_examples=60, deadline=None)
@given(grouped(), st.integers(1, 70), st.integers(0, 2**63))
def test_an_epoch_has_every_row_of_a_user_with_pairs_once(rows: Rows, batch: int, seed: int) -> None:
    drawn = plan(groups(rows), batch, seed)
    useful = [u for u in range(5) if len(np.unique(rows.label[rows.user == u])) > 1]
    assert sorted(drawn.order.tolist()) == np.flatnonzero(np.isin(rows.user, useful)).tolist()
    seen = []
    for numbers, bounds in drawn.batches():
        assert 0 < len(numbers) <= batch
        for begin, end in zip(bounds[:-1], bounds[1:]):
            assert len(np.unique(rows.user[numbers[begin:end]])) == 1
        seen.extend(numbers.tolist())
    assert seen == drawn.order.tolist()


@settings(max_examples=60, deadline=None)
@given(grouped(), st.integers(0, 2**63))
def test_a_batch_that_holds_all_has_all_pairs(rows: Rows, seed: int) -> None:
    found = []
    for numbers, bounds in plan(groups(rows), 1000, seed).batches():
        for a, b in zip(*pairs(rows.label[numbers], bounds)):
            found.append((int(numbers[a]), int(numbers[b])))
    naive = [
        (a, b)
        for a in range(len(rows))
        for b in range(len(rows))
        if rows.user[a] == rows.user[b] and rows.label[a] > rows.label[b]
    ]
    assert sorted(found) == naive


def test_a_group_that_fits_a_batch_is_never_cut() -> None:
    rows = Rows(np.repeat(np.arange(40), 7), np.arange(280), np.tile([0, 1, 0, 1, 1, 0, 0], 40))
    for seed in range(5):
        for numbers, bounds in plan(groups(rows), 20, seed).batches():
            assert (np.diff(bounds) == 7).all() and len(numbers) <= 20


def test_rows_without_a_pair() -> None:
    with pytest.raises(DataError, match="no pair to train on"):
        groups(Rows([0, 0, 1], [0, 1, 0], [1, 1, 0]))


@pytest.mark.parametrize("loss", ["bce", "hinge", "focal", "-logsigmoid(score)", "exp(-score)"])
def test_the_loss_of_a_pair_is_the_mean_of_both_readings(loss: str) -> None:
    difference = torch.tensor([-1.5, 0.0, 0.3, 2.0], dtype=torch.float64, requires_grad=True)
    objective = Objective(loss)
    from lossdsl.lowering import lower
    from lossdsl.targets.numpy import evaluate

    program = lower(objective.formula, axis="score")
    value = lambda s, y: evaluate(program, s, np.full_like(s, y))[0]  # noqa: E731
    d = difference.detach().numpy()
    want = value(d, 1.0) if not objective.uses_label else (value(d, 1.0) + value(-d, 0.0)) / 2
    np.testing.assert_allclose(objective.pair(difference).item(), want.mean(), rtol=1e-12)


def test_a_callable_is_taken_at_both_labels_or_at_one() -> None:
    def plain(score: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return (torch.exp(-score) * label + (1 - label) * torch.exp(2 * score)).mean()

    difference = torch.tensor([0.5, -1.0])
    ahead, behind = torch.exp(-difference).mean(), torch.exp(-2 * difference).mean()
    torch.testing.assert_close(Objective(plain).pair(difference), (ahead + behind) / 2)
    torch.testing.assert_close(Objective(plain, uses_label=False).pair(difference), ahead)


def test_permuted_labels_change_the_trained_model() -> None:
    data = made(users=6, items=20, rows=80)
    flipped = Rows(data.train.user, data.train.item, 1 - data.train.label)
    for model in ("ranknet", "biasedmf"):
        chosen = Settings(model=model, dim=4, layers=(8,), dropout=0.0, pairs=True, lr=0.05, init_std=0.1)
        one, two = (Trainer("bce", data, chosen) for _ in range(2))
        for _ in range(15):
            one.epoch()
            two.epoch(flipped)
        assert one.evaluate("train") > 0.75
        assert two.evaluate("train") < 0.25


def test_one_step_equals_all_pairs_by_hand() -> None:
    """Each item scored once and the pair slopes summed is the gradient of the mean over pairs written out."""
    rows = Rows([0, 0, 0, 1, 1], [0, 1, 2, 0, 2], [1, 0, 0, 0, 1])
    data = made(users=6, items=20, rows=80)
    chosen = Settings(
        model="biasedmf", dim=3, pairs=True, optimizer="gd", lr=0.1, l2=0.0, init_std=1.0, dtype="float64", batch_size=9
    )
    trainer = Trainer("bce", data, chosen, engine="torch")
    before = {name: torch.tensor(value) for name, value in trainer.state().arrays.items()}
    leaf = {name: value.clone().requires_grad_() for name, value in before.items()}
    score = [
        leaf["user_vectors"][u] @ leaf["item_vectors"][i] + leaf["item_bias"][i] for u, i in zip(rows.user, rows.item)
    ]
    all_pairs = [(0, 1), (0, 2), (4, 3)]
    torch.stack([torch.nn.functional.softplus(score[b] - score[a]) for a, b in all_pairs]).mean().backward()
    trainer.epoch(rows)
    after = trainer.state().arrays
    for name in ("user_vectors", "item_vectors", "item_bias"):
        np.testing.assert_allclose(after[name], (before[name] - 0.1 * leaf[name].grad).numpy(), rtol=1e-12, atol=1e-15)
