"""What every model promises, checked by one mix-in; and a board whose exact answer is known."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from lossdsl.recsys.dataset import Columns, Dataset, from_columns
from lossdsl.recsys.models import BiasedMF, DeepModel, Inputs, Masks, RankNet, build
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.trainer import Trainer
from tests.recsys.conftest import made


class Contract:
    """Derive from it and name a model; every test below then has to pass."""

    settings: Settings

    def model(self, seed: int = 0) -> torch.nn.Module:
        return build(self.settings, made(), seed).eval()

    def test_one_score_for_each_row(self) -> None:
        score = self.model()(torch.tensor([0, 1, 5]), torch.tensor([3, 3, 8]))
        assert score.shape == (3,) and score.dtype == torch.float32 and torch.isfinite(score).all()

    def test_rows_do_not_see_one_another(self) -> None:
        model = self.model()
        user, item = torch.arange(9), torch.arange(9)
        alone = torch.cat([model(user[k : k + 1], item[k : k + 1]) for k in range(9)])
        torch.testing.assert_close(model(user, item), alone)

    def test_the_seed_decides_the_start(self) -> None:
        torch.manual_seed(123)
        one = self.model(3).state_dict()
        torch.manual_seed(456)
        two, three = self.model(3).state_dict(), self.model(4).state_dict()
        assert all(torch.equal(one[name], two[name]) for name in one)
        assert any(not torch.equal(one[name], three[name]) for name in one)

    def test_every_parameter_gets_a_gradient(self) -> None:
        model = self.model().train()
        model(torch.arange(9), torch.arange(9)).square().sum().backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())

    def test_a_copy_is_a_copy(self) -> None:
        model = self.model()
        twin = copy.deepcopy(model)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1.0)
        user, item = torch.arange(5), torch.arange(5)
        assert not torch.allclose(model(user, item), twin(user, item))

    def test_state_goes_out_and_in(self) -> None:
        one, two = self.model(0), self.model(1)
        two.load_state_dict(one.state_dict())
        user, item = torch.arange(5), torch.arange(5)
        assert torch.equal(one(user, item), two(user, item))

    def test_it_knows_no_loss(self) -> None:
        import inspect

        import lossdsl.recsys.models as models

        source = inspect.getsource(models).lower()
        assert not [name for name in ("bce", "hinge", "focal", "maxr", "logmin", "bpr") if name in source]

    def test_an_epoch_can_be_had_again_from_its_state(self) -> None:
        trainer = Trainer("bce", made(), self.settings, seed=2)
        trainer.epoch()
        state = trainer.state()
        digests = []
        for _ in range(2):
            trainer.load(state)
            trainer.epoch()
            digests.append(trainer.state().digest)
        assert digests[0] == digests[1] != state.digest

    def test_training_lowers_the_loss_on_train(self) -> None:
        data = made()
        trainer = Trainer("bce", data, self.settings, seed=0)
        before = trainer.evaluate("train")
        for _ in range(25):
            trainer.epoch()
        assert trainer.evaluate("train") > max(before, 0.6)


class TestBiasedMF(Contract):
    settings = Settings(dim=4, lr=0.03, init_std=0.1)


class TestBiasedMFOnTorch(Contract):
    settings = Settings(dim=4, lr=0.03, init_std=0.1, pairs=True)


class TestDeepModel(Contract):
    settings = Settings(model="deepmodel", dim=4, layers=(8, 4), lr=0.02, batch_size=32)


class TestRankNet(Contract):
    settings = Settings(model="ranknet", dim=4, layers=(16, 8), lr=0.02, init_std=0.3)


def test_bad_settings_are_one_sentence() -> None:
    from lossdsl.recsys.settings import SettingsError

    for change, text in (
        ({"model": "svd"}, "no model is called `svd`"),
        ({"optimizer": "sgd"}, "no optimizer is called `sgd`; there are gd, adagrad, adam"),
        ({"dim": 0}, "dim has to be 1 or more"),
        ({"lr": 0.0}, "lr has to be above 0"),
        ({"lr": float("nan")}, "lr has to be above 0"),
        ({"l2": -1.0}, "l2 has to be 0 or more"),
        ({"dropout": 1.0}, "dropout has to be in"),
        ({"layers": (8, 0)}, "layers have to be 1 or wider"),
        ({"dtype": "float16"}, "float32 or float64"),
    ):
        with pytest.raises(SettingsError, match=text):
            Settings(**change).resolve()


def test_masks_keep_their_share_and_the_mean() -> None:
    masks = Masks(7)
    for keep in (0.5, 0.8, 0.95):
        mask = masks.draw(torch.empty(300, 401), keep)
        assert float((mask > 0).double().mean()) == pytest.approx(
            keep, abs=5 * (keep * (1 - keep) / mask.numel()) ** 0.5
        )
        assert float(mask.max()) == pytest.approx(1 / keep, rel=1e-4)
    one, two = masks.draw(torch.empty(1000), 0.5), masks.draw(torch.empty(1000), 0.5)
    assert 400 < int((one == two).sum()) < 600
    masks.restart(7)
    first = masks.draw(torch.empty(1000), 0.5)
    masks.restart(7)
    assert torch.equal(first, masks.draw(torch.empty(1000), 0.5))


def checkerboard(size: int = 8) -> Dataset:
    """Users of one colour like items of one colour; a quarter of the board is held out for each of the two tests."""
    user, item = np.divmod(np.arange(size * size), size)
    label = ((user + item) % 2 == 0).astype(float)
    part = (user // 2 + item // 2 * 3) % 4
    cut = [Columns(user[m], item[m], label[m]) for m in (part >= 2, part == 1, part == 0)]
    return from_columns("board", *cut)


@pytest.mark.parametrize("model", ["biasedmf", "deepmodel"])
def test_the_checkerboard_is_solved_exactly(model: str) -> None:
    """Only the product of two vectors explains it, no popularity and no bias; its answer is known: 1."""
    layers = (16,) if model == "deepmodel" else None
    chosen = Settings(model, dim=4, lr=0.02, l2=1e-3, init_std=0.3, batch_size=8, layers=layers, dropout=0.0)
    trainer = Trainer("bce", checkerboard(16), chosen, seed=1)
    for _ in range(80):
        trainer.epoch()
    assert trainer.evaluate("test") == 1.0


def test_models_can_be_built_by_hand() -> None:
    inputs = Inputs(
        3, 4, 2, init_std=0.1, seed=0, user_features=np.ones((3, 5)), item_features=np.zeros((4, 1)), contexts=2
    )
    assert inputs.width == 2 * 2 + 5 + 1 + 2
    context = torch.zeros(2, 2)
    for kind in (DeepModel, RankNet):
        assert kind(inputs, layers=(6,), dropout=0.0).eval()(
            torch.tensor([0, 1]), torch.tensor([2, 3]), context
        ).shape == (2,)
    assert BiasedMF(3, 4, 2)(torch.tensor([0]), torch.tensor([0])).item() == pytest.approx(0.1, abs=0.01)
