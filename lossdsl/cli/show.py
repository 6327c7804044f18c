"""`lossdsl show`: how a formula was read, in text, LaTeX and curves."""

from __future__ import annotations

import sys

import click

from lossdsl.cli.main import FINDINGS, FINE, FormulaCommand

_LONGEST = 2000


@click.command("show", cls=FormulaCommand, epilog='Example: lossdsl show "focal where gamma = 1" --plot focal.svg')
@click.argument("formula", nargs=1)
@click.option("--dialect", default="auto", show_default=True, help="lossdsl, python, latex, autolossgen, autolossgen-plain.")
@click.option("--pairwise", is_flag=True, help="Read the formula as a loss of pairs.")
@click.option("--plot", metavar="FILE", help="Draw value and slope into FILE (svg, png or pdf).")
@click.option("--no-curves", is_flag=True, help="Leave the curves in the terminal out.")
def command(formula: str, dialect: str, pairwise: bool, plot: str | None, no_curves: bool) -> int:
    """Show how FORMULA was read: canonical text, simplified form, LaTeX, slope, verdict, curves."""
    from lossdsl.differentiate import axis
    from lossdsl.errors import LossSyntaxError
    from lossdsl.formula import parse
    from lossdsl.grammar.printer import show

    try:
        loss = parse(formula, dialect)
    except LossSyntaxError as error:
        click.echo(str(error), err=True)
        return FINDINGS
    pairs = pairwise or loss.pairwise
    simplest, slope = loss.simplest, show(loss.slope_tree)
    rows = [("formula", str(loss))]
    if loss.dialect != "lossdsl":
        rows.append(("read as", loss.dialect))
    rows.extend(("note", note) for note in loss.notes)
    rows.append(("simplified", "as it is" if simplest == loss else str(simplest)))
    rows.append(("latex", loss.latex))
    rows.append((f"d/d {axis(loss.tree)}", slope))
    rows.append(("verdict", _verdict(loss, pairs)))
    for title, text in rows:
        click.echo(f"{title:<12}{text if len(text) <= _LONGEST else f'({len(text):,} characters)'}")
    if not no_curves:
        from lossdsl.plot import terminal

        width = 72
        unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
        click.echo("\n" + terminal(loss, pairwise=pairs or None, width=width, unicode=unicode))
    if plot is not None:
        from lossdsl.plot import save

        save(plot, loss, pairwise=pairs or None)
        click.echo(f"written: {plot}", err=True)
    return FINE


def _verdict(loss: object, pairwise: bool) -> str:
    from lossdsl.checking import check
    from lossdsl.formula import Formula

    assert isinstance(loss, Formula)
    report = check(loss, pairwise=pairwise or None)
    wrong = [name for name, finding in report.properties.items() if finding.status == "refuted"]
    return str(report.verdict) + (f" (refuted: {', '.join(wrong)})" if wrong and report.verdict == "invalid" else "")
