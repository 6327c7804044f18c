"""Formula: text, equality, pickles, symbolic forms."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest
import sympy
from hypothesis import given, settings

import lossdsl
from lossdsl.errors import LossSyntaxError
from lossdsl.formula import Formula, as_formula, parse
from lossdsl.testing import formulas


def test_a_formula_prints_as_its_canonical_text() -> None:
    formula = parse("-y*log( p )")
    assert str(formula) == "-label*log(pred)"
    assert repr(formula) == "Formula('-label*log(pred)')"
    assert (formula.source, formula.dialect) == ("-y*log( p )", "lossdsl")


def test_equality_and_hash_look_at_the_tree_alone() -> None:
    assert parse("bce") == parse("-label*log(pred) - (1-label)*log(1-pred)")
    assert len({parse("pred+1"), parse(" pred + 1"), parse("1 + pred")}) == 2
    assert parse("pred") != "pred"
    assert parse("pred*c where c = 1") != parse("pred*c where c = 2")


def test_pickles_hold_text_and_no_trees() -> None:
    formula = parse("focal where gamma = 1/3")
    data = pickle.dumps(formula)
    assert b"gamma*(" not in data and b"Apply" not in data and b"log(pred)" in data
    assert pickle.loads(data) == formula
    again = pickle.loads(data)
    assert (again.name, again.source, again.pairwise) == ("focal", formula.source, False)
    assert copy.deepcopy(formula) == formula


def test_named_losses_say_that_they_are_for_pairs() -> None:
    assert parse("bpr").pairwise and not parse("-logsigmoid(score)").pairwise


def test_as_formula() -> None:
    formula = parse("mse")
    assert as_formula(formula) is formula
    assert as_formula("mse") == formula


@pytest.mark.parametrize("thing", [None, 1, b"pred", ["pred"]])
def test_a_formula_is_text(thing: object) -> None:
    with pytest.raises(TypeError, match="a formula is text"):
        parse(thing)  # type: ignore[arg-type]


def test_the_empty_formula_is_a_syntax_error() -> None:
    with pytest.raises(LossSyntaxError, match="LD001"):
        parse("")


@settings(max_examples=100, deadline=None)
@given(formulas(depth=4, variables=("pred", "label", "score"), parameters=True))
def test_formulas_survive_pickling(formula: Formula) -> None:
    assert pickle.loads(pickle.dumps(formula)) == formula


@settings(max_examples=60, deadline=None)
@given(formulas(depth=4, variables=("pred", "label", "score"), parameters=True))
def test_symbolic_forms_exist_for_every_formula(formula: Formula) -> None:
    assert formula.expr.free_symbols <= {*map(_symbol, ("pred", "label", "score")), *map(_symbol, _ranged(formula))}
    for expr in (formula.slope, formula.simplified):
        kinds = {type(node).__name__ for node in sympy.preorder_traversal(expr)}
        assert not kinds & {"Heaviside", "DiracDelta", "Derivative", "Subs"}
    assert formula.latex and formula._repr_latex_() == f"${formula.latex}$"


def _symbol(name: str) -> object:
    return sympy.Symbol(name)


def _ranged(formula: Formula) -> list[str]:
    return [b.name for b in formula.tree.where if b.value is None]


def test_the_documented_names_are_there() -> None:
    assert lossdsl.parse is parse and lossdsl.Formula is Formula


def test_reading_a_formula_loads_no_symbolic_or_numeric_package() -> None:
    program = (
        "import sys, lossdsl\n"
        "before = {'lark', 'sympy', 'flint'} & set(sys.modules)\n"
        "assert not before, before\n"
        "lossdsl.parse('focal where gamma = 1')\n"
        "after = {'sympy', 'numpy', 'torch', 'flint', 'hypothesis'} & set(sys.modules)\n"
        "assert not after, after\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
