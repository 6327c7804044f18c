"""The sign of an element on an interval: the ladder of rules, cheapest first, each of them a proof.

1. the zero polynomial; a constant;
2. structure: all terms of one sign, given x > 0 (or 1 - x > 0) and the signs of the kernels;
3. factors: the roots of the factors in x alone, exactly;
4. slope: where that of the function falls to the rules above, it is monotone between the zeros of its slope;
5. ends: expansions that fix the sign next to 0 and 1, or next to the infinite ends of score;
6. boxes: balls around values and slopes between them, bisection of a bracketed root, an exact zero test of the
   rational that a bracket shrinks to.

What none of them decides raises `Undecided`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flint import arb, fmpq

from lossdsl.prover.borders import Border
from lossdsl.prover.constants import vanishes_at
from lossdsl.prover.ends import PRED_0, PRED_1, Ends
from lossdsl.prover.field import Element, Field
from lossdsl.prover.jets import Along
from lossdsl.prover.limits import Budget, Undecided
from lossdsl.prover.numeric import Chart, precision, sign_of_ball
from lossdsl.prover.places import inside as probes_between
from lossdsl.prover.points import Point, algebraic_roots, between, by_place, compare, rational_point
from lossdsl.prover.polynomials import (
    Poly,
    PolyKey,
    Sparse,
    mirrored_terms,
    only_x,
    poly_key,
    same_sign,
    sparse_terms,
    spread,
    univariate,
    univariate_mirrored,
)
from lossdsl.prover.rolle import zeros_by_slope
from lossdsl.prover.roots import Search

PRECISIONS = (64, 192, 640, 2048)
Balls = Callable[[], "Along | None"]
"""Makes what gives the balls around an element without the field, where that is wanted."""


@dataclass(frozen=True, slots=True)
class Part:
    """An open interval on which an element has one sign."""

    low: Point
    high: Point
    sign: int


class Signs:
    """Sign questions about the elements of one field on one axis.

    `short` turns True when an answer holds on [1e-6, 1-1e-6] only; whoever asks sets it back.
    """

    def __init__(self, field: Field, score: bool, budget: Budget) -> None:
        self.field = field
        self.score = score
        self.budget = budget
        self.chart = Chart(field)
        self.mirrored = Chart(field, mirrored=True)
        borders = {} if score else {PRED_0: Border(self.chart), PRED_1: Border(self.mirrored)}
        self.ends = Ends(field, budget, borders)
        self.short = False
        self.methods: set[str] = set()
        self._roots: dict[tuple[PolyKey, int, int], tuple[list[Point], bool]] = {}
        self._lost: dict[tuple[PolyKey, int, int], str] = {}
        self._kernel_signs: dict[tuple[int, int, int], int] = {}
        self._seen: list[Point] = []

    # -- public questions ------------------------------------------------------------------------------------------

    def of(self, a: Element, low: Point, high: Point, along: Balls | None = None) -> list[Part]:
        """The open intervals of one sign that make up (low, high); the element vanishes between them."""
        if a.is_zero:
            return [Part(low, high, 0)]
        value = self.field.value(a)
        if value is not None:
            return [Part(low, high, 1 if value > 0 else -1)]
        sign = self.structural(a.n, low, high)
        if sign is not None:
            below = 1 if a.d.is_one() else self.structural(a.d, low, high)
            if below is None:
                below = self.at_number(a.d, between(low, high))
            self.methods.add("structure")
            return [Part(low, high, sign * below)]
        if only_x(a.n) and univariate(a.n).degree() == 1:
            return self._of_linear(a, low, high)
        cuts: list[Point] = []
        for g, _ in self.field.factor(a.n)[1]:
            for root in self.roots(g, low, high, along):
                if not any(root is c or compare(root, c) == 0 for c in cuts):
                    cuts.append(root)
        if not cuts and self._unbounded():
            sign = self._by_factors(a, low, high)
            if sign is not None:
                return [Part(low, high, sign)]
        cuts.sort(key=by_place)
        places = [low, *cuts, high]
        parts = []
        for left, right in zip(places, places[1:]):
            sign = self.at_rational(a, between(left, right))
            if sign == 0:
                raise Undecided("a zero inside a piece that has none")
            parts.append(Part(left, right, sign))
        return parts

    def _of_linear(self, a: Element, low: Point, high: Point) -> list[Part]:
        """The parts where the numerator is c x + b."""
        self.methods.add("roots")
        line = univariate(a.n)
        (root,) = algebraic_roots(line)
        sign = 1 if line[1] > 0 else -1
        if not a.d.is_one():
            below = self.structural(a.d, low, high)
            sign *= self.at_number(a.d, between(low, high)) if below is None else below
        if compare(root, low) <= 0:
            return [Part(low, high, sign)]
        if compare(root, high) >= 0:
            return [Part(low, high, -sign)]
        return [Part(low, root, -sign), Part(root, high, sign)]

    def _unbounded(self) -> bool:
        """Whether some number ranges over a half-line, which no ball can hold."""
        return any(k.kind == "free" and k.high is None for k in self.field.kernels)

    def _by_factors(self, a: Element, low: Point, high: Point) -> int | None:
        """The sign of an element from the structure of its factors."""
        sign = 1
        for f in (a.n, a.d):
            content, factors = self.field.factor(f)
            sign *= 1 if content > 0 else -1
            for g, e in factors:
                part = self.structural(g, low, high)
                if part is None:
                    return None
                sign *= part if e % 2 else 1
        return sign

    def at(self, a: Element, point: Point) -> int:
        """The sign of an element at a place."""
        if a.is_zero:
            return 0
        q = point.rational
        if q is not None:
            return self.at_rational(a, q)
        return self._at_place(a.n, point) * (1 if a.d.is_one() else self._at_place(a.d, point))

    def at_rational(self, a: Element, q: fmpq) -> int:
        """The sign of an element at a rational, exactly."""
        sign = self.at_number(a.n, q)
        return sign if not sign or a.d.is_one() else sign * self.at_number(a.d, q)

    def find(self, a: Element, low: Point, high: Point, bad: int, along: Balls | None = None) -> fmpq | None:
        """A rational where the element has the sign `bad`; None is a proof that there is none.

        Looks at a few places before it searches for roots, which costs more.
        """
        if not (a.is_zero or only_x(a.n) or self.structural(a.n, low, high) is not None):
            for q in probes_between(low, high, self.score):
                self.budget.spend()
                try:
                    if sign_of_ball(self.value(a, rational_point(q), 64)) == bad:
                        return q
                except (ZeroDivisionError, ValueError):
                    continue
        for part in self.of(a, low, high, along):
            if part.sign == bad:
                return between(part.low, part.high)
        return None

    def at_number(self, f: Poly, q: fmpq) -> int:
        """The sign of a polynomial (in x and kernels) at a rational, exactly."""
        self.budget.spend()
        if f.is_constant():
            c = f.leading_coefficient()
            return (c > 0) - (c < 0)
        if only_x(f):
            value = univariate(f)(q)
            return int(value > 0) - int(value < 0)
        for bits in PRECISIONS:
            with precision(bits + _depth(q, self.score)):
                chart = self.mirrored if not self.score and q > fmpq(1, 2) else self.chart
                if bits == PRECISIONS[0]:
                    value = chart.poly_value(f, arb(1 - q) if chart.mirrored else arb(q))
                else:
                    value = chart.exactly(f, q)
                sign = sign_of_ball(value)
                if value.is_zero():
                    return 0
            if sign:
                return sign
            if bits == PRECISIONS[1] and vanishes_at(self.field, f, q, self.budget):
                return 0
        raise Undecided(f"a value at {q} that cannot be told from zero")

    def ball_sign(self, f: Poly, q: fmpq, bits: int) -> int | None:
        """The sign of a polynomial at a rational, if balls of this precision show it."""
        with precision(bits + _depth(q, self.score)):
            chart = self.mirrored if not self.score and q > fmpq(1, 2) else self.chart
            return sign_of_ball(chart.exactly(f, q))

    def _at_place(self, f: Poly, point: Point) -> int:
        if f.is_constant():
            c = f.leading_coefficient()
            return (c > 0) - (c < 0)
        if divmod(f, point.vanishing)[1].is_zero():
            return 0
        for bits in (128, 256, 512):
            with precision(bits):
                sign = sign_of_ball(self._ball(f, point))
            if sign:
                return sign
            if bits < 512:
                point.tighten()
        raise Undecided("a value at a kink that cannot be told from zero")

    def _ball(self, f: Poly, point: Point) -> arb:
        """A ball around the value of f at a place."""
        chart, t = self.locate(point)
        return chart.poly_value(f, t)

    def locate(self, point: Point) -> tuple[Chart, arb]:
        """The chart to look at a place with, and the place in it."""
        if not self.score and point.low > fmpq(1, 2):
            return self.mirrored, arb(1 - point.low).union(arb(1 - point.high)) if point.low != point.high else arb(
                1 - point.low
            )
        return self.chart, point.ball()

    def value(self, a: Element, point: Point, bits: int = 128) -> arb:
        """A ball around the value of an element at a place."""
        q = point.rational
        with precision(bits):
            if q is not None and only_x(a.n) and only_x(a.d):
                below = univariate(a.d)(q)
                return arb(univariate(a.n)(q) / below) if below else arb("nan")
            chart, t = self.locate(point)
            return chart.value(a, t)

    def sharp(self, a: Element, point: Point) -> arb:
        """A ball of small relative radius around the value of an element at a place."""
        for bits in (128, 256, 512):
            value = self.value(a, point, bits)
            if value.is_finite() and value.rel_accuracy_bits() > 24:
                break
            if point.rational is None:
                point.tighten()
        return value

    def sign_on(self, low: Point, high: Point) -> Any:
        """The sign of polynomials that have no zero in (low, high), for building logs and roots there."""
        q = low.rational if low is high else None

        def sign_of(g: Poly) -> int:
            nonlocal q
            if low is high and q is None:
                return self._at_place(g, low)
            if self._unbounded():
                sign = self.structural(g, low, high)
                if sign is not None:
                    return sign
            if q is None:
                q = between(low, high)
            return self.at_number(g, q)

        return sign_of

    # -- rule 2 ----------------------------------------------------------------------------------------------------

    def structural(self, f: Poly, low: Point, high: Point) -> int | None:
        """The sign of f if all its terms have that sign on (low, high); also tried in 1 - x."""
        x_sign = 1
        if self.score:
            x_sign = 1 if low.side == 0 and low.low >= 0 else -1 if high.side == 0 and high.high <= 0 else 0
        if x_sign > 0 and only_x(f):
            sign = same_sign(univariate(f))
            if sign is None and not self.score:
                sign = same_sign(univariate_mirrored(f))
            if sign is not None or self.score or not self._unbounded():
                return sign
        sign = self._one_sign(sparse_terms(f), x_sign, low, high)
        if sign is None and not self.score and f.degrees()[0]:
            sign = self._one_sign(mirrored_terms(f), 1, low, high)
            if sign is None and self._unbounded():
                sign = self._one_sign(sparse_terms(spread(f)), 1, low, high)
        return sign

    def _one_sign(self, terms: Sparse, x_sign: int, low: Point, high: Point) -> int | None:
        result, strict = 0, False
        for x_power, powers, c in terms:
            sign, weak = 1 if c > 0 else -1, False
            if x_sign <= 0 and x_power:
                if x_power % 2:
                    sign *= x_sign
                elif x_sign == 0:
                    sign = 0  # x^2 is zero at zero
            for i, e in powers:
                if sign:
                    k = self.kernel_sign(i, low, high)
                    sign *= k if e % 2 else abs(k)
                    weak = weak or self._may_vanish(i)
            if sign == 0 or (result and sign != result):
                return None
            result, strict = sign, strict or not weak
        # A number that may be zero lends its sign, but some other term has to keep the sum off zero.
        return result if strict else None

    def _may_vanish(self, i: int) -> bool:
        kernel = self.field.kernels[i]
        return kernel.kind == "free" and kernel.high is not None and kernel.low <= 0 <= kernel.high

    def kernel_sign(self, i: int, low: Point, high: Point) -> int:
        """1 or -1 where a kernel has that sign on (low, high), 0 where that is not known."""
        kernel = self.field.kernels[i]
        if kernel.kind == "free":
            return 1 if kernel.low >= 0 else -1 if kernel.high is not None and kernel.high <= 0 else 0
        if kernel.kind != "log":
            return 1
        key = (i, id(low), id(high))
        found = self._kernel_signs.get(key)
        if found is None:
            self._seen += [low, high]  # keeps the places alive, so that their ids stay theirs
            self._kernel_signs[key] = 0
            found = self._kernel_signs[key] = self._sign_of_log(kernel.poly, low, high)
        return found

    def _sign_of_log(self, g: Poly, low: Point, high: Point) -> int:
        f = g - 1
        if f.is_zero():
            return 0
        if f.is_constant():
            return 1 if f.leading_coefficient() > 0 else -1
        sign = self.structural(f, low, high)
        if sign is None and self._unbounded() and not only_x(f):
            return 0
        if sign is None and only_x(f):
            for h, _ in self.field.factor(f)[1]:
                if any(True for _ in self.inside(algebraic_roots(univariate(h)), low, high)):
                    return 0
            sign = self.at_number(f, between(low, high))
        return sign or 0

    # -- rules 3 to 5 ----------------------------------------------------------------------------------------------

    def inside(self, roots: list[Point], low: Point, high: Point) -> list[Point]:
        return [r for r in roots if compare(low, r) < 0 and compare(r, high) < 0]

    def roots(self, g: Poly, low: Point, high: Point, along: Balls | None = None) -> list[Point]:
        """All zeros in (low, high) of an irreducible polynomial in x and kernels.

        `along` gives balls around an element whose numerator the polynomial divides: it vanishes at all these zeros.
        """
        if only_x(g):
            self.methods.add("roots")
            return self.inside(algebraic_roots(univariate(g)), low, high)
        if self.structural(g, low, high) is not None:
            self.methods.add("structure")
            return []
        key = (poly_key(g), id(low), id(high))
        found = self._roots.get(key)
        if found is None:
            if key in self._lost:
                raise Undecided(self._lost[key])
            self._seen += [low, high]
            known = zeros_by_slope(self, g, low, high, Search(self, g, low, high))
            if known is not None:
                self._roots[key] = known, False
                return known
            try:
                found = self._roots[key] = Search(self, g, low, high, along() if along is not None else None).run()
            except Undecided as why:
                self._lost[key] = str(why)  # to search once more would end no better
                raise
        self.short = self.short or found[1]
        return found[0]


def _depth(q: fmpq, score: bool) -> int:
    """Extra bits for a place close to an end."""
    if score:
        return 0
    small = min(q, 1 - q)
    return 3 * int(small.q).bit_length() if small > 0 else 0
