"""Logs of the original program: its two scripts' numbers, and the truth beside them."""

from __future__ import annotations

import csv
import io
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from lossdsl.cli.report import command
from lossdsl.errors import LossError
from lossdsl.formula import parse
from lossdsl.search.oldcheck import valid_check
from lossdsl.search.oldlog import HEAD, as_csv, passed, read_log, summary
from lossdsl.search.oldlog_page import log_page

LOG = """INFO:root:Init: \t train= 0.501 validation= 0.502 test= 0.503 [0.4 s] auc
INFO:root:Best auc during controller train: 0.492; Starting auc: 0.214
INFO:root:1 / (((pred * label) + max(label , 1)))
INFO:root:Epoch     1 [21.3 s]\t train= 0.457227 validation= 0.500000 test= 0.447619 [0.1 s] auc
INFO:root:Best auc during controller train: 0.508; Starting auc: 0.500
INFO:root:(Log (pred)) ^ 2
INFO:root:Epoch     2 [27.6 s]\t train= 0.453294,0.4 validation= 0.510000,0.4 test= 0.447619,0.4 [0.1 s] auc,rmse
INFO:root:Best auc during controller train: 0.508; Starting auc: 0.500
INFO:root:1 / (((pred * label) + max(label , 1)))
INFO:root:Epoch     3 [27.6 s]\t train= 0.46 validation= 0.52 test= 0.45 [0.1 s] auc
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log_0.txt"
    path.write_text(LOG)
    return path


def test_epochs_metrics_and_formulas(log: Path) -> None:
    rows = read_log(log)
    assert [(r.epoch, r.train, r.validation, r.test) for r in rows] == [
        (1, 0.457227, 0.5, 0.447619), (2, 0.453294, 0.51, 0.447619), (3, 0.46, 0.52, 0.45)]  # fmt: skip
    assert rows[0].formula == rows[2].formula == "1 / (((pred * label) + max(label , 1)))"


@pytest.mark.parametrize("torn", ["validation= 0.51", "validation= 0.510000 test=", "validation= 0.5 tes"])
def test_damaged_epochs_are_said(torn: str, log: Path) -> None:
    whole = LOG.splitlines()
    cut = whole[6].partition("validation=")[0] + torn
    said: list[str] = []
    log.write_text("\n".join([*whole[:6], cut, *whole[7:], cut]))
    assert [r.epoch for r in read_log(log, said.append)] == [1, 3]
    assert len(said) == 1 and said[0].startswith(f"{log}:7: 2 epochs, this is the first, left out: no")
    log.write_text(LOG)
    said.clear()
    assert len(read_log(log, said.append)) == 3 and not said


@pytest.mark.parametrize(
    ("formula", "count"),
    [
        # By hand: at label 1 the slope must be below -1e-6 to count, at label 0 above 1e-6; 1,000 points each.
        ("(label + - (pred)) ^ 2", 2000),
        ("- ((label * pred))", 1000),
        ("(pred * label)", 0),
        ("pred", 0),
        ("1 / ((label + pred))", 1000),
        ("max(pred , label)", 1000),
    ],
)
def test_the_count_of_the_original_script(formula: str, count: int) -> None:
    assert valid_check(parse(formula, "autolossgen-plain"), formula) == count


def test_the_table_has_both(log: Path) -> None:
    rows = list(csv.reader(io.StringIO(as_csv(read_log(log)))))
    assert tuple(rows[0]) == HEAD
    assert rows[2][4:7] == ["0", "invalid", "invalid"]
    assert "2 distinct formulas" in summary(read_log(log))
    assert "<svg" in log_page(log, read_log(log))


def test_the_command_reads_a_log(log: Path, tmp_path: Path) -> None:
    out, sheet = tmp_path / "out.html", tmp_path / "out.csv"
    result = CliRunner().invoke(command, ["--from-log", str(log), "-o", str(out), "--csv", str(sheet)])
    assert result.exit_code == 0, result.output
    assert "3 epochs" in result.output and out.is_file() and len(sheet.read_text().splitlines()) == 4


@pytest.mark.parametrize("flag", ["-o", "--csv"])
def test_the_log_is_not_written_over(flag: str, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = log.read_bytes()
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, ["--from-log", str(log), flag, os.path.relpath(log)])
    assert result.exit_code == 2 and f"is the log itself; name another file with {flag}." in result.output
    assert log.read_bytes() == before


def test_what_the_script_lets_pass_is_listed_with_the_truth_beside_it(tmp_path: Path) -> None:
    """It lets 2000 of 2000 pass; what the program trains has a clamp on `- (pred)`, and no slope at label 0."""
    good = "(label + - (pred)) ^ 2"
    path = tmp_path / "log.txt"
    path.write_text(LOG + LOG.replace("(Log (pred)) ^ 2", good).replace("Epoch     2", "Epoch     5"))
    rows = read_log(path)
    assert [(r.formula, r.epoch, r.valid_check, r.printed, r.trained) for r in passed(rows)] == [
        (good, 5, 2000, "valid", "invalid")]  # fmt: skip
    result = CliRunner().invoke(command, ["--from-log", str(path), "-o", str(tmp_path / "out.html")])
    assert f"  epoch 5: 2000, valid, trained invalid: {good}" in result.output.splitlines()
    listed = (
        (tmp_path / "out.html").read_text().split("What loss_valid_check.py lets pass</h2>")[1].split("</table>")[0]
    )
    cells = ["<td>valid</td>", "<td>invalid</td>", f"<code>{good}</code>"]
    assert all(cell in listed for cell in cells) and listed.count("<tr>") == 2
    path.write_text(LOG)
    assert passed(read_log(path)) == [] and "lets pass" not in log_page(path, read_log(path))


def test_a_file_of_formulas_is_a_log_too(tmp_path: Path) -> None:
    path = tmp_path / "formulas.txt"
    path.write_text("(pred) ^ 2\n(label * 1 / (pred))\n")
    assert [r.formula for r in read_log(path)] == ["(pred) ^ 2", "(label * 1 / (pred))"]


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_text("nothing here\n")
    with pytest.raises(LossError, match="no formula"):
        read_log(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LossError, match="not a text file"):
        read_log(path)


def test_metrics_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log_0.txt"
    path.write_text(LOG.replace("0.510000", "nan").replace("train= 0.46", "train= inf").replace("0.52 ", "1.2e-05 "))
    rows = read_log(path)
    assert [r.validation for r in rows] == [0.5, None, 1.2e-05] and rows[2].train is None
    for values in ("nan", "inf", "-inf"):
        path.write_text(LOG.replace("0.500000", values).replace("0.510000", values).replace("0.52 ", values + " "))
        assert [r.validation for r in read_log(path)] == [None] * 3
        assert "nan" not in log_page(path, read_log(path)).lower()


def test_settings_in_a_log_are_no_formulas(tmp_path: Path) -> None:
    path = tmp_path / "log_0.txt"
    head = "INFO:root:{'log_file': 'log_0.txt', 'label': 'label'}\nINFO:root:label: 0-1\n"
    path.write_text(head + LOG[: LOG.index("INFO:root:Epoch")])  # interrupted before the first epoch was over
    assert [r.formula for r in read_log(path)] == ["1 / (((pred * label) + max(label , 1)))"]
    assert summary(read_log(path)).startswith("1 distinct formula\n")
    path.write_text(head)
    with pytest.raises(LossError, match="no formula"):
        read_log(path)


def test_a_file_of_formulas_may_begin_with_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "formulas.txt"
    path.write_text("(label + - (pred)) ^ 2\n", encoding="utf-8-sig")
    assert [r.printed for r in read_log(path)] == ["valid"]


def test_runs_that_share_a_log_are_drawn_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "log_0.txt"
    path.write_text(LOG + LOG.replace("validation= 0.5", "validation= 0.6"))
    line = re.search(r'class="best" d="([^"]*)"', log_page(path, read_log(path)))
    assert line is not None
    across = [float(x) for x in re.findall(r"[MH]([\d.]+)", line[1])]
    assert across == sorted(across) and len(across) > 4
