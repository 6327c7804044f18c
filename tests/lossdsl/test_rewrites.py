"""Each row of the table of rewrites: the same number wherever it has one, and none where it has none."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp

from lossdsl.formula import parse
from lossdsl.lowering import lower
from lossdsl.rewrites import REWRITES, Rewrite

IDS = [f"{row.before} = {row.after}" for row in REWRITES]


def as_formula_text(side: str) -> str:
    """The rows speak of x, z and u, and of numbers c and d; here x is the score, z and u are functions of it."""
    names = {"x": "score", "z": "tanh(score-0.3)", "u": "pred", "c": "0.01", "d": "0.3"}
    return re.sub(r"\b[xzucd]\b", lambda found: names[found[0]], side)


@pytest.mark.parametrize("row", REWRITES, ids=IDS)
@settings(max_examples=40, deadline=None)
@given(x=st.floats(-60, 60).filter(lambda x: abs(x) > 1e-30), label=st.sampled_from((0.0, 1.0, 0.25, -1.5)))
def test_a_row_keeps_value_slope_and_domain(precise: SimpleNamespace, row: Rewrite, x: float, label: float) -> None:
    sides = []
    for side in (row.before, row.after):
        try:
            sides.append(precise.truth(parse(as_formula_text(side), "lossdsl").tree, "score", x, label))
        except precise.Unclear:
            sides.append(None)
    before, after = sides
    assert (before is None) == (after is None)
    if before is not None and after is not None:
        with mp.workdps(precise.digits):
            for a, b in zip(before, after):
                assert abs(a - b) <= mp.mpf(10) ** -60 * (1 + abs(b))


@pytest.mark.parametrize("row", REWRITES, ids=IDS)
def test_a_row_is_applied(precise: SimpleNamespace, row: Rewrite) -> None:
    if row.before == row.after:  # a sum becomes a step `mix`
        program = lower(as_formula_text(row.before))
        assert any(step.op == "mix" for step in program.steps)
    else:
        assert precise.written(lower(as_formula_text(row.before))) == precise.written(lower(as_formula_text(row.after)))


def test_every_letter_of_a_pattern_is_found_before_it_is_used() -> None:
    def letters(pattern: object) -> set[str]:
        if isinstance(pattern, tuple):
            return set().union(*(letters(p) for p in pattern[1:]))
        return {pattern} if isinstance(pattern, str) else set()

    for row in REWRITES:
        assert letters(row.make) <= letters(row.match), row
