"""Trials are written in order, with their keys, though only when there is time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lossdsl.recsys.data import load
from lossdsl.search.bench import Bench, Job, Result
from lossdsl.search.evaluator import Evaluator
from lossdsl.search.ledger import Ledger, Trial, read_trials
from lossdsl.search.proxy import Keys
from lossdsl.search.run import Progress
from lossdsl.search.scribe import Scribe
from lossdsl.search.settings import Settings
from lossdsl.search.space import Graph, Space, Step
from lossdsl.search.toml import assign


def test_order_and_keys(tmp_path: Path) -> None:
    keys, told = Keys(Space()), []
    with Ledger.create(tmp_path / "run", "") as ledger:
        scribe = Scribe(ledger, keys, lambda progress: told.append(progress.trials))
        for k, spelling in enumerate(["pred", Graph((Step("square", 0),)), "label"], 1):
            trial = Trial(k, f"formula {k}", None, "filtered", None, 0, 0, "step")
            scribe.add(trial, spelling, Progress(k, 0, {}, None, 0.0))
        assert told == [] and scribe.write_one() and told == [1]
        scribe.write()
        assert told == [1, 2, 3] and not scribe.write_one()
    found = list(read_trials(tmp_path / "run"))
    assert [trial.formula for trial in found] == ["formula 1", "formula 2", "formula 3"]
    expected = [keys.of_text("pred"), keys.of_text("clamp(square(pred), 1e-5, 1e5)"), keys.of_text("label")]
    assert [trial.hash for trial in found] == expected and len(set(expected)) == 3


def test_what_can_wait_is_done_while_results_are_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load("demo")
    bench = Bench(data, assign(Settings(), "training.epochs=2"))
    done: list[str] = []
    counts: set[int] = set()
    begun = threading.Event()

    def piece(jobs: int) -> bool:
        done.append(threading.current_thread().name)
        counts.add(jobs)
        begun.set()
        return len(done) < 3

    run = Bench.run

    def patient(self: Bench, job: Job) -> Result:
        begun.wait(60)  # a training of a few milliseconds may be over before anybody looks
        return run(self, job)

    monkeypatch.setattr(Bench, "run", patient)

    with Evaluator(bench, data, 2) as evaluator:
        evaluator.meanwhile = piece
        list(evaluator.map([Job("(label-pred)^2", (1e-4,), (0,))]))
        assert done and set(done) == {threading.current_thread().name}
        assert counts <= {0, 1} and 1 in counts
