"""Where a loss is tuned: the same points for each, in units in which a multiple of a loss is the same loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lossdsl.errors import LossError
from lossdsl.recsys.curves import evaluate
from lossdsl.recsys.objective import Objective
from lossdsl.recsys.tape import tape

LEAST_POINTS = 12


@dataclass(frozen=True)
class Point:
    """A place of the tuning grid. `l2` is in units of the loss's own slope: see `slope_scale`."""

    lr: float
    l2: float


def grid(model: str) -> tuple[Point, ...]:
    """The first grid of a tuning: learning rate × L2 in wide steps; `around` then looks closer where it was best.

    >>> from lossdsl.recsys.tuning import grid
    >>> len(grid("biasedmf")), len(grid("ranknet"))
    (14, 12)
    """
    if model == "biasedmf":
        return tuple(Point(lr, 2e-5 * 4.0**k) for lr in (0.0015, 0.003) for k in range(-4, 3))
    return tuple(Point(lr, l2) for lr in (0.001, 0.003) for l2 in (0.0, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4))


def around(best: Point, points: Sequence[Point]) -> tuple[Point, ...]:
    """Six values of L2 in steps of √2 around the best one, with every learning rate: BiasedMF's optimum is narrow.

    >>> from lossdsl.recsys.tuning import Point, around, grid
    >>> len(around(Point(0.003, 2e-5), grid("biasedmf")))
    12
    """
    lrs = sorted({point.lr for point in points})
    centre = best.l2 or min((point.l2 for point in points if point.l2 > 0), default=1e-6) / 4
    return tuple(Point(lr, centre * 2 ** (k / 2)) for lr in lrs for k in (-3, -2, -1, 1, 2, 3))


def slope_scale(loss: Objective, *, pairs: bool) -> float:
    """Mean size of the slope over scores within 2 of nought, both labels alike.

    A loss times c is the same loss, but meets an L2 of λ as if it were λ/c: without this unit a grid would give each
    loss another range of L2, and call the difference a merit.

    >>> from lossdsl.recsys.objective import Objective
    >>> from lossdsl.recsys.tuning import slope_scale
    >>> round(slope_scale(Objective("bce"), pairs=False), 3)
    0.5
    """
    program = loss.pair_program if pairs else loss.program
    if program is None:
        raise LossError("losses are compared as formulas; a callable cannot be looked into")
    score = np.linspace(-2, 2, 401)
    steps = tape(program)
    slopes = np.abs(np.concatenate([evaluate(steps, score, label) for label in (0.0, 1.0)]))
    slopes = slopes[np.isfinite(slopes)]
    scale = float(slopes.mean()) if len(slopes) else 0.0
    return scale if scale > 0 else 1.0
