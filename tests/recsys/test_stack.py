"""The layers there and back, against autograd, with and without rows that share their user."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lossdsl.recsys import flat
from lossdsl.recsys.models import Inputs, RankNet
from lossdsl.recsys.stack import Batch, Stack

DIM = 3


def stack_of(model: RankNet, dropout: float) -> tuple[Stack, dict[str, np.ndarray]]:
    parts = {name: p.detach().numpy() for name, p in model.named_parameters()}
    shapes = {name: part.shape for name, part in parts.items()}
    weights = flat.joined(list(parts.values()), np.dtype("float64"))
    slopes = flat.named(flat.like(weights), shapes)
    features = [model.inputs.user_features, model.inputs.item_features]
    tables = [None if table is None else table.numpy() for table in features]
    hidden = sum(isinstance(layer, torch.nn.Linear) for layer in model.stack) - 1
    return Stack(flat.named(weights, shapes), slopes, {}, tables, hidden, dropout, False), slopes


def batch_of(sizes: list[int], seed: int, contexts: int) -> Batch:
    random = np.random.default_rng(seed)
    user = np.repeat(random.permutation(9)[: len(sizes)], sizes).astype(np.int32)
    context = random.random((len(user), contexts)).astype(np.float32) if contexts else None
    return Batch(user, random.integers(0, 7, len(user)).astype(np.int32), context, np.r_[0, np.cumsum(sizes)])


@pytest.mark.parametrize("layers", [(8, 5), (2,), ()])
@pytest.mark.parametrize("features", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_slopes_are_those_of_autograd(layers: tuple[int, ...], features: bool, dropout: float) -> None:
    random = np.random.default_rng(1)
    of_user, of_item = (random.random(shape) if features else None for shape in ((9, 2), (7, 4)))
    inputs = Inputs(
        9, 7, DIM, init_std=1.0, seed=0, user_features=of_user, item_features=of_item, contexts=2 * features
    )  # fmt: skip
    model = RankNet(inputs, layers=layers, dropout=dropout, seed=0).double().train()
    stack, slopes = stack_of(model, dropout)
    # up and down in size, so that a batch is worked out in memory that held others
    for number, sizes in enumerate([[3, 4], [1], [2, 9, 5, 1], [3, 4], [6]]):
        grouped = batch_of(sizes, number, 2 if features else 0)
        for batch in (grouped, Batch(grouped.user, grouped.item, grouped.context)):
            model.masks.restart(number)
            stack.masks.restart(number)
            model.zero_grad()
            for slope in slopes.values():
                slope[...] = 0
            context = None if batch.context is None else torch.from_numpy(batch.context)
            want = model(torch.from_numpy(batch.user), torch.from_numpy(batch.item), context)
            room = stack.forward(batch)
            np.testing.assert_allclose(room.scores, want.detach().numpy(), rtol=1e-12, atol=1e-13)
            outer = random.normal(size=len(batch.user))
            want.backward(torch.from_numpy(outer))
            room.scores[:] = outer
            stack.backward(batch, room)
            for name, parameter in model.named_parameters():
                got = parameter.grad.numpy()
                np.testing.assert_allclose(slopes[name], got, rtol=1e-11, atol=1e-12, err_msg=name)


def test_scores_are_without_dropout_and_leave_the_training_alone() -> None:
    model = RankNet(Inputs(9, 7, DIM, init_std=1.0, seed=0), layers=(8, 5), dropout=0.5, seed=0).double().eval()
    stack, _ = stack_of(model, 0.5)
    batch = batch_of([3, 4], 0, 0)
    room = stack.forward(batch)
    before, drawn = room.scores.copy(), stack.masks.drawn
    parts = [Batch(batch.user[a:b], batch.item[a:b], None) for a, b in ((0, 5), (5, 7))]
    want = model(torch.from_numpy(batch.user), torch.from_numpy(batch.item)).detach().numpy()
    np.testing.assert_allclose(np.concatenate(stack.scores(parts)), want, rtol=1e-12)
    np.testing.assert_array_equal(room.scores, before)
    assert stack.masks.drawn == drawn > 0
