"""The module where people put it: a RecBole model, a Lightning loop, a plain loop with a scheduler and a checkpoint."""

from __future__ import annotations

import io
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
