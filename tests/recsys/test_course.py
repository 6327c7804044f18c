"""The epochs of a training against a made-up trainer whose metric after each epoch is written down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from lossdsl.recsys.course import Course, follow
from lossdsl.recsys.dataset import Rows
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.trainer import Diverged, Trainer


@dataclass
class Scripted:
    """Gives `values` one after another; NaN is an explosion."""

    values: list[float]
    settings: Settings
    seed: int = 0
    done: int = 0

    def epoch(self, rows: Rows | None) -> None:
        assert rows is None
        self.done += 1
        if math.isnan(self.values[self.done - 1]):
            raise Diverged("the parameters are not finite")

    def evaluate(self, part: str) -> float:
        assert part == "validation"
        return self.values[self.done - 1]


def course(values: list[float], metric: str = "auc", patience: int = 3) -> Course[int]:
    trainer = Scripted(values, Settings(metric=metric, epochs=len(values), patience=patience))
    return follow(cast(Trainer, trainer), lambda: trainer.done)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, math.nan]), min_size=1, max_size=12), st.integers(0, 4))
def test_the_first_of_the_best_epochs_before_the_end_is_kept(values: list[float], patience: int) -> None:
    found = course(values, patience=patience)
    sane = found.history
    assert list(sane) == values[: len(sane)] and not any(map(math.isnan, sane))
    assert found.kept == (found.best_epoch or None)
    if sane:
        assert found.best == max(sane) and found.best_epoch == 1 + sane.index(max(sane))
    else:
        assert found.best_epoch == 0 and math.isnan(found.best)
    # It ends for one of three reasons: an explosion, the patience, the epochs.
    exploded = len(sane) < len(values) and math.isnan(values[len(sane)])
    impatient = patience > 0 and len(sane) - found.best_epoch == patience
    assert bool(found.stopped) == (exploded and not impatient)
    assert exploded or impatient or len(sane) == len(values)


def test_of_an_error_the_least_is_best() -> None:
    assert course([1.0, 0.8, 0.9], metric="rmse").best_epoch == 2
    assert course([1.0, 0.8, 0.9], metric="auc").best_epoch == 1


def test_a_metric_that_the_rows_do_not_have_ends_it_with_a_reason() -> None:
    trainer = Scripted([0.5], Settings(metric="gauc", epochs=5))
    trainer.evaluate = lambda part: math.nan  # type: ignore[method-assign]
    found = follow(cast(Trainer, trainer), lambda: trainer.done)
    assert found.stopped == "gauc cannot be measured on the validation rows"
    assert (found.history, found.best_epoch, trainer.done) == ((), 0, 1)


def test_progress_hears_of_each_epoch() -> None:
    heard: list[Any] = []
    trainer = Scripted([0.5, 0.6], Settings(metric="auc", epochs=2), seed=7)
    follow(cast(Trainer, trainer), lambda: None, lambda *facts: heard.append(facts))
    assert heard == [(7, 1, 0.5), (7, 2, 0.6)]
