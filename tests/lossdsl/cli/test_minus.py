"""Formulas that begin with a minus, through the whole command."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lossdsl.cli.main import FormulaCommand, main

CASES = [("-log(pred)", 1), ("-(label*log(pred))", 1), ("-focal", 1), ("-if(pred > 0.5, 1, 0)", 1), ("--pred", 2)]


def exit_code(*args: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(args)
    return int(caught.value.code or 0)


@pytest.mark.parametrize("formula, code", CASES)
def test_check(formula: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("check", formula) == code
    shown = capsys.readouterr()
    assert (formula in shown.out or "LD016" in shown.out) if code < 2 else "No such option" in shown.err


def test_options_stand_before_or_behind(capsys: pytest.CaptureFixture[str]) -> None:
    for args in (("--pairwise", "-logsigmoid(score)"), ("-logsigmoid(score)", "--pairwise")):
        assert exit_code("check", *args) == 0
        assert "valid" in capsys.readouterr().out


def test_an_option_with_a_value_takes_it_even_where_it_begins_with_a_minus() -> None:
    import click

    seen: list[object] = []

    @click.command("x", cls=FormulaCommand)
    @click.argument("formulas", nargs=-1)
    @click.option("--with", "other")
    @click.option("-q", "quiet", is_flag=True)
    def command(formulas: tuple[str, ...], other: str | None, quiet: bool) -> None:
        seen.append((formulas, other, quiet))

    command.main(["-a", "--with", "-b", "-q", "--with=-c", "-(d)"], standalone_mode=False)
    command.main(["--", "--with", "-q"], standalone_mode=False)
    assert seen == [(("-a", "-(d)"), "-c", True), (("--with", "-q"), None, False)]


def test_the_installed_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lossdsl", "show", "--no-curves", "-log(pred)"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "formula     -log(pred)" in done.stdout
