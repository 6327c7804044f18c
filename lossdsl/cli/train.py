"""`lossdsl train`: the effectiveness test of a loss."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lossdsl.cli.options import model_options, reading_options, settings_from, take_reading

if TYPE_CHECKING:
    from lossdsl.formula import Formula
    from lossdsl.recsys.training import TrainResult


@click.command("train", epilog='Example: lossdsl train --loss "focal where gamma = 1" --data demo --seeds 3')
@click.option("--loss", required=True, metavar="L", help="A formula, a named loss, or a search's run directory.")
@click.option("--dialect", default="auto", show_default=True, help="Dialect of the formula.")
@click.option("--data", "source", required=True, metavar="D", help="demo, ml-100k, or a file or folder.")
@model_options
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="How many seeds to train with.")
@click.option("--first-seed", type=int, default=0, help="The first of them.")
@click.option("--engine", type=click.Choice(["auto", "fused", "torch"]), default="auto", show_default=True)
@click.option("--device", default="cpu", show_default=True, help="Device of the torch engine.")
@click.option("--workers", type=click.IntRange(min=1), help="Seeds trained side by side; default: the number of cores.")
@click.option("--check", "checking", type=click.Choice(["error", "warn", "off"]), default="error", show_default=True,
              help="What to do with a loss that is proved invalid.")  # fmt: skip
@reading_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    loss: str, dialect: str, source: str, seeds: int, first_seed: int, engine: str, device: str, workers: int | None,
    checking: str, as_json: bool, **options: Any,
) -> int:  # fmt: skip
    """Train a recommender with a loss, several times, and test each at the epoch that was best on validation."""
    from lossdsl.cli.progress import bar
    from lossdsl.recsys.data import load
    from lossdsl.recsys.training import train

    formula = read_loss(loss, dialect)
    settings = settings_from(options)
    if not allowed(formula, bool(settings.pairs), checking):
        return 1
    data = load(source, **take_reading(options))
    with bar("training", seeds * settings.epochs) as step:
        result = train(
            formula, data, settings=settings, seed=first_seed, seeds=seeds, engine=engine, device=device,
            workers=workers or min(seeds, os.cpu_count() or 1), progress=lambda *_: step(),
        )  # fmt: skip
    for run in result.runs:
        if run.stopped:
            click.echo(f"seed {run.seed} stopped: {run.stopped}", err=True)
    click.echo(json.dumps(result.to_dict()) if as_json else summary(result))
    return 0


def read_loss(text: str, dialect: str = "auto") -> Formula:
    """The formula that was typed, or the best of a run directory."""
    from lossdsl.errors import LossError
    from lossdsl.formula import parse

    best = Path(text) / "best.json"
    if best.is_file():
        try:
            text = json.loads(best.read_text(encoding="utf-8"))["formula"]
        except (ValueError, KeyError, TypeError) as error:
            raise LossError(f"{best}: not the best.json of a search ({error})") from None
        return parse(text, dialect="lossdsl")
    return parse(text, dialect=dialect)


def allowed(formula: Formula, pairs: bool, checking: str) -> bool:
    """Whether a loss may be trained with; says on stderr what is wrong with it."""
    if checking == "off":
        return True
    from lossdsl.checking import check

    report = check(formula, pairwise=pairs or None)
    if report.verdict != "invalid":
        return True
    findings = report.properties.items()
    wrong = [name for name, found in findings if found.status == "refuted" and found.severity == "error"]
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
