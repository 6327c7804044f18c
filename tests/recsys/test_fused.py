"""The fused engine trains as the torch engine does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.errors import LossError
from lossdsl.recsys.dataset import Dataset, Rows
from lossdsl.recsys.fused import NAMES
from lossdsl.recsys.kernels import shuffle
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.trainer import Diverged, Trainer
from tests.recsys.conftest import made

# Valid, with a bounded slope in score; kinks, a dead zone, an asymmetry, a pole under a smoothing.
BOUNDED = [
    "bce",
    "mse",
    "hinge",
    "focal",
    "focal where gamma = 1/2",
    "huber",
    "-(label*logsigmoid(score-1) + 3*(1-label)*log(1-pred))",
    "max((label+0.1)/(pred+0.1), (pred+0.1)/(label+0.1))",
    "abs(pred-label)",
    "max(1-(2*label-1)*score, 0)*0.5 + (pred-label)^2",
]


def both(loss: str, chosen: Settings, seed: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """All parameters after two epochs on either engine."""
    data = made(seed=seed % 3)
    out = []
    for engine in ("fused", "torch"):
        trainer = Trainer(loss, data, chosen, seed=seed, engine=engine)
        assert trainer.engine.name == engine
        trainer.epoch()
        trainer.epoch()
        out.append(trainer.state().arrays)
    return out[0], out[1]


def apart(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    """The largest difference of a parameter, in units of the largest parameter."""
    largest = max(float(np.abs(theirs[name]).max()) for name in NAMES)
    return max(float(np.abs(ours[name] - theirs[name]).max()) for name in NAMES) / largest


chosen_settings = st.builds(
    Settings,
    dim=st.sampled_from([1, 2, 3, 8, 19]),
    optimizer=st.sampled_from(["gd", "adam", "adagrad"]),
    lr=st.sampled_from([0.001, 0.01, 0.1]),
    l2=st.sampled_from([0.0, 1e-4, 0.1]),
    l2_in_loss=st.sampled_from([0.0, 2e-2]),
    clip=st.sampled_from([0.0, 0.0, 0.03, 5.0]),
    batch_size=st.sampled_from([1, 7, 32, 100]),
    init_std=st.sampled_from([0.01, 1.0]),
    init_bias_std=st.sampled_from([0.0, 1.0]),
)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(BOUNDED), chosen_settings, st.integers(0, 1000))
def test_float64_agrees_with_torch_to_nine_digits(loss: str, chosen: Settings, seed: int) -> None:
    ours, theirs = both(loss, replace(chosen, dtype="float64"), seed)
    # Adam and Adagrad divide a gradient by its own size: of one that is left over where rows cancel, two digits go.
    assert apart(ours, theirs) < (1e-9 if chosen.optimizer == "gd" else 1e-7)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(BOUNDED), chosen_settings, st.integers(0, 1000))
def test_float32_agrees_with_torch_to_three_digits(loss: str, chosen: Settings, seed: int) -> None:
    ours, theirs = both(loss, chosen, seed)
    assert apart(ours, theirs) < 1e-3


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([*BOUNDED, "-logsigmoid(score)", "max(1-score, 0)"]), chosen_settings, st.integers(0, 1000))
def test_pairs_agree_with_torch(loss: str, chosen: Settings, seed: int) -> None:
    ours, theirs = both(loss, replace(chosen, pairs=True, dtype="float64"), seed)
    for name in ("user_bias", "global_bias"):  # pairs say nothing of them; autograd leaves the crumbs of cancellation
        ours[name] = theirs[name]
    assert apart(ours, theirs) < 1e-9


@pytest.mark.parametrize("model", ["deepmodel", "ranknet"])
@pytest.mark.parametrize("dtype, limit", [("float64", 1e-9), ("float32", 1e-3)])
def test_the_other_models_train_alike(model: str, dtype: str, limit: float) -> None:
    plain = Settings(model=model, dim=3, layers=(6, 4), dtype=dtype, lr=0.01, batch_size=16, optimizer="gd", l2=0.01)
    for loss, chosen in (
        ("bce", plain),
        ("hinge", replace(plain, dropout=0.0)),
        ("mse", replace(plain, pairs=model == "deepmodel")),
        ("focal", replace(plain, clip=0.01, l2_in_loss=0.02)),
        ("bce", replace(plain, l2_in_loss=0.02)),
    ):
        assert distance(loss, chosen, made()) < limit


def distance(loss: str, chosen: Settings, data: Dataset) -> float:
    """After two epochs, between the engines, in units of the largest parameter."""
    one, two = (Trainer(loss, data, chosen, engine=engine) for engine in ("auto", "torch"))
    assert (one.engine.name, two.engine.name) == ("fused", "torch")
    for _ in range(2):
        one.epoch()
        two.epoch()
    np.testing.assert_allclose(one.scores("test"), two.scores("test"), rtol=1e-2, atol=1e-3)
    ours, theirs = one.state().arrays, two.state().arrays
    assert ours.keys() == theirs.keys()
    largest = max(np.abs(value).max() for name, value in theirs.items() if name != "step")
    return float(max(np.abs(ours[name] - theirs[name]).max() for name in theirs) / largest)


@pytest.mark.parametrize("optimizer", ["adam", "adagrad"])
def test_ranknet_with_moments_trains_alike(optimizer: str) -> None:
    for layers in ((6, 4), ()):
        chosen = Settings("ranknet", dim=3, layers=layers, dtype="float64", lr=0.01, batch_size=16, optimizer=optimizer)
        assert distance("bce", chosen, made()) < 1e-7  # a step of Adam is a sign where a slope is only a crumb


@pytest.mark.parametrize("optimizer", ["adam", "adagrad"])
def test_deepmodel_with_moments_trains_alike(optimizer: str) -> None:
    """But for biases before a batch norm: they move nothing, and autograd finds crumbs where their slope is nought."""
    chosen = Settings("deepmodel", dim=3, layers=(6, 4), dtype="float64", lr=0.01, batch_size=16, optimizer=optimizer)
    one, two = (Trainer("bce", made(), chosen, engine=engine) for engine in ("fused", "torch"))
    for _ in range(2):
        one.epoch()
        two.epoch()
    np.testing.assert_allclose(one.scores("test"), two.scores("test"), rtol=1e-6, atol=1e-7)
    ours, theirs = one.state().arrays, two.state().arrays
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        if "bias" not in name and "running_mean" not in name:
            np.testing.assert_allclose(array, theirs[name], rtol=1e-5, atol=1e-7, err_msg=name)


def test_a_state_of_deepmodel_goes_on_in_the_other_engine() -> None:
    chosen = Settings("deepmodel", dim=3, layers=(6, 4), dtype="float64", lr=0.01, batch_size=16, optimizer="gd")
    for first, then in (("fused", "torch"), ("torch", "fused")):
        start, same, other = (Trainer("bce", made(), chosen, engine=engine) for engine in (first, first, then))
        start.epoch()
        for trainer in (same, other):
            trainer.load(start.state())
            trainer.epoch()
        np.testing.assert_allclose(same.scores("test"), other.scores("test"), rtol=1e-9, atol=1e-12)
        assert other.state().arrays["stack.1.num_batches_tracked"] == 2 * -(-70 // 16)


def test_deepmodel_leaves_out_a_last_batch_of_one_row() -> None:
    chosen = Settings("deepmodel", dim=2, layers=(4,), dtype="float64", lr=0.1, batch_size=23, optimizer="gd")
    one, two = (Trainer("bce", made(), chosen, engine=engine) for engine in ("fused", "torch"))  # 70 = 3 * 23 + 1
    one.epoch()
    two.epoch()
    assert one.state().arrays["stack.1.num_batches_tracked"] == two.state().arrays["stack.1.num_batches_tracked"] == 3
    np.testing.assert_allclose(one.scores("test"), two.scores("test"), rtol=1e-9, atol=1e-12)


def test_ranknet_trains_on_a_last_batch_of_one_row() -> None:
    chosen = Settings(
        "ranknet", dim=2, layers=(4,), dtype="float64", lr=0.1, batch_size=23, optimizer="gd", pairs=False
    )  # 70 = 3 * 23 + 1
    assert distance("bce", chosen, made()) < 1e-9


@pytest.mark.parametrize("model", ["deepmodel", "ranknet"])
def test_a_batch_without_a_pair_leaves_no_trace(model: str) -> None:
    """Groups of two rows, of which many have one label only: masks and running means must not move for them."""
    chosen = Settings(
        model, dim=3, layers=(6,), dropout=0.5, pairs=True, dtype="float64", lr=0.1, batch_size=2, optimizer="gd"
    )
    assert distance("bce", chosen, made()) < 1e-9


def test_ranknet_takes_features_alike() -> None:
    data = made()
    random = np.random.default_rng(0)
    rows = [
        replace(data.split(s), context=random.random((len(data.split(s)), 2))) for s in ("train", "validation", "test")
    ]
    full = replace(
        data, train=rows[0], validation=rows[1], test=rows[2],
        user_features=random.random((12, 2)).astype(np.float32), item_features=random.random((9, 3)).astype(np.float32),
    )  # fmt: skip
    chosen = Settings("ranknet", dim=3, layers=(6,), dtype="float64", lr=0.1, batch_size=16, optimizer="gd")
    assert distance("bce", chosen, full) < 1e-9
    assert distance("bce", chosen, replace(full, documents=True)) < 1e-9


@pytest.mark.parametrize("optimizer", ["gd", "adam", "adagrad"])
def test_one_step_is_what_the_formula_of_the_optimizer_says(optimizer: str) -> None:
    """Neither engine is asked: the step of one row, by hand."""
    data = made()
    chosen = Settings(dim=2, optimizer=optimizer, lr=0.1, l2=0.01, batch_size=1, dtype="float64", init_std=1.0)
    trainer = Trainer("bce", data, chosen, seed=3)
    before = trainer.state().arrays
    row = data.train.take(np.array([4]))
    u, i, y = int(row.user[0]), int(row.item[0]), float(row.label[0])
    trainer.epoch(row)
    after = trainer.state().arrays
    score = before["user_vectors"][u] @ before["item_vectors"][i] + 0.1
    slope = 1 / (1 + np.exp(-score)) - y
    gradient = slope * before["item_vectors"][i] + 0.01 * before["user_vectors"][u]
    step = {
        "gd": 0.1 * gradient,
        "adam": 0.1 * gradient / (np.abs(gradient) + 1e-8),  # at the first step both corrections cancel
        "adagrad": 0.1 * gradient / (np.abs(gradient) + 1e-10),
    }[optimizer]
    np.testing.assert_allclose(after["user_vectors"][u], before["user_vectors"][u] - step, rtol=1e-7)
    global_slope = slope + 0.01 * 0.1
    size = {"gd": 0.1 * global_slope}.get(optimizer, 0.1 * np.sign(global_slope))
    np.testing.assert_allclose(after["global_bias"][0], 0.1 - size, rtol=1e-6)


def test_moments_are_shared_between_the_engines(small) -> None:
    """A state made by one engine goes on in the other as if nothing had happened."""
    for optimizer in ("gd", "adam", "adagrad"):
        chosen = Settings(dim=3, optimizer=optimizer, dtype="float64", lr=0.05, batch_size=16)
        one = Trainer("bce", small, chosen, engine="fused")
        two = Trainer("bce", small, chosen, engine="torch")
        one.epoch()
        two.load(one.state())
        one.epoch()
        two.epoch()
        assert apart(one.state().arrays, two.state().arrays) < 1e-9
        one.load(two.state())
        one.epoch()
        two.epoch()
        assert apart(one.state().arrays, two.state().arrays) < 1e-9


def test_shrinking_scale_is_folded_back(small) -> None:
    """With an L2 that shrinks the parameters a thousandfold within an epoch the lazy scale has to be renewed."""
    chosen = Settings(dim=3, optimizer="gd", dtype="float64", lr=0.1, l2=2.0, batch_size=1, init_std=1.0)
    one, two = (Trainer("bce", small, chosen, engine=engine) for engine in ("fused", "torch"))
    one.epoch()
    two.epoch()
    assert apart(one.state().arrays, two.state().arrays) < 1e-9


def test_a_step_that_is_too_large_is_noticed(small) -> None:
    for engine in ("fused", "torch"):
        trainer = Trainer("exponential", small, Settings(optimizer="gd", lr=1e5), engine=engine)
        with pytest.raises(Diverged, match="smaller learning rate"):
            for _ in range(10):
                trainer.epoch()


def test_a_nan_reaches_the_weights_and_is_noticed(small) -> None:
    trainer = Trainer("score*log(score - 1000)", small, Settings())
    with pytest.raises(Diverged, match="NaN"):
        trainer.epoch()


def test_a_callable_needs_torch(small) -> None:
    def plain(score: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return ((score - label) ** 2).mean()

    assert Trainer(plain, small, Settings()).engine.name == "torch"
    with pytest.raises(LossError, match="callable"):
        Trainer(plain, small, Settings(), engine="fused")


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(0, 2**64 - 1))
def test_shuffle_keeps_every_row(n: int, seed: int) -> None:
    order = np.arange(n, dtype=np.int32)
    shuffle(order, np.uint64(seed))
    assert sorted(order.tolist()) == list(range(n))


def test_shuffle_reaches_every_order_about_equally() -> None:
    counts: dict[tuple[int, ...], int] = {}
    for seed in range(6000):
        order = np.arange(3, dtype=np.int32)
        shuffle(order, np.uint64(seed * 7919))
        counts[tuple(order.tolist())] = counts.get(tuple(order.tolist()), 0) + 1
    assert len(counts) == 6
    assert max(counts.values()) < 1150 and min(counts.values()) > 850  # five standard deviations


def test_rows_given_by_hand_are_trained_on(small) -> None:
    chosen = Settings(dim=2)
    one, two = (Trainer("bce", small, chosen) for _ in range(2))
    one.epoch()
    two.epoch(Rows(small.train.user, small.train.item, small.train.label))
    assert one.state().digest == two.state().digest
    two.epoch(small.train.take(np.arange(10)))
    one.epoch()
    assert one.state().digest != two.state().digest
