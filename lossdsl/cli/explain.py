"""`lossdsl explain`: what a code means, why it matters, an example and its mend."""

from __future__ import annotations

import click

from lossdsl.cli.main import FINE, USAGE


@click.command("explain", epilog="Example: lossdsl explain LD003")
@click.argument("code", required=False)
@click.option("--all", "everything", is_flag=True, help="Explain every code.")
def command(code: str | None, everything: bool) -> int:
    """Explain a finding: what it means, why it matters for training, an example and its mend.

    Without CODE it lists the codes.
    """
    from lossdsl.catalogue import catalogue

    entries = catalogue()
    if everything:
        click.echo("\n\n\n".join(entry.render() for entry in entries.values()))
        return FINE
    if code is None:
        click.echo("\n".join(f"{entry.code}  {entry.title}" for entry in entries.values()))
        return FINE
    found = entries.get(code.strip().upper())
    if found is None:
        from difflib import get_close_matches

        close = get_close_matches(code.strip().upper(), entries, n=1)
        hint = f"did you mean `{close[0]}`?" if close else "`lossdsl explain` lists the codes"
        click.echo(f"lossdsl explain: there is no code `{code[:40]}`\n  hint: {hint}", err=True)
        return USAGE
    click.echo(found.render())
    return FINE
