"""`lossdsl data`: what a data set holds, and fetching one."""

from __future__ import annotations

import json
from typing import Any

import click

from lossdsl.cli.options import reading_options


@click.group("data")
def command() -> None:
    """Describe or fetch a data set.

    Example: lossdsl data show demo
    """


@command.command("show", epilog="Example: lossdsl data show demo --json")
@click.argument("source", metavar="NAME|PATH")
@reading_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(source: str, as_json: bool, **reading: Any) -> int:
    """Summarize a data set: users, items, rows and positives of each split."""
    from lossdsl.recsys.data import load
    from lossdsl.recsys.describe import describe

    facts = describe(load(source, **reading))
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return 0
    counts = f"{facts['users']:,} users, {facts['items']:,} items"
    click.echo(f"{facts['name']}: {counts}, fingerprint {facts['fingerprint']}")
    width = max(len(name) for name in facts["splits"])
    for name, split in facts["splits"].items():
        click.echo(
            f"  {name:<{width}}  {split['rows']:>10,} rows  {split['positive']:>6.1%} positive  "
            f"{split['users']:>7,} users  {split['both']:>7,} with both labels"
        )
    for note in facts["notes"]:
        click.echo(f"  note: {note}")
    return 0


@command.command("get", epilog="Example: lossdsl data get ml-100k")
@click.argument("name", type=click.Choice(["ml-100k"]))
def get(name: str) -> int:
    """Fetch a data set once into the user's cache; after that it is used offline."""
    from lossdsl.recsys.fetch import fetch

    click.echo(fetch(say=lambda text: click.echo(text, err=True)))
    return 0
