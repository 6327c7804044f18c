"""`lossdsl report`: one HTML file about a search, or about a log of the original program."""

from __future__ import annotations

from pathlib import Path

import click

from lossdsl.cli.main import FINE
from lossdsl.errors import naming


@click.command("report", epilog="Example: lossdsl report runs/first")
@click.argument("run_dir", required=False, type=click.Path(path_type=Path))
@click.option(
    "--from-log", "log", type=click.Path(path_type=Path), metavar="FILE", help="Read a log of AutoLossGen instead."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write.  [default: report.html in the run directory, or FILE.html]",
)
@click.option("--csv", "sheet", type=click.Path(path_type=Path), metavar="FILE",
              help="With --from-log: also write the table that its two scripts gave.")  # fmt: skip
def command(run_dir: Path | None, log: Path | None, output: Path | None, sheet: Path | None) -> int:
    """Write a report of a search as one HTML file that needs nothing else."""
    if (run_dir is None) == (log is None):
        raise click.UsageError("Give a RUN_DIR, or --from-log FILE.")
    if log is not None:
        from lossdsl.search.oldlog import as_csv, passed, read_log, summary
        from lossdsl.search.oldlog_page import log_page

        target = output or Path(log.name).with_suffix(".html")
        for flag, path in (("-o", target), ("--csv", sheet)):
            if path is not None and path.exists() and log.exists() and path.samefile(log):
                raise click.UsageError(f"{path} is the log itself; name another file with {flag}.")
        rows = read_log(log, lambda text: click.echo(f"warning: {text}", err=True))
        with naming(target):
            target.write_text(log_page(log, rows), encoding="utf-8")
        if sheet is not None:
            with naming(sheet):
                sheet.write_text(as_csv(rows), encoding="utf-8")
        click.echo(summary(rows))
        for row in passed(rows):
            click.echo(f"  epoch {row.epoch}: {row.valid_check}, {row.printed}, trained {row.trained}: {row.formula}")
    else:
        assert run_dir is not None
        if sheet is not None:
            raise click.UsageError("--csv goes with --from-log; the trials of a run are in its trials.jsonl.")
        from lossdsl.search.page import report

        target = output or run_dir / "report.html"
        with naming(target):
            target.write_text(report(run_dir), encoding="utf-8")
    click.echo(f"{target}")
    return FINE
