"""Grids that are the same for each loss, and the unit that makes them so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.errors import LossError
from lossdsl.recsys.objective import Objective
from lossdsl.recsys.tuning import LEAST_POINTS, Point, around, grid, slope_scale


@pytest.mark.parametrize("model", ["biasedmf", "deepmodel", "ranknet"])
def test_default_grids_have_twelve_points_and_more(model: str) -> None:
    assert len(set(grid(model))) == len(grid(model)) >= LEAST_POINTS == 12


@given(st.sampled_from(grid("biasedmf") + grid("ranknet")))
def test_a_closer_look_is_new_and_as_large_wherever_the_best_is(best: Point) -> None:
    points = grid("biasedmf")
    closer = around(best, points)
    assert len(set(closer)) == 12 and not set(closer) & {best}
    assert {point.lr for point in closer} == {point.lr for point in points}
    assert all(point.l2 > 0 for point in closer)


LOSSES = ["-label*log(pred) - (1-label)*log(1-pred)", "(pred-label)^2", "max(0, 1 - (2*label-1)*score)", "exp(-score)"]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("pairs", [False, True])
def test_the_scale_grows_with_the_loss(loss: str, pairs: bool) -> None:
    one = Objective(loss)
    assert slope_scale(Objective(f"7*({one.text})"), pairs=pairs) == pytest.approx(7 * slope_scale(one, pairs=pairs))


def test_the_scale_is_the_mean_slope() -> None:
    score = np.linspace(-2, 2, 401)
    sigmoid = 1 / (1 + np.exp(-score))
    want = np.abs(np.concatenate([sigmoid, sigmoid - 1])).mean()
    assert slope_scale(Objective("bce"), pairs=False) == pytest.approx(want, rel=1e-9)
    assert slope_scale(Objective("label*0*score + 3"), pairs=False) == 1.0


def test_a_callable_has_no_scale() -> None:
    with pytest.raises(LossError, match="a callable cannot be looked into"):
        slope_scale(Objective(lambda score, label: score.mean()), pairs=False)
