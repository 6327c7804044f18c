"""The reference table says what its results say, and a run that was broken off is taken up where it was."""

from __future__ import annotations

import csv
import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from lossdsl.recsys.demo import demo
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.trainings import KEPT

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference-table.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module("reference")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def test_the_page_shows_the_results_as_they_lie_there(reference: ModuleType) -> None:
    assert reference.overview() in PAGE
    finished = [name for name in reference.PARTS if reference.rows(name)]
    assert "biasedmf" in finished
    for name in finished:
        assert reference.table(name) in PAGE


def test_every_loss_was_tuned_alike_with_the_seeds_that_are_named(reference: ModuleType) -> None:
    for name, part in reference.PARTS.items():
        rows = reference.rows(name)
        if not rows:
            continue
        assert [row["name"] for row in rows] == list(reference.LOSSES)
        for row in rows:
            assert len(row["values"].split()) + int(row["exploded"]) == part.seeds
            assert sum(map(float, row["values"].split())) / len(row["values"].split()) == pytest.approx(
                float(row["mean"])
            )
        lines = [json.loads(line) for line in (reference.RESULTS / name / KEPT).read_text().splitlines()]
        tuned = {
            row["loss"]: [line for line in lines if line["loss"] == row["loss"] and line["seed"] >= 1000]
            for row in rows
        }
        count = {len(trainings) for trainings in tuned.values()}
        assert len(count) == 1 and count.pop() >= 12 * (5 if part.folds else 1)
        # The point that was tested is the best one of the tuning, by validation.
        if not part.folds:
            for row in rows:
                best = max(tuned[row["loss"]], key=lambda line: line["value"] or 0)
                assert best["lr"] == float(row["lr"])


def test_a_part_goes_on_drops_its_scores_and_is_not_made_twice(
    reference: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = replace(reference.PARTS["biasedmf"], settings=Settings(dim=2, epochs=1, batch_size=4096), seeds=2)
    monkeypatch.setattr(reference, "RESULTS", tmp_path)
    monkeypatch.setattr(reference, "PARTS", {"biasedmf": small})
    monkeypatch.setattr(reference, "LOSSES", ("bce", "mse"))
    monkeypatch.setattr(reference, "data_folder", lambda: tmp_path)
    monkeypatch.setattr(reference, "load", lambda path: demo())
    monkeypatch.setattr(sys, "argv", ["reference.py"])
    assert reference.main() == 0
    first = capsys.readouterr().out
    assert first.count("\n") == 4 and "| bce |" in first and "| mse |" in first
    lines = (tmp_path / "biasedmf" / KEPT).read_text().splitlines()
    assert len(lines) == 2 * (26 + 2) and not any("scores" in line for line in lines)
    assert reference.main() == 0 and "finished before" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["reference.py", "--again"])
    assert reference.main() == 0 and capsys.readouterr().out == first
    monkeypatch.setattr(sys, "argv", ["reference.py", "--tables"])
    assert reference.main() == 0 and first in capsys.readouterr().out
    with open(tmp_path / "biasedmf.csv", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["bce", "mse"]


def test_wrong_usage(
    reference: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["reference.py", "svd"])
    with pytest.raises(SystemExit) as left:
        reference.main()
    assert left.value.code == 2 and "no part is called svd; there are biasedmf" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["reference.py"])
    monkeypatch.setattr(reference, "data_folder", lambda: None)
    assert reference.main() == 2 and "LOSSDSL_DATA" in capsys.readouterr().err
