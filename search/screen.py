"""The free test before any training: two slope curves on 41 scores say whether a proposal can be a loss at all.

A sample proves nothing; it only throws away. What passes is turned round if it pulls the wrong way, scaled so that
its mean slope is 1 near the decision, and given a key under which losses that train alike are found again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossdsl.errors import LossError
from lossdsl.grammar.limits import breach
from lossdsl.grammar.tree import Node, Tree, names, size
from lossdsl.lowering import lower
from lossdsl.program import Program
from lossdsl.search.moves import minus, number, short, times
from lossdsl.targets.numpy import evaluate

GRID = np.linspace(-5.0, 5.0, 41)
# Off centre, so that a zero by symmetry is not taken for a rule.
_LABELS = np.array([[0.0], [1.0]])
_NEAR = np.abs(GRID) < 2
_FLAT = 1e-3  # a slope below this share of the mean rests
_MOVING = 0.35  # at least this share of the scores must move
_RATIO = 1e4  # one label's mean slope may be this many times the other's


@dataclass(frozen=True)
class Screened:
    """What the screen made of a proposal.

    `why` is empty where it passed; then `root` is the loss turned the right way, `trained` the same scaled to mean
    slope 1 over |score| < 2 (this is what trains and what is logged), `key` equal for losses that train alike. `credit`
    says how far a proposal came, from 0 to 1: what a strategy that learns can hold on to while nothing passes.
    """

    why: str
    root: Node
    trained: Node
    key: bytes
    nodes: int
    credit: float = 1.0


def screen(root: Node, *, pairwise: bool = False, max_size: int = 120) -> Screened:
    """Judge a proposal by its slopes on a grid.

    >>> from lossdsl.formula import parse
    >>> from lossdsl.search.screen import screen
    >>> screen(parse("(label-pred)^2").tree.root).why
    ''
    >>> screen(parse("label*pred").tree.root).why
    'its slope is zero at label 0'
    """

    def refused(why: str, credit: float) -> Screened:
        return Screened(why, root, root, b"", nodes, credit)

    nodes = size(root)
    if nodes > max_size:
        return refused(f"it has {nodes} nodes, more than {max_size}", 0.1)
    used = names(root)
    if not ("pred" in used or "score" in used):
        return refused("it does not use pred", 0.0)
    if not pairwise and "label" not in used:
        return refused("it does not use label", 0.05)
    tree = Tree(root)
    broken = breach(tree)
    if broken is not None:
        return refused(broken.message, 0.0)
    try:
        program = lower(tree, axis="score")
    except LossError as error:
        return refused(str(error), 0.0)
    values, slopes = curves_of(program, GRID)
    if not (np.isfinite(slopes).all() and np.isfinite(values).all()):
        label, k = np.argwhere(~(np.isfinite(slopes) & np.isfinite(values)))[0]
        return refused(f"it has no finite value or slope at label {label}, score {GRID[k]:g}", 0.1)
    labels = (1,) if pairwise and "label" not in used else (0, 1)
    down = slopes * np.array([[1.0], [-1.0]])  # positive where it pulls the right way
    down = down[list(labels)]
    means = np.abs(down).mean(axis=1)
    for label, mean in zip(labels, means):
        if mean < 1e-9:
            return refused(f"its slope is zero at label {label}", 0.1)
    if means.max() > _RATIO * means.min():
        return refused("one label outweighs the other ten thousand times", 0.5)
    noise = 1e-12 * np.abs(down).max()
    sign = 1 if (down >= -noise).all() else -1 if (down <= noise).all() else 0
    if sign == 0:
        right = (down > noise).mean(axis=1)
        wrong = (down < -noise).mean(axis=1)
        return refused("its slope changes sign", 0.1 + 0.4 * float(max(right.min(), wrong.min())))
    if ((np.abs(down) > _FLAT * means[:, None]).mean(axis=1) < _MOVING).any():
        return refused("it rests almost everywhere", 0.5)
    near = np.abs(down[:, _NEAR]).mean()
    if not 1e-9 < near < 1e9:
        return refused("its slope near the decision is nothing or beyond measure", 0.5)
    turned = root if sign > 0 else minus(root)
    trained = times(number(short(1.0 / near)), turned)
    key = np.round(np.arcsinh(down[:, ::2] * (sign / near)), 3).astype(np.float32) + np.float32(0.0)
    return Screened("", turned, trained, key.tobytes(), nodes)


def curves_of(program: Program, scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Value and slope of a loss at these scores, a row for label 0 and one for label 1."""
    with np.errstate(all="ignore"):
        value, slope = evaluate(program, scores, _LABELS)
    shape = (2, len(scores))
    return np.broadcast_to(value, shape), np.broadcast_to(slope, shape)
