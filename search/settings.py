"""The settings of a search: every constant has a name, a default and a place in `config.toml`."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from lossdsl.search.space import Space

if TYPE_CHECKING:
    from lossdsl.recsys.data import Reading


@dataclass(frozen=True)
class ReadingSettings:
    """How the data is read, as `lossdsl train` has options for it.

    The fields are those of `lossdsl.recsys.data.Reading`; a column that is "" has one of its usual names.
    """

    threshold: float = 3.0
    split: str = "leave-one-out"
    seed: int = 0
    user: str = ""
    item: str = ""
    label: str = ""
    time: str = ""
    duplicates: str = "error"
    fold: int = 1
    features: bool = False

    def reading(self) -> Reading:
        """What `load` takes."""
        from lossdsl.recsys.data import Reading

        columns = {name: getattr(self, name) or None for name in ("user", "item", "label", "time")}
        return Reading(**{**vars(self), **columns})

    def changed(self) -> dict[str, Any]:
        """The values that are not the defaults, by name."""
        usual = ReadingSettings()
        return {name: value for name, value in vars(self).items() if value != getattr(usual, name)}


@dataclass(frozen=True)
class SpaceSettings:
    """What the graphs of the preset are made of."""

    operators: tuple[str, ...] = Space().operators
    nodes: int = 10
    clamped: bool = True
    clamp_low: float = 1e-5
    clamp_high: float = 1e5
    epsilon: float = 1e-6

    def space(self) -> Space:
        """The space itself, with exact numbers."""
        clamp = (exact(self.clamp_low), exact(self.clamp_high)) if self.clamped else None
        return Space(self.operators, self.nodes, clamp, exact(self.epsilon))


@dataclass(frozen=True)
class ControllerSettings:
    """The LSTM that proposes, and how REINFORCE moves it.

    Defaults: the practical search; the preset has the published ones.
    """

    size: int = 64
    init: float = 0.1
    tanh_constant: float = 2.5
    sample_operator: bool = True
    sample_operand: bool = True
    lr: float = 3e-3
    beta1: float = 0.0
    beta2: float = 0.999
    eps: float = 1e-3
    clip_norm: float = 5.0
    entropy: float = 0.02
    baseline_step: float = 0.05
    share: float = 0.75  # of the proposals; the rest are constants and parts of the best, changed at random


@dataclass(frozen=True)
class PpoSettings:
    """Proximal policy optimisation with the same controller (defaults of the public fork of AutoLossGen)."""

    epochs: int = 10
    clip: float = 0.2
    entropy: float = 1e-5
    baseline_keep: float = 0.95


@dataclass(frozen=True)
class EvolutionSettings:
    """Regularised evolution: the oldest die."""

    population: int = 40
    tournament: int = 6


@dataclass(frozen=True)
class TrainingSettings:
    """How a recommender is trained with a candidate.

    `l2` has the values of the ladder, `final_l2` those of the last rung and the test. Empty, they lie around what a
    known loss does best with on the data at hand; that is looked for near `l2_start` before the search, and a run's
    `config.toml` has what was found. With `l2` alone given, `final_l2` lies around its first value.
    """

    dim: int = 16
    batch_size: int = 0  # 0 means the model's own: 512, ranknet 128
    optimizer: str = "adam"
    lr: float = 0.003
    l2: tuple[float, ...] = ()
    final_l2: tuple[float, ...] = ()
    l2_start: float = 6e-5
    init_std: float = 0.01
    epochs: int = 40
    patience: int = 3
    train_rows: int = 0  # of an epoch; 0 means all
    test_rows: int = 0  # of an epoch of the fair test; 0 means all
    # The fair test allows so many times as many epochs: on small data, losses that are at their best after 40 were set
    # against others that are after 80.
    test_stretch: int = 5
    test_patience: int = 15  # a plateau near the tenth epoch ended trainings of the test that had 5
    layers: tuple[int, ...] = (0,)  # hidden layers of deepmodel and ranknet; 0 means the model's own
    train_neg: int = 8  # sampled negatives of each positive at every epoch, in the implicit task
    eval_users: int = 0  # users whose full ranking pays a candidate in the implicit task; 0 means all
    test_seeds: int = 5


@dataclass(frozen=True)
class LadderSettings:
    """From cheap to dear: how many candidates climb, and what each rung costs.

    `batch` proposals are drawn at a time. Of those that pass the filters and are new, all train `first_epochs`; the
    share `keep` trains to the end; every `tune_every` batches the constants of the `tune` best are tuned, `shorten`
    ways of leaving a part of them out are tried, and the `final` best ranked again with more folds and seeds. What a
    strategy learns from is the reward less `size_price` for every node.

    Besides validation, a reward is measured on `folds` earlier times, each of which has a training of its own (in the
    implicit task and for pairs, all folds are cut from one). With folds cut from one training, weighted bce looked no
    better than bce on MovieLens-100k, whereas on the next rows it led by 0.005 AUC; and two folds are too few for
    thousands of candidates.
    """

    batch: int = 48
    folds: int = 3
    first_epochs: int = 5
    keep: float = 0.45
    final: int = 8
    final_seeds: int = 3
    tune: int = 3
    tune_tries: int = 12
    shorten: int = 8
    tune_every: int = 8
    tie: float = 5e-4
    slots: int = 8
    steps: int = 5
    max_size: int = 120
    size_price: float = 2e-5


@dataclass(frozen=True)
class OriginalSettings:
    """The schedule of the published method, for the preset `autolossgen`."""

    aggregate: int = 10
    train_steps: int = 10
    reject_divisor: int = 10
    points: int = 20
    point_low: float = 0.1
    point_high: float = 0.9
    zero_slope: float = 1e-4
    same_slope: float = 1e-4
    skip_limit: float = 1e-5
    reject_limit: float = 1e-5
    search_epochs: int = 1
    step_epochs: int = 1
    train_with_best: bool = True
    clip_value: float = 50.0
    max_rejections: int = 1000
    save_every: int = 50


@dataclass(frozen=True)
class Settings:
    """All of a run: `[search]` says what is searched for, the other tables how."""

    preset: str = ""
    model: str = "biasedmf"
    data: str = "demo"
    task: str = "explicit"
    strategy: str = "controller"
    seed: int = 0
    budget: str = "10m"
    seeded: bool = False  # the known losses are its first proposals, and its result says so
    fingerprint: str = ""
    reading: ReadingSettings = field(default_factory=ReadingSettings)
    space: SpaceSettings = field(default_factory=SpaceSettings)
    controller: ControllerSettings = field(default_factory=ControllerSettings)
    ppo: PpoSettings = field(default_factory=PpoSettings)
    evolution: EvolutionSettings = field(default_factory=EvolutionSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    ladder: LadderSettings = field(default_factory=LadderSettings)
    original: OriginalSettings = field(default_factory=OriginalSettings)


def exact(value: float) -> Fraction:
    """The decimal number that a float is written as: 1e-5 is 1/100000, not the nearest binary fraction."""
    return Fraction(repr(value))
