"""The module where people put it: a RecBole model, a Lightning loop, a plain loop with a scheduler and a checkpoint."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lossdsl


class Interaction(dict[str, Tensor]):
    """What RecBole hands to `calculate_loss`: columns by name."""


class RecBoleLike(nn.Module):
    """A general recommender as RecBole's are written: `self.loss`, `calculate_loss(interaction)`, `predict`."""

    def __init__(self, loss: nn.Module, users: int = 20, items: int = 30) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.user = nn.Embedding(users, 8)
        self.item = nn.Embedding(items, 8)
        self.loss = loss

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        return (self.user(user) * self.item(item)).sum(-1)

    def calculate_loss(self, interaction: Interaction) -> Tensor:
        raise NotImplementedError


class Pointwise(RecBoleLike):
    def calculate_loss(self, interaction: Interaction) -> Tensor:
        score = self.forward(interaction["user_id"], interaction["item_id"])
        return self.loss(score=score, label=interaction["label"])


class Theirs(RecBoleLike):
    def calculate_loss(self, interaction: Interaction) -> Tensor:
        return self.loss(self.forward(interaction["user_id"], interaction["item_id"]), interaction["label"])


class Pairwise(RecBoleLike):
    def calculate_loss(self, interaction: Interaction) -> Tensor:
        positive = self.forward(interaction["user_id"], interaction["item_id"])
        negative = self.forward(interaction["user_id"], interaction["neg_item_id"])
        return self.loss(score=positive - negative)


def interactions(n: int = 400) -> Interaction:
    g = torch.Generator().manual_seed(1)
    user, item = torch.randint(20, (n,), generator=g), torch.randint(30, (n,), generator=g)
    other = torch.randint(30, (n,), generator=g)
    label = ((user + item) % 3 == 0).float()
    return Interaction(user_id=user, item_id=item, neg_item_id=other, label=label)


def train(model: RecBoleLike, epochs: int = 40) -> list[float]:
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    seen = []
    for _ in range(epochs):
        optimiser.zero_grad()
        loss = model.calculate_loss(interactions())
        loss.backward()
        optimiser.step()
        seen.append(loss.item())
    return seen


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("LOSSDSL_CACHE", str(tmp_path))


@pytest.mark.parametrize("backend", ["torchscript", "auto"])
def test_a_recbole_model_trains_as_with_pytorchs_own(backend: str) -> None:
    ours = train(Pointwise(lossdsl.Loss("bce", backend=backend)))
    theirs = train(Theirs(nn.BCEWithLogitsLoss()))
    assert ours == pytest.approx(theirs, rel=1e-3)
    assert ours[-1] < 0.5 * ours[0]
    for loss in ("bpr", lossdsl.Loss("bce", pairwise=True, backend=backend)):
        seen = train(Pairwise(loss if isinstance(loss, nn.Module) else lossdsl.Loss(loss, backend=backend)))
        assert seen[-1] < 0.5 * seen[0]


def test_a_checkpoint_holds_what_was_learned() -> None:
    model = Pointwise(lossdsl.Loss("focal", trainable=("gamma",)))
    train(model, 3)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = Pointwise(lossdsl.Loss("focal", trainable=("gamma",)))
    other.load_state_dict(torch.load(file, weights_only=True))
    assert "loss.gamma" in model.state_dict()
    assert other.calculate_loss(interactions()).item() == model.calculate_loss(interactions()).item()
    whole = io.BytesIO()
    torch.save(model, whole)
    whole.seek(0)
    again = torch.load(whole, weights_only=False)
    assert again.calculate_loss(interactions()).item() == model.calculate_loss(interactions()).item()


class LightningLike(nn.Module):
    """The hooks of a LightningModule that touch a loss."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
        self.criterion = lossdsl.Loss("focal", params={"gamma": 1.0})

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        return self.criterion(score=self.net(x).squeeze(-1), label=y)

    def configure_optimizers(self) -> Any:
        optimiser = torch.optim.AdamW(self.parameters(), lr=0.02)
        return [optimiser], [torch.optim.lr_scheduler.StepLR(optimiser, 10)]


@pytest.mark.parametrize("mixed", [False, True])
def test_a_lightning_loop(mixed: bool) -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(256, 6, generator=g)
    batch = x, (x[:, 0] + x[:, 1] > 0).long()
    module = LightningLike().train()
    (optimiser,), (schedule,) = module.configure_optimizers()
    seen = []
    for step in range(30):

        def closure(step: int = step) -> Tensor:
            optimiser.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
                loss = module.training_step(batch, step)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            seen.append(loss.item())
            return loss

        optimiser.step(closure)
        schedule.step()
    assert seen[-1] < 0.7 * seen[0]
    module.eval()
    with torch.no_grad():
        assert module.training_step(batch, 0).item() < 0.7 * seen[0]
    with torch.inference_mode():
        assert torch.isfinite(module.training_step(batch, 0))


def test_gradient_accumulation_and_checkpointing() -> None:
    from torch.utils.checkpoint import checkpoint

    net, loss = nn.Linear(4, 1), lossdsl.Loss("bce")
    x, y = torch.randn(8, 4), (torch.rand(8) > 0.5).float()
    loss(score=net(x).squeeze(-1), label=y).backward()
    whole = net.weight.grad.clone()  # type: ignore[union-attr]
    net.zero_grad()
    for part in (slice(0, 4), slice(4, 8)):
        (loss(score=net(x[part]).squeeze(-1), label=y[part]) / 2).backward()
    torch.testing.assert_close(net.weight.grad, whole)
    net.zero_grad()
    out = checkpoint(lambda t: loss(score=net(t).squeeze(-1), label=y), x.requires_grad_(), use_reentrant=False)
    out.backward()
    torch.testing.assert_close(net.weight.grad, whole)


# RecBole 1.2.1 knows neither NumPy 2 nor the checkpoints of PyTorch 2.6: it gets its old names back, and loads none.
REAL_RECBOLE = """
import numpy

for name, now in (("float_", numpy.float64), ("complex_", numpy.complex128), ("unicode_", numpy.str_)):
    if not hasattr(numpy, name):
        setattr(numpy, name, now)
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.model.general_recommender import BPR, NeuMF
from recbole.trainer import Trainer
from recbole.utils import init_seed

import lossdsl


class Pointwise(torch.nn.Module):
    def __init__(self, formula):
        super().__init__()
        self.inner = lossdsl.Loss(formula)

    def forward(self, score, label):
        return self.inner(score=score, label=label)


class Pairwise(torch.nn.Module):
    def __init__(self, formula):
        super().__init__()
        self.inner = lossdsl.Loss(formula, pairwise=True)

    def forward(self, positive, negative):
        return self.inner(score=positive - negative)


def train(base, loss):
    options = dict(
        data_path=".", dataset="tiny", load_col={"inter": ["user_id", "item_id"]}, epochs=2, train_batch_size=128,
        learning_rate=0.01, embedding_size=8, use_gpu=False, state="ERROR", seed=1, topk=[5], metrics=["NDCG"],
        valid_metric="NDCG@5",
        eval_args={"split": {"RS": [8, 1, 1]}, "order": "RO", "group_by": "user", "mode": "full"},
    )
    config = Config(model=base.__name__, config_dict=options)
    init_seed(1, True)
    data = create_dataset(config)
    first, second, third = data_preparation(config, data)
    model = base(config, first.dataset)
    if loss is not None:
        model.loss = loss
    trainer = Trainer(config, model)
    trainer.fit(first, second, show_progress=False)
    found = trainer.evaluate(third, load_best_model=False, show_progress=False)
    return *trainer.train_loss_dict.values(), float(found["ndcg@5"])


for base, loss in ((BPR, Pairwise("-logsigmoid(score)")), (NeuMF, Pointwise("bce"))):
    print(*train(base, None))
    print(*train(base, loss))
"""


@pytest.mark.slow
def test_the_real_recbole(tmp_path: Path) -> None:
    """Two epochs of two real models: the same as with the losses they bring."""
    pytest.importorskip("recbole")
    (tmp_path / "tiny").mkdir()
    rows = [f"{u}\t{i}" for u in range(60) for i in range(50) if (u + i) % 3 == 0 or (u * i) % 11 == 1]
    (tmp_path / "tiny" / "tiny.inter").write_text("\n".join(["user_id:token\titem_id:token", *rows]) + "\n")
    command = [sys.executable, "-W", "ignore", "-c", REAL_RECBOLE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr
    seen = [[float(number) for number in line.split()] for line in done.stdout.splitlines()[-4:]]
    for theirs, ours in (seen[:2], seen[2:]):
        assert ours[:2] == pytest.approx(theirs[:2], rel=1e-3)
        assert ours[2] == pytest.approx(theirs[2], rel=0.05) and ours[1] < ours[0]  # ranks jump where scores tie
