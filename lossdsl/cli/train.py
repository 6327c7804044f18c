"""`lossdsl train`: the effectiveness test of a loss."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lossdsl.cli.main import FINDINGS, FINE
from lossdsl.cli.options import READING, Folder, model_options, noted, reading_options, settings_from, take_reading

if TYPE_CHECKING:
    from lossdsl.formula import Formula
    from lossdsl.recsys.dataset import Dataset
    from lossdsl.recsys.training import TrainResult


@click.command("train", epilog='Example: lossdsl train --loss "focal where gamma = 1" --data demo --seeds 3')
@click.option("--loss", metavar="L", help="A formula, a named loss, or a search's run directory.")
@click.option("--dialect", default="auto", show_default=True, help="Dialect of the formula.")
@click.option("--data", "source", required=True, metavar="D", help="demo, ml-100k, or a file or folder.")
@model_options
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="How many seeds to train with.")
@click.option("--first-seed", type=click.IntRange(min=0), default=0, help="The first of them.")
@click.option("--engine", type=click.Choice(["auto", "fused", "torch"]), default="auto", show_default=True)
@click.option("--device", default="cpu", show_default=True, help="Device of the torch engine.")
@click.option("--workers", type=click.IntRange(min=1), help="Seeds trained side by side; default: the number of cores.")
@click.option("--check", "checking", type=click.Choice(["error", "warn", "off"]), default="error", show_default=True,
              help="What to do with a loss that is proved invalid.")  # fmt: skip
@reading_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--save", "save_to", type=Folder(), metavar="DIR", help="Save the first seed's model there.")
@click.option("--load", "load_from", metavar="DIR", help="Measure a saved model on its data instead of training.")
def command(
    loss: str | None, dialect: str, source: str, seeds: int, first_seed: int, engine: str, device: str,
    workers: int | None, checking: str, as_json: bool, save_to: Path | None, load_from: str | None, **options: Any,
) -> int:  # fmt: skip
    """Train a recommender with a loss, several times, and test each at the epoch that was best on validation.

    Exit code 1: the loss cannot be read, is proved invalid, or every seed blew up.
    """
    from lossdsl.recsys.data import load

    reading = take_reading(options)
    if load_from is not None:
        refuse_beside_load(click.get_current_context())
        return measure(load_from, noted(load(source, **reading)), as_json)
    if loss is None:
        raise click.UsageError("give a loss with --loss, or a saved model with --load")
    from lossdsl.cli.progress import bar
    from lossdsl.errors import LossSyntaxError
    from lossdsl.recsys.store import prepare, save
    from lossdsl.recsys.trainer import Diverged
    from lossdsl.recsys.training import single_thread, train

    try:
        formula = read_loss(loss, dialect)
    except LossSyntaxError as error:
        click.echo(error, err=True)
        return FINDINGS
    refuse_unheeded(options)
    settings = settings_from(options)
    if not allowed(formula, bool(settings.resolve().pairs), checking):
        return FINDINGS
    data = noted(load(source, **reading))
    if save_to is not None:
        prepare(save_to)
    single_thread()
    try:
        with bar("training", seeds * settings.epochs) as step:
            result = train(
                formula, data, settings=settings, seed=first_seed, seeds=seeds, engine=engine, device=device,
                workers=workers or min(seeds, os.cpu_count() or 1), progress=lambda *_: step(),
            )  # fmt: skip
    except Diverged as error:
        click.echo(error, err=True)
        return FINDINGS
    for run in result.runs:
        if run.stopped:
            click.echo(f"seed {run.seed} stopped: {run.stopped}", err=True)
    if save_to is not None:
        save(result, save_to)
    click.echo(json.dumps(result.to_dict()) if as_json else summary(result))
    return FINE


def refuse_beside_load(context: click.Context) -> None:
    """Wrong usage where an option was given that changes how a model trains: a saved one is measured as it is."""
    fits = {"load_from", "source", "as_json", *READING}
    for option in context.command.params:
        if option.name in fits or context.get_parameter_source(str(option.name)) == ParameterSource.DEFAULT:
            continue
        flag = "/".join((*option.opts, *option.secondary_opts))
        raise click.UsageError(f"--load measures a saved model as it is; it does not go with {flag}")


def refuse_unheeded(options: dict[str, Any]) -> None:
    """Wrong usage where an option was given that means nothing for the model, or for the task."""
    for name in ("layers", "dropout"):
        if options["model"] == "biasedmf" and options[name] is not None:
            raise click.UsageError(f"--{name} belongs to --model deepmodel and ranknet; biasedmf has none")
    for name in ("train_neg", "train_sampler"):
        if options["task"] != "implicit" and options[name] is not None:
            raise click.UsageError(f"--{name.replace('_', '-')} belongs to --task implicit")


def measure(path: str, data: Dataset, as_json: bool) -> int:
    """Prints the test metrics of a saved model."""
    from lossdsl.recsys import metrics
    from lossdsl.recsys.store import read

    saved = read(path)
    trainer = saved.trainer(data)
    names = tuple(saved.metrics)
    found = metrics.measure(trainer.watched("test"), trainer.scores("test"), names)
    if as_json:
        facts = {name: {"mean": value, "low": None, "high": None, "values": [value]} for name, value in found.items()}
        protocol = {"data": data.name, "fingerprint": data.fingerprint, "settings": saved.settings.to_dict()}
        out = {
            "schema": 1,
            "loss": saved.loss,
            "metrics": facts,
            "best_epoch": [saved.state.epoch],
            "protocol": protocol,
        }
        click.echo(json.dumps(out))
    else:
        click.echo(f"loss      {saved.loss}")
        for name, value in found.items():
            click.echo(f"{name:<9} {value:.4f}  on test, as saved")
    return FINE


def read_loss(text: str, dialect: str = "auto") -> Formula:
    """The formula that was typed, or the best of a run directory."""
    from lossdsl.errors import LossError, LossSyntaxError
    from lossdsl.formula import parse
    from lossdsl.search.best import read_best

    # A formula may be too long for the name of a file, of which Path complains and os.path does not.
    if os.path.isdir(text) and (best := read_best(Path(text))) is not None:
        return parse(best["formula"], dialect="lossdsl")
    try:
        return parse(text, dialect=dialect)
    except LossSyntaxError:
        # A formula goes first: a folder may be called `bce`.
        if not os.path.isdir(text):
            raise
        raise LossError(f"{text} is a directory without best.json: no search has found a loss there") from None


def allowed(formula: Formula, pairs: bool, checking: str) -> bool:
    """Whether a loss may be trained with; says on stderr what is wrong with it."""
    from lossdsl.prover.ranges import bounds_of

    if ranges := bounds_of(formula.tree):
        click.echo(f"the parameter `{next(iter(ranges))}` needs one value, not a range, to be trained with", err=True)
        return False
    if checking == "off":
        return True
    from lossdsl.checking import check
    from lossdsl.report import REFUTED, VERDICT

    report = check(formula, pairwise=pairs or None, properties=VERDICT)
    if report.verdict != "invalid":
        return True
    wrong = [name for name, found in report.properties.items() if found.status == REFUTED]
    what = f"this loss is invalid ({', '.join(wrong)})"
    click.echo(f"{what}; see `lossdsl check`, or train all the same with --check warn", err=True)
    return checking == "warn"


def summary(result: TrainResult) -> str:
    """A training in a few lines for people."""
    settings = result.settings
    rows = result.protocol["rows"]
    lines = [
        f"loss      {result.loss}",
        f"model     {settings.model}, {settings.optimizer} lr {settings.lr:g} l2 {settings.l2:g} dim {settings.dim} "
        f"batch {settings.batch_size}, {result.engine} engine",
        f"data      {result.protocol['data']}: {rows['train']:,} train, {rows['validation']:,} validation, "
        f"{rows['test']:,} test",
    ]
    for name, value in result.metrics.items():
        many = f", {len(value.values)} seeds" if len(value.values) > 1 else ""
        lines.append(f"{name:<9} {value}  on test, best validation epoch{many}")
    lines.append(f"epoch     {', '.join(map(str, result.best_epoch))} of {settings.epochs}")
    return "\n".join(lines)
