"""Groups that are looked at ahead: the ledger is the same without, and for every number of workers."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import wait
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.trainer import State
from lossdsl.search.evaluator import Evaluator
from lossdsl.search.foresight import Foresight
from lossdsl.search.ledger import read_trials
from lossdsl.search.likeness import Slopes
from lossdsl.search.original_bench import OriginalBench, Step, Stepped
from lossdsl.search.presets import preset
from lossdsl.search.session import search
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign
from tests.search.conftest import timeless

LOSSES = ("(label-pred)^2", "pred", "label*pred", "square(pred)")


def published(seed: int, steps: int, every: int) -> Settings:
    found = preset("autolossgen")
    changes = (f"seed={seed}", f"original.train_steps={steps}", f"original.save_every={every}")
    for change in ("data=demo", "training.dim=2", "training.test_seeds=1", "original.max_rejections=25", *changes):
        found = assign(found, change)
    return found


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("demo")


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 3), every=st.integers(1, 4), cut=st.integers(1, 119))
def test_the_ledger_is_the_same_without_foresight_and_for_every_number_of_workers(
    tmp_path_factory: pytest.TempPathFactory, data: Dataset, seed: int, steps: int, every: int, cut: int
) -> None:
    folder, changed = tmp_path_factory.mktemp("foresight"), published(seed, steps, every)
    asked = begun = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lossdsl.search.session.describe", lambda *rest: {})  # its tests have nothing to do with this

        def run(name: str, workers: int, budget: str = "120trials", resume: bool = False) -> Path:
            path = folder / name
            search(changed, run_dir=path, data=data, budget=budget, workers=workers, resume=resume)
            return path

        alone = list(read_trials(run("alone", 1)))
        foresee = Evaluator.foresee

        def counted(self: Evaluator, jobs: list[Step]) -> None:
            nonlocal asked
            asked += len(jobs)
            foresee(self, jobs)

        patch.setattr(Evaluator, "foresee", counted)
        others = [run("two", 2), run("three", 3)]
        begun = asked
        run("resumed", 3, f"{cut}trials")
        others.append(run("resumed", 2, resume=True))
        patch.setattr(Evaluator, "foresees", False)
        others.append(run("blind", 2))
    assert len(alone) == 120 and begun > 0
    for path in others:
        found = list(read_trials(path))
        assert len(found) == len(alone)
        assert all(timeless(one) == timeless(two) for one, two in zip(found, alone)), path.name


def test_most_of_what_is_foreseen_is_asked_for(tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossdsl.search.session.describe", lambda *rest: {})
    trained: Counter[tuple[str, int]] = Counter()
    step, lock = OriginalBench.step, threading.Lock()

    def counted(self: OriginalBench, job: Step) -> Stepped:
        with lock:
            trained[job.formula, id(job.start)] += 1
        return step(self, job)

    monkeypatch.setattr(OriginalBench, "step", counted)
    search(published(3, 10, 50), run_dir=tmp_path / "run", data=data, budget="400trials", workers=2)
    kept = sum(trial.fate in ("trained", "failed") for trial in read_trials(tmp_path / "run"))
    assert kept <= trained.total() <= 1.5 * kept


def test_a_job_that_was_begun_early_is_not_run_again(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = OriginalBench(data, published(1, 1, 1))
    start = bench.start()
    jobs = [Step(text, start, 1) for text in LOSSES]
    expected = [bench.step(job).reward for job in jobs]
    other = State({name: array + 0.1 for name, array in start.arrays.items()}, start.epoch)
    elsewhere = bench.step(Step(LOSSES[0], other, 1)).reward
    assert elsewhere != expected[0]
    ran: Counter[str] = Counter()
    step, begun, gate = OriginalBench.step, threading.Semaphore(0), threading.Event()

    def slow(self: OriginalBench, job: Step) -> Stepped:
        ran[job.formula] += 1
        begun.release()
        gate.wait(60)
        return step(self, job)

    monkeypatch.setattr(OriginalBench, "step", slow)
    with Evaluator(bench, data, 2) as evaluator:
        evaluator.foresee(jobs[:3])
        for _ in range(2):
            assert begun.acquire(timeout=60)
        assert len(evaluator.foreseen) == 3
        evaluator.foresee([jobs[0]])  # the second has begun and stays, the third had not
        assert len(evaluator.foreseen) == 2 and ran == {LOSSES[0]: 1, LOSSES[1]: 1}
        gate.set()
        # An equal job is the same job; one from another state is not.
        again = [Step(text, start, 1) for text in LOSSES]
        assert [result.reward for result in evaluator.map(again)] == expected
        assert ran == dict.fromkeys(LOSSES, 1) and not evaluator.foreseen
        evaluator.foresee([jobs[0]])
        wait(evaluator.foreseen)
        assert next(evaluator.map([Step(LOSSES[0], other, 1)])).reward == elsewhere
        evaluator.foresee([])
        assert next(evaluator.map([jobs[0]])).reward == expected[0]
    assert ran[LOSSES[0]] == 4


@pytest.mark.parametrize(("workers", "processes"), [(1, False), (2, True)])
def test_one_worker_and_processes_foresee_nothing(workers: int, processes: bool, data: Dataset) -> None:
    bench = OriginalBench(data, published(1, 1, 1))
    with Evaluator(bench, data, workers, processes=processes) as evaluator:
        evaluator.foresee([Step("pred", bench.start(), 1)])
        assert not evaluator.foresees and not evaluator.foreseen
        assert not Foresight(evaluator, lambda groups: [], lambda a, b: False).further(0)


def test_a_group_is_looked_at_once_and_twins_of_earlier_groups_are_left_out(data: Dataset) -> None:
    bench = OriginalBench(data, published(1, 1, 1))
    start = bench.start()
    slopes = [np.full(3, float(k)) for k in range(4)]
    looked: list[int] = []

    def look(groups: int) -> list[tuple[Step, np.ndarray]] | None:
        looked.append(groups)
        # Each group proposes the present one's, the one before it and a new one.
        return None if groups == 2 else [(Step(LOSSES[k], start, 1), slopes[k]) for k in range(groups + 2)]

    with Evaluator(bench, data, 2) as evaluator:
        foresight = Foresight(evaluator, look, lambda a, b: bool((a == b).all()))
        foresight.turn([slopes[0]])
        assert foresight.further(0) and foresight.further(0) and not foresight.further(0) and not foresight.further(0)
        assert looked == [0, 1, 2]  # after the end nobody looks again
        assert sorted(job.formula for job, _ in evaluator._early.values()) == sorted(LOSSES[1:3])
        assert not foresight.further(99)
        foresight.forget()
        assert not evaluator._early


@given(st.lists(st.lists(st.floats(-1, 1), min_size=2, max_size=2), max_size=40), st.floats(1e-6, 0.5))
def test_the_first_that_is_alike_is_found(rows: list[list[float]], tolerance: float) -> None:
    known = Slopes(2, tolerance)
    seen: list[np.ndarray] = []
    for row in map(np.array, rows):
        alike = [k for k, other in enumerate(seen) if np.abs(row - other).max() < tolerance]
        assert known.find(row) == (alike[0] if alike else -1)
        known.add(row)
        seen.append(row)
    assert known.find(np.array([np.nan, 0.0])) == -1
