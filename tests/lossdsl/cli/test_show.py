"""`lossdsl show`."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from lossdsl.cli.main import main
from lossdsl.cli.show import command


def run(*args: str) -> Result:
    result = CliRunner().invoke(command, list(args), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result


def rows(*args: str) -> dict[str, str]:
    output = run(*args, "--no-curves").stdout
    return {line[:12].strip(): line[12:] for line in output.splitlines()}


def test_what_was_read() -> None:
    assert rows("-y*log(p) - (1-y)*log(1-p) + 0") == {
        "formula": "-label*log(pred) - (1-label)*log(1-pred) + 0",
        "simplified": "-label*log(pred) - (1-label)*log(1-pred)",
        "latex": r"-y \log\left(\hat{y}\right) - \left(1 - y\right) \log\left(1 - \hat{y}\right) + 0",
        "d/d pred": "(pred-label)/(pred-pred^2)",
        "verdict": "valid",
    }


def test_a_simple_formula_is_simple_already() -> None:
    assert rows("mse")["simplified"] == "as it is"


def test_the_slope_is_along_the_score_where_there_is_one() -> None:
    assert rows("exponential")["d/d score"] == "exp((1-2*label)*score)*(1-2*label)"


def test_the_dialect_is_told() -> None:
    assert rows("-torch.log(pred)")["read as"] == "python"
    assert rows(r"\frac{1}{p}", "--dialect", "latex")["formula"] == "1/pred"


def test_pairs() -> None:
    assert rows("-logsigmoid(score)")["verdict"].startswith("invalid")
    assert rows("-logsigmoid(score)", "--pairwise")["verdict"] == "valid"
    assert rows("bpr")["verdict"] == "valid"


def test_verdict_names_what_is_wrong() -> None:
    assert rows("pred*label")["verdict"].startswith("invalid: ")
    assert "monotone" in rows("pred*label")["verdict"]


def test_a_loss_without_label_is_told_of_pairwise() -> None:
    assert "--pairwise" in rows("-log(sigmoid(score))")["hint"]
    assert "hint" not in rows("-log(sigmoid(score))", "--pairwise")
    assert "hint" not in rows("bce")


@pytest.mark.parametrize("formula", ["-log(pred)", "-(label*log(pred))", "-if(pred > 0.5, 1, 0)", "-1", "-pred"])
def test_a_formula_may_begin_with_a_minus(formula: str) -> None:
    assert rows(formula)["formula"] == formula
    assert run(formula, "--no-curves").return_value == 0
    assert run("--no-curves", "--", formula).return_value == 0


@pytest.mark.parametrize("formula, code", [("-focal", "LD016"), ("", "LD001"), ("-log(", "LD004"), ("-a", "LD003")])
def test_an_unreadable_formula_is_a_finding(formula: str, code: str) -> None:
    result = run(formula)
    assert result.return_value == 1
    assert code in result.stderr and "hint:" in result.stderr and not result.stdout


def test_an_unreadable_loss_beside_is_a_finding(tmp_path: Path) -> None:
    result = run("bce", "--plot", str(tmp_path / "a.svg"), "--beside", "log(")
    assert result.return_value == 1
    assert "LD004" in result.stderr and not result.stdout and not (tmp_path / "a.svg").exists()


def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["show", "bce", "--plot", "a.txt"])
    assert left.value.code == 2
    out, err = capsys.readouterr()
    assert not out and err == "lossdsl: `a.txt` does not end in .svg, .png or .pdf\n"


def test_an_unknown_option_is_wrong_usage() -> None:
    import click

    with pytest.raises(click.UsageError, match="--plott"):
        run("--plott", "pred")


def test_curves() -> None:
    with_curves = run("focal").stdout
    assert "value of" in with_curves and "slope of" in with_curves
    assert len(with_curves.splitlines()) > 20


def test_plot_writes_a_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / "focal.svg"
    result = run("focal", "--no-curves", "--plot", str(target))
    assert "<svg" in target.read_text() and str(target) in result.stderr


def test_other_losses_stand_beside_it_in_the_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / "three.svg"
    assert run("focal", "--beside", "bce", "--beside", "-log(pred)*label", "--plot", str(target)).return_value == 0
    text = target.read_text()
    assert all(f">{name}</text>" in text for name in ("focal", "bce", "-log(pred)*label"))


def test_beside_needs_a_file() -> None:
    with pytest.raises(click.UsageError, match="--plot FILE"):
        run("focal", "--beside", "bce")
