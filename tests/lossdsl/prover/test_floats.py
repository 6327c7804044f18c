"""float_safe against float32 itself."""

from __future__ import annotations

import numpy as np
import pytest

from lossdsl.checking import check
from lossdsl.lowering import lower
from lossdsl.targets.numpy import evaluate

SAFE = ["bce", "mse", "focal", "hinge", "logmin", "maxr", "sumr", "bpr", "huber", "focal where gamma = 0.7",
        "label*sqrt(1-pred) + (1-label)*tanh(pred)"]  # fmt: skip
UNSAFE = ["exponential", "label*exp(1/pred) + (1-label)*pred", "label/pred^2 + pred", "exp(exp(pred*5))*label + pred"]


@pytest.mark.parametrize("text", SAFE)
def test_what_is_proved_stays_finite(text: str) -> None:
    finding = check(text, properties=("float_safe",), timeout=None).properties["float_safe"]
    assert finding.status == "proved"
    dice = np.random.default_rng(0)
    score = dice.uniform(-100, 100, 20_000).astype(np.float32)
    for label in (0.0, 1.0):
        value, slope = evaluate(lower(text, "score"), score, np.full(score.shape, label, dtype=np.float32))
        assert np.isfinite(value).all() and np.isfinite(slope).all()
    if "score" not in text and text not in ("hinge", "bpr"):
        pred = np.abs(dice.integers(1, 2**30, 20_000).astype(np.uint32)).view(np.float32)
        pred = pred[(pred >= 0) & (pred <= 1)]
        value, slope = evaluate(lower(text, "pred"), pred, np.zeros_like(pred))
        assert np.isfinite(value).all() and np.isfinite(slope).all()


# Finite at the labels 0 and 1.
SOFT_UNSAFE = ["exp(400*label*(1-label))*(label-pred)^2", "(label-pred)^2/(abs(label-1/2)^2+1e-45)",
               "(label-pred)^2/(label-1/3)^2"]  # fmt: skip
SOFT_SAFE = ["bce", "mse", "focal", "huber", "(label-pred)^2*exp(abs(label-pred))", "-log(1-abs(label-pred)*0.999)"]


@pytest.mark.parametrize("text", SOFT_UNSAFE)
def test_labels_between_are_judged_too(text: str) -> None:
    at_ends = check(text, properties=("float_safe",), timeout=None).properties["float_safe"]
    between = check(text, label="[0,1]", properties=("float_safe",), timeout=None).properties["float_safe"]
    assert (at_ends.status, between.status) == ("proved", "refuted")
    assert between.witness is not None and between.witness.at["label"] not in ("0", "1")


@pytest.mark.parametrize("text", SOFT_SAFE)
def test_what_is_proved_at_all_labels_stays_finite(text: str) -> None:
    finding = check(text, label="[0,1]", properties=("float_safe",), timeout=None).properties["float_safe"]
    assert finding.status == "proved"
    dice = np.random.default_rng(0)
    score, label = dice.uniform(-100, 100, 20_000).astype(np.float32), dice.random(20_000).astype(np.float32)
    value, slope = evaluate(lower(text, "score"), score, label)
    assert np.isfinite(value).all() and np.isfinite(slope).all()


def test_a_pole_at_a_label_that_no_sample_meets_is_not_proved_away() -> None:
    finding = check("(label-pred)^2/(label-0.3141592)^2", label="[0,1]", properties=("float_safe",), timeout=None)
    assert finding.properties["float_safe"].status != "proved"


@pytest.mark.parametrize("text", UNSAFE)
def test_what_is_refuted_fails_at_the_witness(text: str) -> None:
    finding = check(text, properties=("float_safe",), timeout=None).properties["float_safe"]
    assert finding.status == "refuted" and finding.witness is not None
    (axis,) = [k for k in finding.witness.at if k in ("pred", "score")]
    from fractions import Fraction

    x = np.float32(float(Fraction(str(finding.witness.at[axis]))))
    label = np.float32(float(Fraction(str(finding.witness.at["label"]))))
    value, slope = evaluate(lower(text, axis), np.array([x]), np.array([label]))  # type: ignore[arg-type]
    assert not (np.isfinite(value).all() and np.isfinite(slope).all())
