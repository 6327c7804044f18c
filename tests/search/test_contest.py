"""Strategies are compared at equal cost, and the controller learns what passes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lossdsl.cli.compare_strategies import command
from lossdsl.search.budget import Budget
from lossdsl.search.contest import Curve
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
        assert search["cost"][-1] >= 200000
        assert search["cost"][-1] < 200000 + 16 * 2 * 15670  # at most the batch at hand more
        assert search["best"] == sorted(search["best"])


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
