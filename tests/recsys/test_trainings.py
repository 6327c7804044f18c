"""Trainings that are kept: nothing is lost, nothing is believed that is torn, and a tuning never sees the test rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossdsl.errors import LossError
from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.trainer import Trainer
from lossdsl.recsys.trainings import KEPT, Job, Kept, Workers, train_job
from tests.recsys.conftest import made

CHOSEN = Settings(dim=3, lr=0.05, epochs=4)
JOB = Job("-logsigmoid((2*label-1)*score)", CHOSEN, 0, True)


def test_the_scores_are_those_of_the_epoch_that_was_best(small: Dataset) -> None:
    got = train_job(JOB, small)
    trainer = Trainer(JOB.loss, small, CHOSEN, seed=0)
    history = []
    for epoch in range(1, 5):
        trainer.epoch()
        history.append(trainer.evaluate("validation"))
        if epoch == got.epoch:
            np.testing.assert_array_equal(got.scores, trainer.scores("test"))
    assert (got.value, got.epoch) == (max(history), 1 + int(np.argmax(history)))
    assert got.last == (got.epoch == 4)


def test_a_metric_that_is_an_error_is_made_small(small: Dataset) -> None:
    got = train_job(replace(JOB, settings=replace(CHOSEN, metric="rmse", epochs=6)), small)
    trainer = Trainer(JOB.loss, small, CHOSEN, seed=0)
    history = []
    for _ in range(6):
        trainer.epoch()
        history.append(trainer.evaluate("validation", "rmse"))
    assert (got.value, got.epoch) == (min(history), 1 + int(np.argmin(history)))


def test_a_tuning_never_scores_the_test_rows(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = Trainer.scores, []

    def scores(self, rows):
        asked.append("test" if rows == "test" or rows is self.data.test else "other")
        return real(self, rows)

    monkeypatch.setattr(Trainer, "scores", scores)
    assert len(train_job(replace(JOB, test=False), small).scores) == 0 and set(asked) == {"other"}
    assert len(train_job(JOB, small).scores) == len(small.test) and "test" in asked


def test_patience_and_the_last_epoch(small: Dataset) -> None:
    long = train_job(replace(JOB, settings=replace(CHOSEN, epochs=300, patience=3)), small)
    assert not long.last
    short = train_job(replace(JOB, settings=replace(CHOSEN, epochs=long.epoch)), small)
    assert short.last and short.value == long.value


def test_an_explosion_is_kept_as_such(small: Dataset, tmp_path: Path) -> None:
    job = Job("exp(-score)*label + exp(score)*(1-label)", replace(CHOSEN, optimizer="gd", lr=1e9), 0, True)
    kept = Kept(tmp_path, small)
    kept.add(job, train_job(job, small))
    again = Kept(tmp_path, small).find(job)
    assert again is not None and "smaller learning rate" in again.stopped
    assert again.epoch == 0 and np.isnan(again.value) and len(again.scores) == 0


def test_what_is_kept_comes_back_to_the_bit(small: Dataset, tmp_path: Path) -> None:
    for dtype in ("float32", "float64"):
        job = replace(JOB, settings=replace(CHOSEN, dtype=dtype))
        kept, done = Kept(tmp_path, small), train_job(job, small)
        kept.add(job, done)
        kept.add(job, done)
        back = Kept(tmp_path, small).find(job)
        assert back is not None
        assert (back.value, back.epoch, back.last, back.stopped) == (done.value, done.epoch, done.last, done.stopped)
        assert back.scores.dtype == done.scores.dtype and back.scores.tobytes() == done.scores.tobytes()
    assert len((tmp_path / KEPT).read_text().splitlines()) == 2
    facts = json.loads((tmp_path / KEPT).read_text().splitlines()[0])
    assert (facts["loss"], facts["data"], facts["lr"]) == (JOB.loss, "made", 0.05)


TEARS = [b'{"key": "', b"\xff\xfe\n", b"[]\n", b'{"key": "a"}\n', b"null\n", b'{"key": "a", "value": "x"}']


@pytest.mark.parametrize("tear", [tear for tear in TEARS if b"\xff" not in tear])
def test_a_torn_line_costs_one_training_and_no_more(small: Dataset, tmp_path: Path, tear: bytes) -> None:
    first, second = JOB, replace(JOB, seed=1)
    kept = Kept(tmp_path, small)
    kept.add(first, train_job(first, small))
    with open(tmp_path / KEPT, "ab") as file:
        file.write(tear)
    kept = Kept(tmp_path, small)
    assert kept.find(first) is not None and kept.find(second) is None
    kept.add(second, train_job(second, small))
    kept = Kept(tmp_path, small)
    assert kept.find(first) is not None and kept.find(second) is not None


def test_dropped_scores_are_made_again_only_where_they_count(small: Dataset, tmp_path: Path) -> None:
    tuning, test = replace(JOB, test=False), JOB
    kept = Kept(tmp_path, small)
    for job in (tuning, test):
        kept.add(job, train_job(job, small))
    lines = [json.loads(line) for line in (tmp_path / KEPT).read_text().splitlines()]
    text = "".join(
        json.dumps({k: v for k, v in facts.items() if k not in ("scores", "dtype")}) + "\n" for facts in lines
    )
    (tmp_path / KEPT).write_text(text)
    kept = Kept(tmp_path, small)
    assert kept.find(tuning) is not None and kept.find(test) is None
    kept.add(test, train_job(test, small))
    assert Kept(tmp_path, small).find(test) is not None


def test_a_file_that_is_no_text_is_refused(small: Dataset, tmp_path: Path) -> None:
    (tmp_path / KEPT).write_bytes(b"\xff\xfe\n")
    with pytest.raises(LossError, match="trainings.jsonl: cannot be used"):
        Kept(tmp_path, small)


def test_every_fact_of_a_training_is_in_its_key() -> None:
    others = [
        replace(JOB, loss="(pred-label)^2"),
        replace(JOB, seed=1),
        replace(JOB, test=False),
        replace(JOB, settings=replace(CHOSEN, l2=2e-4)),
        replace(JOB, settings=replace(CHOSEN, model="deepmodel")),
        replace(JOB, settings=replace(CHOSEN, patience=9)),
    ]
    keys = {job.key("data") for job in [JOB, *others]} | {JOB.key("other data")}
    assert len(keys) == len(others) + 2
    # A setting that is named at its default is no other training.
    assert replace(JOB, settings=replace(CHOSEN, patience=0, task="explicit")).key("data") == JOB.key("data")


def test_only_what_is_missing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lossdsl.recsys.trainings as module

    trained = []
    monkeypatch.setattr(module, "train_job", lambda job, data: trained.append(job.seed) or train_job(job, data))
    jobs = [replace(JOB, seed=seed) for seed in range(4)]
    steps: list[int] = []
    for wanted in (jobs[:3], jobs):
        with Workers(made(), "biasedmf", 1, tmp_path, lambda: steps.append(1)) as pool:
            values = [done.value for done in pool.run(wanted)]
    assert trained == [0, 1, 2, 3] and len(steps) == 7
    assert values == [train_job(job, made()).value for job in jobs]
