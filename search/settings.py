"""The settings of a search: every constant has a name, a default and a place in `config.toml`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossdsl.errors import LossError
from lossdsl.search.space import Space

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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
    batch_size: int = 512
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


# AutoLossGen's own numbers, where they are not the defaults above. Its L2 acts three times (see recsys): the value is
# the one of its command line.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "": {},
    "autolossgen": {
        "controller": {"tanh_constant": 1.5, "lr": 1e-3, "entropy": 1e-4, "baseline_step": 0.01, "share": 1.0},
        "training": {
            "dim": 64, "batch_size": 128, "optimizer": "gd", "lr": 0.01, "l2": [1e-4], "final_l2": [1e-4],
            "init_std": 1.0, "epochs": 10000, "patience": 100,
        },
    },
}  # fmt: skip


# What the dearer models need smaller, so that a candidate takes seconds and not minutes.
_DEAR = {"batch": 24, "folds": 0, "first_epochs": 1, "final": 3, "final_seeds": 1, "tune": 1, "tune_tries": 4}
MODELS: Mapping[str, Mapping[str, Any]] = {
    "biasedmf": {},
    # Four short epochs at a high rate order losses as a plain loop's epoch over all rows does, by a rank correlation of
    # 0.91 with full training on MovieLens-100k, and the lowest quarter after two of them can go
    # (benchmarks/rung_study.py); four of 20,000 rows at 0.003 came to 0.80.
    "deepmodel": {
        "training": {"lr": 0.01, "l2": [1e-5], "final_l2": [1e-6, 1e-5, 1e-4], "epochs": 4, "patience": 4,
                     "train_rows": 10000, "test_seeds": 3, "test_stretch": 1, "test_patience": 5},
        "ladder": {**_DEAR, "first_epochs": 2, "keep": 0.75},
    },
    # Over 20 losses, epochs of 20,000 rows order them by a rank correlation of 0.63 to 0.74 with full training, a plain
    # loop's epoch over all rows by 0.27 at its best rate (the same study).
    "ranknet": {
        "training": {"l2": [1e-5], "final_l2": [1e-6, 1e-5], "epochs": 3, "patience": 1, "train_rows": 20000,
                     "test_rows": 20000, "test_seeds": 2, "test_stretch": 1, "test_patience": 5},
        "ladder": _DEAR,
    },
}  # fmt: skip


def for_model(settings: Settings, model: str) -> Settings:
    """The settings with what a model needs otherwise; those of a preset stay as they are."""
    if model not in MODELS:
        raise LossError(f"no model is called `{model}`; known: {', '.join(f'`{name}`' for name in MODELS)}")
    changed = replace(settings, model=model)
    return changed if settings.preset else merge(changed, MODELS[model], f"model {model}")


def for_test(settings: Settings) -> Settings:
    """The settings of the fair test: those of the search, where that is not the published method with a dear model.

    Its third phase would take hours for models that torch trains; their results are tested as in the practical search.
    """
    if not settings.preset or settings.model == "biasedmf":
        return settings
    plain = Settings(seed=settings.seed, data=settings.data, reading=settings.reading)
    return for_model(plain, settings.model)


TASKS = ("explicit", "implicit")
_IMPLICIT: Mapping[str, Any] = {
    "training": {"dim": 32, "batch_size": 2048, "lr": 0.01, "l2_start": 1e-5, "epochs": 40, "test_seeds": 5},
    "ladder": {"folds": 4, "first_epochs": 3},
}  # fmt: skip
# Where a ranking of all items costs more than a training, fewer users are ranked.
_IMPLICIT_DEAR: Mapping[str, Any] = {
    "training": {"batch_size": 512, "l2": [3e-5, 1e-4], "final_l2": [1e-5, 3e-5, 1e-4, 3e-4], "eval_users": 300,
                 "epochs": 20, "patience": 1, "train_rows": 20000, "test_rows": 20000, "test_seeds": 3,
                 "test_stretch": 1, "test_patience": 5},
    "ladder": {"batch": 32, "keep": 0.45, "final": 4, "final_seeds": 2, "tune": 2, "tune_tries": 8},
}  # fmt: skip


def for_task(settings: Settings, task: str) -> Settings:
    """The settings with what a task needs otherwise; those of a preset stay as they are."""
    if task not in TASKS:
        raise LossError(f"no task is called `{task}`; known: {', '.join(f'`{name}`' for name in TASKS)}")
    changed = replace(settings, task=task)
    if task == "explicit":
        return changed
    if settings.preset:
        raise LossError("the published method searches in the explicit task only")
    changed = merge(changed, _IMPLICIT, f"task {task}")
    return changed if settings.model == "biasedmf" else merge(changed, _IMPLICIT_DEAR, f"task {task}")


def exact(value: float) -> Fraction:
    """The decimal number that a float is written as: 1e-5 is 1/100000, not the nearest binary fraction."""
    return Fraction(repr(value))


def preset(name: str) -> Settings:
    """The settings of a preset; the empty name is the practical search.

    >>> from lossdsl.search.settings import preset
    >>> preset("autolossgen").controller.lr
    0.001
    """
    if name not in PRESETS:
        known = ", ".join(f"`{key}`" for key in PRESETS if key)
        raise LossError(f"no preset is called `{name}`; known: {known}")
    return merge(replace(Settings(), preset=name), PRESETS[name], f"preset {name}")


def read(text: str, base: Settings, origin: str) -> Settings:
    """Settings of a TOML text, over those of `base`."""
    return merge(base, tables(text, origin), origin)


def read_file(path: Path) -> Settings:
    """The settings in a file, such as a run's `config.toml`."""
    return read(text_of(path), Settings(), str(path))


def text_of(path: Path) -> str:
    """The text of a file of settings."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LossError(f"{path}: not text in UTF-8, from byte {error.start} on") from None


def tables(text: str, origin: str) -> dict[str, Any]:
    """The tables of a TOML text."""
    try:
        return tomllib.loads(text)
    except ValueError as error:  # an integer of five thousand digits, too
        raise LossError(f"{origin}: not TOML: {error}") from None


def assign(base: Settings, assignment: str) -> Settings:
    """Settings with one `table.key=value` changed; the value is TOML, or a bare word.

    >>> from lossdsl.search.settings import Settings, assign
    >>> assign(Settings(), "ladder.batch=16").ladder.batch
    16
    """
    return merge(base, assigned(assignment), f"--set {assignment}")


def assigned(assignment: str) -> dict[str, Any]:
    """The tables that one `table.key=value` stands for.

    >>> from lossdsl.search.settings import assigned
    >>> assigned("ladder.batch=16")
    {'ladder': {'batch': 16}}
    """
    key, sign, text = assignment.partition("=")
    if not sign or not key.strip():
        raise LossError(f"--set wants key=value, not `{assignment}`")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        value = text.strip()
    document: Any = value
    for part in reversed(key.strip().split(".")):
        document = {part: document}
    assert isinstance(document, dict)
    return document


def merge(base: Any, document: Mapping[str, Any], origin: str, place: str = "") -> Any:
    """A copy of a settings object with the values of a nested mapping, each checked against the type of its default."""
    changes: dict[str, Any] = {}
    known = {f.name: getattr(base, f.name) for f in fields(base)}
    for key, value in document.items():
        name = f"{place}{key}"
        if key not in known:
            from difflib import get_close_matches

            close = get_close_matches(key, known, n=1)
            hint = f"; did you mean `{place}{close[0]}`?" if close else f"; known: {', '.join(known)}"
            raise LossError(f"{origin}: no setting is called `{name}`{hint}")
        changes[key] = _fitted(known[key], value, origin, name)
    return replace(base, **changes)


def _fitted(default: Any, value: Any, origin: str, name: str) -> Any:
    if is_dataclass(default):
        if not isinstance(value, Mapping):
            raise LossError(f"{origin}: `{name}` is a table of settings")
        return merge(default, value, origin, name + ".")
    if isinstance(default, tuple):
        values = value if isinstance(value, (list, tuple)) else [value]
        like = default[0] if default else 0.0  # what may be empty has numbers
        return tuple(_fitted(like, item, origin, name) for item in values)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not type(default):
        raise LossError(f"{origin}: `{name}` is a {type(default).__name__}, such as {default!r}, not {value!r}")
    return value


def write(settings: Settings) -> str:
    """Settings as TOML, all of them, defaults included.

    >>> from lossdsl.search.settings import Settings, read, write
    >>> read(write(Settings(seed=3)), Settings(), "text") == Settings(seed=3)
    True
    """
    own = [f"{f.name} = {_toml(getattr(settings, f.name))}" for f in fields(settings)
           if not is_dataclass(getattr(settings, f.name))]  # fmt: skip
    lines = own
    for f in fields(settings):
        table = getattr(settings, f.name)
        if is_dataclass(table):
            lines += ["", f"[{f.name}]", *(f"{g.name} = {_toml(getattr(table, g.name))}" for g in fields(table))]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):
        import json

        return json.dumps(value)
    text = repr(value)
    return text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text
