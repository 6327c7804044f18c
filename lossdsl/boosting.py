"""A formula as the objective of LightGBM or XGBoost: gradient and Hessian at the raw scores of the trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lossdsl.errors import LossError
from lossdsl.formula import as_formula
from lossdsl.lowering import lower_slope
from lossdsl.targets.numpy import evaluate

if TYPE_CHECKING:
    from lossdsl.formula import Formula

Array = np.ndarray[Any, np.dtype[np.float64]]

# Below this a Hessian says nothing, and a leaf of such rows alone would take a step without a bound.
SMALLEST = 1e-6


class BoostingObjective:
    """What `boosting_objective` gives: callable as each library calls its objective."""

    def __init__(self, formula: Formula) -> None:
        self.formula = formula
        self._slope = lower_slope(formula, "score")
        if self._slope.parameters:
            raise LossError(f"the parameter `{self._slope.parameters[0]}` needs one value (loss `{formula}`)")
        self._flat = self._slope.steps[self._slope.slope].constant == 0

    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> tuple[Array, Array]:
        """Gradient and Hessian of every row.

        Takes `(scores, data)` where data has `get_label`, as `lightgbm.train` and `xgboost.train` call it, or
        `(labels, scores)` and perhaps weights, as their scikit-learn classes do; XGBoost's looks for an argument of
        that name.
        """
        if hasattr(second, "get_label"):
            scores, labels = first, second.get_label()
            sample_weight = second.get_weight() if hasattr(second, "get_weight") else None
        else:
            labels, scores = first, second
        gradient, hessian = self.derivatives(scores, labels)
        if sample_weight is not None and np.size(sample_weight):
            weight = np.asarray(sample_weight)
            gradient, hessian = gradient * weight, hessian * weight
        return gradient, hessian

    def derivatives(self, scores: Any, labels: Any) -> tuple[Array, Array]:
        """d loss / d score and the size of d² loss / d score², never under 1e-6.

        The size, because a step of Newton's method climbs where the curvature is negative, as that of focal is where
        the prediction is far off. A loss made of straight lines has no curvature; its rows count 1 each.
        """
        scores = np.asarray(scores, dtype=float)
        gradient, curvature = evaluate(self._slope, scores, np.asarray(labels, dtype=float))
        if self._flat:
            return gradient, np.ones_like(gradient)
        return gradient, np.maximum(np.abs(curvature), SMALLEST)

    def __repr__(self) -> str:
        return f"boosting_objective({str(self.formula)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return boosting_objective, (str(self.formula),)


def boosting_objective(formula: str | Formula) -> BoostingObjective:
    """The objective for LightGBM's or XGBoost's trees, whose raw prediction is the score.

    With LightGBM it is `params={"objective": lossdsl.boosting_objective("focal")}`, or `LGBMModel(objective=...)`; with
    XGBoost `xgboost.train({"base_score": 0.0}, ..., obj=...)`, where base_score is itself a raw score. The model then
    predicts raw scores; a sigmoid makes probabilities of them.

    >>> import lossdsl
    >>> gradient, hessian = lossdsl.boosting_objective("bce")([1.0, 0.0], [0.0, 0.0])
    >>> gradient.tolist(), hessian.tolist()
    ([-0.5, 0.5], [0.25, 0.25])
    """
    return BoostingObjective(as_formula(formula))
