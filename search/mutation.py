"""Random trees and random changes of trees, for evolution, random search and the small steps around the best."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from lossdsl.grammar.tree import Apply, Node, Number
from lossdsl.search.moves import CONSTANTS, LEAVES, MOVES, OPERATIONS, number, short, substitute, value_of

Path = tuple[int, ...]


def paths(root: Node, limit: int = 400) -> list[Path]:
    """The places of a tree, the root's first, at most `limit`."""
    out: list[Path] = []
    stack: list[tuple[Node, Path]] = [(root, ())]
    while stack and len(out) < limit:
        node, path = stack.pop()
        out.append(path)
        if isinstance(node, Apply):
            stack.extend((child, (*path, k)) for k, child in reversed(list(enumerate(node.args))))
    return out


def at(root: Node, path: Path) -> Node:
    """The sub-tree at a place."""
    for k in path:
        assert isinstance(root, Apply)
        root = root.args[k]
    return root


def put(root: Node, path: Path, new: Node) -> Node:
    """The tree with the sub-tree at a place replaced."""
    if not path:
        return new
    assert isinstance(root, Apply)
    k = path[0]
    return Apply(root.op, (*root.args[:k], put(root.args[k], path[1:], new), *root.args[k + 1 :]))


def random_tree(rng: np.random.Generator, depth: int) -> Node:
    """A tree of at most `depth` operators above its leaves, no move among them."""
    if depth == 0 or rng.random() < 0.2:
        if rng.random() < 0.12:
            return number(CONSTANTS[rng.integers(len(CONSTANTS))])
        return LEAVES[rng.choice(len(LEAVES), p=(0.45, 0.4, 0.15))]
    operands, takes, _, build = MOVES[OPERATIONS[rng.integers(len(OPERATIONS))]]
    constant = CONSTANTS[rng.integers(len(CONSTANTS))] if takes else Fraction(1)
    first = random_tree(rng, depth - 1)
    return build(first, random_tree(rng, depth - 1) if operands == 2 else first, constant)


def constants(root: Node) -> list[Path]:
    """The places of the constants that may be tuned; 1 is structure (`1 - label`), not a constant."""
    found = []
    for path in paths(root):
        node = at(root, path)
        if isinstance(node, Number) and node.value not in (0, 1):
            found.append(path)
    return found


def with_constant(root: Node, path: Path, value: Fraction) -> Node:
    """The tree with the constant at a place changed, and with it every equal one under the same operator twice written.

    A skewed pred is written several times in one formula; its k has to stay the same everywhere, or the formula falls
    apart.
    """
    old = at(root, path)
    parent = at(root, path[:-1]) if path else None
    if isinstance(parent, Apply):
        changed = put(parent, path[-1:], number(value))
        return substitute(root, lambda node: changed if node == parent else None)
    return put(root, path, number(value)) if old == root else root


def mutate(root: Node, rng: np.random.Generator, pool: Sequence[Node]) -> Node:
    """A tree a small step away: a constant, a sub-tree, a move, or a part of another tree of the pool."""
    kind = rng.random()
    places = paths(root)
    place = places[rng.integers(len(places))]
    if kind < 0.25:
        tunable = constants(root)
        if tunable:
            where = tunable[rng.integers(len(tunable))]
            old = value_of(at(root, where))
            assert old is not None
            return with_constant(root, where, short(float(old) * float(np.exp(rng.normal() * 0.5)), 2))
    if kind < 0.65:  # a move on the whole, which keeps it valid
        moves = [name for name in OPERATIONS if MOVES[name][2]]
        operands, takes, _, build = MOVES[moves[rng.integers(len(moves))]]
        other = pool[int(rng.integers(len(pool)))] if operands == 2 else root
        return build(root, other, CONSTANTS[rng.integers(len(CONSTANTS))] if takes else Fraction(1))
    if kind < 0.8:
        return put(root, place, random_tree(rng, 2))
    if kind < 0.9:
        other = pool[int(rng.integers(len(pool)))]
        theirs = paths(other)
        return put(root, place, at(other, theirs[rng.integers(len(theirs))]))
    below = at(root, place)
    if isinstance(below, Apply):
        return put(root, place, below.args[rng.integers(len(below.args))])
    return put(root, place, random_tree(rng, 1))
