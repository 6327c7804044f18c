"""The effectiveness test: best epoch by validation, seeds that stand alone, a protocol that names what was measured."""

from __future__ import annotations

import time
from dataclasses import replace
from signal import SIGINT, default_int_handler, pthread_kill, signal
from threading import Event, main_thread

import numpy as np
import pytest

from lossdsl.errors import LossError
from lossdsl.loss import compile
from lossdsl.recsys import metrics
from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.trainer import Diverged, Trainer
from lossdsl.recsys.training import train

QUICK = Settings(dim=3, lr=0.05, epochs=6)


def test_test_is_measured_at_the_epoch_that_was_best_on_validation(small: Dataset) -> None:
    run = train("bce", small, settings=QUICK, seed=3).runs[0]
    trainer = Trainer("bce", small, QUICK, seed=3)
    history, tests = [], []
    for _ in range(QUICK.epochs):
        trainer.epoch()
        history.append(trainer.evaluate("validation"))
        tests.append(trainer.evaluate("test"))
    best = int(np.argmax(history))
    assert run.history == tuple(history) and run.best_epoch == best + 1
    assert run.metrics["auc"] == tests[best] and run.last["auc"] == tests[-1]


def test_an_error_is_best_where_it_is_smallest(small: Dataset) -> None:
    run = train("bce", small, settings=QUICK, metric="log_loss").runs[0]
    assert run.best_epoch == 1 + int(np.argmin(run.history))


def test_a_metric_without_rows_to_measure_it_on_is_named(small: Dataset) -> None:
    lone = replace(small, validation=small.validation.take(np.unique(small.validation.user, return_index=True)[1]))
    with pytest.raises(Diverged, match="every seed stopped: gauc cannot be measured on the validation rows"):
        train("bce", lone, settings=QUICK, metric="gauc")


def test_a_loss_with_parameters_of_its_own_to_train_is_refused(small: Dataset) -> None:
    with pytest.raises(LossError, match="only the recommender is trained here, not `gamma` of the loss"):
        train(compile("focal where gamma = 2", trainable=("gamma",)), small, settings=QUICK)


def test_patience_ends_a_training(small: Dataset) -> None:
    run = train("bce", small, settings=QUICK, epochs=300, patience=4).runs[0]
    assert len(run.history) == run.best_epoch + 4 < 300


# Threads, and processes, which take their time to start.
@pytest.mark.parametrize("model", ["biasedmf", pytest.param("ranknet", marks=pytest.mark.slow)])
def test_seeds_side_by_side_are_the_seeds_one_by_one(small: Dataset, model: str) -> None:
    chosen = dict(settings=QUICK, model=model, layers=(4,), epochs=2, seed=5)
    together = train("bce", small, seeds=3, workers=2, **chosen)
    assert [run.seed for run in together.runs] == [5, 6, 7]
    alone = [train("bce", small, **{**chosen, "seed": seed}).runs[0] for seed in (5, 6, 7)]
    assert [run.state.digest for run in together.runs] == [run.state.digest for run in alone]
    assert len({run.state.digest for run in alone}) == 3
    values = together.metrics["auc"].values
    assert list(values) == [run.metrics["auc"] for run in alone]


def test_one_seed_that_explodes_is_told_and_the_others_go_on(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Trainer.epoch

    def epoch(self, *args, **kwargs):
        if self.seed == 1:
            raise Diverged("a parameter became NaN or infinite in epoch 1; try a smaller learning rate")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Trainer, "epoch", epoch)
    result = train("bce", small, settings=QUICK, seeds=3)
    assert ["NaN" in run.stopped for run in result.runs] == [False, True, False]
    assert len(result.metrics["auc"].values) == 2 and result.best_epoch[1] == 0
    assert result.to_dict()["stopped"][1].startswith("a parameter became NaN")


def test_all_that_explode_are_an_error(small: Dataset) -> None:
    with pytest.raises(Diverged, match="every seed stopped: a parameter .*try a smaller learning rate"):
        train("exponential", small, settings=QUICK, optimizer="gd", lr=1e9, seeds=2)
    with pytest.raises(LossError, match="seeds have to be 1 or more"):
        train("bce", small, seeds=0)


DEFAULT = {
    ("biasedmf", None): "auc",
    ("deepmodel", None): "auc",
    ("ranknet", None): "gauc",
    ("biasedmf", True): "gauc",
}


@pytest.mark.parametrize("model, pairs", list(DEFAULT))
def test_what_is_trained_on_pairs_is_judged_within_users(small: Dataset, model: str, pairs: bool | None) -> None:
    result = train("bce", small, model, dim=2, layers=(4,), epochs=1, pairs=pairs)
    assert result.settings.metric == DEFAULT[model, pairs] == next(iter(result.metrics))


def test_a_shift_of_each_user_changes_auc_and_not_gauc(small: Dataset) -> None:
    """Why: training on pairs never sees such a shift, so AUC would measure noise."""
    score = np.random.default_rng(0).standard_normal(len(small.train))
    shifted = score + 10.0 * small.train.user
    assert metrics.gauc(small.train, shifted) == pytest.approx(metrics.gauc(small.train, score))
    assert abs(metrics.auc(small.train, shifted) - metrics.auc(small.train, score)) > 0.01


PROTOCOLS = {
    (): ("the rows of the split", "auc"),
    (("test_neg", 5),): ("the rows of the split, each with 5 sampled negatives", "auc"),
    (("task", "implicit"),): ("all items that are new to the user", "ndcg@20"),
    (("task", "implicit"), ("test_neg", 7)): ("the rows of the split, each with 7 sampled negatives", "ndcg@20"),
}


@pytest.mark.parametrize("changes", list(PROTOCOLS))
def test_a_result_names_split_negatives_and_depth(small: Dataset, changes: tuple) -> None:
    result = train("bce", small, settings=QUICK, epochs=1, **dict(changes)).to_dict()
    candidates, metric = PROTOCOLS[changes]
    assert result["protocol"]["candidates"] == candidates and metric in result["metrics"]
    assert result["protocol"]["split"] == "test, at the epoch that was best on validation"
    assert result["protocol"]["fingerprint"] == small.fingerprint
    assert result["protocol"]["settings"]["test_neg"] == dict(changes).get("test_neg", 0)
    assert result["protocol"]["seeds"] == [0]


def test_an_interrupt_ends_the_seeds_that_train_in_threads(small: Dataset) -> None:
    begin = time.monotonic()
    sent = Event()

    def interrupt(*epoch: object) -> None:
        if not sent.is_set():
            sent.set()
            pthread_kill(main_thread().ident or 0, SIGINT)

    # What runs in a shell's background is born deaf to it.
    before = signal(SIGINT, default_int_handler)

    try:
        with pytest.raises(KeyboardInterrupt):
            train("bce", small, epochs=10**6, dim=2, seeds=4, workers=2, progress=interrupt)
    finally:
        signal(SIGINT, before)
    assert time.monotonic() - begin < 60
