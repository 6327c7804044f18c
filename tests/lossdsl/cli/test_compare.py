"""`lossdsl compare`: the table, the files it writes, and how it refuses."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lossdsl.cli.compare import as_text, draw
from lossdsl.cli.main import main
from lossdsl.recsys.comparison import Cell, Comparison
from lossdsl.recsys.significance import Difference, Replicates
from lossdsl.recsys.tuning import Point
from tests.recsys.test_letor import five_parts

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


def test_several_places_end_in_a_transfer_matrix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Losses by places, and the same means as in the tables above it and in the CSV."""
    grid = ("--lrs", "0.01,0.03", "--l2s", "0,1e-6,1e-5,1e-4,1e-3,1e-2", "--layers", "4")
    places = ("--model", "biasedmf", "--model", "ranknet", "--csv", str(tmp_path / "t.csv"))
    code, out, _ = whole(capsys, "--loss", "bce", "--loss", "hinge", *QUICK, *grid, *places)
    assert code == 0
    lines = out.splitlines()
    start = lines.index("transfer: biasedmf on demo, ranknet on demo")
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["model"], row["metric"]) for row in rows] == [
        ("bce", "biasedmf", "auc"),
        ("hinge", "biasedmf", "auc"),
        ("bce", "ranknet", "gauc"),
        ("hinge", "ranknet", "gauc"),
    ]
    mean = {(row["name"], row["model"]): f"{float(row['mean']):.4f}" for row in rows}
    assert lines[start + 1 :] == [
        f"  {mean[loss, 'biasedmf']}  {mean[loss, 'ranknet']}  {loss}" for loss in ("bce", "hinge")
    ]
    # Both learning rates and L2 are chosen from what was offered, for each loss by itself.
    assert {float(row["lr"]) for row in rows} <= {0.01, 0.03}


def test_folds_are_one_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    five_parts(tmp_path)
    grid = ("--lrs", "0.01,0.03", "--l2s", "0,1e-6,1e-5,1e-4,1e-3,1e-2", "--layers", "4", "--dropout", "0")
    quick = ("--data", str(tmp_path), "--model", "ranknet", "--epochs", "2", "--seeds", "1", "--workers", "1", *grid)
    code, out, err = whole(capsys, "--loss", "bce", *quick, "--folds", "--json")
    cell = json.loads(out)["cells"][0]
    assert (code, cell["metric"], cell["data"]) == (0, "ndcg@10", f"{tmp_path.name.lower()}, 5 folds")
    assert len(cell["lr"]) == len(cell["l2_in_slopes"]) == len(cell["best_epochs"]) == 5
    one = json.loads(whole(capsys, "--loss", "bce", *quick, "--fold", "2", "--json")[1])["cells"][0]
    assert one["lr"] == cell["lr"][1] and one["best_epochs"] == cell["best_epochs"][1:2]


def test_what_makes_a_number_doubtful_stands_beside_it() -> None:
    """A point at the edge of the grid, a best epoch that was the last one allowed, seeds that blew up."""
    replicates = Replicates(0.5, np.array([0.4, 0.5, 0.6]))
    plain = Cell("bce", "bce", "biasedmf", "demo", (Point(0.01, 0.0),), False, (3, 4), 0, 0, "auc", (0.5,), replicates)
    odd = replace(plain, name="mse", edge=True, unfinished=1, exploded=1, against=Difference(0, -0.1, 0.1, 0.5, 1.0))
    assert as_text(Comparison((plain, odd), 12, 3)).splitlines() == [
        "biasedmf on demo: auc on test, 3 seeds, 12 tuning points",
        "  bce  0.5000 [0.4050, 0.5950]",
        "  mse  0.5000 [0.4050, 0.5950]  +0.0000 [-0.1000, +0.1000] p 1.000  (tuned to the edge of the grid; "
        "best epoch was the last in 1 of 2; 1 of 3 seeds blew up)",
    ]


@pytest.mark.parametrize("suffix, head", [(".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_other_pictures(tmp_path: Path, suffix: str, head: bytes) -> None:
    replicates = Replicates(0.5, np.array([0.4, 0.5, 0.6]))
    cell = Cell("bce", "bce", "biasedmf", "demo", (Point(0.01, 0.0),), False, (3,), 0, 0, "auc", (0.5,), replicates)
    draw(Comparison((cell, replace(cell, data="other")), 12, 1), str(tmp_path / f"x{suffix}"))
    assert (tmp_path / f"x{suffix}").read_bytes().startswith(head)


WRONG = {
    ("--loss", "bce", *QUICK, "--folds"): (2, "--folds: demo has none"),
    ("--loss", "bce", *QUICK, "--plot", "x.gif"): (2, "a picture is .svg, .png, .pdf, not `x.gif`"),
    ("--loss", "bce", *QUICK, "--lrs", "0.1"): (2, "go together"),
    ("--loss", "bce", *QUICK, "--lr", "0.1"): (2, "--lr is tuned here; give the values to try with --lrs and --l2s"),
    ("--loss", "bce", *QUICK, "--l2", "0.1"): (2, "--l2 is tuned here"),
    ("--loss", "bce", *QUICK, "--run-dir", ""): (2, "an empty name is no folder"),
    ("--loss", "bce", *QUICK, "--lrs", "0.1", "--l2s", "0,x"): (2, "numbers with commas"),
    ("--loss", "bce", *QUICK, "--lrs", "0.1", "--l2s", "0,1e-4"): (2, "at least 12 points"),
    ("--loss", "bce", "--loss", "bce", *QUICK): (2, "given twice"),
    ("--loss", "log(a", *QUICK): (1, "1:6"),
    ("--loss", "label^2", *QUICK): (1, "invalid"),
    (
        "--loss",
        "exponential",
        *QUICK,
        "--optimizer",
        "gd",
        "--lrs",
        ",".join(f"{k}e9" for k in range(1, 13)),
        "--l2s",
        "0",
    ): (
        1,
        "stopped with every seed: a parameter",
    ),
}


@pytest.mark.parametrize("args", list(WRONG))
def test_refusals(capsys: pytest.CaptureFixture[str], args: tuple[str, ...]) -> None:
    code, out, err = whole(capsys, *args)
    assert (code, out) == (WRONG[args][0], "") and WRONG[args][1] in err and "internal" not in err
