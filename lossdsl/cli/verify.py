"""`lossdsl verify`: checks a certificate without the engine that made it."""

from __future__ import annotations

from pathlib import Path

import click

from lossdsl.cli.main import FINDINGS, FINE


@click.command(
    "verify",
    epilog="Example: lossdsl check bce --certificate bce.json && lossdsl verify bce.json",
)
@click.argument("file", type=click.Path(dir_okay=False))
def command(file: str) -> int:
    """Check the certificate in FILE, which `lossdsl check --certificate FILE` writes.

    Nothing of the prover is used: the formula is read again, and every claim is checked by exact polynomials, Sturm's
    theorem and intervals rounded outward.

    Claims may hold of a loss that is not valid; where one of the five that make the verdict is missing, that is said.

    Exit code 0: every claim holds. 1: a claim does not hold, or nothing is claimed. 2: the file cannot be read.
    """
    from lossdsl.report import VERDICT
    from lossdsl.verifier import verify
    from lossdsl.verifier.limits import MAX_BYTES

    path = Path(file)
    with path.open("rb") as stream:
        outcome = verify(stream.read(MAX_BYTES + 1))
    if outcome.problem is not None:
        click.echo(f"{file}: {outcome.problem}")
        return FINDINGS
    for entry in outcome.entries:
        click.echo(_plain(entry.formula))
        if entry.verified:
            click.echo(f"  verified at {_plain(entry.scope)}: {', '.join(entry.verified)}")
            # Of pairs, and of one label, nobody asks whether the label matters.
            needed = [name for name in VERDICT if name != "uses_label" or len(entry.labels) > 1]
            missing = [name for name in needed if name not in entry.verified]
            if missing:
                click.echo(f"  not shown to be valid, for that takes {', '.join(missing)} too")
        for name, why in entry.failed.items():
            click.echo(f"  FAILS {name}: {_plain(why)}")
        for name, why in entry.uncertified.items():
            click.echo(f"  not certified {_plain(name)}: {_plain(why)}")
        if not entry.verified and not entry.failed:
            click.echo("  nothing is claimed")
    failures = sum(len(entry.failed) for entry in outcome.entries)
    total = sum(len(entry.verified) for entry in outcome.entries)
    if failures:
        click.echo(f"{failures} of {failures + total} claims do not hold")
    elif not total:
        click.echo("the certificate claims nothing")
    else:
        click.echo(f"all {total} claims hold")
    return FINE if outcome.ok else FINDINGS


def _plain(text: str) -> str:
    """The text without control characters, which a terminal would obey; not longer than a line or two."""
    return "".join(c if c.isprintable() else "�" for c in text[:400])
