"""`lossdsl search`: finds a loss by training recommenders with many."""

from __future__ import annotations

import os
import shlex
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lossdsl.cli.main import FINDINGS, FINE, goes_on
from lossdsl.cli.options import Folder, as_reading_options, open_reading_options, take_open_reading
from lossdsl.errors import LossError

if TYPE_CHECKING:
    from lossdsl.search.run import Progress
    from lossdsl.search.session import SearchResult
    from lossdsl.search.settings import Settings


@click.command("search", epilog="Example: lossdsl search --model biasedmf --data demo --budget 2m --run-dir runs/first")
@click.option("--model", type=click.Choice(["biasedmf", "deepmodel", "ranknet"]), help="The recommender.")
@click.option("--data", "source", metavar="D", help="demo, ml-100k, or a file or folder.  [default: demo]")
@click.option(
    "--task",
    type=click.Choice(["explicit", "implicit"]),
    help="Labels as in the file, or sampled negatives and a full ranking.  [default: explicit]",
)
@click.option(
    "--strategy",
    type=click.Choice(["controller", "ppo", "evolution", "random"]),
    help="What proposes the losses.  [default: controller]",
)
@click.option("--budget", metavar="B", help="A time such as 90s, 10m or 2h, or 500trials.  [default: 10m]")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the whole run.  [default: 0]")
@click.option("--run-dir", type=Folder(), help="Where the run is written.  [default: runs/<time>]")
@click.option("--resume", is_flag=True, help="Go on with the run in --run-dir.")
@click.option(
    "--workers", type=click.IntRange(min=1), help="Candidates trained side by side.  [default: the number of cores]"
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Train on the workers of the Dask scheduler at ADDRESS, such as tcp://10.0.0.5:8786.",
)
@click.option(
    "--tensorboard",
    "board",
    type=Folder(),
    metavar="DIR",
    help="Write scalars for TensorBoard to DIR.",
)
@click.option("--preset", type=click.Choice(["autolossgen"]), help="The published method, not the practical search.")
@open_reading_options
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Settings as TOML.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE",
              help="One setting, such as ladder.batch=32; may be repeated.")  # fmt: skip
def command(
    run_dir: Path | None, resume: bool, workers: int | None, cluster: str | None, board: Path | None,
    preset: str | None, config: Path | None, assignments: tuple[str, ...], budget: str | None, **chosen: Any,
) -> int:  # fmt: skip
    """Search for a loss: propose formulas, drop the senseless ones, train the rest, prove the best.

    Exit code 0: best.json holds a loss that is proved valid. 1: the budget ended without one. A run that was
    interrupted goes on by --resume, with the same trials as if it never had been.
    """
    settings = settings_of(preset, config, assignments, chosen, resume)
    if resume and run_dir is None:
        raise click.UsageError("--resume needs the --run-dir to go on with.")
    if resume and run_dir is not None and not (run_dir / "config.toml").is_file():
        # A new run here would be one of other settings than the one that was meant.
        raise LossError(f"{run_dir} holds no run to resume; leave out --resume to begin one there")
    if cluster is not None and (workers is not None or not cluster.strip()):
        raise click.UsageError("--cluster wants an address, and trains as many candidates as its workers have threads, "
                               "so --workers does not go with it.")  # fmt: skip
    place = run_dir or Path("runs") / time.strftime("%Y%m%d-%H%M%S")

    import torch

    from lossdsl.cli.search_progress import shown
    from lossdsl.search.scalars import tensorboard
    from lossdsl.search.session import search

    torch.set_num_threads(1)  # the workers use the cores; a second thread under each would only be in the way
    again = f"what is there is kept; go on with: lossdsl search --resume --run-dir {shlex.quote(str(place))}"
    here = (place / "config.toml").is_file
    with goes_on(again, here), shown() as show, tensorboard(board) if board else nullcontext() as note:

        def progress(now: Progress) -> None:
            show(now)
            if note is not None:
                note(now)

        result = search(
            settings,
            run_dir=place,
            budget=budget,
            resume=resume,
            workers=workers or os.cpu_count() or 1,
            cluster=cluster,
            progress=progress,
            say=lambda text: click.echo(text, err=True),
        )
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(summary(result))
    return FINE if result.best is not None else FINDINGS


def settings_of(
    preset: str | None, config: Path | None, assignments: tuple[str, ...], chosen: dict[str, Any], resume: bool
) -> Settings:
    """What the preset, the model and the task bring; over it the file, the single settings, and the options."""
    from lossdsl.search.layers import layered
    from lossdsl.search.toml import assigned, tables, text_of

    reading = take_open_reading(chosen)
    given = {name: value for name, value in chosen.items() if value is not None}
    if reading:
        given["reading"] = reading
    if "source" in given:
        given["data"] = given.pop("source")
    if resume and (given or preset or config or assignments):
        raise click.UsageError(
            "--resume takes its settings from the run; of the others only --budget, --workers, --cluster and "
            "--tensorboard may go with it."
        )
    if preset:
        given["preset"] = preset
    file = [(str(config), tables(text_of(config), str(config)))] if config is not None else []
    single = [(f"--set {assignment}", assigned(assignment)) for assignment in assignments]
    return layered([*file, *single, ("options", given)])


def summary(result: SearchResult) -> str:
    """The result for people."""
    counts = ", ".join(f"{count} {fate}" for fate, count in result.fates.items() if count)
    lines = [f"{result.trials} trials in {result.elapsed:.0f} s ({counts})"]
    best = result.best
    if best is None:
        return "\n".join([*lines, "no loss was proved valid; give it a larger --budget"])
    test = best["test"]
    gain = test["difference"]
    metric = {"auc": "AUC", "gauc": "AUC per user"}.get(test["metric"], test["metric"])
    lines += [
        f"best loss  {best['formula']}",
        f"verdict    {best['verdict']} ({best['nodes']} nodes, trial {best['number']})",
        f"test {metric}, {test['seeds']} seeds: {test['best']['mean']:.4f}; "
        f"{test['baseline']} tuned alike: {test['bce']['mean']:.4f}",
        f"difference {gain['mean']:+.4f}, 95 % interval {gain['low']:+.4f} to {gain['high']:+.4f} "
        "(users and seeds drawn again)",
        *_unfinished(test),
        f"train with it: {training(result)}",
        f"look at it:    lossdsl report {shlex.quote(str(result.run_dir))}",
    ]
    return "\n".join(lines)


def _unfinished(test: dict[str, Any]) -> list[str]:
    """A warning where trainings of the fair test might have gone on to something better."""
    rows = [(name, test[row].get("best_was_last", 0)) for name, row in (("it", "best"), (test["baseline"], "bce"))]
    late = ", ".join(f"{name} in {count} of {test['seeds']}" for name, count in rows if count)
    return [f"           the best epoch was the last one allowed: {late}; see --set training.test_stretch"] * bool(late)


def training(result: SearchResult) -> str:
    """The command that trains with what was found: its model and task, and the sizes, rate and L2 of the fair test."""
    from lossdsl.recsys.settings import Settings as Recommender
    from lossdsl.search.final import fresh_seeds, patience_of
    from lossdsl.search.presets import for_test

    settings = for_test(result.settings)
    words = ["lossdsl", "train", "--loss", str(result.run_dir), "--data", settings.data]
    words += as_reading_options(settings.reading.changed())
    words += ["--model", settings.model] * (settings.model != "biasedmf")
    words += ["--task", settings.task] * (settings.task != "explicit")
    if settings.preset:
        return shlex.join([*words, "--preset", settings.preset])
    usual = Recommender(model=settings.model, task=settings.task).resolve()
    own = ["layers"] * (settings.training.layers == (0,) or settings.model == "biasedmf")
    own += ["batch_size"] * (settings.training.batch_size == 0)
    own += ["train_neg"] * (settings.task != "implicit")
    own += ["epochs"] * (settings.training.test_rows > 0)  # those of the test have fewer rows
    epochs, patience = patience_of(settings)
    for name in ("dim", "init_std", "layers", "optimizer", "lr", "batch_size", "epochs", "train_neg"):
        value: Any = epochs if name == "epochs" else getattr(settings.training, name)
        if name not in own and value != getattr(usual, name):
            written = ",".join(map(str, value)) if name == "layers" else f"{value}"
            words += [f"--{name.replace('_', '-')}", written]
    words += ["--patience", str(patience)]
    if result.best is not None:
        words += ["--l2", f"{result.best['l2']:.6g}"]
    words += ["--seeds", str(settings.training.test_seeds), "--first-seed", str(fresh_seeds(settings)[1])]
    return shlex.join(words)
