"""`where` at the end of texts of any dialect."""

from __future__ import annotations

from fractions import Fraction

import pytest

from lossdsl.errors import LossSyntaxError
from lossdsl.grammar.tree import Binding
from lossdsl.grammar.where import read_where_at, split_where


@pytest.mark.parametrize(
    "text, rest",
    [
        ("x^g where g = 2", "where g = 2"),
        ("torch.where(c, a, b)", ""),
        ("torch.where(c, a, b)*g where g = 1", "where g = 1"),
        ("nowhere + 1", ""),
        ("where(c, a, b)", ""),
        ("x", ""),
    ],
)
def test_the_body_ends_at_where(text: str, rest: str) -> None:
    assert text[split_where(text) :] == rest


def test_bindings_of_another_dialect() -> None:
    text = r"\gamma p where gamma in [0, 1/2]"
    assert read_where_at(text, split_where(text)) == (Binding("gamma", Fraction(0), Fraction(1, 2)),)
    assert read_where_at("p  ", 1) == ()


def test_mistakes_keep_their_place_in_the_whole_text() -> None:
    text = r"\gamma p where gamma ="
    with pytest.raises(LossSyntaxError) as caught:
        read_where_at(text, split_where(text))
    assert caught.value.code == "LD017"
    assert caught.value.span.start == len(text)
    assert caught.value.source == text
