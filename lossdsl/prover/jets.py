"""A loss and its derivatives on a box, straight from the terms: balls around f, f', f'', ... by series arithmetic.

On boxes the terms as they were written give tighter balls than the expanded quotient of the field, and cost less. What
cancels is not seen to cancel, so that this serves to bound and to exclude; "is zero" stays with the field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flint import arb, arb_series, fmpq

from lossdsl.prover.numeric import LONGEST, power, precision
from lossdsl.prover.terms import Term, Terms, holds

CONSTANT_BITS = 320
"""Precision of constants such as 1e-6, above any at which boxes are looked at."""
Step = tuple[str, int, int, Any]


class Jets:
    """The loss on one piece of the axis, where each `max`, `abs`, `if`, ... has chosen its branch for good.

    `picks` gives for these the sign of what they decide by.

    >>> from fractions import Fraction
    >>> from lossdsl.grammar.parser import read
    >>> from lossdsl.prover.terms import specialise
    >>> jets = Jets(specialise(read("(pred - label)^2").tree.root, Fraction(1), {}, score=False), {})
    >>> with precision(64, 3):
    ...     value = jets.at(arb_series([arb(0.5), 1]))
    >>> [float(value[k]) for k in range(3)]
    [0.25, -1.0, 1.0]
    """

    def __init__(
        self, terms: Terms, picks: Mapping[int, int], free: Mapping[str, tuple[fmpq, fmpq | None]] | None = None,
        root: int | None = None
    ) -> None:  # fmt: skip
        self.terms = terms
        self.picks = picks
        self.free = free or {}
        self.steps: list[Step] = []
        self._place: dict[int, int] = {}
        with precision(CONSTANT_BITS, LONGEST):
            self.result = self._compile(terms.root if root is None else root)

    def _compile(self, root: int) -> int:
        """The step that gives the root, after those that it needs; a stack, for formulas may be deep."""
        stack = [root]
        while stack:
            i = stack[-1]
            if i in self._place:
                stack.pop()
                continue
            term = self.terms.items[i]
            needed = self._needed(i, term)
            missing = [a for a in needed if a not in self._place]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            self._place[i] = self._step(i, term, [self._place[a] for a in needed])
        return self._place[root]

    def _needed(self, i: int, term: Term) -> tuple[int, ...]:
        sign = self.picks.get(i, 0)
        if term.op in ("max", "min"):
            return (term.args[0 if sign * (1 if term.op == "max" else -1) >= 0 else 1],)
        if term.op == "select":
            return (term.args[1 if holds(term.name, sign) else 2],)
        return () if term.op == "sign" else term.args

    def _step(self, i: int, term: Term, args: list[int]) -> int:
        op = term.op
        if op in ("max", "min", "select") or (op == "abs" and self.picks.get(i, 0) >= 0):
            return args[0]
        constant: Any = None
        if op == "abs":
            op = "neg"
        elif op == "sign":
            op, constant = "const", arb_series([self.picks.get(i, 0)])
        elif op == "const":
            constant = arb_series([arb(term.value)])
        elif op == "free":
            low, high = self.free[term.name]
            op, constant = "const", arb_series([arb("nan") if high is None else arb(low).union(arb(high))])
        elif op == "power":
            assert term.value is not None
            if term.value.q == 1:
                op, constant = "whole", int(term.value.p)
            elif term.value == fmpq(1, 2):
                op = "sqrt"
            else:
                constant = arb_series([arb(term.value)])
        a, b = (*args, 0, 0)[:2]
        self.steps.append((op, a, b, constant))
        return len(self.steps) - 1

    def at(self, x: Any) -> Any:
        """The loss as a series, for a series x; raises ZeroDivisionError or ValueError where it is not analytic.

        Balls that hold a place where the loss is not analytic come out as not finite otherwise.
        """
        values: list[Any] = []
        for op, a, b, constant in self.steps:
            if op == "mul":
                values.append(values[a] * values[b])
            elif op == "add":
                values.append(values[a] + values[b])
            elif op == "const":
                values.append(constant)
            elif op == "x":
                values.append(x)
            elif op == "neg":
                values.append(-values[a])
            elif op == "inv":
                values.append(_ONE / values[a])
            elif op == "whole":
                values.append(power(values[a], constant))
            elif op == "log":
                values.append(values[a].log())
            elif op == "exp":
                values.append(values[a].exp())
            elif op == "sqrt":
                values.append(values[a].sqrt())
            elif op == "power":
                values.append((values[a].log() * constant).exp())
            elif op == "tower":
                values.append((values[a].log() * values[b]).exp())
            else:
                raise ValueError(op)
        return values[self.result]


with precision(CONSTANT_BITS, LONGEST):
    _ONE = arb_series([1])


def weighted(slope: Any, x: Any, score: bool, in_score: bool) -> Any:
    """A slope along the axis as the slope in score or in pred, on series."""
    if score == in_score:
        return slope
    if in_score:
        return slope * (x * (_ONE - x))
    return slope * ((_ONE + x.exp()) * (_ONE + (-x).exp()))


class Along:
    """A function of the axis as balls on boxes, made from series; `lost` says how many orders derivatives take away."""

    __slots__ = ("make", "lost")

    def __init__(self, make: Callable[[Any], Any], lost: int = 0) -> None:
        self.make = make
        self.lost = lost

    def on(self, box: arb, mirrored: bool, order: int, bits: int) -> list[arb] | None:
        """The function on a box of t, x being t or 1 - t, and its derivatives in t, each divided by its factorial.

        None where they are not finite.
        """
        with precision(bits, order + self.lost + 1):
            try:
                found = self.make(arb_series([1 - box, 1] if mirrored else [box, 1]))
            except (ZeroDivisionError, ValueError):
                return None
            # Beyond its length a series says 0, which is no statement about the function.
            if found.prec <= order:
                return None
            out = [found[k] for k in range(order + 1)]
            if not out[0].is_finite():
                return None
            if mirrored:
                out[1::2] = [-c for c in out[1::2]]
            return out


def slope_along(jets: Jets, score: bool, in_score: bool) -> Along:
    """The slope of a loss in score or in pred."""
    return Along(lambda x: weighted(jets.at(x).derivative(), x, score, in_score), 1)


def curve_along(jets: Jets, score: bool, in_score: bool) -> Along:
    """The derivative along the axis of the slope in score or in pred."""
    return Along(lambda x: weighted(jets.at(x).derivative(), x, score, in_score).derivative(), 2)


def mixed_along(first: tuple[fmpq, Jets | None], second: tuple[fmpq, Jets | None]) -> Along | None:
    """a f' + b g' for two losses, along their axis."""
    (a, f), (b, g) = first, second
    if f is None or g is None:
        return None
    with precision(CONSTANT_BITS, LONGEST):
        u, v = arb_series([arb(a)]), arb_series([arb(b)])
    return Along(lambda x: (u * f.at(x) + v * g.at(x)).derivative(), 1)
