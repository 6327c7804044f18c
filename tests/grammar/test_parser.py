"""Reading: what each spelling means, where the parts stand, and the named losses."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings

from lossdsl.errors import LossSyntaxError
from lossdsl.formula import Formula
from lossdsl.grammar.losses import loss_names
from lossdsl.grammar.parser import named, read
from lossdsl.grammar.printer import show
from lossdsl.grammar.tree import Apply, Binding, Name, Node, Number, walk
from lossdsl.testing import formulas

PRED, LABEL = Name("pred"), Name("label")


def n(text: str) -> Number:
    return Number(Fraction(text))


def op(name: str, *args: Node) -> Apply:
    return Apply(name, args)


TREES = {
    "pred - label - 1": op("sub", op("sub", PRED, LABEL), n("1")),
    "pred - (label - 1)": op("sub", PRED, op("sub", LABEL, n("1"))),
    "pred/label/2": op("div", op("div", PRED, LABEL), n("2")),
    "pred^label^2": op("pow", PRED, op("pow", LABEL, n("2"))),
    "pred**label**2": op("pow", PRED, op("pow", LABEL, n("2"))),
    "-pred^2": op("neg", op("pow", PRED, n("2"))),
    "(-pred)^2": op("pow", op("neg", PRED), n("2")),
    "2^-1": op("pow", n("2"), op("neg", n("1"))),
    "2^-pred^2": op("pow", n("2"), op("neg", op("pow", PRED, n("2")))),
    "-pred*label": op("mul", op("neg", PRED), LABEL),
    "pred*-label": op("mul", PRED, op("neg", LABEL)),
    "--pred": op("neg", op("neg", PRED)),
    "pred - -1": op("sub", PRED, op("neg", n("1"))),
    "1 + 2*pred^2": op("add", n("1"), op("mul", n("2"), op("pow", PRED, n("2")))),
    "|pred|": op("abs", PRED),
    "||pred| - 1|": op("abs", op("sub", op("abs", PRED), n("1"))),
    "|pred|*|label|": op("mul", op("abs", PRED), op("abs", LABEL)),
    "|pred - |label||": op("abs", op("sub", PRED, op("abs", LABEL))),
    "|-|pred||^2": op("pow", op("abs", op("neg", op("abs", PRED))), n("2")),
    "max(pred, label, 1)": op("max", PRED, LABEL, n("1")),
    "if(pred >= .5, 1, 0)": op("if", op("ge", PRED, n("0.5")), n("1"), n("0")),
    "if((pred < label), 1, 0)": op("if", op("lt", PRED, LABEL), n("1"), n("0")),
    "plog(pred, 2*1e-3)": op("plog", PRED, op("mul", n("2"), n("0.001"))),
    "clamp(pred, 1E-5, 1e+5)": op("clamp", PRED, n("1e-5"), n("1e5")),
    "\tpred\n+\r\n1 ": op("add", PRED, n("1")),
}


@pytest.mark.parametrize("text", TREES)
def test_tree(text: str) -> None:
    assert read(text).tree.root == TREES[text]


@pytest.mark.parametrize("alias", ["p", "y_hat", "y_pred", "prob"])
def test_aliases_of_pred(alias: str) -> None:
    assert read(f"-log({alias})").tree == read("-log(pred)").tree


def test_other_aliases() -> None:
    assert show(read("y + y_true + target").tree) == "label + label + label"
    assert show(read("s + logit").tree) == "score + score"


def test_a_name_that_where_defines_is_that_parameter() -> None:
    tree = read("p*pred where p = 2").tree
    assert tree.root == op("mul", Name("p"), PRED)
    assert show(tree) == "p*pred where p = 2"
    assert read("mse*pred where mse = 2").tree.root == op("mul", Name("mse"), PRED)


def test_where_takes_signs_ratios_and_ranges() -> None:
    tree = read("a*b*c*d where a = -0.5, b = 1/3, c in [-1, 1e-6], d = -2/4").tree
    third, half = Fraction(1, 3), Fraction(1, 2)
    assert tree.where == (
        Binding("a", -half, -half),
        Binding("b", third, third),
        Binding("c", Fraction(-1), Fraction(1, 10**6)),
        Binding("d", -half, -half),
    )
    assert show(tree).endswith("where a = -0.5, b = 1/3, c in [-1, 1e-6], d = -0.5")
    assert tree.where[2].value is None


def test_spans_cover_what_was_written() -> None:
    text = "-y*( log(p) ) + (1 - y)^2"
    spans = {text[node.span.start : node.span.end] for node in walk(read(text).tree.root) if node.span}
    assert {"y", "-y", "p", "( log(p) )", "-y*( log(p) )", "(1 - y)", "(1 - y)^2", text} <= spans


def test_spans_do_not_count_in_equality() -> None:
    assert read("pred + 1").tree == read("  pred+1").tree
    assert hash(read("pred + 1").tree) == hash(read("  pred+1").tree)


@pytest.mark.parametrize("name", loss_names())
def test_named_losses_keep_their_name(name: str) -> None:
    parsed = read(f" ( {name} ) ")
    assert (parsed.name, parsed.tree, parsed.pairwise) == (name, named(name).tree, name == "bpr")
    assert all(node.span is None for node in walk(parsed.tree.root))
    assert read(show(parsed.tree)).name is None


def test_named_losses_change_by_where() -> None:
    changed = read("focal where gamma = 1").tree
    assert changed.root == read("focal").tree.root
    assert changed.where == (Binding("gamma", Fraction(1), Fraction(1)),)
    assert read("maxr where c in [0, 1]").tree.where[0].value is None


def test_only_the_own_dialect_is_read_here() -> None:
    with pytest.raises(LossSyntaxError):
        read("loss = -torch.log(pred)")


@settings(max_examples=400, deadline=None)
@given(formulas(depth=5, variables=("pred", "label", "score"), parameters=True))
def test_reading_what_is_printed_gives_the_tree(formula: Formula) -> None:
    parsed = read(str(formula))
    assert parsed.tree == formula.tree
    assert show(parsed.tree) == str(formula)
