"""SymPy trees say what the formula says, and cost what it costs."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
import sympy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from lossdsl.expr import expression
from lossdsl.formula import Formula, parse
from lossdsl.grammar.operators import OPERATORS
from lossdsl.grammar.parser import read
from lossdsl.grammar.tree import size
from lossdsl.testing import formulas

EXPRESSIONS = {
    "pred/pred": "pred/pred",
    "0*log(pred)": "0*log(pred)",
    "log(pred) - log(pred)": "-log(pred) + log(pred)",
    "9^9": "9**9",
    "pred^g where g = 1/2": "sqrt(pred)",
    "pred^g where g in [0, 1]": "pred**g",
    "0.1*pred": "pred/10",
    "max(pred, label)": "Max(label, pred)",
    "if(pred > 0.5, 1, label)": "Piecewise((1, pred > 1/2), (label, True))",
    "1/0": "1/0",
    "exp(exp(exp(9)))": "exp(exp(exp(9)))",
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expression(text: str) -> None:
    assert str(expression(read(text).tree)) == EXPRESSIONS[text]


def test_variables_are_plain_symbols() -> None:
    pred, label = sympy.symbols("pred label")
    assert parse("mse").expr.free_symbols == {pred, label}
    assert parse("mse").expr.subs({pred: sympy.Rational(1, 4), label: 1}) == sympy.Rational(9, 16)


FUNCTIONS = {
    "Abs": abs, "Max": max, "Min": min, "log": mp.log, "exp": mp.exp, "tanh": mp.tanh, "sign": mp.sign,
    "Pow": lambda a, b: a**b, "Add": lambda *a: mp.fsum(a), "Mul": lambda *a: mp.fprod(a),
    "StrictLessThan": lambda a, b: a < b, "LessThan": lambda a, b: a <= b,
    "StrictGreaterThan": lambda a, b: a > b, "GreaterThan": lambda a, b: a >= b,
}  # fmt: skip


def number(expr: Any, at: dict[str, Any]) -> Any:
    """The value of a SymPy tree, node by node; SymPy's own evaluation rewrites first, and that is not asked here."""
    if expr.is_Symbol:
        return at[expr.name]
    if expr.is_Rational:
        return mpf(int(expr.p)) / int(expr.q)
    if expr in (sympy.true, sympy.false):
        return expr == sympy.true
    if isinstance(expr, sympy.Piecewise):
        return next(number(value, at) for value, condition in expr.args if number(condition, at))
    return FUNCTIONS[type(expr).__name__](*(number(a, at) for a in expr.args))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    formulas(depth=3, variables=("pred", "label", "score"), parameters=True),
    st.integers(1, 63),
    st.sampled_from([0.0, 1.0, 0.25]),
)
def test_values_agree_with_the_tree(precise: SimpleNamespace, formula: Formula, at: int, label: float) -> None:
    score = (at - 32) / 8 + 0.0123
    low = {b.name: b.low for b in formula.tree.where}
    try:
        expected, _ = precise.truth(formula.tree, "score", score, label, low)
    except (precise.Unclear, OverflowError):
        return
    if abs(expected) > 10**30:
        return
    with mp.workdps(100):
        x = mpf(score)
        at = {"pred": 1 / (1 + mp.exp(-x)), "label": mpf(label), "score": x}
        at |= {name: mpf(v.numerator) / v.denominator for name, v in low.items()}
        found = number(formula.expr, at)
        assert abs(found - expected) <= mpf(10) ** -40 * (1 + abs(expected))


def test_every_operator_has_a_rule() -> None:
    for name, row in OPERATORS.items():
        args = ", ".join(["pred", "0.2", "0.7"][: row.low])
        if row.is_function:
            text = f"{name}({args})" if name != "if" else "if(pred < 0.5, 1, 2)"
            assert sympy.Symbol("pred") in parse(text, "lossdsl").expr.free_symbols


def test_large_formulas_build_in_proportion() -> None:
    text = "pred"
    for _ in range(9):
        text = f"clamp({text}*({text}), 1e-5, 1e5)" if len(text) < 2000 else f"clamp(square({text}), 1e-5, 1e5)"
    tree = read(text).tree
    assert size(tree.root) > 500
    assert expression(tree).count_ops() > 100


@pytest.mark.parametrize("value", [Fraction(1, 3), Fraction(10**60), Fraction(1, 10**60)])
def test_numbers_are_exact(value: Fraction) -> None:
    from lossdsl.expr import rational

    assert Fraction(int(rational(value).p), int(rational(value).q)) == value


def test_constants_that_nobody_can_evaluate_are_built_all_the_same() -> None:
    for text in (
        "max(exp(exp(exp(9))), pred)", "max(plog(logsigmoid(expm1(exp(11)))), pred)", "min((1e5)^16^1.5, 2^pred^16)",
        "clamp(exp(1e60), 0, exp(1e60))", "if(log(if(pred < c, c, -2)) > c, 1, 2)*pred where c = -24.75",
    ):  # fmt: skip
        formula = parse(text)
        assert formula.expr.free_symbols <= {sympy.Symbol("pred")}
        assert formula.slope is not None and formula.simplified is not None
