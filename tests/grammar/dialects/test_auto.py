"""`auto`: lossdsl first, then what the text looks like, and never AutoLossGen's log by itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

import lossdsl
from lossdsl.errors import LossError, LossSyntaxError
from lossdsl.formula import Formula
from lossdsl.grammar.dialects import DIALECTS, read, write
from lossdsl.testing import formulas

CHOSEN = {
    "-log(p)": "lossdsl",
    "focal where gamma = 1": "lossdsl",
    "max(p, y) ** 2": "lossdsl",
    "1 / (pred)": "lossdsl",  # a line of the log, and good lossdsl with another meaning
    "(pred * 1 / (label))": "lossdsl",
    "-torch.log(p)": "python",
    "-p.log()": "python",
    "loss = -log(p)": "python",
    "return p": "python",
    "p if y > 0.5 else 1 - p": "python",
    "maximum(p, y)": "python",
    "mean(p)": "python",
    "pos - neg": "python",
    "where(y == 1, p, 1 - p)": "python",
    "np.where(y > 0, p, g) where g = 2": "python",
    r"-\log \hat{y}": "latex",
    "$p$": "latex",
    r"\(p\)": "latex",
    "p^{2}": "latex",
    r"p^{\gamma} where gamma = 2": "latex",
}


@pytest.mark.parametrize("text", CHOSEN)
def test_says_which_dialect_it_found(text: str) -> None:
    assert lossdsl.parse(text).dialect == CHOSEN[text]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_named_dialect_is_the_one_that_is_used(dialect: str) -> None:
    assert read("pred", dialect).dialect == dialect


def test_the_error_is_that_of_the_dialect_it_looks_like() -> None:
    with pytest.raises(LossSyntaxError) as caught:
        lossdsl.parse("-torch.lgo(p)")
    assert "unknown function `lgo`" in str(caught.value)
    with pytest.raises(LossSyntaxError) as caught:
        lossdsl.parse(r"-\lgo p")
    assert caught.value.code == "LD305"
    with pytest.raises(LossSyntaxError) as caught:
        lossdsl.parse("-log(sigmod(score))")
    assert str(caught.value) == str(_error("-log(sigmod(score))", "lossdsl"))


def test_an_if_of_lossdsl_gets_the_message_of_lossdsl() -> None:
    assert str(_error("if(y == 1, p, 1 - p)", "auto")) == str(_error("if(y == 1, p, 1 - p)", "lossdsl"))


def test_a_misspelt_function_is_no_line_of_the_log() -> None:
    assert _error("Sigmoid(score)", "auto").hint == "did you mean `sigmoid`?"


def _error(text: str, dialect: str) -> LossSyntaxError:
    with pytest.raises(LossSyntaxError) as caught:
        read(text, dialect)
    return caught.value


def test_a_line_of_the_log_is_told_the_flag() -> None:
    error = _error("(pred * 1 / (Log (label)))", "auto")
    assert error.hint is not None and "--dialect autolossgen" in error.hint
    assert error.source[error.span.start : error.span.end].startswith("Log")


def test_an_unknown_dialect_is_named_with_those_that_exist() -> None:
    with pytest.raises(LossError, match="unknown dialect `sympy`: there are lossdsl, python, latex, autolossgen"):
        read("pred", "sympy")
    with pytest.raises(LossError, match="unknown dialect `sympy`"):
        write(read("pred").tree, "sympy")


@settings(deadline=None)
@given(formulas(variables=("pred", "label", "score"), parameters=True))
def test_every_printer_is_recognised_or_read_as_lossdsl_alike(formula: Formula) -> None:
    assert lossdsl.parse(str(formula)).dialect == "lossdsl"
    for dialect in ("python", "latex"):
        text = write(formula.tree, dialect)
        assert lossdsl.parse(text).tree == read(text, dialect).tree
