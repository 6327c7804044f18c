"""`lossdsl compare`: several losses, models and data sets, tuned alike."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lossdsl.cli.main import FINDINGS, FINE, goes_on
from lossdsl.cli.options import MODELS, Folder, noted, reading_options, settings_from, take_reading, training_options
from lossdsl.errors import naming

if TYPE_CHECKING:
    from lossdsl.recsys.compare import Data
    from lossdsl.recsys.comparison import Comparison
    from lossdsl.recsys.dataset import Dataset


PICTURES = (".svg", ".png", ".pdf")


@click.command("compare", epilog="Example: lossdsl compare --loss bce --loss focal --data demo --seeds 5")
@click.option(
    "--loss",
    "losses",
    multiple=True,
    required=True,
    metavar="L",
    help="A formula, a named loss or a run directory; the first one is what the others are set against.",
)
@click.option("--dialect", default="auto", show_default=True, help="Dialect of the formulas.")
@click.option("--data", "sources", multiple=True, required=True, metavar="D", help="demo, ml-100k, a file or a folder.")
@click.option(
    "--model",
    "models",
    multiple=True,
    default=("biasedmf",),
    show_default=True,
    type=MODELS,
    help="A recommender; may be given several times.",
)
@training_options
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="Fresh seeds of the test.")
@click.option("--tuning-seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Seeds of each point.")
@click.option("--lrs", metavar="LR,LR,…", help="Learning rates of the grid.")
@click.option("--l2s", metavar="L2,L2,…", help="L2 of the grid, in units of each loss's own slope.")
@click.option("--workers", type=click.IntRange(min=1), help="Trainings side by side; default: the number of cores.")
@click.option(
    "--check",
    "checking",
    type=click.Choice(["error", "warn", "off"]),
    default="error",
    show_default=True,
    help="What to do with a loss that is proved invalid.",
)
@click.option("--run-dir", type=Folder(), help="Keeps finished trainings there, so that the command can be resumed.")
@click.option("--csv", "csv_file", metavar="FILE", help="Write the table as CSV.")
@click.option("--plot", "plot_file", metavar="FILE", help="Draw means and intervals as SVG or PNG.")
@reading_options
@click.option("--folds", "all_folds", is_flag=True, help="All five folds of LETOR's parts, their test rows together.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    losses: tuple[str, ...], dialect: str, sources: tuple[str, ...], models: tuple[str, ...], seeds: int,
    tuning_seeds: int, lrs: str | None, l2s: str | None, workers: int | None, checking: str, run_dir: Path | None,
    csv_file: str | None, plot_file: str | None, all_folds: bool, as_json: bool, **options: Any,
) -> int:  # fmt: skip
    """Compare losses with the same tuning budget for each: at least 12 points of learning rate and L2, on validation.

    Then each is trained with fresh seeds at its best point. Intervals come from a bootstrap over users and seeds,
    differences to the first loss are paired by user, p-values corrected by Holm.

    Exit code 1: a loss cannot be read, is proved invalid, or stopped with every seed.
    """
    from lossdsl.cli.progress import bar
    from lossdsl.cli.train import allowed, read_loss
    from lossdsl.errors import LossSyntaxError
    from lossdsl.recsys.compare import compare
    from lossdsl.recsys.data import load
    from lossdsl.recsys.store import prepare, prepare_file
    from lossdsl.recsys.trainer import Diverged
    from lossdsl.recsys.training import single_thread
    from lossdsl.recsys.tuning import Point

    try:
        formulas = [read_loss(text, dialect) for text in losses]
    except LossSyntaxError as error:
        click.echo(error, err=True)
        return FINDINGS
    reading = take_reading(options)
    for name in ("lr", "l2"):
        if options[name] is not None:
            raise click.UsageError(f"--{name} is tuned here; give the values to try with --lrs and --l2s")
    if options.get("epochs") is None:
        options["epochs"] = 200
    if options.get("patience") is None:
        # Some losses rest on a plateau for twenty epochs and are as good as any in the end.
        options["patience"] = 25
    options["model"] = models[0]
    settings = settings_from(options)
    for formula in formulas:
        if not all(allowed(formula, model == "ranknet" or bool(settings.pairs), checking) for model in models):
            return FINDINGS
    points = None
    if lrs or l2s:
        if not (lrs and l2s):
            raise click.UsageError("--lrs and --l2s go together")
        points = [Point(lr, l2) for lr in _numbers(lrs) for l2 in _numbers(l2s)]
    for place in (csv_file, plot_file):
        if place is not None:
            prepare_file(place)
    if plot_file is not None:
        check_picture(plot_file)
    if run_dir is not None:
        prepare(run_dir)
    datasets: list[Data] = []
    for source in sources:
        data = noted(load(source, **reading))
        if all_folds:
            datasets.append(_folds(source, data, reading))
        else:
            datasets.append(data)
    single_thread()
    try:
        with goes_on("the same command goes on from what is kept", lambda: run_dir is not None), \
                bar("training", None) as step:  # fmt: skip
            result = compare(
                formulas, datasets, models, settings=settings, points=points, seeds=seeds, tuning_seeds=tuning_seeds,
                workers=workers or os.cpu_count() or 1, run_dir=run_dir, progress=step, total=step.total,
            )  # fmt: skip
    except Diverged as error:
        click.echo(error, err=True)
        return FINDINGS
    if csv_file is not None:
        with naming(csv_file):
            Path(csv_file).write_text(as_csv(result), encoding="utf-8")
    if plot_file is not None:
        draw(result, plot_file)
    click.echo(json.dumps(result.to_dict()) if as_json else as_text(result))
    return FINE


def _folds(source: str, data: Dataset, reading: dict[str, Any]) -> tuple[Dataset, ...]:
    from lossdsl.recsys.data import load
    from lossdsl.recsys.letor import FOLDS

    if not data.name.endswith(f"-fold{reading['fold']}"):
        raise click.UsageError(f"--folds: {source} has none; a folder with LETOR's parts S1.txt to S5.txt has")
    return tuple(load(source, **{**reading, "fold": fold}) for fold in range(1, FOLDS + 1))


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise click.UsageError(f"numbers with commas, such as 0.001,0.003, not `{text}`") from None


def as_text(result: Comparison) -> str:
    """A table for people; below it the transfer matrix, where there is more than one place."""
    lines = []
    places = result.places()
    for model, data in places:
        cells = result.at(model, data)
        width = min(max(len(cell.name) for cell in cells), 60)
        lines.append(
            f"{model} on {data}: {cells[0].metric} on test, {result.seeds} seeds, {result.points} tuning points"
        )
        for cell in cells:
            low, high = cell.replicates.interval
            line = f"  {cell.name[:width]:<{width}}  {cell.mean:.4f} [{low:.4f}, {high:.4f}]"
            if cell.against is not None:
                a = cell.against
                line += f"  {a.mean:+.4f} [{a.low:+.4f}, {a.high:+.4f}] p {a.p_holm:.3f}"
            marks = ["tuned to the edge of the grid"] * cell.edge
            marks += [f"best epoch was the last in {cell.unfinished} of {len(cell.epochs)}"] * bool(cell.unfinished)
            marks += [f"{cell.exploded} of {result.seeds} seeds blew up"] * bool(cell.exploded)
            lines.append(line + (f"  ({'; '.join(marks)})" if marks else ""))
    if len(places) > 1:
        losses, columns, values = result.matrix()
        lines.append("transfer: " + ", ".join(columns))
        for loss, row in zip(losses, values):
            lines.append("  " + "  ".join(f"{value:.4f}" for value in row) + f"  {loss}")
    return "\n".join(lines)


def as_csv(result: Comparison) -> str:
    """One line a cell."""
    rows = [cell.to_dict() for cell in result.cells]
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    table = csv.DictWriter(out, names, lineterminator="\n")
    table.writeheader()
    for row in rows:
        table.writerow({k: " ".join(map(str, v)) if isinstance(v, list) else v for k, v in row.items()})
    return out.getvalue()


def check_picture(path: str) -> None:
    """Complains before the training where no picture could be made after it."""
    from lossdsl.errors import MissingExtra

    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise MissingExtra("plot", "drawing") from None
    if Path(path).suffix.lower() not in PICTURES:
        raise click.UsageError(f"--plot: a picture is {', '.join(PICTURES)}, not `{Path(path).name}`")


def draw(result: Comparison, path: str) -> None:
    """Means and intervals as a picture, one panel a model and data set."""
    from matplotlib.figure import Figure

    places = result.places()
    most = max(len(result.at(*place)) for place in places)
    figure = Figure(figsize=(5.5 * len(places), 1.2 + 0.35 * most), layout="constrained")
    for panel, (model, data) in zip(figure.subplots(1, len(places), squeeze=False)[0], places):
        cells = result.at(model, data)[::-1]
        for height, cell in enumerate(cells):
            panel.plot(cell.replicates.interval, (height, height), color="0.6", linewidth=3, solid_capstyle="butt")
            panel.plot(cell.mean, height, "o", color="C0")
        panel.set_yticks(
            range(len(cells)), [cell.name if len(cell.name) < 40 else cell.name[:37] + "…" for cell in cells]
        )
        panel.set_xlabel(f"{cells[0].metric} on test, 95 % over users and seeds")
        panel.set_title(f"{model} on {data}")
    figure.savefig(path)
