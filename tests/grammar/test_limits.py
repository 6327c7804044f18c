"""Limits: what they must admit, what they must refuse, and that refusing costs little."""

from __future__ import annotations

import inspect
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.errors import LossError, LossSyntaxError
from lossdsl.formula import Formula
from lossdsl.grammar import limits
from lossdsl.grammar.parser import read
from lossdsl.grammar.printer import show
from lossdsl.grammar.tree import Apply, Binding, Name, Node, Number, Tree, size

PRED, LABEL, SCORE = Name("pred"), Name("label"), Name("score")
LOW, HIGH = Number(Fraction(1, 10**5)), Number(Fraction(10**5))
_BINARY = ("add", "sub", "mul", "div", "max", "min")
_UNARY = ("neg", "plog", "pinv", "psqrt", "square", "sigmoid", "tanh", "logsigmoid", "reciprocal", "exp", "abs")


def graph(choices: list[tuple[int, int, int]]) -> Tree:
    """Ten operators, each on one or two different earlier nodes, a clamp around each."""
    nodes: list[Node] = [PRED, LABEL]
    for kind, first, second in choices:
        a = nodes[-1 - first % len(nodes)]
        b = nodes[-1 - (first + 1 + second % (len(nodes) - 1)) % len(nodes)]
        op = (_BINARY + _UNARY)[kind % (len(_BINARY) + len(_UNARY))]
        made = Apply(op, (a, b) if op in _BINARY else (a,))
        nodes.append(Apply("clamp", (made, LOW, HIGH)))
    return Tree(nodes[-1])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 2), st.integers(0, 2)), min_size=10, max_size=10))
def test_every_graph_of_ten_operators_with_clamps_is_admitted(choices: list[tuple[int, int, int]]) -> None:
    tree = graph(choices)
    assert limits.breach(tree) is None
    text = show(tree)
    assert len(text) <= limits.MAX_CHARACTERS
    assert read(text).tree == tree


@pytest.mark.parametrize("op", range(len(_BINARY)))
def test_the_largest_graph_of_ten_operators_is_admitted(op: int) -> None:
    tree = graph([(op, 0, 0)] * 10)
    assert size(tree.root) == 716
    assert read(show(tree)).tree == tree


def test_ten_squares_in_a_row_are_admitted() -> None:
    assert limits.breach(graph([((_BINARY + _UNARY).index("square"), 0, 0)] * 10)) is None


_LEAVES = "+".join(["pred"] * 20_000)
HOSTILE = {
    "10 MB line": ("pred+" * 2_000_000, "LD030"),
    "10,000 brackets": ("(" * 10_000 + "pred" + ")" * 10_000, "LD030"),
    "2,000 brackets": ("(" * 2_000 + "pred" + ")" * 2_000, "LD031"),
    "2,000 calls": ("log(" * 1_500 + "pred" + ")" * 1_500, "LD031"),
    "20,000 terms": (_LEAVES, "LD030"),
    "1,600 terms": (_LEAVES[:7999], "LD032"),
    "200 terms": ("+".join(["pred"] * 200), "LD037"),
    "bars": ("|" * 4_000 + "pred" + "|" * 4_000, "LD032"),
    "150 bars": ("|" * 150 + "pred" + "|" * 150, "LD037"),
    "70 bars": ("|" * 70 + "pred" + "|" * 70, "LD031"),
    "long names": ("+".join(["x" * 100] * 80) + " where " + "x" * 100 + "=1", "LD030"),
    "minuses": ("-" * 8_000 + "pred", "LD032"),
    "tower": ("^".join(["pred"] * 1_600), "LD032"),
    "tower of nines": ("^".join(["9"] * 4_000), "LD032"),
    "short tower of nines": ("9^9^9^9", "LD036"),
    "tower below": ("(" * 60 + "9" + "^9)" * 60, "LD038"),
    "named tower": ("(((((pred^g)^g)^g)^g)^g)^g where g = 16", "LD038"),
    "exponent of a sum": ("pred^(8+9)", "LD036"),
    "exponent of huge": ("pred^(9^9*9^9)", "LD036"),
    "exponent of a range": ("pred^g where g in [0, 17]", "LD036"),
    "1e400": ("1e400*pred", "LD035"),
    "1e999999999999": ("1e999999999999*pred", "LD035"),
    "digits": ("0." + "7" * 8000, "LD034"),
    "whole digits": ("7" * 8000, "LD034"),
    "constant of where": ("pred*g where g = 1e-60/3e60", "LD035"),
    "null bytes": ("pred\0" * 1000, "LD009"),
    "right to left": ("\u202epred", "LD009"),
    "a long name": ("x" * 8000, "LD003"),
    "a long function": ("x" * 8000 + "(pred)", "LD002"),
    "many arguments": ("max(" + ",".join(["pred"] * 1600) + ")", "LD032"),
    "many wheres": ("pred where " + ",".join(f"g{i} = 1" for i in range(700)), "LD018"),
    "surrogate": ("pred\ud800", "LD009"),
    "newlines": ("\n" * 9000, "LD030"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused(name: str) -> None:
    text, code = HOSTILE[name]
    with pytest.raises(LossSyntaxError) as caught:
        read(text)
    assert caught.value.code == code
    assert len(str(caught.value)) < 1000


def test_hostile_text_takes_little_memory() -> None:
    program = (
        "import resource, sys, lossdsl\n"
        "for text in ('pred+' * 2_000_000, '(' * 10_000, '+'.join(['pred'] * 1_600), '9^' * 4000 + '9', '|' * 8000):\n"
        "    try:\n"
        "        lossdsl.parse(text)\n"
        "    except lossdsl.LossSyntaxError as error:\n"
        "        str(error)\n"
        # Not ru_maxrss on Linux: a child starts with the peak of the process that forked it.
        "if sys.platform == 'linux':\n"
        "    print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "else:\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 300 * 2**20


def test_deep_but_allowed_formulas_need_no_deep_stack() -> None:
    text = "+".join(["pred"] * limits.MAX_DEPTH)
    limit = sys.getrecursionlimit()
    tree = read(text).tree
    sys.setrecursionlimit(200 + len(inspect.stack()))
    try:
        assert show(read(text).tree)
        assert hash(tree) == hash(tree)
    finally:
        sys.setrecursionlimit(limit)


def _tower(depth: int) -> Node:
    node: Node = PRED
    for _ in range(depth):
        node = Apply("add", (node, node))
    return node


_HALF = Fraction(1, 2)
REFUSED: dict[str, Tree] = {
    "doubling": Tree(_tower(40)),
    "not decimal": Tree(Number(Fraction(1, 3))),
    "negative": Tree(Number(Fraction(-1))),
    "no value": Tree(Name("gamma")),
    "alias": Tree(Name("p")),
    "comparison": Tree(Apply("lt", (PRED, LABEL))),
    "comparison inside": Tree(Apply("add", (Apply("lt", (PRED, LABEL)), PRED))),
    "no condition": Tree(Apply("if", (PRED, PRED, LABEL))),
    "unknown operator": Tree(Apply("sin", (PRED,))),
    "arguments": Tree(Apply("log", (PRED, LABEL))),
    "epsilon": Tree(Apply("plog", (PRED, LABEL))),
    "bound variable": Tree(PRED, (Binding("pred", _HALF, _HALF),)),
    "bound function": Tree(Name("log"), (Binding("log", _HALF, _HALF),)),
    "bound keyword": Tree(Name("where"), (Binding("where", _HALF, _HALF),)),
    "bound twice": Tree(Name("c"), (Binding("c", _HALF, _HALF), Binding("c", _HALF, _HALF))),
    "not a name": Tree(Name("a b"), (Binding("a b", _HALF, _HALF),)),
    "empty range": Tree(Name("c"), (Binding("c", Fraction(1), _HALF),)),
    "unused": Tree(PRED, (Binding("c", _HALF, _HALF),)),
    "unwritable value": Tree(Name("c"), (Binding("c", Fraction(1, 7**90), Fraction(1)),)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_trees_that_would_not_read_back_are_refused(name: str) -> None:
    with pytest.raises(LossError):
        Formula.from_tree(REFUSED[name])


def test_what_from_tree_accepts_reads_back() -> None:
    tree = Tree(Apply("mul", (Name("p"), PRED)), (Binding("p", Fraction(-1, 3), Fraction(2)),))
    assert read(str(Formula.from_tree(tree))).tree == tree
