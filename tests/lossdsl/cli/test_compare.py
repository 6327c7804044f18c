"""`lossdsl compare`: the table, the files it writes, and how it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from lossdsl.cli.main import main

torch.set_num_threads(1)
QUICK = ("--data", "demo", "--epochs", "2", "--dim", "2", "--batch-size", "2048", "--seeds", "2", "--workers", "1")


def whole(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["compare", *args])
    out = capsys.readouterr()
    return int(left.value.code or 0), out.out, out.err


def test_table_csv_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ("--csv", str(tmp_path / "t.csv"), "--plot", str(tmp_path / "t.svg"), "--run-dir", str(tmp_path / "run"))
    code, out, _ = whole(capsys, "--loss", "bce", "--loss", "(pred-label)^2", *QUICK, *files)
    assert code == 0 and "biasedmf on demo: auc on test, 2 seeds, 26 tuning points" in out
    assert "(pred-label)^2" in out and "p " in out
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["bce", "(pred-label)^2"]
    assert float(rows[1]["difference"]) == pytest.approx(float(rows[1]["mean"]) - float(rows[0]["mean"]))
    assert "<svg" in (tmp_path / "t.svg").read_text()
    facts = json.loads(whole(capsys, "--loss", "bce", "--loss", "(pred-label)^2", *QUICK, *files, "--json")[1])
    assert [cell["mean"] for cell in facts["cells"]] == [float(row["mean"]) for row in rows]
    assert facts["tuning_points"] >= 12


WRONG = {
    ("--loss", "bce", *QUICK, "--lrs", "0.1"): (2, "go together"),
    ("--loss", "bce", *QUICK, "--lrs", "0.1", "--l2s", "0,x"): (2, "numbers with commas"),
    ("--loss", "bce", *QUICK, "--lrs", "0.1", "--l2s", "0,1e-4"): (2, "at least 12 points"),
    ("--loss", "bce", "--loss", "bce", *QUICK): (2, "given twice"),
    ("--loss", "log(a", *QUICK): (1, "1:6"),
    ("--loss", "label^2", *QUICK): (1, "invalid"),
}


@pytest.mark.parametrize("args", list(WRONG))
def test_refusals(capsys: pytest.CaptureFixture[str], args: tuple[str, ...]) -> None:
    code, out, err = whole(capsys, *args)
    assert (code, out) == (WRONG[args][0], "") and WRONG[args][1] in err and "internal" not in err
