"""Strategies are compared at equal cost, and the controller learns what passes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from lossdsl.cli.compare_strategies import command
from lossdsl.errors import LossError
from lossdsl.search.budget import Budget
from lossdsl.search.contest import DONE, Contest, Curve, table
from lossdsl.search.reinforce import ControllerStrategy
from lossdsl.search.screen import screen
from lossdsl.search.settings import Settings
from lossdsl.search.strategy import Outcome

SMALL = (
    "ladder.batch=16", "ladder.tune_every=50", "ladder.final=1", "ladder.final_seeds=1", "training.epochs=2",
    "training.final_l2=[1e-4]", "training.l2=[1e-4]", "training.test_seeds=1", "evolution.population=4",
)  # fmt: skip


def test_the_best_so_far_at_a_cost() -> None:
    curve = Curve("random", 0, np.array([10.0, 20.0]), np.array([0.5, 0.6]), 3, 2, 0, 0, None, None)
    assert np.isnan(curve.at(5)) and curve.at(10) == 0.5 and curve.at(19) == 0.5 and curve.at(99) == 0.6


def test_every_strategy_gets_the_same_training(tmp_path: Path) -> None:
    options = [f"--set={change}" for change in SMALL]
    arguments = ["--data", "demo", "--seeds", "1", "--rows", "200000", "--run-dir", str(tmp_path), "--workers", "1"]
    result = CliRunner().invoke(command, [*arguments, "--json", *options], standalone_mode=False)
    assert result.exception is None, result.output
    found = json.loads(result.stdout)
    # A search that is through is not run again.
    for place in tmp_path.glob("*/trials.jsonl"):
        place.unlink()
    again = CliRunner().invoke(command, [*arguments, "--json", *options], standalone_mode=False)
    assert json.loads(again.stdout) == found and not list(tmp_path.glob("*/trials.jsonl"))
    assert [s["strategy"] for s in found["searches"]] == ["controller", "ppo", "evolution", "random"]
    for search in found["searches"]:
        # It ends with the training that reaches the budget: four of at most two epochs, and one for each other view.
        assert 200000 <= search["cost"][-1] < 200000 + 4 * 2 * 15670
        assert search["best"] == sorted(search["best"])


def test_a_contest_takes_no_searches_of_another_one(tmp_path: Path) -> None:
    def contest(rows: str, *more: str) -> Result:
        chosen = ["--data", "demo", "--seeds", "1", "--strategy", "random", "--rows", rows, "--workers", "1", *more]
        options = [*chosen, "--run-dir", str(tmp_path), *(f"--set={change}" for change in SMALL)]
        return CliRunner().invoke(command, options, standalone_mode=False)

    first = contest("2", "--strategy", "random")
    assert "medians of 1 search seeds" in first.stdout  # however often a strategy is named
    assert first.exception is None and contest("2").stdout == first.stdout
    for more, named in ((["--model", "ranknet"], "model"), (["--set=ladder.keep=0.4"], "ladder"), ([], "2 rows")):
        refused = contest("2" if more else "1", *more).exception
        assert isinstance(refused, LossError) and named in str(refused) and "--run-dir" in str(refused)
    kept = tmp_path / DONE
    kept.write_text(kept.read_text()[:-20])  # a crash in the middle of the line
    assert contest("2").stdout == first.stdout and contest("2").stdout == first.stdout


def test_a_search_without_a_reward_counts_as_the_worst(recwarn: pytest.WarningsRecorder) -> None:
    def found(seed: int, *cost: float) -> Curve:
        return Curve("random", seed, np.array(cost), np.array([0.5 + seed] * len(cost)), 3, 1, 0, 0, None, None)

    result = Contest((found(0, 50.0), found(1, 10.0), found(2)), 100.0)
    assert np.isnan(result.median("random", 0.1)) and result.median("random", 0.5) == 0.5
    assert "nan" not in table(result) and not recwarn.list


def test_the_share_of_valid_proposals_triples() -> None:
    """The controller's own proposals, with a made-up reward in place of training."""
    strategy = ControllerStrategy(Settings(), 0)
    seen: dict[bytes, float] = {}
    passed: list[bool] = []
    for _ in range(70):
        outcomes = []
        for proposal in strategy.propose(48):
            found = screen(proposal.root, max_size=80)
            if proposal.source == "controller":
                passed.append(not found.why)
            if found.why:
                outcomes.append(Outcome("filtered", None, proposal.root, True, found.credit))
            elif found.key in seen:
                outcomes.append(Outcome("duplicate", seen[found.key], found.root, False))
            else:
                seen[found.key] = -abs(float(np.frombuffer(found.key, np.float32).std()) - 0.8)
                outcomes.append(Outcome("trained", seen[found.key], found.root))
        strategy.observe(outcomes)
    tenth = len(passed) // 10
    assert np.mean(passed[-tenth:]) >= 3 * np.mean(passed[:tenth])
    assert np.mean(passed[-tenth:]) > 0.3


def test_a_budget_of_rows_is_read() -> None:
    assert Budget.read("3000rows").rows == 3000
    with pytest.raises(ValueError, match="a budget is a time"):
        Budget.read("3000 lines of text")
