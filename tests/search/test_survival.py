"""A search is killed, interrupted, starved of disk and of workers; what it writes in the end is always the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lossdsl.recsys.data import load
from lossdsl.search.bench import Bench, Job, Result
from lossdsl.search.evaluator import Evaluator, OutOfTime
from lossdsl.search.ledger import read_trials
from lossdsl.search.session import search
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign
from tests.search.conftest import timeless

PROGRAM = """
import sys, torch
torch.set_num_threads(1)
from lossdsl.search.session import search
from lossdsl.search.presets import preset
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign
settings = preset(sys.argv[4])
for change in sys.argv[5:]:
    settings = assign(settings, change)
search(settings, run_dir=sys.argv[1], budget=sys.argv[2], resume=True, workers=int(sys.argv[3]))
"""
QUICK = (
    "data=demo", "seed=3", "ladder.batch=16", "ladder.tune_every=3", "ladder.final=2", "ladder.final_seeds=1",
    "ladder.tune=1", "ladder.tune_tries=3", "training.epochs=4", "training.final_l2=[1e-4]", "training.test_seeds=1",
    "training.l2=[1e-4]", "ladder.first_epochs=2",
)  # fmt: skip
PUBLISHED = ("data=demo", "training.dim=4", "original.train_steps=2", "original.save_every=1", "seed=5")


def quick() -> Settings:
    settings = Settings()
    for change in QUICK:
        settings = assign(settings, change)
    return settings


def start(run: Path, budget: str, workers: int, preset: str, changes: tuple[str, ...]) -> subprocess.Popen[bytes]:
    arguments = [str(run), budget, str(workers), preset, *changes]
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stderr=subprocess.PIPE)


def killed_and_resumed(run: Path, kills: int, seed: int, preset: str, changes: tuple[str, ...]) -> None:
    """Kill the run at random moments after it has begun to write, then let it end."""
    rng = np.random.default_rng(seed)
    for k in range(kills):
        process = start(run, "100000trials", 1 + k % 2, preset, changes)
        before = (run / "trials.jsonl").stat().st_size if (run / "trials.jsonl").exists() else 0
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            size = (run / "trials.jsonl").stat().st_size if (run / "trials.jsonl").exists() else 0
            if size != before:
                break
            time.sleep(0.01)
        time.sleep(float(rng.random()) * 0.7)
        process.kill()
        process.wait()


def compare(run: Path, whole: Path, least: int) -> None:
    ours, theirs = list(read_trials(run)), list(read_trials(whole))
    assert len(ours) >= least and len(theirs) >= least
    for one, two in zip(ours, theirs):
        assert timeless(one) == timeless(two)


@pytest.mark.parametrize(
    ("preset", "changes"), [("", QUICK), pytest.param("autolossgen", PUBLISHED, marks=pytest.mark.slow)]
)
def test_a_killed_run_writes_the_same_trials(preset: str, changes: tuple[str, ...], tmp_path: Path) -> None:
    killed_and_resumed(tmp_path / "killed", 2, 1, preset, changes)
    count = max(100, sum(1 for _ in read_trials(tmp_path / "killed")))
    final = start(tmp_path / "killed", f"{count}trials", 1, preset, changes)
    assert final.wait() == 0, final.stderr and final.stderr.read()
    whole = start(tmp_path / "whole", f"{count}trials", 2, preset, changes)
    assert whole.wait() == 0
    compare(tmp_path / "killed", tmp_path / "whole", count)


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "changes"), [("", QUICK), ("autolossgen", PUBLISHED)])
def test_twenty_kills(preset: str, changes: tuple[str, ...], tmp_path: Path) -> None:
    killed_and_resumed(tmp_path / "killed", 20, 7, preset, changes)
    count = sum(1 for _ in read_trials(tmp_path / "killed"))
    budget = f"{count + 50}trials"
    assert start(tmp_path / "killed", budget, 2, preset, changes).wait() == 0
    assert start(tmp_path / "whole", budget, 2, preset, changes).wait() == 0
    compare(tmp_path / "killed", tmp_path / "whole", count + 50)


def test_control_c_leaves_a_resumable_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = [f"--set={change}" for change in QUICK[2:]]
    command = [sys.executable, "-m", "lossdsl", "search", "--data", "demo", "--seed", "3", "--budget", "1h", *options]
    process = subprocess.Popen([*command, "--run-dir", str(run), "--workers", "2"], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list((run / "state").glob("*.npz")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    assert process.stderr is not None and b"Traceback" not in process.stderr.read()
    count = max(60, sum(1 for _ in read_trials(run)))
    search(run_dir=run, budget=f"{count}trials", resume=True)
    search(quick(), run_dir=tmp_path / "whole", budget=f"{count}trials")
    compare(run, tmp_path / "whole", count)


def test_a_full_disk_is_said_and_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load("demo")
    search(quick(), run_dir=tmp_path / "whole", data=data, budget="80trials")
    real, calls = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls > 6:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        search(quick(), run_dir=tmp_path / "run", data=data, budget="80trials")
    monkeypatch.undo()
    search(run_dir=tmp_path / "run", data=data, budget="80trials", resume=True)
    compare(tmp_path / "run", tmp_path / "whole", 80)


LOSS = "(label-pred)^2"


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced() -> None:
    data = load("demo")
    settings = quick()
    bench = Bench(data, settings)
    jobs = [Job(LOSS, (1e-4,), (seed,)) for seed in range(4)]
    expected = [bench.run(job).reward for job in jobs]
    with Evaluator(bench, data, 2, processes=True) as evaluator:
        results = evaluator.map(jobs)
        found = [next(results).reward]
        for process in list(evaluator._pool._processes.values())[:1]:  # type: ignore[union-attr]
            os.kill(process.pid, signal.SIGKILL)
        found += [result.reward for result in results]
    assert found == expected


def test_a_candidate_that_explodes_fails_alone() -> None:
    bench = Bench(load("demo"), assign(quick(), "training.lr=1e9"))
    result = bench.run(Job("exp(20*(1-2*label)*(2*pred-1))", (1e-4,), (0,)))
    assert isinstance(result, Result)
    assert result.note and not result.values


def test_the_end_of_the_budget_stops_the_waiting() -> None:
    data = load("demo")
    bench = Bench(data, quick())
    jobs = [Job(LOSS, (1e-4,), (0,))] * 50
    asked = 0

    def late() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    with Evaluator(bench, data, 1) as evaluator, pytest.raises(OutOfTime):
        list(evaluator.map(jobs, late))
