"""Labels between 0 and 1: is the loss least where pred equals the label, at all of them at once?

Below the label pred is y t, above it 1 - (1-y) t, with t in (0,1): in each frame the place of the label does not move,
kinks there do not either, and the loss has to fall as t rises, which is towards the label. y in (0,1) is s/(1+s) with
s > 0, so that positive things show as sums of positive terms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from flint import fmpq

from lossdsl.grammar.tree import Node
from lossdsl.prover.cells import Ranges, cut
from lossdsl.prover.field import Element, Field, RetryWithRoot
from lossdsl.prover.limits import Budget, Undecided, Undefined
from lossdsl.prover.pieces import Piece
from lossdsl.prover.signs import Signs
from lossdsl.prover.terms import Terms, specialise
from lossdsl.report import OPEN, PROVED, Finding

FREE = "label"
HALF_LINE: Ranges = {FREE: (fmpq(0), None)}


def frame(above: bool) -> Callable[[Terms], dict[str, int]]:
    """What label, pred and score stand for below the label, or above it."""

    def make(terms: Terms) -> dict[str, int]:
        one = terms.constant(fmpq(1))
        s, t = terms.put("free", name=FREE), terms.put("x")
        rest = terms.inv(terms.add(one, s))  # 1 - y
        label = terms.mul(s, rest)
        if above:
            other = terms.mul(rest, t)
            pred = terms.sub(one, other)
        else:
            pred = terms.mul(label, t)
            other = terms.sub(one, pred)
        return {"label": label, "pred": pred, "score": terms.sub(terms.log(pred), terms.log(other))}

    return make


@dataclass(frozen=True, slots=True)
class Way:
    """What is known of the loss on the way to the label, at all labels at once.

    It never rises; `strict`: it never rests. `curved`: 1 if it is convex, 2 if strictly, 0 if that is not known.
    """

    strict: bool
    curved: int


def between_labels(root: Node, parameters: dict[str, Fraction], budget: Budget) -> dict[str, Finding]:
    """Proofs for every label strictly between 0 and 1, for a loss that is least where pred equals the label."""
    ways = []
    for above in (False, True):
        way = _way(root, parameters, budget, above)
        if way is None:
            return {}
        ways.append(way)
    method = "exact algebra in the distance to the label"
    strict = all(way.strict for way in ways)
    detail = "at every label the loss is least where pred equals it"
    found = {"minimum": Finding("minimum", PROVED, detail, strict, OPEN, method)}
    if strict:
        detail = "the slope is not zero throughout at any label"
        found["uses_pred"] = Finding("uses_pred", PROVED, detail, False, OPEN, method)
    curved = min(way.curved for way in ways)
    if curved:
        # Falling before the label and rising after it, the loss can only bend up there.
        found["convex_pred"] = Finding(
            "convex_pred", PROVED, "the slope in pred never falls", curved == 2, OPEN, method
        )
    return found


def _way(root: Node, parameters: dict[str, Fraction], budget: Budget, above: bool) -> Way | None:
    """The way to the label from below or from above; None where it is not known to go down all along."""
    hints: dict[object, int] = {}
    for _ in range(6):
        field = Field(hints, budget)
        signs = Signs(field, False, budget)
        try:
            terms = specialise(root, None, parameters, False, (), frame(above))
            pieces, torn = cut(terms, field, signs, HALF_LINE)
            if torn or signs.short:
                return None
            slopes = [field.derivative(piece.value) for piece in pieces]
            parts = [q for p, slope in zip(pieces, slopes) for q in signs.of(slope, p.low, p.high)]
            if signs.short or any(part.sign > 0 for part in parts):
                return None
            strict = all(part.sign < 0 for part in parts)
            return Way(strict, _curved(field, signs, pieces[0], slopes[0]) if len(pieces) == 1 else 0)
        except RetryWithRoot as retry:
            hints = {retry.key: retry.n} | {k: v for k, v in hints.items() if k != retry.key}
        except (Undecided, Undefined, ArithmeticError, ValueError):
            return None
    return None


def _curved(field: Field, signs: Signs, piece: Piece, slope: Element) -> int:
    """2 if the slope rises all along the piece, 1 if it never falls, 0 if that is not known."""
    try:
        found = {part.sign for part in signs.of(field.derivative(slope), piece.low, piece.high)}
    except (Undecided, ArithmeticError, ValueError):
        return 0
    return 0 if signs.short or -1 in found else 2 if found == {1} else 1
