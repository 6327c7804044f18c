"""Proofs for a whole range of a parameter that pieces and boxes leave open: by Bernstein's form, and by what follows.

A loss that falls towards the label and is strictly convex in pred has h = D0/(D0-D1) rising, for D0 D1' - D0' D1 is a
sum of products of one sign. If it is symmetric too, D1(p) = -D0(1-p), then D0 + D1 rises through zero at 1/2.
"""

from __future__ import annotations

from math import exp

from flint import fmpq

from lossdsl.prover.analysis import Analysis, Side
from lossdsl.prover.bernstein import weak_sign
from lossdsl.prover.constants import Substitution
from lossdsl.prover.field import Element, RetryWithRoot
from lossdsl.prover.limits import Undecided
from lossdsl.prover.pieces import Piece
from lossdsl.prover.points import ONE_END, ZERO_END
from lossdsl.prover.polynomials import GENERATORS, UNIT, Poly, Powers, X, mirrored_terms, sparse_terms
from lossdsl.report import OPEN, PROVED, UNDECIDED, Finding

BERNSTEIN = "Bernstein coefficients"
FOLLOWS = "from monotone and convex_pred"


def needed(names: tuple[str, ...]) -> tuple[str, ...]:
    """What else has to be decided for some properties to follow."""
    return ("monotone", "convex_pred") if {"calibrated", "proper_composite"} & set(names) else ()


def settle(found: dict[str, Finding], analysis: Analysis | None) -> None:
    """Proves what is undecided in `found` where that can be done for all values of the free names at once."""
    if analysis is None or analysis.short or analysis.score or len(analysis.sides) != 2:
        return
    try:
        _settle(found, analysis)
    except (Undecided, RetryWithRoot, ArithmeticError, ValueError):
        return


def _settle(found: dict[str, Finding], analysis: Analysis) -> None:
    def undecided(name: str) -> bool:
        return name in found and found[name].status == UNDECIDED

    def proved(name: str) -> bool:
        return name in found and found[name].status == PROVED

    smooth = all(len(side.pieces) == 1 and not side.can_jump for side in analysis.sides)
    if smooth and (undecided("monotone") or undecided("minimum")):
        way = 2 if proved("monotone") else _towards_label(analysis)
        if way and undecided("monotone"):
            detail = "the loss falls as pred rises at label 1 and rises at label 0"
            found["monotone"] = Finding("monotone", PROVED, detail, way == 2, OPEN, BERNSTEIN)
        if way and undecided("minimum"):
            detail = "the loss is least where pred equals the label"
            found["minimum"] = Finding("minimum", PROVED, detail, False, OPEN, BERNSTEIN)
    if smooth and undecided("convex_pred"):
        bends = [_never_falls(analysis, side) for side in analysis.sides]
        if all(bend > 0 for bend in bends):
            strict = min(bends) == 2
            found["convex_pred"] = Finding(
                "convex_pred", PROVED, "the slope in pred never falls", strict, OPEN, BERNSTEIN
            )
    if smooth and undecided("bounded_gradient") and all(
        _bounded(analysis, analysis.slopes(side, True)[0]) for side in analysis.sides
    ):  # fmt: skip
        found["bounded_gradient"] = Finding(
            "bounded_gradient", PROVED, "the slope in score is bounded", False, OPEN, "a bound of each term"
        )
    if not (proved("monotone") and found["monotone"].strict and proved("convex_pred")):
        return
    if not found["convex_pred"].strict:
        return
    if undecided("proper_composite"):
        detail = "the best pred grows with the true probability"
        found["proper_composite"] = Finding("proper_composite", PROVED, detail, True, OPEN, FOLLOWS)
    if undecided("calibrated") and smooth and _symmetric(analysis):
        detail = "the expected loss is least on the right side of 1/2"
        found["calibrated"] = Finding("calibrated", PROVED, detail, False, OPEN, f"{FOLLOWS}, with symmetry")


def _never_falls(analysis: Analysis, side: Side) -> int:
    """2 if the slope rises everywhere, 1 if it never falls, 0 if that is not known."""
    curve = side.curves[0]
    if curve.is_zero:
        return 1
    sign, strict = _lean(analysis, side.pieces[0], curve)
    return 0 if sign <= 0 else 2 if strict else 1


def _lean(analysis: Analysis, piece: Piece, a: Element) -> tuple[int, bool]:
    """The weak sign of an element on a piece, 0 if it is not known, and whether it is certainly nowhere zero."""
    sign, strict = 1, True
    for f in (a.n, a.d):
        content, factors = analysis.field.factor(f)
        sign *= 1 if content > 0 else -1
        for g, e in factors:
            way, nowhere_zero = weak_sign(analysis.field, g, piece.low, piece.high)
            if not way:
                way = analysis.signs.structural(g, piece.low, piece.high) or 0
                nowhere_zero = bool(way)
            if not way and e % 2:
                return 0, False
            sign *= way if e % 2 else 1
            strict = strict and nowhere_zero
    return sign, strict


def _towards_label(analysis: Analysis) -> int:
    """2 if each slope points to its label, 1 if it does or rests, 0 if that is not known."""
    found = 2
    for side in analysis.sides:
        slope, wanted = side.slopes[0], 1 if side.label == 0 else -1
        sign, strict = (wanted, False) if slope.is_zero else _lean(analysis, side.pieces[0], slope)
        if sign != wanted:
            return 0
        found = min(found, 2 if strict else 1)
    return found


# -- bounded ---------------------------------------------------------------------------------------------------------


def _bounded(analysis: Analysis, slope: Element) -> bool:
    """Whether each term of a slope on (0, 1) has a bound, written in x or in 1 - x."""
    if not slope.d.is_constant():
        return False
    return any(
        all(_term_bound(analysis, power, powers, flipped) is not None for power, powers, _ in terms)
        for terms, flipped in ((sparse_terms(slope.n), False), (mirrored_terms(slope.n), True))
    )


def _term_bound(analysis: Analysis, power: int, powers: Powers, flipped: bool) -> float | None:
    """A bound of x^i log(x)^j and of numbers and powers under one; flipped, x stands for 1 - pred.

    The largest size of x^i log(x)^j is (j/(e i))^j, at x = e^(-j/i).
    """
    share: Poly = 1 - X if flipped else X
    bound, logs = 1.0, 0
    for i, e in powers:
        kernel = analysis.field.kernels[i]
        if kernel.kind == "free" and kernel.high is not None:
            bound *= max(abs(_number(kernel.low)), abs(_number(kernel.high))) ** e
        elif kernel.kind == "log" and kernel.poly == share:
            logs += e
        elif kernel.kind == "exp" and kernel.inner is not None:
            inner = kernel.inner
            if not inner.d.is_constant() or weak_sign(analysis.field, inner.n, ZERO_END, ONE_END)[0] != -1:
                return None
        elif not (kernel.kind == "root" and (kernel.poly == X or kernel.poly == 1 - X)):
            return None
    if logs and not power:
        return None
    return bound * (logs / power * exp(-1)) ** logs if logs else bound


def _number(q: fmpq) -> float:
    return int(q.p) / int(q.q)


# -- symmetric -------------------------------------------------------------------------------------------------------


def _symmetric(analysis: Analysis) -> bool:
    """Whether the slope at label 1 is that at label 0 with 1 - pred for pred, negated."""
    field = analysis.field
    at_zero, at_one = (next(s for s in analysis.sides if s.label == y).slopes[0] for y in (0, 1))
    other = _Flipped(field, field, field.sub(field.one, field.x), analysis.signs.sign_on(ZERO_END, ONE_END))
    return field.add(other(at_one), at_zero).is_zero


class _Flipped(Substitution):
    """x -> 1 - x within one field, where numbers in a range stay what they are."""

    def kernel(self, i: int) -> Element:
        kernel = self.source.kernels[i]
        if kernel.kind == "free":
            return Element(GENERATORS[i + 1], UNIT)
        return super().kernel(i)
