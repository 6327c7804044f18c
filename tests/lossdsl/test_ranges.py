"""Ranges of parts, by hand; against many-digit arithmetic they are tested with the simplifier."""

from __future__ import annotations

from fractions import Fraction

import pytest

from lossdsl.grammar.parser import read
from lossdsl.ranges import Range, ranges

# fmt: off
FOUND = {
    "pred": "(0, 1)", "label": "[0, 1]", "score": "(-oo, oo)", "1/2": "[1/2, 1/2]", "c where c in [-1, 2]": "[-1, 2]",
    "pred + label": "(0, 2)", "label - 1": "[-1, 0]", "pred*score": "(-oo, oo)", "label*pred": "[0, 1)",
    "(pred-1)*(pred-2)": "(0, 2)", "1/pred": "(1, oo)", "1/(pred-2)": "(-1, -1/2)", "pred/(label+1)": "(0, 1)",
    "score^2": "[0, oo)", "(pred-0.5)^2": "[0, 1/4)", "(pred-0.5)^3": "(-1/8, 1/8)",
    "pred^-2": "(1, oo)", "pred^0.7": "(0, 1]",
    "abs(score)": "[0, oo)", "abs(pred-2)": "(1, 2)", "log(pred)": "(-oo, 0)", "log(1+score^2)": "[0, oo)",
    "log(pred+0.25)": "(-7/5, 7/10)",
    "exp(pred)": "(1, 3)", "exp(-label)": "(1/3, 1]",
    "sqrt(pred)": "(0, 1)", "sigmoid(score)": "(0, 1)",
    "tanh(pred)": "(0, 1)", "sign(pred)": "[1, 1]", "sign(label)": "[0, 1]", "min(pred, 0.5)": "(0, 1/2]",
    "max(pred, 2)": "[2, 2]",
    "clamp(score, 0, 1)": "[0, 1]", "if(pred > 0.5, 2, label)": "[0, 2]",
    "relu(score)": "[0, oo)",
    "pinv(pred, 1)": "(1/2, 1)", "psqrt(score)": "(-oo, oo)", "-pred": "(-1, 0)", "label*score": "(-oo, oo)",
    "0*score": "[0, 0]",
    "sigmoid(pred)": "(1/2, 3/4)", "softplus(label)": "(0, 17/10)", "logsigmoid(pred)": "(-7/10, 0)",
    "plog(pred)": "(-14, 7/10)",
}
# fmt: on


def shown(r: Range) -> str:
    low = "-oo" if r.low is None else str(r.low)
    high = "oo" if r.high is None else str(r.high)
    return f"{'(' if r.low_open else '['}{low}, {high}{')' if r.high_open else ']'}"


@pytest.mark.parametrize("text", FOUND)
def test_range(text: str) -> None:
    tree = read(text).tree
    found = ranges(tree)[tree.root]
    assert shown(found) == FOUND[text]
    assert found.total


@pytest.mark.parametrize(
    "text",
    ["log(score)", "1/score", "1/label", "sqrt(score)", "score^0.5", "score^-1", "log(label)", "plog(pred, -1*2)",
     "reciprocal(score)", "log1p(-2*pred)", "0*log(score)", "label^(-1)"],
)  # fmt: skip
def test_what_may_be_undefined_is_not_total(text: str) -> None:
    tree = read(text).tree
    assert not ranges(tree)[tree.root].total


def test_comparisons_of_ranges() -> None:
    one, half = Range(Fraction(0), Fraction(1)), Range(Fraction(1), Fraction(2), False, False)
    assert one.below(half) and one.below(half, strict=True)
    assert not half.below(one)
    assert not Range(Fraction(0), Fraction(1), False, False).below(half, strict=True)


def test_long_fractions_are_given_up_outwards() -> None:
    text = "*".join(["(pred + 0.123456789)"] * 40)
    tree = read(text).tree
    found = ranges(tree)[tree.root]
    assert found.low is not None and found.low >= 0 and found.total


@pytest.mark.parametrize("text", ["exp(1e60)", "exp(-1e60)", "exp(exp(1e5))", "softplus(exp(1e60))", "sigmoid(1e60)"])
def test_huge_arguments_cost_nothing(text: str) -> None:
    tree = read(text).tree
    assert ranges(tree)[tree.root].total
