"""A whole training in one call is the same training step by step."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lossdsl.recsys.fit import fit
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.trainer import Trainer


def test_it_is_the_trainer_epoch_by_epoch(small) -> None:
    chosen = Settings(dim=3, lr=0.05)
    got = fit("bce", small, [small.validation, small.test, small.train], chosen, epochs=6, watch=[0], seed=5)
    trainer = Trainer("bce", small, chosen, seed=5)
    for epoch in range(6):
        trainer.epoch()
        want = [trainer.evaluate(split, "auc") for split in ("validation", "test", "train")]
        assert got.history[epoch].tolist() == want
    assert got.best == int(np.argmax(got.history[:, 0]))
    assert got.scores.tolist() == got.history[got.best].tolist()


def test_patience_ends_it(small) -> None:
    got = fit("bce", small, [small.validation], epochs=200, patience=3, lr=0.1, dim=3)
    assert len(got.history) == got.best + 4 < 200


def test_threads_do_not_disturb_one_another(small) -> None:
    losses = ["bce", "mse", "hinge", "focal"] * 3
    alone = [fit(loss, small, [small.test], epochs=5, lr=0.05).history.tolist() for loss in losses]
    with ThreadPoolExecutor(4) as pool:
        beside = list(pool.map(lambda loss: fit(loss, small, [small.test], epochs=5, lr=0.05).history.tolist(), losses))
    assert beside == alone


def test_an_explosion_is_told_not_raised(small) -> None:
    got = fit("exponential", small, [small.test], optimizer="gd", lr=1e6, epochs=20)
    assert "learning rate" in got.stopped and len(got.history) < 20
    never = fit("score*log(score - 1000)", small, [small.test], epochs=4)
    assert never.best == -1 and "NaN" in never.stopped and np.isnan(never.scores).all()


def test_the_state_is_that_of_the_best_epoch(small) -> None:
    got = fit("bce", small, [small.validation], epochs=12, lr=0.1, dim=3, keep_state=True)
    trainer = Trainer("bce", small, Settings(dim=3, lr=0.1))
    trainer.load(got.state)
    assert trainer.evaluate("validation") == got.scores[0]
