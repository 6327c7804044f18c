"""Everything that decides how a recommender is trained, but for the data, the loss and the seed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from lossdsl.errors import LossError

MODELS = ("biasedmf", "deepmodel", "ranknet")
OPTIMIZERS = ("gd", "adagrad", "adam")
ENGINES = ("auto", "fused", "torch")


class SettingsError(LossError):
    """A setting that cannot be trained with, said in one sentence."""


def _usual_metric(task: str, paired: bool, documents: bool) -> str:
    if documents:  # they have grades
        return "ndcg@10"
    return "ndcg@20" if task == "implicit" else "gauc" if paired else "auc"


@dataclass(frozen=True)
class Settings:
    """How to train. `None` takes the model's own default, which `resolve` fills in.

    `l2` is λ in `g += λ·w`, for every parameter at every step. `l2_in_loss` is the same added to the gradient before
    each of its entries is clipped to `±clip` (0 clips nothing). `patience` stops a training after so many epochs
    without a better validation metric (0 never does). `pairs` trains on pairs of one user instead of single rows.
    `task="implicit"` trains on the positives and `train_neg` sampled negatives each, and ranks all items that are new
    to the user; `test_neg` measures among so many sampled negatives instead.

    >>> from lossdsl.recsys.settings import Settings
    >>> Settings(model="ranknet").resolve().layers
    (512, 256)
    """

    model: str = "biasedmf"
    dim: int = 16
    init_std: float = 0.01
    layers: tuple[int, ...] | None = None
    dropout: float | None = None
    optimizer: str = "adam"
    lr: float = 0.003
    l2: float = 1e-4
    l2_in_loss: float = 0.0
    clip: float = 0.0
    batch_size: int | None = None
    epochs: int = 30
    patience: int = 0
    metric: str | None = None
    task: str = "explicit"
    train_neg: int = 4
    train_sampler: str = "uniform"
    test_neg: int = 0
    pairs: bool | None = None
    dtype: str = "float32"
    init_bias_std: float = 0.0
    global_bias: float = 0.1

    def resolve(self, *, documents: bool = False) -> Settings:
        """The settings with the defaults of model and data filled in, checked; raises `SettingsError`."""
        if self.model not in MODELS:
            raise SettingsError(f"no model is called `{self.model}`; there are {', '.join(MODELS)}")
        layers, dropout, batch, pairs = _DEFAULTS[self.model]
        paired = pairs if self.pairs is None else self.pairs
        out = replace(
            self,
            layers=layers if self.layers is None else tuple(self.layers),
            dropout=dropout if self.dropout is None else self.dropout,
            batch_size=batch if self.batch_size is None else self.batch_size,
            pairs=paired,
            metric=self.metric or _usual_metric(self.task, bool(paired), documents),
        )
        out._check()
        return out

    def _check(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise SettingsError(f"no optimizer is called `{self.optimizer}`; there are {', '.join(OPTIMIZERS)}")
        if self.task not in ("explicit", "implicit"):
            raise SettingsError(f"the task is explicit or implicit, not {self.task}")
        if self.task == "implicit" and self.train_neg < 1:
            raise SettingsError("the implicit task needs at least one sampled negative (train_neg)")
        if self.dtype not in ("float32", "float64"):
            raise SettingsError(f"the dtype is float32 or float64, not {self.dtype}")
        for name in ("dim", "batch_size", "epochs"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} has to be 1 or more, not {getattr(self, name)}")
        if not self.lr > 0:
            raise SettingsError(f"lr has to be above 0, not {self.lr:g}")
        for name in ("l2", "l2_in_loss", "clip", "init_std", "init_bias_std", "patience", "test_neg"):
            if not getattr(self, name) >= 0:
                raise SettingsError(f"{name} has to be 0 or more, not {getattr(self, name):g}")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise SettingsError(f"dropout has to be in [0, 1), not {self.dropout:g}")
        if self.layers is not None and any(width < 1 for width in self.layers):
            raise SettingsError(f"layers have to be 1 or wider, not {self.layers}")

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON takes it."""
        out = asdict(self)
        out["layers"] = None if self.layers is None else list(self.layers)
        return out

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Settings:
        """The way back from `to_dict`; an unknown name raises `SettingsError`."""
        known = {field.name for field in fields(cls)}
        for name in data:
            if name not in known:
                raise SettingsError(f"no setting is called `{name}`")
        values = dict(data)
        if values.get("layers") is not None:
            values["layers"] = tuple(values["layers"])
        return cls(**values)


DEFAULTS = Settings()

# layers, dropout, batch size, pairs
_DEFAULTS: dict[str, tuple[tuple[int, ...], float, int, bool]] = {
    "biasedmf": ((), 0.0, 512, False),
    "deepmodel": ((64, 16), 0.2, 512, False),
    "ranknet": ((512, 256), 0.5, 128, True),
}

# The original program (AutoLossGen, SIGIR 2022): L2 of 1e-4 counts twice through the loss, before clipping, and once as
# weight decay; vectors and biases start from N(0, 1).
AUTOLOSSGEN = Settings(
    dim=64,
    init_std=1.0,
    init_bias_std=1.0,
    optimizer="gd",
    lr=0.01,
    l2=1e-4,
    l2_in_loss=2e-4,
    clip=50.0,
    batch_size=128,
    epochs=400,
)
PRESETS = {"autolossgen": AUTOLOSSGEN}
