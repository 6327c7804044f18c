"""`lossdsl show`: how a formula was read, in text, LaTeX and curves."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from lossdsl.cli.main import FINDINGS, FINE, FormulaCommand

if TYPE_CHECKING:
    from lossdsl.formula import Formula

_LONGEST = 2000


@click.command("show", cls=FormulaCommand, epilog='Example: lossdsl show "focal where gamma = 1" --plot focal.svg')
@click.argument("formula", nargs=1)
@click.option("--dialect", default="auto", show_default=True, metavar="NAME",
              help="lossdsl, python, latex, autolossgen, autolossgen-plain, or auto.")  # fmt: skip
@click.option("--pairwise", is_flag=True, help="Read the formula as a loss of pairs.")
@click.option("--plot", metavar="FILE", help="Draw value and slope into FILE (svg, png or pdf).")
@click.option("--beside", multiple=True, metavar="LOSS", help="Draw LOSS into FILE too; may be repeated.")
@click.option("--no-curves", is_flag=True, help="Leave the curves in the terminal out.")
def command(
    formula: str, dialect: str, pairwise: bool, plot: str | None, beside: tuple[str, ...], no_curves: bool
) -> int:
    """Show how FORMULA was read: canonical text, simplified form, LaTeX, slope, verdict, curves."""
    from lossdsl.differentiate import axis
    from lossdsl.errors import LossSyntaxError
    from lossdsl.formula import parse
    from lossdsl.grammar.printer import show
    from lossdsl.grammar.tree import names, size

    try:
        loss, *others = parse(formula, dialect), *map(parse, beside)
    except LossSyntaxError as error:
        click.echo(str(error), err=True)
        return FINDINGS
    if beside and plot is None:
        raise click.UsageError("--beside needs --plot FILE")
    if plot is not None:
        from lossdsl.plot import kind_of

        kind_of(plot)  # else a screen of output would come before the refusal
    pairs = pairwise or loss.pairwise
    simplest, slope_parts = loss.simplest, size(loss.slope_tree.root)
    slope = show(loss.slope_tree) if slope_parts <= _LONGEST else f"({slope_parts:,} parts)"
    rows = [("formula", str(loss))]
    if loss.dialect != "lossdsl":
        rows.append(("read as", loss.dialect))
    rows.extend(("note", note) for note in loss.notes)
    rows.append(("simplified", "as it is" if simplest == loss else str(simplest)))
    rows.append(("latex", loss.latex))
    rows.append((f"d/d {axis(loss.tree)}", slope))
    rows.append(("verdict", _verdict(loss, pairs)))
    if not pairs and "label" not in names(loss.tree.root):
        rows.append(("hint", "this is judged as a loss of single items; for pairs, add --pairwise"))
    for title, text in rows:
        click.echo(f"{title:<12}{text if len(text) <= _LONGEST else f'({len(text):,} characters)'}")
    if not no_curves:
        from lossdsl.plot import terminal

        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        click.echo("\n" + terminal(loss, pairwise=pairs or None, unicode=unicode))
    if plot is not None:
        from lossdsl.plot import save

        save(plot, loss, *others, pairwise=pairs or None)
        click.echo(f"written: {plot}", err=True)
    return FINE


def _verdict(loss: Formula, pairwise: bool) -> str:
    from lossdsl.checking import check
    from lossdsl.report import VERDICT

    report = check(loss, pairwise=pairwise or None)
    open_ones = [n for n in VERDICT if n in report.properties and report.properties[n].status == "refuted"]
    if report.verdict == "unknown":
        open_ones = [n for n in VERDICT if n in report.properties and report.properties[n].status == "undecided"]
    return f"{report.verdict}: {', '.join(open_ones)}" if open_ones else report.verdict
