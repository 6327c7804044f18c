"""Whatever the text, a reader answers with a formula that reads back or with an error that says where.

`make fuzz` does the same a million times.
"""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lossdsl.errors import LossError, LossSyntaxError
from lossdsl.formula import Formula, parse
from lossdsl.grammar.dialects import DIALECTS
from lossdsl.testing import texts


def answer(text: str, dialect: str) -> Formula | None:
    """The formula, or None for an error that keeps its promises; everything else escapes and fails the test."""
    try:
        formula = parse(text, dialect)
    except LossSyntaxError as error:
        assert 0 <= error.span.start <= error.span.end
        assert error.span.start <= len(text)
        return None
    except LossError as error:
        assert str(error)
        return None
    assert parse(str(formula), "lossdsl") == formula
    return formula


@pytest.mark.parametrize("dialect", ["auto", *DIALECTS])
def test_damaged_texts(dialect: str) -> None:
    found = [answer(text, dialect) for text in islice(texts(2024), 700)]
    readable = sum(formula is not None for formula in found)
    assert 10 <= readable < len(found), "the texts are too broken, or not broken enough, to test anything"


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["auto", *DIALECTS]))
@example("\ud800", "auto")
@example("\0" * 100, "auto")
@example("1" * 5000, "auto")
def test_any_text(text: str, dialect: str) -> None:
    answer(text, dialect)


@settings(max_examples=300, deadline=None)
@given(st.text("predlabscoy0123456789.e+-*/^()|,<>= \\{}_$", max_size=40), st.sampled_from(["auto", *DIALECTS]))
def test_texts_of_the_right_letters(text: str, dialect: str) -> None:
    answer(text, dialect)
