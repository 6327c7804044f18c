"""The verifier's own reading of the language agrees with an evaluator that walks the tree, kinks and all."""

from __future__ import annotations

import operator
from fractions import Fraction
from typing import Any

import mpmath
import pytest
from hypothesis import given, settings

from lossdsl.formula import Formula
from lossdsl.grammar.tree import Apply, Name, Node, Number, walk
from lossdsl.testing import formulas
from lossdsl.verifier.intervals import exact_value
from lossdsl.verifier.limits import Rejected
from lossdsl.verifier.places import enclose
from lossdsl.verifier.points import Point
from lossdsl.verifier.terms import holds, spell

P = mpmath.mp.clone()
P.dps = 80


def sgn(x: Any) -> int:
    return int(x > 0) - int(x < 0)


EPS = P.mpf(1) / 10**6
MEANING: dict[str, Any] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b,
    "neg": lambda a: -a, "pow": lambda a, b: P.mpf(1) if b == 0 else a**b, "square": lambda a: a * a,
    "reciprocal": lambda a: 1 / a,
    "sqrt": P.sqrt, "log": P.log, "log1p": lambda a: P.log(1 + a), "exp": P.exp, "expm1": lambda a: P.exp(a) - 1,
    "abs": abs, "sign": lambda a: P.mpf(sgn(a)), "sigmoid": lambda a: 1 / (1 + P.exp(-a)),
    "logsigmoid": lambda a: -P.log(1 + P.exp(-a)), "softplus": lambda a: P.log(1 + P.exp(a)), "tanh": P.tanh,
    "relu": lambda a: max(a, P.mpf(0)), "min": lambda *a: min(a), "max": lambda *a: max(a),
    "clamp": lambda a, b, c: min(max(a, b), c), "if": lambda c, a, b: a if c else b,
    "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b,
    "plog": lambda a, e=EPS: sgn(a) * P.log(abs(a) + e), "pinv": lambda a, e=EPS: sgn(a) / (abs(a) + e),
    "psqrt": lambda a, e=EPS: sgn(a) * P.sqrt(abs(a) + e),
}  # fmt: skip


def truth(formula: Formula, label: int, x: Fraction) -> Any:
    values: dict[Node, Any] = {}
    given_values = {b.name: P.mpf(b.low.numerator) / b.low.denominator for b in formula.tree.where}
    p = P.mpf(x.numerator) / x.denominator
    named = {"pred": p, "label": P.mpf(label), "score": P.log(p) - P.log(1 - p), **given_values}
    for node in walk(formula.tree.root):
        if isinstance(node, Number):
            values[node] = P.mpf(node.value.numerator) / node.value.denominator
        elif isinstance(node, Name):
            values[node] = named[node.name]
        elif isinstance(node, Apply):
            values[node] = MEANING[node.op](*(values[a] for a in node.args))
    return values[formula.tree.root]


@settings(max_examples=120, deadline=None)
@given(formulas(4, variables=("pred", "label", "score")))
def test_enclosures_hold_the_value(formula: Formula) -> None:
    for label in (0, 1):
        for x in (Fraction(3, 10), Fraction(13, 16), Fraction(1, 1000)):
            try:
                terms = spell(formula.tree, label)
                low, high = (exact_value(e) for e in enclose(terms, Point(x, x))[terms.root])
            except Rejected:
                continue
            value = truth(formula, label, x)
            slack = (1 + abs(value)) * P.mpf(10) ** -20
            assert P.mpf(low.numerator) / low.denominator - slack <= value
            assert value <= P.mpf(high.numerator) / high.denominator + slack


@pytest.mark.parametrize("relation", ["lt", "le", "gt", "ge"])
def test_relations_on_the_border(relation: str) -> None:
    compare = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}[relation]
    assert [holds(relation, sign) for sign in (-1, 0, 1)] == [compare(sign, 0) for sign in (-1, 0, 1)]
