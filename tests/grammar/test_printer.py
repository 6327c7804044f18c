"""The canonical text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings

from lossdsl.formula import Formula
from lossdsl.grammar.parser import read
from lossdsl.grammar.printer import show, show_node
from lossdsl.grammar.tree import Apply, walk
from lossdsl.testing import formulas

# fmt: off
CANONICAL = {
    "-(label*log(pred)+(1 - label)*log(1 - pred))": "-(label*log(pred) + (1-label)*log(1-pred))",
    "-label*( 1-pred )**gamma*log( pred ) where gamma=2.0": "-label*(1-pred)^gamma*log(pred) where gamma = 2",
    "2*(pred-label)^2+label": "2*(pred-label)^2 + label",
    "pred-(label-1)": "pred - (label-1)",
    "(pred-label)-1": "pred - label - 1",
    "(pred^label)^2": "(pred^label)^2",
    "pred^(label^2)": "pred^label^2",
    "-(-pred)": "-(-pred)",
    "pred*(label/2)": "pred*(label/2)",
    "(pred*label)/2": "pred*label/2",
    "(-pred)^2": "(-pred)^2",
    "-(pred^2)": "-pred^2",
    "-(pred*label)": "-(pred*label)",
    "(-pred)*label": "-pred*label",
    "pred + (-label*2)": "pred + (-label*2)",
    "pred*(-label)": "pred*(-label)",
    "2^(-1)": "2^-1",
    "2^(-pred^2)": "2^(-pred^2)",
    "(pred+1)*(label+1)": "(pred+1)*(label+1)",
    "|pred|": "abs(pred)",
    "if(pred>0.5 , 1 , 0)": "if(pred > 0.5, 1, 0)",
    "if(pred-label>0.5,log(pred)+1,0)": "if(pred-label > 0.5, log(pred) + 1, 0)",
    "max(pred-label,log(pred)-1)": "max(pred-label, log(pred) - 1)",
    "((pred))": "pred",
    "1.50 + 007 + 1000000 + 100000 + 1000 + 0.001 + .0001 + 1e-6 + 25e-5 + 1.25e7":
        "1.5 + 7 + 1e6 + 1e5 + 1000 + 0.001 + 1e-4 + 1e-6 + 0.00025 + 12500000",
}
# fmt: on


@pytest.mark.parametrize("text", CANONICAL)
def test_canonical_text(text: str) -> None:
    assert show(read(text).tree) == CANONICAL[text]
    assert read(CANONICAL[text]).tree == read(text).tree


@settings(max_examples=200, deadline=None)
@given(formulas(depth=5, parameters=True))
def test_every_bracket_is_needed_or_keeps_a_minus_off_an_operator(formula: Formula) -> None:
    text = str(formula)
    opened = [m.start() for m in re.finditer(r"(?<!\w)\(", text)]
    for start in opened:
        depth, end = 0, start
        for end in range(start, len(text)):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            if depth == 0:
                break
        if text[start + 1] == "-":
            continue
        without = text[:start] + " " + text[start + 1 : end] + " " + text[end + 1 :]
        try:
            assert read(without).tree != formula.tree
        except ValueError:
            pass


@settings(max_examples=100, deadline=None)
@given(formulas(depth=4))
def test_parts_print_as_formulas_of_their_own(formula: Formula) -> None:
    for node in walk(formula.tree.root):
        if not (isinstance(node, Apply) and node.op in ("lt", "le", "gt", "ge")):
            assert read(show_node(node)).tree.root == node
