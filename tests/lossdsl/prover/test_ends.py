"""Expansions at the ends: signs that hold on a whole (0, d], limits, and silence where they do not reach."""

from __future__ import annotations

import mpmath
import pytest

from lossdsl.checking import check
from lossdsl.formula import parse
from lossdsl.prover.analysis import analyse
from lossdsl.prover.ends import PRED_0, PRED_1, End
from lossdsl.prover.extremes import limit
from lossdsl.prover.limits import Budget

# Formula of pred, the end, and the limit there by hand.
LIMITS = {
    ("pred*log(pred)", 0): 0.0, ("log(1-pred)/pred", 0): -1.0, ("(exp(pred)-1-pred)/pred^2", 0): 0.5,
    ("pred^pred", 0): 1.0, ("sqrt(pred)*log(pred)^3", 0): 0.0, ("exp(-1/pred)/pred^9", 0): 0.0,
    ("log(1+exp(1/pred))*pred", 0): 1.0, ("1/log(pred)", 0): 0.0, ("log(pred)/(1-pred)", 1): -1.0,
    ("(1-pred)^0.5/(1-pred)", 1): float("inf"), ("log(1-pred)", 1): float("-inf"), ("exp(1/(1-pred))", 1): float("inf"),
    ("(exp(pred)-exp(1))/(1-pred)", 1): -float(mpmath.e), ("(pred-1-log(pred))/(1-pred)^2", 1): 0.5,
}  # fmt: skip


@pytest.mark.parametrize(("text", "at"), LIMITS)
def test_limits(text: str, at: int) -> None:
    from fractions import Fraction

    analysis = analyse(parse(text, "lossdsl").tree.root, (Fraction(1),), {}, False, Budget())
    end: End = PRED_1 if at else PRED_0
    value = analysis.sides[0].pieces[-1 if at else 0].value
    assert float(limit(analysis, value, end)) == pytest.approx(LIMITS[text, at])


@pytest.mark.parametrize("depth", [5, 15, 30, 80, 200])
def test_a_sign_change_close_to_the_end_is_not_passed_over(depth: int) -> None:
    # At label 0 the slope has the sign of 2 log(pred) + 2*depth + 1, negative below about exp(-depth).
    text = f"(1-label)*pred^2*(log(pred)+{depth}) + label*(1-pred)"
    finding = check(text, timeout=None).properties["monotone"]
    assert finding.status == "refuted"


@pytest.mark.parametrize("depth", [5, 15, 30, 80, 200])
def test_nor_is_one_invented(depth: int) -> None:
    text = f"(1-label)*pred*({depth}-log(pred)+2) + label*(1-pred)"
    assert check(text, timeout=None).properties["monotone"].status == "proved"
