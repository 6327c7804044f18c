"""The tests before training: slopes of whole groups, and the prover's key of a graph without its idle clamps."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.equivalence import slope_key
from lossdsl.errors import LossError
from lossdsl.formula import Formula
from lossdsl.grammar.tree import Tree, size
from lossdsl.lowering import lower
from lossdsl.search.controller import Controller
from lossdsl.search.proxy import Keys, Speller, slopes
from lossdsl.search.reduced import Reducer
from lossdsl.search.space import INPUTS, OPERATORS, Graph, Space, Step
from lossdsl.targets.numpy import evaluate
from tests.search.conftest import graphs_of

SPACES = {
    "published": Space(),
    "everything": Space(operators=tuple(OPERATORS)),
    "epsilon": Space(epsilon=Fraction(1, 100)),
    "free": Space(operators=tuple(OPERATORS), nodes=5, clamp=None),
}
POINTS = (np.array([0.1, 0.3, 0.77, 0.5]), np.array([0.0, 1.0, 0.5, 0.5]))


@st.composite
def graphs(draw: st.DrawFn, space: Space) -> Graph:
    steps = []
    for k in range(space.nodes):
        op = draw(st.sampled_from(space.operators))
        first = draw(st.integers(0, len(INPUTS) + k - 1))
        others = [i for i in range(len(INPUTS) + k) if i != first]
        steps.append(Step(op, first, draw(st.sampled_from(others)) if space.arity(op) == 2 else -1))
    return Graph(tuple(steps))


def columns(space: Space, graph: Graph) -> list[np.ndarray]:
    rows = [(space.operators.index(s.op), s.first, max(s.second, 0)) for s in graph.steps]
    return [np.array([[row[k]] for row in rows]) for k in range(3)]


def needed(graph: Graph) -> list[Step]:
    """The steps that the last node depends on, in order."""
    need = {len(INPUTS) + len(graph.steps) - 1}
    for k, step in reversed(list(enumerate(graph.steps, len(INPUTS)))):
        if k in need:
            need |= {step.first, step.second}
    return [step for k, step in enumerate(graph.steps, len(INPUTS)) if k in need]


@pytest.mark.parametrize("name", SPACES)
def test_a_spelling_leaves_out_what_is_not_needed_and_nothing_else(name: str) -> None:
    space = SPACES[name]
    drawn = Controller(space, seed=3).draw(200)
    speller = Speller(space)
    for _ in range(2):  # made, then remembered
        for whole, (graph, text) in zip(graphs_of(drawn, space), speller.spell(drawn)):
            assert text == space.text(whole) == space.text(graph)
            assert needed(graph) == list(graph.steps)
            assert [step.op for step in graph.steps] == [step.op for step in needed(whole)]


@pytest.mark.parametrize("name", SPACES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_slopes_are_those_of_the_program(name: str, data: st.DataObject) -> None:
    space = SPACES[name]
    graph = data.draw(graphs(space))
    ours = slopes(space, *columns(space, graph), POINTS)[0]
    try:
        theirs = np.broadcast_to(evaluate(lower(space.tree(graph), axis="pred"), *POINTS)[1], (4,)) / 4
    except LossError:
        return  # a constant that is no number; the search finds that out when it lowers the formula
    if np.isfinite(theirs).all():
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)
    else:
        assert not np.isfinite(ours).all() or space.clamp is None


def test_a_clamp_cuts_off_infinite_slopes() -> None:
    space = SPACES["everything"]
    graph = Graph((Step("exp", 0), *(Step("exp", len(INPUTS) + k) for k in range(3))))  # exp(exp(exp(exp(pred))))
    ours = slopes(space, *columns(space, graph), POINTS)[0]
    theirs = np.broadcast_to(evaluate(lower(space.tree(graph), axis="pred"), *POINTS)[1], (4,)) / 4
    assert ours == pytest.approx(theirs)


@given(graphs(Space()))
@settings(max_examples=40, deadline=None)
def test_the_key_of_the_reduced_graph_is_that_of_its_formula(graph: Graph) -> None:
    assert Keys(Space()).of(graph) == slope_key(Formula.from_tree(Space().tree(graph)))


@given(graphs(SPACES["everything"]))
@settings(max_examples=100, deadline=None)
def test_the_reduced_graph_is_the_same_function(graph: Graph) -> None:
    space = SPACES["everything"]
    short = Tree(Reducer(space).reduced(graph))
    assert size(short.root) <= size(space.tree(graph).root)
    pred, label = np.linspace(1e-7, 1 - 1e-7, 21), np.array([[0.0], [0.4], [1.0]])
    try:
        before = evaluate(lower(space.tree(graph), axis="pred"), pred, label)[0]
        after = evaluate(lower(short, axis="pred"), pred, label)[0]
    except LossError:
        return
    before, after = (np.broadcast_to(x, (3, 21)) for x in (before, after))
    assert after == pytest.approx(before, rel=1e-9, nan_ok=True)


@given(st.sampled_from(sorted(SPACES)), st.data())
@settings(max_examples=60, deadline=None)
def test_the_text_of_a_graph_is_that_of_its_tree(name: str, data: st.DataObject) -> None:
    space = SPACES[name]
    graph = data.draw(graphs(space))
    assert space.text(graph) == str(Formula.from_tree(space.tree(graph)))
