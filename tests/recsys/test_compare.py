"""A fair comparison: the same budget, the same units, resumable, and no winner where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lossdsl.recsys.trainings as module
from lossdsl.errors import LossError
from lossdsl.recsys import metrics
from lossdsl.recsys.compare import compare
from lossdsl.recsys.dataset import Dataset, Rows
from lossdsl.recsys.demo import demo
from lossdsl.recsys.objective import Objective
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.significance import holm
from lossdsl.recsys.trainer import Diverged
from lossdsl.recsys.tuning import Point, slope_scale

FEW = tuple(Point(lr, l2) for lr in (0.01, 0.02, 0.04) for l2 in (0.0, 1e-4, 3e-4, 1e-3))
QUICK = Settings(dim=2, epochs=2, batch_size=2048)


def test_a_multiple_of_a_loss_is_the_same_loss() -> None:
    """Without the unit of the slope, L2 of a grid would meet another loss in each."""
    result = compare(
        ["bce", "-20*(label*log(pred) + (1-label)*log(1-pred))"], [demo()], settings=QUICK, points=FEW, seeds=2
    )
    one, two = result.cells
    assert one.points == two.points
    np.testing.assert_allclose(one.values, two.values, atol=1e-3)
    assert abs(two.against.mean) < 1e-3 and two.against.p_holm > 0.05


def test_every_loss_gets_the_same_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, float, float, int]] = []
    real = module.train_job

    def watched(job, data):
        scale = slope_scale(Objective(job.loss), pairs=False)
        seen.append((job.loss, job.settings.lr, round(job.settings.l2 / scale, 12), job.seed))
        return real(job, data)

    monkeypatch.setattr(module, "train_job", watched)
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
    real, count = module.train_job, [0]

    def breaks(job, data):
        count[0] += 1
        if count[0] == 10:
            raise KeyboardInterrupt
        return real(job, data)

    monkeypatch.setattr(module, "train_job", breaks)
    with pytest.raises(KeyboardInterrupt):
        compare(["bce", "mse"], [demo()], settings=QUICK, points=FEW, seeds=2, run_dir=tmp_path / "b")
    again = compare(["bce", "mse"], [demo()], settings=QUICK, points=FEW, seeds=2, run_dir=tmp_path / "b")
    assert count[0] == 10 + 2 * (len(FEW) + 2) - 9
    assert [cell.to_dict() for cell in again.cells] == [cell.to_dict() for cell in whole.cells]


def test_workers_change_nothing() -> None:
    one, two = (compare(["bce"], [demo()], settings=QUICK, points=FEW, seeds=3, workers=w) for w in (1, 3))
    assert one.cells[0].values == two.cells[0].values


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


def folds(count: int = 3, queries: int = 12) -> tuple[Dataset, ...]:
    """Made-up documents: each fold tests queries that no other fold tests."""
    random = np.random.default_rng(0)
    features = random.standard_normal((queries * 5, 4)).astype(np.float32)
    grade = (features[:, 0] + 0.3 * random.standard_normal(len(features)) > 0.3).astype(float)
    grade[::5], grade[1::5] = 1, 0
    out = []
    for fold in range(count):
        part = (np.arange(queries) + fold) % count
        rows = [
            Rows(np.repeat(np.flatnonzero(part == k), 5), place, grade[place])
            for k in range(3)
            for place in [np.concatenate([np.arange(5 * q, 5 * q + 5) for q in np.flatnonzero(part == k)])]
        ]
        ids = np.arange(queries)
        out.append(Dataset(f"docs-fold{fold + 1}", *rows, ids, np.arange(len(grade)), None, features, documents=True))
    return tuple(out)


def test_folds_are_tuned_apart_and_judged_together(tmp_path: Path) -> None:
    """The mean over the folds' queries, as written out from the trainings that were kept."""
    parts = folds()
    points = tuple(Point(lr, l2) for lr in (0.003, 0.03) for l2 in (0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2))
    quick = Settings(epochs=3, layers=(4,), dropout=0.0, batch_size=20)
    result = compare(["bce", "hinge"], [parts], ["ranknet"], settings=quick, points=points, seeds=2, run_dir=tmp_path)
    assert [cell.data for cell in result.cells] == ["docs, 3 folds"] * 2 and result.cells[0].metric == "ndcg@10"
    for cell in result.cells:
        assert len(cell.points) == 3 and len(cell.epochs) == 6
        scale = slope_scale(Objective(cell.loss), pairs=True)
        for seed, value in enumerate(cell.values):
            each = []
            for data, point in zip(parts, cell.points):
                best = replace(quick, model="ranknet", lr=point.lr, l2=point.l2 * scale)
                scores = module.train_job(module.Job(cell.loss, best, seed, True), data).scores
                each.extend(metrics.per_user("ndcg@10", data.test, scores).values())
            assert len(each) == 12 and value == pytest.approx(np.mean(each))
    facts = result.cells[0].to_dict()
    assert len(facts["lr"]) == len(facts["l2_in_slopes"]) == 3


def test_a_user_of_another_fold_is_another_user() -> None:
    """Folds that test the same users: each user counts once a fold, with the rows of that fold alone."""
    parts = (demo(), demo(1))
    chosen = replace(QUICK, metric="gauc")
    cell = compare(["bce"], [parts], settings=chosen, points=FEW, seeds=1).cells[0]
    assert cell.data == "demo, 2 folds"
    scale, each = slope_scale(Objective("bce"), pairs=False), []
    for data, point in zip(parts, cell.points):
        best = replace(chosen, lr=point.lr, l2=point.l2 * scale)
        each.extend(
            metrics.per_user(
                "gauc", data.test, module.train_job(module.Job(cell.loss, best, 0, True), data).scores
            ).values()
        )
    assert cell.values[0] == pytest.approx(np.mean(each))


def test_a_loss_that_always_explodes_is_told_and_one_seed_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.train_job

    def one_explodes(job, data):
        done = real(job, data)
        lost = replace(done, epoch=0, value=float("nan"), stopped="boom", scores=done.scores[:0])
        return lost if job.seed == 1 else done

    monkeypatch.setattr(module, "train_job", one_explodes)
    cell = compare(["bce"], [demo()], settings=QUICK, points=FEW, seeds=3).cells[0]
    assert cell.exploded == 1 and len(cell.values) == 2
    monkeypatch.undo()
    wild = replace(QUICK, optimizer="gd")
    with pytest.raises(Diverged, match="stopped with every seed: a parameter .*smaller learning rate"):
        compare(["exponential"], [demo()], settings=wild, points=[Point(1e9 + k, 0.0) for k in range(12)], seeds=2)


def test_the_edge_of_the_grid_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def liking(l2: float):
        def train(job, data):
            value = -abs(job.settings.l2 - l2) - abs(job.settings.lr - 0.02)
            return module.Trained(value, 1, False, "", np.arange(len(data.test), dtype=np.float32) % 7)

        return train

    scale = slope_scale(Objective("bce"), pairs=False)
    for l2, edge in ((0.0, False), (1e-4, False), (1e-3, True)):
        monkeypatch.setattr(module, "train_job", liking(l2 * scale))
        cell = compare(["bce"], [demo()], settings=QUICK, points=FEW, seeds=1).cells[0]
        assert (cell.points, cell.edge) == ((Point(0.02, l2),), edge)


def test_differences_are_corrected_for_all_that_are_compared() -> None:
    result = compare(["bce", "mse", "hinge", "maxr"], [demo()], settings=QUICK, points=FEW, seeds=2)
    apart = [cell.against for cell in result.cells[1:]]
    assert [a.p_holm for a in apart] == holm([a.p for a in apart])
    assert all(a.p_holm >= a.p for a in apart) and min(a.p_holm for a in apart) > min(a.p for a in apart)
