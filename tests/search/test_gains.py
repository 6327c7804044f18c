"""The possible results of the published method."""

from __future__ import annotations

from typing import Any

from lossdsl.search.gains import Helper, Helpers
from lossdsl.search.verdict import Judge

FORMULAS = ("-pred", "(label - pred)^2", "-log(label*pred + (1 - label)*(1 - pred))")


def test_the_valid_one_that_gained_most_is_the_result() -> None:
    helpers = Helpers()
    for number, (text, gain) in enumerate(zip(FORMULAS, (0.3, 0.2, 0.2))):
        helpers.remember(Helper(text, 0.5 + gain, gain, number, "step"))
    found = helpers.proved(Judge(pairwise=False), lambda: False)
    # The first one is not valid, and of two that gained the same the smaller one is taken.
    assert found is not None and (found.formula, found.reward, found.number) == (FORMULAS[1], 0.7, 1)
    assert helpers.proved(Judge(pairwise=False), lambda: True) is None


def test_the_least_gains_are_forgotten_and_a_state_holds_the_others() -> None:
    helpers, again = Helpers(), Helpers()
    for number in range(401):
        helpers.remember(Helper(f"{number}*pred", 0.5, number / 1000, number, "controller"))
    state: list[dict[str, Any]] = helpers.state()
    assert [data["number"] for data in state] == list(range(400, 200, -1))
    again.restore(state)
    assert again.state() == state
