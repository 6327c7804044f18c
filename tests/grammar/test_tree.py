"""Nodes: identity by structure, walks, sizes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError
from fractions import Fraction

import pytest

from lossdsl.errors import Span
from lossdsl.grammar.tree import Apply, Binding, Name, Node, Number, Tree, names, size, walk

PRED = Name("pred")


def _doubled(times: int) -> Node:
    node: Node = PRED
    for _ in range(times):
        node = Apply("add", (node, node))
    return node


def test_equality_is_by_structure_and_ignores_places() -> None:
    assert Apply("log", (Name("pred", span=Span(4, 8)),)) == Apply("log", (PRED,))
    assert Apply("add", (PRED, Number(Fraction(1)))) != Apply("add", (Number(Fraction(1)), PRED))
    assert PRED != Number(Fraction(1))
    assert len({PRED, Name("pred"), Name("label")}) == 2


def test_nodes_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        PRED.name = "label"  # type: ignore[misc]


def test_walk_gives_each_distinct_node_once_and_arguments_first() -> None:
    root = Apply("mul", (Apply("log", (PRED,)), Apply("sub", (Number(Fraction(1)), Apply("log", (Name("pred"),))))))
    order = list(walk(root))
    assert len(order) == len(set(order)) == 5
    position = {node: i for i, node in enumerate(order)}
    assert all(position[a] < position[n] for n in order if isinstance(n, Apply) for a in n.args)
    assert names(root) == {"pred"}


def test_shared_graphs_cost_their_distinct_nodes() -> None:
    root = _doubled(60)
    assert len(list(walk(root))) == 61
    assert size(root) == 2**61 - 1


def test_equality_of_shared_graphs_costs_their_distinct_nodes() -> None:
    assert _doubled(200) == _doubled(200)
    other: Node = Name("label")
    for _ in range(200):
        other = Apply("add", (other, other))
    assert _doubled(200) != other


def test_binding_value() -> None:
    assert Binding("c", Fraction(1), Fraction(1)).value == 1
    assert Binding("c", Fraction(1), Fraction(2)).value is None


def test_trees_pickle_into_processes_that_hash_differently() -> None:
    tree = Tree(Apply("log", (Name("pred", span=Span(4, 8)),)), (Binding("c", Fraction(1), Fraction(2)),))
    again = pickle.loads(pickle.dumps(tree))
    assert again == tree and next(walk(again.root)).span == Span(4, 8)
    program = (
        "import pickle, sys\n"
        "from lossdsl.grammar.tree import *\n"
        "from fractions import Fraction\n"
        "tree = pickle.loads(sys.stdin.buffer.read())\n"
        "assert tree.root == Apply('log', (Name('pred'),)), 'the key has travelled'\n"
        "assert hash(tree.root) == hash(Apply('log', (Name('pred'),)))\n"
    )
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", program], input=pickle.dumps(tree), env=environment, check=True)
