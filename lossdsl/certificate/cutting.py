"""Cutting (0, 1) so that on each cell every kink is settled and every sign that matters is one.

The prover's own arithmetic and sign search do the work, on the verifier's spelling of the formula, in pred.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from flint import fmpq

from lossdsl.certificate.translation import Translation
from lossdsl.prover.field import Element, Field
from lossdsl.prover.limits import Budget, Undecided
from lossdsl.prover.points import ONE_END, ZERO_END, Point, compare, rational_point
from lossdsl.prover.signs import Signs
from lossdsl.verifier.terms import KINKED, Terms, holds

MAX_CELLS = 120


class Split(Exception):
    """The cell has to be cut at these points first."""

    def __init__(self, points: list[Point]) -> None:
        super().__init__("a cell has to be cut")
        self.points = points


@dataclass
class Values:
    """The terms of one label on one cell, as elements, with the branches that were taken and the parts of logs."""

    elements: list[Element] = field(default_factory=list)
    branches: dict[int, int] = field(default_factory=dict)
    parts: dict[int, list[Any]] = field(default_factory=dict)


@dataclass
class Slice:
    """One cell of the partition."""

    low: Point
    high: Point
    values: dict[int, Values]


class Cutter:
    """Finds the cells for all labels at once; `wanted` names the properties that need more cuts than the slopes do."""

    def __init__(
        self,
        terms: dict[int, Terms],
        hints: dict[object, int],
        wanted: frozenset[str],
        seconds: float | None,
        least: dict[int, Fraction],
        ranges: Mapping[str, tuple[Fraction, Fraction]],
    ) -> None:
        self.least = least
        self.terms = terms
        self.wanted = wanted
        budget = Budget(600_000, seconds)
        self.field = Field(hints, budget)
        self.signs = Signs(self.field, False, budget)
        self.translation = Translation(self.field, ranges)

    def run(self) -> list[Slice]:
        """The cells in order; raises `Undecided`."""
        done: list[Slice] = []
        half = rational_point(fmpq(1, 2))
        work = [(ZERO_END, ONE_END)]
        if "calibrated" in self.wanted:
            work = [(half, ONE_END), (ZERO_END, half)]
        while work:
            low, high = work.pop()
            if len(done) + len(work) > MAX_CELLS:
                raise Undecided("the loss has too many pieces")
            try:
                done.append(self._slice(low, high))
            except Split as split:
                places = [low, *split.points, high]
                work.extend(reversed(list(zip(places, places[1:]))))
        return done

    def _slice(self, low: Point, high: Point) -> Slice:
        values = {label: self._values(terms, low, high) for label, terms in self.terms.items()}
        roots = {label: v.elements[self.terms[label].root] for label, v in values.items()}
        slopes = {label: self.field.derivative(a) for label, a in roots.items()}
        for slope in slopes.values():
            try:
                self.sign(slope, low, high)
            except Undecided:
                # With a parameter that ranges the slope may have several signs, and be convex all the same.
                if not self.translation.table.ranges:
                    raise
        for label, m in self.least.items():
            below = self.field.constant(fmpq(m.numerator, m.denominator))
            self.sign(self.field.sub(roots[label], below), low, high)
        for make in self._more(slopes):
            try:
                self.sign(make(), low, high)
            except Undecided:
                continue
        return Slice(low, high, values)

    def _more(self, slopes: dict[int, Element]) -> list[Callable[[], Element]]:
        """What else should have one sign on each cell."""
        f = self.field
        out: list[Callable[[], Element]] = []
        weight = f.mul(f.x, f.sub(f.one, f.x))
        turn = f.sub(f.one, f.add(f.x, f.x))
        for slope in slopes.values():
            if "convex_pred" in self.wanted:
                out.append(lambda s=slope: f.derivative(s))  # type: ignore[misc]
            if "convex_score" in self.wanted:
                out.append(lambda s=slope: f.add(f.mul(f.derivative(s), weight), f.mul(s, turn)))  # type: ignore[misc]
        if len(slopes) == 2:
            zero, one = slopes[0], slopes[1]
            if "calibrated" in self.wanted:
                out.append(lambda: f.add(zero, one))
            if "proper_composite" in self.wanted:
                out.append(lambda: f.sub(f.mul(zero, f.derivative(one)), f.mul(f.derivative(zero), one)))
        return out

    def sign(self, a: Element, low: Point, high: Point) -> int:
        """The one sign of an element on a cell; raises `Split` where it has several."""
        self.signs.short = False
        parts = self.signs.of(a, low, high)
        if self.signs.short:
            raise Undecided("a sign is known on [1e-6, 1-1e-6] only")
        if len(parts) > 1:
            raise Split([p.high for p in parts[:-1]])
        return parts[0].sign

    def _values(self, terms: Terms, low: Point, high: Point) -> Values:
        out = Values()
        for i in range(len(terms.items)):
            out.elements.append(self._term(terms, i, out, low, high))
        return out

    def _term(self, terms: Terms, i: int, out: Values, low: Point, high: Point) -> Element:
        f = self.field
        term = terms.items[i]
        args = [out.elements[j] for j in term.args]
        if term.op in KINKED:
            branch = out.branches[i] = self.sign(args[0], low, high)
            return self._branch(term.op, term.name, branch, args)
        if term.op == "const":
            assert term.value is not None
            return f.constant(fmpq(term.value.numerator, term.value.denominator))
        if term.op == "x":
            return f.x
        if term.op == "free":
            return self.translation.free(term.name)
        if term.op == "add":
            return f.add(*args)
        if term.op == "mul":
            return f.mul(*args)
        if term.op == "neg":
            return f.neg(args[0])
        if term.op == "whole":
            assert term.value is not None
            return f.power(args[0], int(term.value))
        if term.op == "inv":
            if self.sign(args[0], low, high) == 0:
                raise Undecided("a division by zero")
            return f.inverse(args[0])
        if term.op == "exp":
            value = f.exp(args[0])
            out.parts[i] = [self._parts(value, low, high), []]
            return value
        return self._log_or_power(term.op, term.value, args[0], i, out, low, high)

    def _log_or_power(
        self, op: str, q: Fraction | None, a: Element, i: int, out: Values, low: Point, high: Point
    ) -> Element:
        found = self.sign(a, low, high)
        if op == "power" and found == 0 and q is not None and q > 0:
            return self.field.zero
        if found != 1:
            raise Undecided("the argument of a log or a power is not positive")
        log = self.field.log(a, self.signs.sign_on(low, high))
        if op == "log":
            out.parts[i] = [self._parts(a, low, high), []]
            return log
        assert q is not None
        value = self.field.exp(self.field.mul(self.field.constant(fmpq(q.numerator, q.denominator)), log))
        out.parts[i] = [self._parts(a, low, high), self._parts(value, low, high)]
        return value

    def _parts(self, a: Element, low: Point, high: Point) -> list[list[Any]]:
        return self.translation.parts(a, self.signs.sign_on(low, high))

    def _branch(self, op: str, relation: str, branch: int, args: list[Element]) -> Element:
        if op == "abs":
            return self.field.neg(args[0]) if branch < 0 else args[0]
        if op == "sign":
            return self.field.constant(fmpq(branch))
        if op == "max":
            return args[1] if branch >= 0 else args[2]
        if op == "min":
            return args[2] if branch >= 0 else args[1]
        return args[1] if holds(relation, branch) else args[2]


def separated(points: list[Point]) -> None:
    """Tightens brackets until no two points share one."""
    for a, b in zip(points, points[1:]):
        if compare(a, b) >= 0:
            raise Undecided("the cuts are out of order")
