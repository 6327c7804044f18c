"""Building losses from losses: what is closed under validity, and that substitutions mean what they say."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossdsl.formula import Formula, parse
from lossdsl.grammar.tree import Node, Tree
from lossdsl.lowering import lower
from lossdsl.search.moves import (
    CONSTANTS,
    MOVES,
    OPERATIONS,
    PRED,
    Edit,
    agree,
    cook,
    halves,
    heavier,
    lighter,
    minus,
    odds,
    short,
    steeper,
    times,
)
from lossdsl.search.mutation import at, constants, mutate, paths, put, random_tree, with_constant
from lossdsl.search.screen import screen
from lossdsl.targets.numpy import evaluate

VALID = ["-log(label*pred + (1-label)*(1-pred))", "(label-pred)^2", "softplus(1 - (2*label-1)*pred)"]
SCORES = np.linspace(-4, 4, 9)
LABELS = np.array([[0.0], [1.0]])


def root(text: str) -> Node:
    return parse(text, dialect="lossdsl").tree.root


def value(node: Node, scores: np.ndarray = SCORES) -> np.ndarray:
    return np.broadcast_to(evaluate(lower(Tree(node)), scores, LABELS)[0], (2, len(scores)))


@pytest.mark.parametrize("name", [name for name in OPERATIONS if MOVES[name][2]])
@pytest.mark.parametrize("constant", [CONSTANTS[0], CONSTANTS[7]])
def test_a_closed_move_keeps_losses_valid(name: str, constant: Fraction) -> None:
    _, _, _, build = MOVES[name]
    for a in VALID:
        for b in VALID:
            made = screen(build(root(a), root(b), constant))
            assert made.why == "", f"{name}({a}, {b}, {constant})"
            assert made.root == build(root(a), root(b), constant), "it had to be turned round"


@pytest.mark.parametrize("k", ["1/4", "2", "7"])
def test_odds_moves_the_zero_point(k: str) -> None:
    factor = Fraction(k)
    loss = root(VALID[0])
    moved = odds(loss, factor)
    assert value(moved) == pytest.approx(value(loss, SCORES - np.log(float(factor))), rel=1e-9)
    assert odds(moved, 1 / factor) == loss


def test_weights() -> None:
    loss = root(VALID[1])
    base = value(loss)
    assert value(heavier(loss, Fraction(3))) == pytest.approx(base * np.array([[1], [4]]))
    assert value(lighter(loss, Fraction(3))) == pytest.approx(base * np.array([[4], [1]]))


@pytest.mark.parametrize("k", ["1/2", "3"])
@pytest.mark.parametrize("text", VALID)
def test_steeper_is_the_loss_of_a_multiple_of_the_score(text: str, k: str) -> None:
    loss, factor = root(text), Fraction(k)
    made = steeper(loss, factor)
    assert value(made) == pytest.approx(value(loss, SCORES * float(factor)), rel=1e-9)
    # Done twice the factors multiply, and the zero point can still be moved.
    assert value(steeper(made, factor)) == pytest.approx(value(loss, SCORES * float(factor) ** 2), rel=1e-9)
    moved = SCORES - float(short(np.log(2)))
    assert value(odds(made, Fraction(2))) == pytest.approx(value(loss, moved * float(factor)), rel=1e-9)


def test_halves_are_one_loss_at_one_label_and_another_at_the_other() -> None:
    one, other = root(VALID[0]), root(VALID[1])
    made = halves(one, other, Fraction(3))
    assert value(made)[1] == pytest.approx(value(one)[1]) and value(made)[0] == pytest.approx(3 * value(other)[0])


def test_signs_are_folded() -> None:
    a = root("log(pred)")
    assert minus(minus(a)) == a
    assert times(root("2"), times(root("3"), a)) == times(root("6"), a)
    assert minus(root("pred-label")) == root("label-pred")


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_whatever_is_made_reads_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tree = random_tree(rng, 3)
    for _ in range(2):
        tree = mutate(tree, rng, [tree, root(VALID[0])])
    found = screen(tree)
    if not found.why:
        formula = Formula.from_tree(Tree(found.trained))
        assert parse(str(formula), dialect="lossdsl") == formula


def test_places_and_constants() -> None:
    tree = root("3*log(pred) + 0.5*label")
    assert at(tree, paths(tree)[0]) == tree
    assert {at(tree, path) for path in constants(tree)} == {root("3"), root("0.5")}
    assert put(tree, (0,), root("label")) == root("label + 0.5*label")


def test_a_skewed_pred_stays_one_thing_when_its_constant_changes() -> None:
    loss = odds(root(VALID[0]), Fraction(3))
    place = constants(loss)[0]
    changed = with_constant(loss, place, Fraction(5))
    assert changed == odds(root(VALID[0]), Fraction(5))


def test_a_recipe_is_cooked_in_order() -> None:
    agreement = Edit(OPERATIONS.index("agree"), 1, 0)
    slot = root("label*pred")
    assert cook((agreement,), ()) == agree(root("label"), PRED)
    assert cook((Edit(OPERATIONS.index("square"), 3),), (slot,)) == root("square(label*pred)")
