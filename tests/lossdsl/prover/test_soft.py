"""Labels between 0 and 1: least where pred equals the label, at all of them at once."""

from __future__ import annotations

import numpy as np
import pytest

from lossdsl.checking import check
from lossdsl.formula import parse
from lossdsl.lowering import lower
from lossdsl.prover import soft
from lossdsl.prover.cells import cut
from lossdsl.prover.field import Field
from lossdsl.prover.polynomials import UNIT, X, spread
from lossdsl.prover.signs import Signs
from lossdsl.prover.terms import specialise
from lossdsl.report import Report
from lossdsl.targets.numpy import evaluate

PROVED = [
    *(
        "mse",
        "bce",
        "maxr",
        "abs(label-pred)",
        "abs(label-pred)^1.5",
        "(label-pred)^2*(1+pred)",
        "exp(abs(label-pred))",
    ),
    *("(label-pred)^2/(pred*(1-pred))", "softplus(score) - label*score", "log(1+(label-pred)^2)"),
]
NOT_PROVED = [
    "focal",
    "pred*(1-label) + label*(1-pred)",
    "-(label-pred)^2",
    # Right at labels 0 and 1, and on the way up to the label; beyond it the loss falls further.
    "(label-pred)^2 - 5*label*(1-label)*max(pred-label, 0)",
    "(label-pred)^2 - 5*label*(1-label)*max(label-pred, 0)",
    # Jumps down right behind the label.
    "(label-pred)^2 + if(pred > label, 0, 1)",
    "(label-pred)^2 + sign(label-pred)",
    # Least a little beside the label, but where the label is 0, 1/2 or 1.
    "(label-pred - label*(1-label)*(2*label-1)/4)^2",
]


def soft_report(text: str) -> Report:
    return check(text, label="[0,1]", timeout=None)


@pytest.mark.parametrize("text", PROVED)
def test_least_at_every_label(text: str) -> None:
    assert soft_report(text).properties["minimum"].status == "proved"
    score = "score" in text
    program = lower(parse(text).tree, "score" if score else "pred")
    share = np.linspace(0.01, 0.99, 99)
    pred, label = (grid.ravel() for grid in np.meshgrid(share, share))
    place, goal = (np.log(p / (1 - p)) if score else p for p in (pred, label))
    loss, _ = evaluate(program, place, label)
    least, _ = evaluate(program, goal, label)
    assert (loss >= least - 1e-12).all()


@pytest.mark.parametrize("text", NOT_PROVED)
def test_what_is_not_least_there_is_not_proved_to_be(text: str) -> None:
    assert soft_report(text).properties["minimum"].status != "proved"


@pytest.mark.parametrize(("side", "text"), [(True, NOT_PROVED[3]), (False, NOT_PROVED[4])])
def test_each_side_of_the_label_counts(side: bool, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = soft._way
    monkeypatch.setattr(soft, "_way", lambda r, p, b, above: inner(r, p, b, not side if above == side else above))
    assert soft_report(text).properties["minimum"].status == "proved"


def test_a_kink_at_the_label_bends_up() -> None:
    report = soft_report("abs(label-pred)")
    assert {report.properties[name].status for name in ("minimum", "uses_pred", "convex_pred")} == {"proved"}
    assert soft_report("abs(label-pred)^0.5").properties["convex_pred"].status == "refuted"


@pytest.mark.parametrize("above", [False, True])
def test_frames_reach_the_label(above: bool) -> None:
    # At t = 1 pred is the label, whatever s: the difference has the factor 1 - t, and no other zero in (0,1).
    terms = specialise(parse("pred - label").tree.root, None, {}, False, (), soft.frame(above))
    field = Field()
    signs = Signs(field, False, field.budget)
    (piece,), _ = cut(terms, field, signs, soft.HALF_LINE)
    assert any(factor == X - 1 for factor, _ in field.factor(piece.value.n)[1])
    assert [part.sign for part in signs.of(piece.value, piece.low, piece.high)] == [1 if above else -1]


def test_positive_on_the_unit_interval_shows_when_it_is_spread_out() -> None:
    # 2x^2 - 2x + 1 has coefficients of both signs, seen from either end, and none below.
    assert all(c > 0 for c in spread(2 * X**2 - 2 * X + UNIT).coeffs())


def test_out_of_time_is_the_reason_that_is_given() -> None:
    report = check("huber", label="[0,1]", timeout=1e-9)
    reasons = {f.detail for f in report.properties.values() if f.status == "undecided" and f.name != "float_safe"}
    assert reasons == {"the time limit was reached"}
