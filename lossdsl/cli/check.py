"""`lossdsl check`: the validator. Reads formulas from arguments, files or standard input and judges each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lossdsl.cli.main import FINDINGS, FINE, USAGE, FormulaCommand
from lossdsl.errors import LossError, LossSyntaxError, naming
from lossdsl.report import Report

# What a report has to be at least as bad as for exit code 1.
LEVELS = {"error": 0, "unknown": 1, "warning": 2}


@dataclass(frozen=True)
class Entry:
    """One formula to judge and where it stands: `path` and `line` are None for one typed on the command line."""

    text: str
    path: str | None = None
    line: int | None = None


def read_file(path: str) -> Iterator[Entry]:
    """The formulas of a file, one a line; `#` begins a comment; `-` is standard input."""
    data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    shown = "<stdin>" if path == "-" else path
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = data[: error.start].count(b"\n") + 1
        raise LossError(f"{shown}:{place}: this file is not UTF-8 text (byte {error.start})") from None
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.split("#", 1)[0].rstrip("\r")
        if line.strip():
            yield Entry(line, shown, number)


EXAMPLE = 'Example: lossdsl check "-(label*log(pred) + (1-label)*log(1-pred))" --format json'


@click.command("check", cls=FormulaCommand, epilog=EXAMPLE)
@click.argument("formulas", nargs=-1)
@click.option("-f", "--file", "files", multiple=True, metavar="FILE", help="Read formulas from FILE, one a line.")
@click.option("--as-files", is_flag=True, help="Take the arguments as files, as pre-commit passes them.")
@click.option(
    "--dialect", default="auto", show_default=True, help="lossdsl, python, latex, autolossgen, autolossgen-plain."
)
@click.option(
    "--format", "--output-format", "layout", default="text", show_default=True,
    type=click.Choice(["text", "concise", "json", "jsonl", "sarif", "github"]), help="How to print the findings.",
)  # fmt: skip
@click.option(
    "--fail-on", type=click.Choice(list(LEVELS)), default="error", show_default=True, help="What makes the exit code 1."
)
@click.option("--exit-zero", is_flag=True, help="Exit 0 whatever was found.")
@click.option(
    "--label", "labels", default="{0,1}", show_default=True, help='Labels to judge at: "{0,1}", "{1}" or "[0,1]".'
)
@click.option(
    "--pairwise", is_flag=True, help="Read the formula as a loss of pairs: without label, it is judged at label 1."
)
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True, metavar="SECONDS",
    help="Per formula; what is not decided by then is undecided.",
)  # fmt: skip
@click.option(
    "--certificate", metavar="FILE", type=click.Path(dir_okay=False, writable=True),
    help="Write what `lossdsl verify FILE` needs to check the proofs without the prover.",
)  # fmt: skip
def command(
    formulas: tuple[str, ...],
    files: tuple[str, ...],
    as_files: bool,
    dialect: str,
    layout: str,
    fail_on: str,
    exit_zero: bool,
    labels: str,
    pairwise: bool,
    timeout: float,
    certificate: str | None,
) -> int:
    """Say what is provably true of each FORMULA (`-` reads standard input).

    Exit code 0: nothing found. 1: findings, or a formula that cannot be read. 2: wrong usage or an unreadable file.
    """
    from lossdsl.checking import check
    from lossdsl.cli.formats import Printer
    from lossdsl.formula import parse
    from lossdsl.report import error_report

    labels = "".join(labels.split())
    if labels not in ("{0,1}", "{1}", "[0,1]"):
        raise click.BadParameter(f'{labels!r} is not one of "{{0,1}}", "{{1}}", "[0,1]"', param_hint="--label")
    if as_files:
        formulas, files = (), (*files, *formulas)
    if certificate == "-":
        raise click.UsageError("--certificate needs a file, such as loss.json: standard output has the report.")
    if not formulas and not files:
        raise click.UsageError("Give a FORMULA, -f FILE, or - for standard input.")

    def entries() -> Iterator[Entry]:
        for text in formulas:
            yield from read_file("-") if text.strip() == "-" else [Entry(text)]
        for path in files:
            yield from read_file(path)

    printer = Printer(layout)
    worst = len(LEVELS)
    certified: list[dict[str, Any]] = []
    for entry in entries():
        try:
            formula = parse(entry.text, dialect=dialect)
            report = check(formula, pairwise=pairwise or None, label=labels, timeout=timeout)
            if certificate is not None:
                from lossdsl.certificate import certify

                certified.append(certify(formula, report, pairwise=pairwise, label=labels))
        except LossSyntaxError as error:
            report = error_report(error, entry.text, dialect)
        printer.add(entry, report)
        worst = min(worst, _level(report))
    printer.close()
    if not printer.count:
        # A pipe that broke upstream must not read as "nothing found".
        click.echo("lossdsl: there is no formula in what was given", err=True)
        return USAGE
    if certificate is not None:
        from lossdsl.certificate import document

        with naming(certificate):
            Path(certificate).write_text(document(certified), encoding="utf-8")
    return FINE if exit_zero or worst > LEVELS[fail_on] else FINDINGS


def _level(report: Report) -> int:
    if report.verdict in ("invalid", "error"):
        return LEVELS["error"]
    if report.verdict == "unknown":
        return LEVELS["unknown"]
    refuted = {f.severity for f in report.properties.values() if f.status == "refuted"}
    return LEVELS["warning"] if "warning" in refuted else len(LEVELS)
