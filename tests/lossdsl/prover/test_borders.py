"""Leading terms read off at the ends of pred, against the expansions that they spare."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.formula import parse
from lossdsl.prover.analysis import Analysis, analyse
from lossdsl.prover.ends import PRED_0, PRED_1, End, Ends
from lossdsl.prover.limits import Budget

PARTS = ("pred", "1-pred", "log(pred)", "log(1-pred)", "exp(pred)", "log(pred+1e-6)", "sqrt(2-pred)", "log(1+pred)",
         "(pred-1/2)", "exp(pred*log(pred))", "log(2)", "3", "exp(1/pred)", "exp(-1/pred)",
         "exp(1/(1-pred))")  # fmt: skip


def analysed(text: str) -> Analysis:
    return analyse(parse(text, "lossdsl").tree.root, (Fraction(1),), {}, False, Budget())


@given(st.lists(st.lists(st.sampled_from(PARTS), min_size=1, max_size=3), min_size=1, max_size=3), st.booleans())
def test_read_off_and_expanded_are_the_same(sums: list[list[str]], at_one: bool) -> None:
    analysis = analysed(" + ".join("*".join(product) for product in sums))
    end: End = PRED_1 if at_one else PRED_0
    for element in (analysis.sides[0].pieces[0].value, analysis.sides[0].slopes[0]):
        if element.is_zero:
            continue
        expanded = Ends(analysis.field, Budget()).leading(element, end)
        read = analysis.signs.ends.borders[end].element(element)
        if read is not None and expanded is not None:
            assert (read[0], read[1]) == expanded[:2]
            assert read[2].overlaps(read[2] * 0 + expanded[2])


@pytest.mark.parametrize(
    ("text", "end", "lead"),
    [("pred*log(pred)+pred", PRED_0, (1, 1, 1)), ("log(pred)^2/(3*pred)", PRED_0, (-1, 2, Fraction(1, 3))),
     ("(2-2*pred)^3*pred", PRED_1, (3, 0, 8)), ("log(1-pred)-log(pred)", PRED_1, (0, 1, 1))],
)  # fmt: skip
def test_by_hand(text: str, end: End, lead: tuple[int, int, Fraction]) -> None:
    analysis = analysed(text)
    found = analysis.signs.ends.borders[end].element(analysis.sides[0].pieces[0].value)
    assert found is not None
    assert (found[0], found[1], float(found[2])) == (lead[0], lead[1], pytest.approx(float(lead[2])))


@pytest.mark.parametrize("text", ["pred*exp(1/pred)-1", "pred*exp(-1/pred)-1+1/pred*exp(-2/pred)"])
def test_what_outgrows_all_powers_is_left_to_the_expansions(text: str) -> None:
    analysis = analysed(text)
    value = analysis.sides[0].pieces[0].value
    assert analysis.signs.ends.borders[PRED_0].element(value) is None


def test_what_cancels_is_left_to_the_expansions() -> None:
    analysis = analysed("exp(pred)-1-pred")
    value = analysis.sides[0].pieces[0].value
    assert analysis.signs.ends.borders[PRED_0].element(value) is None
    lead = analysis.signs.ends.leading(value, PRED_0)
    assert lead is not None and lead[0] == 2
