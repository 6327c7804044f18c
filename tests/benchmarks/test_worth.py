"""The study of searched losses: what the search is shown, what is kept, what the table says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Dataset, Rows
from lossdsl.recsys.settings import Settings

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture()
def worth(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import worth

    monkeypatch.setattr(worth, "dataset", lambda split: load("demo"))
    return worth


def row(kind: str, split: str, test: float, shift: float, **more: Any) -> dict[str, Any]:
    draws = np.random.default_rng(0).normal(0.5, 0.01, 400) + shift
    return {"kind": kind, "split": split, "metric": "auc", "test": test, "replicates": draws.tolist(), **more}


def rows(*searched: float) -> list[dict[str, Any]]:
    found = [
        row("search", "rolling-1", t, t - 0.8, seed=k, budget="10m", seeded=False, found=f"loss {k}")
        for k, t in enumerate(searched)
    ]
    known = [row("baseline", "rolling-1", t, t - 0.8, loss=f"known {t}") for t in (0.79, 0.80, 0.78)]
    return known + found


def test_the_table_sets_the_median_against_the_best_known_loss_of_the_test(worth: Any) -> None:
    text = worth.table(rows(0.81, 0.79, 0.83), "10m")
    assert "| rolling-1 | auc | known 0.8 | 0.8000 | `loss 0` (3) | 0.8100 | +0.0100 (+1.3%) |" in text
    # The same users are drawn for all, so what is left of the interval is the search seeds'.
    assert "-0.0100 to +0.0300" in text


def test_a_seeded_search_is_reported_as_one(worth: Any) -> None:
    seeded = row("search", "rolling-1", 0.85, 0.05, seed=0, budget="10m", seeded=True, found="head start")
    lines = worth.table([*rows(0.81), seeded], "10m").splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["rolling-1", "rolling-1, seeded"]
    assert "| `head start` (1) | 0.8500 | +0.0500" in lines[3] and "`loss 0` (1) | 0.8100" in lines[2]


def test_a_budget_has_a_table_of_its_own(worth: Any) -> None:
    assert "rolling-1" not in worth.table(rows(0.81), "1m")


def test_a_cell_is_made_once(worth: Any, tmp_path: Path) -> None:
    made = []

    def make() -> dict[str, Any]:
        made.append(1)
        return {"validation": 0.5, "test": 0.4}

    for _ in range(2):
        kept = worth.Kept(tmp_path / "r" / "worth.jsonl")
        kept.cell({"split": "published", "loss": "bce"}, make)
        kept.cell({"split": "published", "loss": "bce"}, make)
    assert len(made) == 1 and json.loads((tmp_path / "r" / "worth.jsonl").read_text())["loss"] == "bce"


def test_what_was_found_is_kept_before_it_is_tuned(worth: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    searches = []

    def searched(split: str, seed: int, budget: str, workers: int, rate: float, seeded: bool) -> dict[str, Any]:
        searches.append((seed, seeded))
        return {"found": "mse", "nodes": 4, "trials": 9, "folds": 4, "processor_seconds": 1.0}

    def broken_off(*rest: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(worth, "searched", searched)
    place = tmp_path / "worth.jsonl"
    with monkeypatch.context() as once, pytest.raises(KeyboardInterrupt):
        once.setattr(worth.Lab, "tune", broken_off)
        worth.study(["rolling-1"], [1], "10m", 1, worth.Kept(place), known=False)
    monkeypatch.setattr(worth.Lab, "tune", lambda lab, variants: {"formula": variants[0], "validation": 0.6})
    monkeypatch.setattr(worth.Lab, "test", lambda lab, tuned: tuned | {"test": 0.5})
    worth.study(["rolling-1"], [1], "10m", 1, worth.Kept(place), known=False)
    last = json.loads(place.read_text().splitlines()[-1])
    assert searches == [(1, False)] and (last["kind"], last["found"], last["formula"]) == ("search", "mse", "mse")
    # A seeded one is a cell of its own.
    worth.study(["rolling-1"], [1], "10m", 1, worth.Kept(place), known=False, seeded=True)
    assert searches == [(1, False), (1, True)] and json.loads(place.read_text().splitlines()[-1])["seeded"]


def test_the_search_is_given_no_test_rows(worth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Dataset] = []

    def search(settings: Any, *, data: Dataset, **rest: Any) -> Any:
        shown.append(data)
        return SimpleNamespace(best=None)

    monkeypatch.setattr(worth, "search", search)
    whole = load("demo")
    noise = Rows(whole.test.user, whole.test.item[::-1].copy(), 1 - whole.test.label)
    for data in (whole, replace(whole, test=noise)):
        monkeypatch.setattr(worth, "dataset", lambda split, data=data: data)
        with pytest.raises(SystemExit, match="nothing was found"):
            worth.searched("rolling-1", 1, "10m", 1)
    assert shown[0].fingerprint == shown[1].fingerprint
    assert len(shown[0].test) == len(whole.validation)


def test_tuning_offers_36_points_and_more_to_what_has_variants(worth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = worth.Lab("rolling-1", 1)
    lab.settings = replace(Settings(dim=2, epochs=1, batch_size=4096), task="explicit").resolve()
    # Stands for a training: best at the second variant, the last learning rate and the fifth L2.
    wanted = ("two", lab.task.lrs[-1], lab.task.l2s[4])
    monkeypatch.setattr(lab, "_train", lambda *place: (-sum(a != b for a, b in zip(place, wanted)), 1, None))
    found = lab.tune(["one", "two"])
    assert (found["formula"], found["lr"], found["l2_in_slopes"], found["points"]) == (*wanted, 48)
    assert lab.tune(["two"])["points"] == 36 and not found["edge"]


def test_an_l2_beyond_the_ends_is_looked_for(worth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = worth.Lab("rolling-1", 1)
    for wanted in (lab.task.l2s[0] / 8, lab.task.l2s[-1] * 8):
        monkeypatch.setattr(lab, "_train", lambda t, lr, l2, *_, wanted=wanted: (-abs(np.log(l2 / wanted)), 1, None))
        found = lab.tune(["one"])
        assert found["l2_in_slopes"] == pytest.approx(wanted) and not found["edge"]
    # One that wants ever less is said to lie at the edge.
    monkeypatch.setattr(lab, "_train", lambda text, lr, l2, *rest: (-l2, 1, None))
    assert lab.tune(["one"])["edge"]


def test_a_cell_is_tested_with_fresh_seeds_on_the_same_draws(worth: Any) -> None:
    lab = worth.Lab("rolling-1", 1)
    lab.settings = replace(Settings(dim=2, epochs=1, batch_size=4096), task="explicit").resolve()
    place = {"formula": "bce", "lr": 0.01, "l2_in_slopes": 1e-5}
    one, two = lab.test(place), lab.test(place)
    assert one == two and len(one["values"]) == lab.task.seeds == len(set(one["values"]))
    assert len(one["replicates"]) == worth.REPLICATES and one["best_was_last"] == lab.task.seeds
    assert np.mean(one["replicates"]) == pytest.approx(one["test"], abs=0.01)


# What the README calls the splits.
README = {
    "AutoLossGen's, AUC": "published",
    "leave the last one out, AUC": "rolling-1",
    "leave the one before out, AUC": "rolling-2",
    "leave the third last out, AUC": "rolling-3",
    "leave the fourth last out, AUC": "rolling-4",
    "leave the fifth last out, AUC": "rolling-5",
    "implicit task, NDCG@20": "implicit-1",
    "RankNet on MQ2008, fold 1, NDCG@10": "mq2008-1",
}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip()[1:-1].split("|")]


def test_the_printed_tables_are_those_of_the_results(worth: Any) -> None:
    results = [json.loads(line) for line in worth.RESULTS.read_text(encoding="utf-8").splitlines()]
    made: dict[str, tuple[str, ...]] = {}
    for line in worth.table(results, "10m").splitlines()[2:]:
        name, _, _, known, found, searched, gap, interval = cells(line)
        if name.endswith(", seeded"):
            continue
        count = found.rpartition("(")[2].rstrip(")") if searched else found
        made[name] = known, searched, count, gap.split()[0], interval
    readme, method = {}, {}
    for line in (BENCHMARKS.parent / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("|") and (own := cells(line))[0] in README:
            readme[README[own[0]]] = own[2], own[3].split()[0], own[3].split()[1].strip("()"), *own[4].split(" ", 1)
    for line in (BENCHMARKS.parent / "docs" / "method.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("|") and (own := cells(line))[0] in made:
            method[own[0]] = own[3], own[5], own[6].split(":")[0], own[7], own[8]
    splits = {name for name in made if "mean of" not in name}
    assert readme == {name: (*made[name][:4], f"({made[name][4]})") for name in README.values()}
    assert method == {name: made[name] for name in splits}
    # The means over the rolling splits, whose lines have words of their own.
    for name in made.keys() - splits:
        *_, gap, interval = made[name]
        for place in ("README.md", "docs/method.md"):
            text = (BENCHMARKS.parent / place).read_text(encoding="utf-8")
            assert f"| {gap} ({interval}) |" in text or f"| {gap} | {interval} |" in text, (place, name)
