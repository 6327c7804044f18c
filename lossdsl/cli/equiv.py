"""`lossdsl equiv`: whether two formulas train the same."""

from __future__ import annotations

import click

from lossdsl.cli.main import FINDINGS, FINE, FormulaCommand
from lossdsl.errors import LossSyntaxError

SAME, DIFFERENT, UNDECIDED = FINE, FINDINGS, 3


@click.command("equiv", cls=FormulaCommand, epilog='Example: lossdsl equiv "log(1/pred)" "-log(pred)"')
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--dialect", default="auto", show_default=True, help="The dialect of both formulas.")
@click.option("--pairwise", is_flag=True, help="Compare as losses of pairs, functions of the difference of two scores.")
def command(first: str, second: str, dialect: str, pairwise: bool) -> int:
    """Say whether A and B are the same for training: their slopes equal up to one positive factor, for every label.

    Exit code 0: the same. 1: different, or a formula that cannot be read. 3: undecided.
    """
    from lossdsl.equivalence import equivalent
    from lossdsl.formula import Formula, parse

    formulas: list[Formula] = []
    for text in (first, second):
        try:
            formulas.append(parse(text, dialect=dialect))
        except LossSyntaxError as error:
            click.echo(str(error), err=True)
            return FINDINGS
    answer = equivalent(*formulas, pairwise=pairwise or None)
    words = {
        True: ("same: the slopes are equal up to one positive factor", SAME),
        False: ("different: the slopes are not proportional", DIFFERENT),
        None: ("undecided: neither the exact key nor a fingerprint settles it", UNDECIDED),
    }
    for formula in formulas:
        click.echo(f"  {formula}")
    message, code = words[answer]
    click.echo(message)
    return code
