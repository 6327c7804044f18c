"""`lossdsl compare-strategies`: controller, ppo, evolution and random search at equal training cost."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from lossdsl.cli.main import FINE, goes_on
from lossdsl.cli.options import Folder, noted, open_reading_options, take_open_reading


@click.command("compare-strategies", epilog="Example: lossdsl compare-strategies --data demo --seeds 3 --rows 20000000")
@click.option("--data", "source", required=True, metavar="D", help="demo, ml-100k, or a file or folder.")
@click.option(
    "--model", type=click.Choice(["biasedmf", "deepmodel", "ranknet"]), help="The recommender.  [default: biasedmf]"
)
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    type=click.Choice(["controller", "ppo", "evolution", "random"]),
    help="Only these; may be repeated.",
)
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="Searches of each strategy.")
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=50_000_000,
    show_default=True,
    help="Rows of training that each search is given.",
)
@click.option(
    "--run-dir",
    type=Folder(),
    default=Path("runs/strategies"),
    show_default=True,
    help="Where the searches are written; those that are there go on.",
)
@open_reading_options
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="One setting; may be repeated.")
@click.option("--workers", type=click.IntRange(min=1), help="Default: the number of cores.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, curves included.")  # fmt: skip
def command(
    source: str, model: str | None, strategies: tuple[str, ...], seeds: int, rows: int, run_dir: Path,
    assignments: tuple[str, ...], workers: int | None, as_json: bool, **chosen: Any,
) -> int:  # fmt: skip
    """Compare strategies of search at equal training cost: the median over several search seeds."""
    import torch

    from lossdsl.recsys.data import load
    from lossdsl.search.contest import contest, table
    from lossdsl.search.layers import layered
    from lossdsl.search.limits import check
    from lossdsl.search.strategies import STRATEGIES
    from lossdsl.search.toml import assigned

    torch.set_num_threads(1)
    single = [(f"--set {assignment}", assigned(assignment)) for assignment in assignments]
    given = {"data": source, "reading": take_open_reading(chosen), **({"model": model} if model else {})}
    settings = layered([*single, ("options", given)])
    check(settings)  # before the folder of the searches is made
    with goes_on("the same command goes on from what is kept", run_dir.is_dir):
        result = contest(
            settings,
            noted(load(source, settings.reading.reading())),
            strategies or STRATEGIES,
            range(seeds),
            rows,
            run_dir,
            workers=workers or os.cpu_count() or 1,
            say=lambda text: click.echo(text, err=True),
        )
    click.echo(json.dumps(result.to_dict()) if as_json else table(result))
    return FINE
