"""`lossdsl compile`: a formula becomes a file that runs without lossdsl."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from lossdsl.cli.main import FINDINGS, FINE, FormulaCommand
from lossdsl.errors import naming

if TYPE_CHECKING:
    from lossdsl.formula import Formula

TARGETS = ("torchscript", "export", "python", "numpy", "c", "latex")
_SUFFIXES = {".pt": "torchscript", ".pt2": "export", ".py": "python", ".h": "c", ".tex": "latex"}


@click.command("compile", cls=FormulaCommand, epilog="Example: lossdsl compile bce --to torchscript -o bce.pt")
@click.argument("formula", nargs=1)
@click.option("--to", "target", type=click.Choice(TARGETS), help="What to write; by default what FILE's suffix says.")
@click.option("-o", "--output", metavar="FILE", help="Where to write it; without it, or by -, text goes to stdout.")
@click.option("--dialect", default="auto", show_default=True, metavar="NAME",
              help="lossdsl, python, latex, autolossgen, autolossgen-plain, or auto.")  # fmt: skip
@click.option("--pairwise", is_flag=True, help="The loss of a pair, a function of the difference of its scores.")
@click.option("--reduction", type=click.Choice(("mean", "sum", "none")), default="mean", show_default=True,
              help="torchscript and export: how the losses of the samples become one.")  # fmt: skip
@click.option("--axis", type=click.Choice(("pred", "score")),
              help="export: the input of the graph, pred by default where the formula has no score.")  # fmt: skip
def command(
    formula: str, target: str | None, output: str | None, dialect: str, pairwise: bool, reduction: str, axis: str | None
) -> int:
    """Compile FORMULA to a file or source text that runs without lossdsl."""
    from lossdsl.errors import LossError, MissingExtra
    from lossdsl.formula import parse

    output = None if output == "-" else output
    target = target or _SUFFIXES.get(Path(output or "").suffix)
    if target is None:
        raise click.UsageError(f"say what to write: --to {'|'.join(TARGETS)}")
    if target in ("torchscript", "export") and output is None:
        raise click.UsageError(f"--to {target} writes a binary file: add -o FILE")
    given = click.get_current_context().get_parameter_source("reduction")
    if given != ParameterSource.DEFAULT and target not in ("torchscript", "export"):
        raise click.UsageError(f"--reduction belongs to --to torchscript and export; {target} is of one sample")
    if axis is not None and target != "export":
        raise click.UsageError("--axis belongs to --to export; every other target has both axes")
    try:
        loss = parse(formula, dialect)
        if target in ("torchscript", "export"):
            _save(loss, target, str(output), pairwise or loss.pairwise, reduction, axis)
        else:
            _write(_source(loss, target, pairwise or loss.pairwise), output)
    except MissingExtra:
        raise  # an installation that lacks something is no finding about the formula
    except LossError as error:
        click.echo(f"lossdsl: {error}" if "\n" not in str(error) else str(error), err=True)
        return FINDINGS
    if output is not None:
        click.echo(f"written: {output}", err=True)
    return FINE


def _source(loss: Formula, target: str, pairwise: bool) -> str:
    from importlib import import_module

    module = {"python": "python_source", "numpy": "numpy_source"}.get(target, target)
    text: str = import_module(f"lossdsl.targets.{module}").source(loss, pairwise)
    return text


def _write(text: str, output: str | None) -> None:
    if output is None:
        click.echo(text, nl=False)
    else:
        with naming(output):
            Path(output).write_text(text, encoding="utf-8")


def _save(loss: Formula, target: str, output: str, pairwise: bool, reduction: str, axis: str | None) -> None:
    from lossdsl.loss import compile  # before torch: it says what to install where that is missing

    module = compile(loss, pairwise=pairwise, reduction=reduction)
    if target == "torchscript":
        content: bytes = module.torchscript().save_to_buffer()
    else:
        import torch

        file = BytesIO()
        torch.export.save(module.export(axis), file)
        content = file.getvalue()
    with naming(output):
        Path(output).write_bytes(content)
