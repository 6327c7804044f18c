"""What words stand for."""

from __future__ import annotations

from fractions import Fraction

import pytest

from lossdsl.errors import LossError, LossSyntaxError, Span
from lossdsl.grammar.naming import FUNCTIONS, finish, pattern, wrong_count
from lossdsl.grammar.parser import read
from lossdsl.grammar.tree import Apply, Binding, Name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_pattern_of_each_function_has_the_right_number_of_arguments(name: str) -> None:
    filled = pattern(name).replace("x", "pred").replace("low", "0").replace("high", "1")
    text = filled.replace("a, b", "label, pred")
    if name == "exp" or "exp" in name or name in ("max", "relu"):
        text = f"{name}({'label, pred' if name == 'max' else 'pred'})"
    assert isinstance(read(text).tree.root, Apply)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_refuses_one_argument_less(name: str) -> None:
    row = FUNCTIONS[name]
    assert wrong_count(name, row.low, Span(0, 1), "x") is None
    error = wrong_count(name, row.low - 1, Span(0, 1), "x")
    assert error is not None and error.code == "LD008"


def test_finish_resolves_and_checks() -> None:
    where = (Binding("p", Fraction(2), Fraction(2)),)
    tree = finish(Apply("mul", (Name("p"), Name("yy"))), where, "p*yy", {"yy": "label"})
    assert tree.root == Apply("mul", (Name("p"), Name("label")))
    with pytest.raises(LossSyntaxError, match="LD003"):
        finish(Name("q"), (), "q")
    with pytest.raises(LossSyntaxError, match="LD018"):
        finish(Name("pred"), where, "pred where p = 2")
    with pytest.raises(LossError):
        finish(Apply("log", (Name("log"),)), (), "log(log)")
