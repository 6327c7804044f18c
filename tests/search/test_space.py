"""Graphs become formulas that read back as themselves, with every clamp and protection written out."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.errors import LossError
from lossdsl.formula import Formula, parse
from lossdsl.lowering import lower
from lossdsl.search.space import INPUTS, OPERATORS, Graph, Space, Step
from lossdsl.targets.numpy import evaluate


@st.composite
def graphs(draw: st.DrawFn, space: Space) -> Graph:
    steps = []
    for k in range(draw(st.integers(1, space.nodes))):
        op = draw(st.sampled_from(space.operators))
        first = draw(st.integers(0, len(INPUTS) + k - 1))
        others = [i for i in range(len(INPUTS) + k) if i != first]
        steps.append(Step(op, first, draw(st.sampled_from(others)) if space.arity(op) == 2 else -1))
    return Graph(tuple(steps))


def reference(space: Space, graph: Graph, pred: float, label: float) -> float:
    """The original's arithmetic, node by node."""
    nodes = [pred, label, 1.0]
    with np.errstate(all="ignore"):
        for step in graph.steps:
            a = nodes[step.first]
            b = nodes[step.second]
            size = abs(a) + 1e-6
            result = {
                "add": a + b, "multiply": a * b, "max": max(a, b), "min": min(a, b), "negate": -a, "identity": a,
                "log": np.sign(a) * np.log(size), "square": a * a, "reciprocal": np.sign(a) / size,
                "sigmoid": 1 / (1 + np.exp(-a)), "tanh": np.tanh(a), "relu": max(a, 0.0), "abs": abs(a),
                "sqrt": np.sign(a) * np.sqrt(size), "exp": np.exp(a),
            }[step.op]  # fmt: skip
            nodes.append(float(np.clip(result, 1e-5, 1e5)))
    return nodes[-1]


EVERYTHING = Space(operators=tuple(OPERATORS))


@given(graphs(EVERYTHING))
@settings(max_examples=100, deadline=None)
def test_a_graph_is_the_text_that_it_prints(graph: Graph) -> None:
    formula = Formula.from_tree(EVERYTHING.tree(graph))
    again = parse(str(formula), dialect="lossdsl")
    assert again == formula
    assert str(again) == str(formula)


@given(graphs(EVERYTHING), st.floats(0.01, 0.99), st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=100, deadline=None)
def test_a_formula_computes_what_the_original_computes(graph: Graph, pred: float, label: float) -> None:
    program = lower(EVERYTHING.tree(graph), axis="pred")
    value, _ = evaluate(program, np.array([pred]), np.array([label]))
    assert float(np.ravel(value)[0]) == pytest.approx(reference(EVERYTHING, graph, pred, label), rel=1e-9)


def test_ten_clamped_nodes_stay_within_the_limits_of_the_language() -> None:
    # Every node doubles: the largest tree that ten nodes can make, a clamp around each.
    space = Space(nodes=10)
    deep = Graph(tuple(Step("add", k + 2, k + 1) for k in range(10)))
    assert parse(str(Formula.from_tree(space.tree(deep))), dialect="lossdsl").tree == space.tree(deep)


def test_without_clamp_and_with_another_epsilon() -> None:
    space = Space(clamp=None, epsilon=Fraction(1, 100))
    assert str(Formula.from_tree(space.tree(Graph((Step("log", 0),))))) == "plog(pred, 0.01)"


def test_an_unknown_operator_is_named() -> None:
    with pytest.raises(LossError, match="unknown operator `cosine`"):
        Space(operators=("cosine",))
