"""A fair comparison: the same budget, the same units, resumable, and no winner where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lossdsl.recsys.compare as module
from lossdsl.errors import LossError
from lossdsl.recsys.compare import Point, compare, grid, slope_scale
from lossdsl.recsys.demo import demo
from lossdsl.recsys.objective import Objective
from lossdsl.recsys.settings import Settings

FEW = tuple(Point(lr, l2) for lr in (0.01, 0.02, 0.04) for l2 in (0.0, 1e-4, 3e-4, 1e-3))
QUICK = Settings(dim=2, epochs=2, batch_size=2048)


def test_a_multiple_of_a_loss_is_the_same_loss() -> None:
    """Without the unit of the slope, L2 of a grid would meet another loss in each."""
    result = compare(
        ["bce", "-20*(label*log(pred) + (1-label)*log(1-pred))"], [demo()], settings=QUICK, points=FEW, seeds=2
    )
    one, two = result.cells
    assert one.point == two.point
    np.testing.assert_allclose(one.values, two.values, atol=1e-3)
    assert abs(two.against.mean) < 1e-3 and two.against.p_holm > 0.05


def test_every_loss_gets_the_same_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, float, float, int]] = []
    real = module._train

    def watched(job, data):
        scale = slope_scale(Objective(job.loss), pairs=False)
        seen.append((job.loss, job.settings.lr, round(job.settings.l2 / scale, 12), job.seed))
        return real(job, data)

    monkeypatch.setattr(module, "_train", watched)
    result = compare(["bce", "mse", "hinge"], [demo()], settings=QUICK, points=FEW, seeds=2, tuning_seeds=2)
    by_loss = {
        loss: sorted(row[1:] for row in seen if row[0] == loss and row[3] >= 1000) for loss in {r[0] for r in seen}
    }
    assert len(by_loss) == 3 and len({tuple(rows) for rows in by_loss.values()}) == 1
    assert len(next(iter(by_loss.values()))) == len(FEW) * 2
    assert {row[3] for row in seen if row[3] < 1000} == {0, 1}
    assert [cell.against is None for cell in result.cells] == [True, False, False]


def test_a_comparison_goes_on_where_it_was_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compare(["bce", "mse"], [demo()], settings=QUICK, points=FEW, seeds=2, run_dir=tmp_path / "a")
    real, count = module._train, [0]

    def breaks(job, data):
        count[0] += 1
        if count[0] == 10:
            raise KeyboardInterrupt
        return real(job, data)

    monkeypatch.setattr(module, "_train", breaks)
    with pytest.raises(KeyboardInterrupt):
        compare(["bce", "mse"], [demo()], settings=QUICK, points=FEW, seeds=2, run_dir=tmp_path / "b")
    again = compare(["bce", "mse"], [demo()], settings=QUICK, points=FEW, seeds=2, run_dir=tmp_path / "b")
    assert count[0] == 10 + 2 * (len(FEW) + 2) - 9
    assert [cell.to_dict() for cell in again.cells] == [cell.to_dict() for cell in whole.cells]


def test_workers_change_nothing() -> None:
    one, two = (compare(["bce"], [demo()], settings=QUICK, points=FEW, seeds=3, workers=w) for w in (1, 3))
    assert one.cells[0].values == two.cells[0].values


@pytest.mark.parametrize("model", ["biasedmf", "deepmodel", "ranknet"])
def test_default_grids_have_twelve_points_and_more(model: str) -> None:
    assert len(set(grid(model))) >= 12


def test_too_few_points_are_refused() -> None:
    with pytest.raises(LossError, match="at least 12 points"):
        compare(["bce"], [demo()], points=FEW[:11])
    with pytest.raises(LossError, match="the same loss is given twice"):
        compare(["bce", "-label*log(pred) - (1-label)*log(1-pred)"], [demo()])


def test_several_places_make_a_transfer_matrix() -> None:
    result = compare(["bce", "mse"], [demo(), demo(1)], settings=QUICK, points=FEW, seeds=1)
    losses, places, values = result.matrix()
    assert losses == ["bce", "mse"] and places == ["biasedmf on demo", "biasedmf on demo-1"]
    assert values.tolist() == [[cell.mean for cell in result.cells[k::2]] for k in (0, 1)]
