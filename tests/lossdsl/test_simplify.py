"""Simplifying keeps value and domain, never lengthens, and does not depend on the clock."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from lossdsl.differentiate import slope
from lossdsl.formula import Formula, parse
from lossdsl.grammar.losses import loss_names
from lossdsl.grammar.parser import read
from lossdsl.grammar.printer import show
from lossdsl.grammar.tree import Apply, Name, Number, Tree, size, walk
from lossdsl.ranges import ranges
from lossdsl.simplify import simplify, simplify_slope
from lossdsl.testing import formulas

# fmt: off
SHORTER = {
    "label^2 - 2*label*pred + pred^2": "(label-pred)^2",
    "2*label*pred - label^2 - pred^2": "-(label-pred)^2",
    "pred*1 + 0": "pred",
    "pred + pred": "2*pred",
    "pred*label/pred": "label",
    "0*log(pred)": "0",
    "log(1/pred)": "-log(pred)",
    "1/(1/pred)": "pred",
    "exp(log(pred))": "pred",
    "log(exp(score))": "score",
    "log(sigmoid(score))": "logsigmoid(score)",
    "log(1 + exp(score))": "softplus(score)",
    "abs(pred)": "pred",
    "abs(-score)": "abs(score)",
    "clamp(pred, 0, 1)": "pred",
    "clamp(pred, 1e-9, 2)": "max(pred, 1e-9)",
    "clamp(pred, 1e-5, 0.5)*1": "clamp(pred, 1e-5, 0.5)",
    "max(pred, 0, -1)": "pred",
    "max(pred, max(label, pred))": "max(pred, label)",
    "relu(pred)": "pred",
    "relu(-pred)": "0",
    "sign(pred)*label": "label",
    "if(pred > 0, label, 3)": "label",
    "if(pred > 1, log(pred - 2), label)": "if(pred > 1, log(pred-2), label)",
    "if(score > 0, pred, pred)*score": "pred*score",
    "sqrt(score^2)": "abs(score)",
    "square(abs(score))": "square(score)",
    "-(-(-score))": "-score",
    "focal where gamma = 1": "-label*(1-pred)*log(pred) - (1-label)*pred*log(1-pred)",
    "pred^g where g = 1": "pred",
    "1 - (1 - pred)": "pred",
    "(pred*2)*3 + 2 - 1 - 1": "6*pred",
}
KEPT = (
    "score/score", "(pred-0.5)/(pred-0.5)", "0*log(pred-0.5)", "score*0 + pred", "0/score", "exp(log(score))",
    "score^0", "abs(score)", "if(log(score) > 0, 1, 1)", "log(score) - log(score)", "sqrt(score)^2",
    "1/(1/score)", "min(pred, log(score))", "sign(label)", "max(label, pred)",
    # and without score, which a simplified formula always keeps
    "log(pred-0.5) - log(pred-0.5)", "(pred-0.5)/(pred-0.5)", "reciprocal(reciprocal(pred-0.5))", "1/(1/(pred-0.5))",
    "exp(log(pred-0.5))", "square(sqrt(pred-0.5))", "relu(-exp(log(pred-0.5)))", "sign(exp(log(pred-0.5)))",
    "min(exp(log(pred-0.5)), -1)", "if(log(pred-0.5) > 0, 1, 1)", "if(pred > 0, 1, log(pred-0.5))", "(pred-0.5)^0",
    "pred*(label-0.5)/(label-0.5)", "0/(label-0.5) + pred", "pred*log(label-0.5)/log(label-0.5)",
    "score^sqrt(1)", "log(pred)^log(exp(label))",
    "(pred-0.5)^clamp(log(pred), 0, 1)", "(pred-0.5)^min(sign(log(0.25)), 2)",
    "if(label < 1, pred, 2)", "if(label <= 0, pred, 2)",
)
# fmt: on


@pytest.mark.parametrize("text", SHORTER)
def test_shorter(text: str) -> None:
    assert show(simplify(read(text).tree)) == SHORTER[text]


@pytest.mark.parametrize("text", KEPT)
def test_what_carries_a_domain_is_kept(text: str) -> None:
    tree = read(text).tree
    assert simplify(tree) is tree


@pytest.mark.parametrize("name", loss_names())
def test_named_losses_are_simple_already(name: str) -> None:
    formula = parse(name)
    assert size(formula.simplest.tree.root) <= size(formula.tree.root)
    assert formula.simplest.pairwise == formula.pairwise


def test_a_loss_of_the_score_stays_one() -> None:
    assert simplify(read("(label-pred)^2 + 0*score").tree) == read("(label-pred)^2 + 0*score").tree


def test_slopes_of_named_losses() -> None:
    assert show(parse("mse").slope_tree) == "2*(pred-label)"
    assert show(parse("bce").slope_tree) == "(pred-label)/(pred-pred^2)"
    assert show(parse("bpr").slope_tree) == "-sigmoid(-score)"


class Unclear(Exception):
    """Too large, or too near to an edge for 60 digits to tell the side."""


def _inexact(x: Any) -> Any:
    if isinstance(x, Fraction):
        return mpf(x.numerator) / x.denominator
    return x


def _sign(x: Any) -> int:
    if not isinstance(x, Fraction) and abs(x) < mpf(10) ** -45:
        raise Unclear
    return (x > 0) - (x < 0)


def _call(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        numbers = [_inexact(a) for a in args]
        if any(abs(n) > 10**4 for n in numbers):
            raise Unclear
        return function(*numbers)

    return call


def _log(x: Any) -> Any:
    return mp.log(_inexact(x)) if _sign(x) > 0 else None


def _divide(a: Any, b: Any) -> Any:
    return None if _sign(b) == 0 else _pair(lambda x, y: x / y, a, b)


def _pair(rule: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    return rule(a, b) if isinstance(a, Fraction) and isinstance(b, Fraction) else rule(_inexact(a), _inexact(b))


def _power(a: Any, b: Any) -> Any:
    if isinstance(b, Fraction) and b.denominator == 1 and abs(b) < 64:
        if b == 0:
            return None if _sign(a) == 0 else Fraction(1)
        return None if b < 0 and _sign(a) == 0 else a ** int(b)
    if _sign(a) == 0:
        return Fraction(0) if _sign(b) > 0 else None
    return None if _sign(a) < 0 else _call(lambda x, y: mp.exp(_small(y * mp.log(x))))(a, b)


def _small(x: Any) -> Any:
    if abs(x) > 10**4:
        raise Unclear
    return x


def _sqrt(x: Any) -> Any:
    return None if _sign(x) < 0 else mp.sqrt(_inexact(x))


def _protected(rule: Callable[[Any], Any]) -> Callable[..., Any]:
    def apply(x: Any, epsilon: Any = Fraction(1, 10**6)) -> Any:
        inner = rule(_pair(lambda a, b: a + b, abs(x), epsilon))
        return None if inner is None else _pair(lambda a, b: a * b, Fraction(_sign(x)), inner)

    return apply


def _less(a: Any, b: Any) -> int:
    return _sign(_pair(lambda x, y: x - y, a, b))


RULES: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: _pair(lambda x, y: x + y, a, b), "sub": lambda a, b: _pair(lambda x, y: x - y, a, b),
    "mul": lambda a, b: _pair(lambda x, y: x * y, a, b), "div": _divide, "pow": _power, "neg": lambda a: -a,
    "lt": lambda a, b: _less(a, b) < 0, "le": lambda a, b: _less(a, b) <= 0, "gt": lambda a, b: _less(a, b) > 0,
    "ge": lambda a, b: _less(a, b) >= 0, "if": lambda c, a, b: a if c else b, "log": _log,
    "log1p": lambda x: _log(_pair(lambda a, b: a + b, x, Fraction(1))), "exp": _call(mp.exp), "expm1": _call(mp.expm1),
    "sqrt": _sqrt, "square": lambda x: x * x, "reciprocal": lambda x: _divide(Fraction(1), x), "abs": abs,
    "sign": lambda x: Fraction(_sign(x)), "sigmoid": _call(lambda x: 1 / (1 + mp.exp(-x))),
    "logsigmoid": _call(lambda x: -mp.log1p(mp.exp(-x))), "softplus": _call(lambda x: mp.log1p(mp.exp(x))),
    "tanh": _call(mp.tanh), "relu": lambda x: x if _sign(x) > 0 else Fraction(0), "plog": _protected(_log),
    "min": lambda *a: _fold(min, a), "max": lambda *a: _fold(max, a),
    "clamp": lambda x, low, high: _fold(min, (_fold(max, (x, low)), high)),
    "pinv": _protected(lambda x: _divide(Fraction(1), x)), "psqrt": _protected(_sqrt),
}  # fmt: skip


def _fold(pick: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    return pick(args) if all(isinstance(a, Fraction) for a in args) else pick(map(_inexact, args))


def values(tree: Tree, at: dict[str, Fraction]) -> dict[Any, Any]:
    """Each part's value (exact as long as it is rational); a part is missing where it or one below is undefined."""
    found: dict[Any, Any] = {}
    point = at | {b.name: at.get(b.name, b.low) for b in tree.where}
    for node in walk(tree.root):
        if isinstance(node, Number):
            found[node] = node.value
        elif isinstance(node, Name):
            found[node] = point[node.name]
        elif isinstance(node, Apply) and all(a in found for a in node.args):
            value = RULES[node.op](*(found[a] for a in node.args))
            if isinstance(value, Fraction) and value.numerator.bit_length() + value.denominator.bit_length() > 4000:
                value = _inexact(value)
            if value is not None:
                found[node] = value
    return found


def _point(pred: int, label: int, score: int) -> dict[str, Fraction]:
    return {"pred": Fraction(pred, 1000), "label": Fraction(label, 3), "score": Fraction(score, 4)}


POINTS = st.builds(_point, st.integers(1, 999), st.sampled_from([0, 3, 1]), st.integers(-24, 24))


ARITHMETIC = ("add", "sub", "mul", "div", "neg", "pow", "square", "reciprocal", "max", "abs")


def _same(a: Any, b: Any) -> bool:
    a, b = _inexact(a), _inexact(b)
    return bool(abs(a - b) <= mpf(10) ** -40 * (1 + abs(a) + abs(b)))


def _at_low(formula: Formula, point: dict[str, Fraction]) -> dict[str, Fraction]:
    return point | {b.name: b.low for b in formula.tree.where}


@settings(max_examples=200, deadline=None)
@given(formulas(depth=4, variables=("pred", "label", "score"), parameters=True), st.tuples(POINTS, POINTS, POINTS))
def test_value_and_domain_stay(formula: Formula, points: tuple[dict[str, Fraction], ...]) -> None:
    shorter = formula.simplest
    assert size(shorter.tree.root) <= size(formula.tree.root) and len(str(shorter)) <= len(str(formula))
    with mp.workdps(80):
        for point in points:
            try:
                before = values(formula.tree, _at_low(formula, point))
                after = values(shorter.tree, _at_low(formula, point))
                assert (formula.tree.root in before) == (shorter.tree.root in after), (str(shorter), point)
                if formula.tree.root in before:
                    assert _same(before[formula.tree.root], after[shorter.tree.root]), (str(shorter), point)
            except Unclear:
                continue


@settings(max_examples=150, deadline=None)
@given(formulas(depth=4, operators=ARITHMETIC), POINTS)
def test_arithmetic_keeps_value_and_domain(formula: Formula, point: dict[str, Fraction]) -> None:
    test_value_and_domain_stay.hypothesis.inner_test(formula, (point,))


@settings(max_examples=150, deadline=None)
@given(formulas(depth=4, variables=("pred", "label", "score"), parameters=True), POINTS)
def test_ranges_hold_what_they_say(formula: Formula, point: dict[str, Fraction]) -> None:
    known = ranges(formula.tree)
    with mp.workdps(80):
        try:
            found = values(formula.tree, _at_low(formula, point))
        except Unclear:
            return
        for node in walk(formula.tree.root):
            reach = known[node]
            if reach.total:
                assert node in found
            if node not in found or isinstance(found[node], bool):
                continue
            value = found[node]
            slack = 0 if isinstance(value, Fraction) else mpf(10) ** -40
            if reach.low is not None:
                low = reach.low if isinstance(value, Fraction) else _inexact(reach.low)
                assert value > low if reach.low_open and not slack else value >= low - slack
            if reach.high is not None:
                high = reach.high if isinstance(value, Fraction) else _inexact(reach.high)
                assert value < high if reach.high_open and not slack else value <= high + slack


@settings(max_examples=150, deadline=None)
@given(formulas(depth=3, variables=("pred", "label", "score"), parameters=True), POINTS)
def test_slopes_stay_where_they_are_defined(formula: Formula, point: dict[str, Fraction]) -> None:
    raw = slope(formula.tree)
    shorter = simplify_slope(raw)
    with mp.workdps(80):
        try:
            before, after = values(raw, _at_low(formula, point)), values(shorter, _at_low(formula, point))
            if raw.root in before:
                assert _same(before[raw.root], after[shorter.root])
        except Unclear:
            return


def test_what_is_too_large_to_multiply_out_is_left_as_it_is() -> None:
    product = "*".join(f"(pred+label^2+{i})" for i in range(1, 41))
    assert len(show(simplify(read(f"{product}*1").tree))) == len(product)
    powers = "((pred+label+score+1)^16)^16"
    assert show(simplify(read(powers).tree)) == powers
