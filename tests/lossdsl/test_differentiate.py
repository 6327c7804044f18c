"""Slopes: against forward differentiation with 120 digits, and PyTorch's rule at kinks."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import pytest
import sympy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from lossdsl.differentiate import axis, slope
from lossdsl.formula import Formula, parse
from lossdsl.grammar.parser import read
from lossdsl.grammar.printer import show
from lossdsl.grammar.tree import Apply, Name, Number, Tree, size, walk
from lossdsl.testing import formulas

SLOPES = {
    "label^2": "0",
    "log(label)*2": "0",
    "pred*label": "label",
    "-(pred - label)": "-1",
    "pred^2": "2*pred",
    "pred^g where g = 3": "g*pred^(g-1) where g = 3",
    "2^pred": "2^pred*log(2)",
    "score*pred": "pred + score*(pred*(1-pred))",
    "abs(score)": "sign(score)",
    "relu(score)": "if(score > 0, 1, 0)",
    "clamp(pred, 0.1, 0.9)": "if(pred < 0.1, 0, if(pred > 0.9, 0, 1))",
    "max(pred, pred)": "1",
    "if(pred > 0.5, pred, label)": "if(pred > 0.5, 1, 0)",
    "sign(pred)": "0",
    "plog(score)": "sign(score)^2*(1/(abs(score) + 1e-6))",
}


@pytest.mark.parametrize("text", SLOPES)
def test_slope(text: str) -> None:
    assert show(slope(read(text).tree)) == SLOPES[text]


def test_the_axis_is_the_score_where_the_formula_has_one() -> None:
    assert axis(read("pred").tree) == "pred"
    assert axis(read("pred*score").tree) == "score"


def value(tree: Tree, at: dict[str, Fraction]) -> Fraction:
    """Exact arithmetic, enough for the slopes of kinks."""
    compare = {"lt": lambda a, b: a < b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b}
    rules = {
        "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "neg": lambda a: -a,
        "div": lambda a, b: a / b, "if": lambda c, a, b: a if c else b, "sign": lambda a: (a > 0) - (a < 0),
        "pow": lambda a, b: a ** int(b), "abs": abs, "max": max, "min": min, "sqrt": lambda a: float(a) ** 0.5,
    } | compare  # fmt: skip
    found = {}
    for node in walk(tree.root):
        if isinstance(node, Number):
            found[node] = node.value
        elif isinstance(node, Name):
            found[node] = at[node.name]
        elif isinstance(node, Apply):
            found[node] = rules[node.op](*(found[a] for a in node.args))
    return Fraction(found[tree.root])


KINKS = [
    ("abs(score)", "0", 0), ("relu(score)", "0", 0), ("sign(score)", "0", 0), ("max(score, 0)", "0", Fraction(1, 2)),
    ("min(score, 2*score)", "0", Fraction(3, 2)), ("clamp(score, 0, 1)", "0", 1), ("clamp(score, 0, 1)", "1", 1),
    ("clamp(score, 0, 1)", "2", 0), ("plog(score)", "0", 0), ("pinv(score)", "0", 0), ("psqrt(score)", "0", 0),
    ("max(score, 0, -score)", "0", Fraction(-1, 4)), ("max(score, 3*score)", "1", 3),
    ("if(score > 0, score, 0)", "0", 0),
    ("if(score >= 0, score, 0)", "0", 1),
]  # fmt: skip


@pytest.mark.parametrize("text, at, expected", KINKS)
def test_kinks_follow_pytorch(text: str, at: str, expected: object) -> None:
    assert value(slope(read(text).tree), {"score": Fraction(at)}) == expected


def test_pytorch_agrees_at_kinks() -> None:
    torch = pytest.importorskip("torch")
    functions = {
        "abs(score)": torch.abs, "relu(score)": torch.relu, "sign(score)": torch.sign,
        "clamp(score, 0, 1)": lambda x: torch.clamp(x, 0, 1),
        "max(score, 0)": lambda x: torch.maximum(x, torch.zeros_like(x)),
        "min(score, 2*score)": lambda x: torch.minimum(x, 2 * x),
    }  # fmt: skip
    for text, function in functions.items():
        for at in (-1.0, 0.0, 1.0, 2.0):
            x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
            (expected,) = torch.autograd.grad(function(x), x)
            assert float(value(slope(read(text).tree), {"score": Fraction(at)})) == float(expected), (text, at)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    formulas(depth=4, variables=("pred", "label", "score"), parameters=True),
    st.integers(-40, 40),
    st.sampled_from([0.0, 1.0, 0.3]),
)
def test_slopes_agree_with_forward_mode(precise: SimpleNamespace, formula: Formula, at: int, label: float) -> None:
    along = axis(formula.tree)
    x = at / 8 + 0.0123 if along == "score" else (at + 40.5) / 81
    low = {b.name: b.low for b in formula.tree.where}
    try:
        _, expected = precise.truth(formula.tree, along, x, label, low)
        found, _ = precise.truth(slope(formula.tree), along, x, label, low)
    except (precise.Unclear, OverflowError):
        return
    with mp.workdps(120):
        assert abs(found - expected) <= mpf(10) ** -60 * (1 + abs(expected))


def test_no_heaviside_reaches_a_slope() -> None:
    for text in ("hinge", "huber", "max(abs(score), clamp(pred, 0.1, 0.9))"):
        kinds = {type(node).__name__ for node in sympy.preorder_traversal(parse(text).slope)}
        assert not kinds & {"Heaviside", "DiracDelta", "Derivative", "Subs"}


def test_slopes_of_nested_maxima_do_not_double() -> None:
    text = "max(" * 60 + "score" + ", 0.1*score^2)" * 60
    assert size(slope(read(text).tree).root) < 200_000
    long = "+".join(["score*pred"] * 12)
    for kind in ("max", "min"):
        tree = slope(read(f"{kind}({long}, 2*({long}))").tree)
        assert value(tree, {"score": Fraction(0), "pred": Fraction(1, 2)}) == Fraction(9)
        assert value(tree, {"score": Fraction(1), "pred": Fraction(1, 2)}) == (18 if kind == "max" else 9)
