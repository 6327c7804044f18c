"""Options that several commands of the laboratory share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from lossdsl.recsys.dataset import Dataset


class Folder(click.Path):
    """A folder to write to, as a `Path`; not the empty text, a script's unset variable: it would be the present one."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)
        self.name = "dir"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("an empty name is no folder; the present one is `.`", param, ctx)
        return super().convert(value, param, ctx)


Command = TypeVar("Command", bound=Callable[..., Any])


def _stack(options: list[Callable[[Any], Any]]) -> Callable[[Command], Command]:
    def decorate(function: Command) -> Command:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


# What `load` is told: field of `Reading` -> flag, and what click is told of it.
READING: dict[str, tuple[str, dict[str, Any]]] = {
    "split": ("--split", {"default": "leave-one-out", "show_default": True,
                          "type": click.Choice(["leave-one-out", "temporal", "random", "per-user"]),
                          "help": "How a single file is cut."}),
    "threshold": ("--threshold", {"type": float, "default": 3.0, "show_default": True,
                                  "help": "A rating above it is a positive."}),
    "seed": ("--split-seed", {"type": int, "default": 0, "help": "Seed of a random split, and of `demo`."}),
    "user": ("--user", {"metavar": "COLUMN", "help": "Column of users, where it has an unusual name."}),
    "item": ("--item", {"metavar": "COLUMN", "help": "Column of items."}),
    "label": ("--label", {"metavar": "COLUMN", "help": "Column of labels or ratings."}),
    "time": ("--time", {"metavar": "COLUMN", "help": "Column of timestamps."}),
    "duplicates": ("--duplicates", {"type": click.Choice(["error", "keep", "last"]), "default": "error",
                                    "show_default": True, "help": "What to do with a user's second row of one item."}),
    "fold": ("--fold", {"type": int, "default": 1, "help": "Which of LETOR's five folds."}),
    "features": ("--features", {"is_flag": True,
                                "help": "Read feature columns: u_… of users, i_… of items, c_… of rows."}),
}  # fmt: skip
_CHOSEN = "reading_"  # before the names in `open_reading_options`: a search has a seed of its own


def _open(name: str) -> Callable[[Any], Any]:
    """An option of reading that says whether it was given."""
    flag, told = READING[name]
    usual = f"  [default: {told['default']}]" if told.get("show_default") else ""
    told = {**told, "default": None, "show_default": False, "help": told["help"] + usual}
    return click.option(flag, _CHOSEN + name, **told)


reading_options = _stack([click.option(flag, name, **told) for name, (flag, told) in READING.items()])
# The same, for commands that have settings below the options.
open_reading_options = _stack([_open(name) for name in READING])

MODELS = click.Choice(["biasedmf", "deepmodel", "ranknet"])

training_options = _stack(
    [
        click.option("--optimizer", type=click.Choice(["gd", "adam", "adagrad"]), help="Default: adam."),
        click.option("--lr", type=float, help="Learning rate; default: 0.003."),
        click.option("--l2", type=float, help="λ in g += λ·w, for every parameter; default: 1e-4."),
        click.option("--batch-size", type=int, help="Rows of a batch; default: 512, ranknet 128."),
        click.option("--dim", type=int, help="Size of the vectors; default: 16."),
        click.option("--init-std", type=float, help="Standard deviation of the vectors at the start; default: 0.01."),
        click.option("--layers", metavar="N,N,…", help="Widths of the hidden layers of deepmodel and ranknet."),
        click.option("--dropout", type=float, help="Rate of dropout of deepmodel and ranknet."),
        click.option("--epochs", type=int, help="At most so many; default: 30."),
        click.option("--patience", type=int, help="Stop after so many epochs without a better one; default: never."),
        click.option("--metric", help="Chooses the best epoch; default: auc, for pairs gauc, implicit ndcg@20."),
        click.option("--task", type=click.Choice(["explicit", "implicit"]),
                     help="implicit: positives, sampled negatives, full ranking."),
        click.option("--pairs/--rows", default=None,
                     help="Train on pairs of one user, or on single rows; default: pairs for ranknet alone."),
        click.option("--train-neg", type=int, metavar="N", help="Sampled negatives of each positive; default: 4."),
        click.option("--train-sampler", type=click.Choice(["uniform", "popularity"]), help="How they are drawn."),
        click.option("--test-neg", type=int, metavar="N", help="Measure among N sampled negatives for each row."),
        click.option("--preset", type=click.Choice(["autolossgen"]), help="Settings of the original program."),
    ]
)  # fmt: skip

model_options = _stack(
    [
        click.option("--model", default="biasedmf", show_default=True, type=MODELS, help="The recommender."),
        training_options,
    ]
)

SETTINGS = ("model", "optimizer", "lr", "l2", "batch_size", "dim", "init_std", "layers", "dropout", "epochs",
            "patience", "metric", "task", "pairs", "train_neg", "train_sampler", "test_neg")  # fmt: skip


def settings_from(options: dict[str, Any]) -> Any:
    """Takes the options of `model_options` out of `options` and makes `Settings` of them."""
    from dataclasses import replace

    from lossdsl.recsys.settings import DEFAULTS, PRESETS

    preset = options.pop("preset")
    base = PRESETS[preset] if preset else DEFAULTS
    changes = {name: options.pop(name) for name in SETTINGS}
    changes = {name: value for name, value in changes.items() if value is not None}
    if "layers" in changes:
        changes["layers"] = _widths(changes["layers"])
    settings = replace(base, **changes)
    settings.resolve()  # complains of what cannot be
    return settings


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise click.UsageError(f"--layers takes whole numbers with commas, such as 64,16, not `{text}`") from None


def noted(data: Dataset) -> Dataset:
    """The data, once it is said which options of reading mean nothing for it."""
    for note in data.notes:
        click.echo(f"note: {note}", err=True)
    return data


def take_reading(options: dict[str, Any]) -> dict[str, Any]:
    """Takes the options of `reading_options` out of `options`."""
    return {name: options.pop(name) for name in READING}


def take_open_reading(options: dict[str, Any]) -> dict[str, Any]:
    """Takes the options of `open_reading_options` out of `options`: those that were given."""
    found = {name: options.pop(_CHOSEN + name) for name in READING}
    return {name: value for name, value in found.items() if value is not None}


def as_reading_options(reading: dict[str, Any]) -> list[str]:
    """The words of a command line that read data so; fields of `Reading` by name.

    >>> from lossdsl.cli.options import as_reading_options
    >>> as_reading_options({"seed": 3, "features": True})
    ['--split-seed', '3', '--features']
    """
    words: list[str] = []
    for name, value in reading.items():
        flag, told = READING[name]
        words += [flag] if told.get("is_flag") else [f"{flag}={value}"] if f"{value}"[:1] == "-" else [flag, f"{value}"]
    return words
