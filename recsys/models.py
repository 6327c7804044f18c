"""Recommenders: modules that map a user and an item, or features, to a score. None knows which loss trains it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.kernels import dropout_mask
from lossdsl.recsys.settings import Settings


class Masks:
    """Where the masks of all dropout layers of a model come from: a seed, and how many were drawn since."""

    def __init__(self, seed: int) -> None:
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """Draws the same masks again from here on."""
        self.seed = (seed ^ seed >> 32) & 0xFFFFFFFF
        self.drawn = 0

    def draw(self, like: Tensor, keep: float) -> Tensor:
        """Zeros, and elsewhere what makes up for them; `keep` is rounded to a multiple of 2**-16."""
        share = max(1, round(keep * 65536))
        mask = torch.empty(like.shape, dtype=like.dtype)
        dropout_mask(mask.view(-1).numpy(), self.seed, self.drawn, share, 65536 / share)
        self.drawn += mask.numel()
        return mask.to(like.device)


class SeededDropout(nn.Module):
    """Dropout whose masks depend on a seed of its own, so that a training can be repeated, beside others too."""

    def __init__(self, rate: float, masks: Masks) -> None:
        super().__init__()
        self.rate = rate
        self.masks = masks

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        return x * self.masks.draw(x, 1 - self.rate)


class BiasedMF(nn.Module):
    """Matrix factorization with biases: score = <user vector, item vector> + user bias + item bias + global bias.

    Source: Koren, Bell, Volinsky, Matrix Factorization Techniques for Recommender Systems, 2009.

    >>> import torch
    >>> from lossdsl.recsys.models import BiasedMF
    >>> BiasedMF(users=3, items=4, dim=2)(torch.tensor([0, 2]), torch.tensor([1, 3])).shape
    torch.Size([2])
    """

    def __init__(
        self,
        users: int,
        items: int,
        dim: int,
        *,
        init_std: float = 0.01,
        init_bias_std: float = 0.0,
        global_bias: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        start = initial_mf(users, items, dim, init_std, init_bias_std, global_bias, seed)
        self.user_vectors = nn.Parameter(torch.from_numpy(start["user_vectors"]))
        self.item_vectors = nn.Parameter(torch.from_numpy(start["item_vectors"]))
        self.user_bias = nn.Parameter(torch.from_numpy(start["user_bias"]))
        self.item_bias = nn.Parameter(torch.from_numpy(start["item_bias"]))
        self.global_bias = nn.Parameter(torch.from_numpy(start["global_bias"]))

    def forward(self, user: Tensor, item: Tensor, context: Tensor | None = None) -> Tensor:
        embed = nn.functional.embedding
        score = (embed(user, self.user_vectors) * embed(item, self.item_vectors)).sum(-1)
        return score + self.user_bias[user] + self.item_bias[item] + self.global_bias


def initial_mf(
    users: int, items: int, dim: int, init_std: float, init_bias_std: float, global_bias: float, seed: int
) -> dict[str, np.ndarray]:
    """BiasedMF's parameters at the start, float32, in the order in which the fused engine lays them out."""
    random = np.random.default_rng([seed, 1])

    def normal(*shape: int, std: float) -> np.ndarray:
        return (random.standard_normal(shape, dtype=np.float32) * np.float32(std)).astype(np.float32)

    return {
        "user_vectors": normal(users, dim, std=init_std),
        "item_vectors": normal(items, dim, std=init_std),
        "user_bias": normal(users, std=init_bias_std),
        "item_bias": normal(items, std=init_bias_std),
        "global_bias": np.array([global_bias], np.float32),
    }


class _Towers(nn.Module):
    """What DeepModel and RankNet share: embeddings, or features, into a stack of layers that ends in one score."""

    def __init__(self, inputs: Inputs, seed: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.masks = Masks(_mixed(seed, 2))

    def _linear(self, inputs: int, outputs: int, random: np.random.Generator) -> nn.Linear:
        layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
        bound = 1 / np.sqrt(inputs)  # PyTorch's default, drawn from our own generator
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(random.uniform(-bound, bound, (outputs, inputs)).astype(np.float32)))
            layer.bias.copy_(torch.from_numpy(random.uniform(-bound, bound, outputs).astype(np.float32)))
        return layer

    def _mlp(
        self,
        width: int,
        layers: Sequence[int],
        dropout: float,
        seed: int,
        activation: Callable[[int], list[nn.Module]],
    ) -> nn.Sequential:
        """Linear layers, each with what `activation` makes for its width and dropout, down to one score."""
        random = np.random.default_rng([seed, 3])
        stack: list[nn.Module] = []
        for layer in layers:
            stack += [self._linear(width, layer, random), *activation(layer), SeededDropout(dropout, self.masks)]
            width = layer
        return nn.Sequential(*stack, self._linear(width, 1, random))

    def forward(self, user: Tensor, item: Tensor, context: Tensor | None = None) -> Tensor:
        score: Tensor = self.stack(self.inputs(user, item, context)).squeeze(-1)
        return score


class Inputs(nn.Module):
    """A user and an item as one row of numbers: their embeddings, their features, or both."""

    def __init__(
        self,
        users: int,
        items: int,
        dim: int,
        *,
        init_std: float,
        seed: int,
        embed: bool = True,
        user_features: np.ndarray | None = None,
        item_features: np.ndarray | None = None,
        contexts: int = 0,
    ) -> None:
        super().__init__()
        random = np.random.default_rng([seed, 1])
        self.width = contexts
        self.user_vectors: nn.Parameter | None = None
        self.item_vectors: nn.Parameter | None = None
        if embed:
            for name, count in (("user_vectors", users), ("item_vectors", items)):
                start = random.standard_normal((count, dim), dtype=np.float32) * np.float32(init_std)
                setattr(self, name, nn.Parameter(torch.from_numpy(start)))
            self.width += 2 * dim
        # Features are data, not state: a saved model does not carry them.
        for name, table in (("user_features", user_features), ("item_features", item_features)):
            values = None if table is None else torch.from_numpy(np.array(table, np.float32))
            self.register_buffer(name, values, persistent=False)
            self.width += 0 if table is None else table.shape[1]

    def forward(self, user: Tensor, item: Tensor, context: Tensor | None) -> Tensor:
        embed = nn.functional.embedding
        parts = [
            embed(index, table)
            for index, table in (
                (user, self.user_vectors),
                (item, self.item_vectors),
                (user, self.user_features),
                (item, self.item_features),
            )
            if table is not None
        ]
        if context is not None:
            parts.append(context.to(parts[0].dtype) if parts else context)
        return torch.cat(parts, -1)


class DeepModel(_Towers):
    """Embeddings into an MLP with batch norm, ReLU and dropout after each layer, 64 and 16 wide by default.

    >>> import torch
    >>> from lossdsl.recsys.models import DeepModel, Inputs
    >>> model = DeepModel(Inputs(3, 4, 2, init_std=0.1, seed=0), layers=(8,), dropout=0.0, seed=0)
    >>> model(torch.tensor([0, 2]), torch.tensor([1, 3])).shape
    torch.Size([2])
    """

    def __init__(
        self, inputs: Inputs, *, layers: Sequence[int] = (64, 16), dropout: float = 0.2, seed: int = 0
    ) -> None:
        super().__init__(inputs, seed)
        self.stack = self._mlp(inputs.width, layers, dropout, seed, lambda layer: [nn.BatchNorm1d(layer), nn.ReLU()])


class RankNet(_Towers):
    """Embeddings or features into an MLP with LeakyReLU 0.2 and dropout, 512 and 256 wide by default.

    It gives one score an item; that it is trained on pairs is the trainer's business. Source: Burges et al., Learning
    to Rank using Gradient Descent, 2005.

    >>> import torch
    >>> from lossdsl.recsys.models import Inputs, RankNet
    >>> model = RankNet(Inputs(3, 4, 2, init_std=0.1, seed=0), layers=(8,), dropout=0.0, seed=0)
    >>> model(torch.tensor([0, 2]), torch.tensor([1, 3])).shape
    torch.Size([2])
    """

    def __init__(
        self, inputs: Inputs, *, layers: Sequence[int] = (512, 256), dropout: float = 0.5, seed: int = 0
    ) -> None:
        super().__init__(inputs, seed)
        self.stack = self._mlp(inputs.width, layers, dropout, seed, lambda layer: [nn.LeakyReLU(0.2)])


def build(settings: Settings, data: Dataset, seed: int) -> nn.Module:
    """The model that `settings` ask for, over the users, items and features of `data`."""
    settings = settings.resolve()
    assert settings.layers is not None and settings.dropout is not None
    if settings.model == "biasedmf":
        model: nn.Module = BiasedMF(
            data.users,
            data.items,
            settings.dim,
            init_std=settings.init_std,
            init_bias_std=settings.init_bias_std,
            global_bias=settings.global_bias,
            seed=seed,
        )
    else:
        inputs = Inputs(
            data.users,
            data.items,
            settings.dim,
            init_std=settings.init_std,
            seed=seed,
            embed=not data.documents,
            user_features=data.user_features,
            item_features=data.item_features,
            contexts=0 if data.train.context is None else data.train.context.shape[1],
        )
        kind = DeepModel if settings.model == "deepmodel" else RankNet
        model = kind(inputs, layers=settings.layers, dropout=settings.dropout, seed=seed)
    return model.to(torch.float64) if settings.dtype == "float64" else model


def _mixed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])


def epoch_seed(seed: int, epoch: int) -> int:
    """Where the masks of an epoch begin."""
    return _mixed(seed, 4, epoch)


def reseed(model: nn.Module, seed: int, epoch: int) -> None:
    """Starts the masks of an epoch anew, so that they depend on the seed and the epoch's number alone."""
    masks = getattr(model, "masks", None)
    if masks is not None:
        masks.restart(epoch_seed(seed, epoch))
