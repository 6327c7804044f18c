"""The objective for boosted trees: derivatives, calling conventions, and the real LightGBM and XGBoost."""

from __future__ import annotations

import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import lossdsl
from lossdsl.errors import LossError
from lossdsl.lowering import lower, lower_slope
from lossdsl.targets.numpy import evaluate


@pytest.mark.parametrize("name", ["bce", "focal", "mse", "exponential", "squared_hinge", "sumr", "logmin"])
def test_curvature_is_the_slope_of_the_slope(name: str) -> None:
    scores = np.linspace(-4, 4, 33) + 0.01
    labels = (np.arange(33) % 2).astype(float)
    slope, curvature = evaluate(lower_slope(name), scores, labels)
    assert np.allclose(slope, evaluate(lower(name), scores, labels)[1], rtol=1e-12)
    step = 1e-5
    up, down = (evaluate(lower(name), scores + d, labels)[1] for d in (step, -step))
    assert np.allclose(curvature, (up - down) / (2 * step), rtol=1e-4, atol=1e-6 * np.abs(curvature).max())


def test_bce_is_what_every_library_computes() -> None:
    scores, labels = np.array([-3.0, 0.0, 40.0]), np.array([0.0, 1.0, 1.0])
    gradient, hessian = lossdsl.boosting_objective("bce")(labels, scores)
    p = 1 / (1 + np.exp(-scores))
    assert np.allclose(gradient[:2], (p - labels)[:2]) and np.allclose(hessian[:2], (p * (1 - p))[:2])
    assert gradient[2] == pytest.approx(-np.exp(-40.0)) and hessian[2] == 1e-6


def test_calling_conventions_and_weights() -> None:
    objective = lossdsl.boosting_objective("focal")
    scores, labels, weight = np.array([0.5, -1.0]), np.array([1.0, 0.0]), np.array([2.0, 3.0])
    plain = objective(labels, scores)
    data = SimpleNamespace(get_label=lambda: labels, get_weight=lambda: None)
    heavy = SimpleNamespace(get_label=lambda: labels, get_weight=lambda: weight)
    for a, b in zip(objective(scores, data), plain):
        assert np.array_equal(a, b)
    for found in (objective(scores, heavy), objective(labels, scores, weight)):
        for a, b in zip(found, plain):
            assert np.array_equal(a, b * weight)
    assert np.array_equal(pickle.loads(pickle.dumps(objective))(labels, scores)[0], plain[0])


def test_hessians_are_positive_and_straight_lines_count_one() -> None:
    scores, labels = np.linspace(-30, 30, 61), (np.arange(61) % 2).astype(float)
    for name in ("focal", "sumr", "bce"):
        assert (lossdsl.boosting_objective(name)(labels, scores)[1] >= 1e-6).all()
    assert (lossdsl.boosting_objective("hinge")(labels, scores)[1] == 1).all()
    with pytest.raises(LossError, match="gamma"):
        lossdsl.boosting_objective("focal where gamma in [0, 2]")


def rows(n: int = 600) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 5))
    y = (rng.random(n) < 1 / (1 + np.exp(-(2 * x[:, 0] - x[:, 1] + x[:, 2] * x[:, 3])))).astype(float)
    return x, y


def test_the_real_lightgbm() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    x, y = rows()
    common = {"verbosity": -1, "num_threads": 1, "seed": 1, "num_leaves": 7, "boost_from_average": False}

    def scores(objective: Any) -> Any:
        data = lightgbm.Dataset(x, y, free_raw_data=False)
        return lightgbm.train({**common, "objective": objective}, data, 30).predict(x, raw_score=True)

    theirs, ours = scores("binary"), scores(lossdsl.boosting_objective("bce"))
    assert np.corrcoef(theirs, ours)[0, 1] > 0.999
    for name in ("focal", "mse", "squared_hinge"):
        found = scores(lossdsl.boosting_objective(name))
        order = np.argsort(np.argsort(found))
        auc = (order[y == 1].mean() - (y.sum() - 1) / 2) / (len(y) - y.sum())
        assert auc > 0.9, name
    model = lightgbm.LGBMClassifier(objective=lossdsl.boosting_objective("bce"), n_estimators=5, verbosity=-1, n_jobs=1)
    model.fit(x, y)
    assert np.isfinite(model.predict(x, raw_score=True)).all()


def test_the_real_xgboost() -> None:
    xgboost = pytest.importorskip("xgboost")
    x, y = rows()
    heavy = np.random.default_rng(1).random(len(y))
    for weight in (None, heavy):
        data = xgboost.DMatrix(x, y, weight=weight)

        common = {"nthread": 1, "max_depth": 3, "seed": 1, "verbosity": 0}
        model = xgboost.train({**common, "objective": "binary:logistic", "base_score": 0.5}, data, 20)
        theirs = model.predict(data, output_margin=True)
        for name in ("bce", "focal", "mse", "squared_hinge"):
            model = xgboost.train({**common, "base_score": 0.0}, data, 20, obj=lossdsl.boosting_objective(name))
            found = model.predict(data, output_margin=True)
            if name == "bce":
                assert np.allclose(found, theirs, atol=1e-4)
            order = np.argsort(np.argsort(found))
            auc = (order[y == 1].mean() - (y.sum() - 1) / 2) / (len(y) - y.sum())
            assert auc > 0.9, name
    # the classifier keeps binary:logistic beside an objective of one's own, and so takes base_score for a probability
    for weight in (None, heavy):
        for make, start in ((xgboost.XGBRegressor, 0.0), (xgboost.XGBClassifier, 0.5)):
            common = {"n_estimators": 20, "n_jobs": 1, "max_depth": 3}
            ours = make(objective=lossdsl.boosting_objective("bce"), base_score=start, **common)
            theirs = xgboost.XGBClassifier(objective="binary:logistic", base_score=0.5, **common)
            found, right = (m.fit(x, y, sample_weight=weight).predict(x, output_margin=True) for m in (ours, theirs))
            assert np.allclose(found, right, atol=1e-4), (make, weight)
