"""All zeros between two places of a function that is made of kernels: expansions at the ends, boxes between them.

A box is free of zeros if the ball around the function keeps off zero, as it stands or by the mean value theorem. Where
the slope keeps its sign there is one zero at most: it is bracketed, narrowed by interval Newton steps, and exchanged
for a rational if one of short denominator is exactly zero.
"""

from __future__ import annotations

from fractions import Fraction
from math import inf, log2, nextafter, sqrt
from typing import TYPE_CHECKING, Any

from flint import arb, arb_series, fmpq

from lossdsl.prover.constants import vanishes_at
from lossdsl.prover.ends import PRED_0, PRED_1, SCORE_HIGH, SCORE_LOW, End
from lossdsl.prover.jets import Along
from lossdsl.prover.limits import MAX_BOXES, Undecided
from lossdsl.prover.numeric import Chart, precision, sign_of_ball
from lossdsl.prover.points import Point, compare, float_of, rational_point, simplest_between
from lossdsl.prover.polynomials import Poly, poly_key

if TYPE_CHECKING:
    from lossdsl.prover.signs import Signs

SHORT = 1e-6
"""Where a sign next to an open end cannot be shown, the rest of the axis begins here, in pred."""
SHORT_SCORE = 13.9
PATIENCE = 4
THINNEST = 2.0**-44
EASY = 24
"""After so many boxes each one that resists is looked at with a Taylor formula of this order, too."""
HIGH = 6
CREDIT, GAIN = 12, 4
"""How often that may fail before it is given up, and how many more tries a success is worth."""


class Search:
    """The zeros of one polynomial between two places, by expansions at the ends and boxes between them."""

    def __init__(self, signs: Signs, g: Poly, low: Point, high: Point, along: Along | None = None) -> None:
        self.signs = signs
        self.g = g
        # Another function that vanishes where g does: g divides the numerator of its exact form.
        self.along = along
        self.missed = 0
        self.low = low
        self.high = high
        self.boxes = 0
        self.cost = 2 + len(g) // 3
        degrees = g.degrees()
        self.has_exp = any(k.kind == "exp" and degrees[i + 1] for i, k in enumerate(signs.field.kernels))
        self.short = False
        self.found: list[Point] = []
        self.credit = CREDIT
        self.around: tuple[float, float, tuple[int, ...]] = (inf, -inf, ())

    def run(self) -> tuple[list[Point], bool]:
        signs = self.signs
        if signs.score:
            t0 = self._score_edge(self.low, SCORE_LOW, -1)
            t1 = self._score_edge(self.high, SCORE_HIGH, 1)
            self._sweep(signs.chart, t0, t1, False)
        else:
            half = fmpq(1, 2)
            if self.low.low < half:
                t0 = self._edge(self.low, PRED_0, False)
                t1 = 0.5 if self.high.high > half else _outer(self.high.high, 1)
                self._sweep(signs.chart, t0, t1, False)
            if self.high.high > half:
                t0 = self._edge(self.high, PRED_1, True)
                t1 = 0.5 if self.low.low < half else _outer(1 - self.low.low, 1)
                self._sweep(signs.mirrored, t0, t1, True)
        signs.methods.add("boxes" if self.boxes else "ends")
        return signs.inside(self.found, self.low, self.high), self.short

    def _edge(self, point: Point, end: End, mirrored: bool) -> float:
        q = point.rational
        if q is not None and q == end.at:
            near = self.signs.ends.sign_near(self.g, end)
            if near is not None:
                return float(2.0 ** -near[1])
            self.short = True
            return SHORT
        return _outer(1 - point.high if mirrored else point.low, -1)

    def _score_edge(self, point: Point, end: End, side: int) -> float:
        if point.side == 0:
            return _outer(point.low if side < 0 else point.high, side)
        near = self.signs.ends.sign_near(self.g, end)
        if near is not None:
            return side * near[1] * 0.6931471805599454
        self.short = True
        return side * SHORT_SCORE

    def _flips_around(self, chart: Chart, a: float, b: float) -> tuple[int, ...]:
        """The exponentials that are large around the middle of a box; smaller boxes inside it ask once for all."""
        if not self.has_exp:
            return ()
        low, high, flips = self.around
        if not (low <= a and b <= high and b - a > (high - low) / 16):
            flips = self._flips(chart, arb(a / 2 + b / 2))
            self.around = a, b, flips
        return flips

    def _flips(self, chart: Chart, t: arb) -> tuple[int, ...]:
        try:
            return chart.flips(self.g, t) if self.has_exp else ()
        except (ZeroDivisionError, ValueError):
            return ()

    def _series(self, chart: Chart, t: arb, flips: tuple[int, ...]) -> Any:
        """A positive multiple of the function and its slope, the same multiple for the same `flips`."""
        x = arb_series([t, 1])
        try:
            return chart.scaled(self.g, x, flips)
        except (ZeroDivisionError, ValueError):
            return None

    def _sign(self, t: float, mirrored: bool) -> int:
        q = fmpq(*t.as_integer_ratio())
        return self.signs.at_number(self.g, 1 - q if mirrored else q)

    def _sweep(self, chart: Chart, t0: float, t1: float, mirrored: bool) -> None:
        if t0 >= t1:
            return
        stack = [(t0, t1)]
        self.around = inf, -inf, ()
        while stack:
            a, b = stack.pop()
            self.boxes += 1
            self.signs.budget.spend(self.cost)
            bits = 80 + (int(-2 * log2(a)) if 0 < a < 1 else 0)
            with precision(bits):
                box = arb(a).union(arb(b))
                if self.along is not None:
                    known = self._excluded(self.along, box, a, b, mirrored, bits)
                    self.missed += 1 if known is False else -1
                    if known:
                        continue
                    if known is None:
                        self._bracket(chart, a, b, mirrored)
                        continue
                    if self.missed > PATIENCE:
                        self.along = None  # where much cancels, the terms as written say little
                flips = self._flips_around(chart, a, b)
                v = self._series(chart, box, flips)
                if v is not None:
                    if sign_of_ball(v[0]):
                        continue
                    slope = v[1]
                    if sign_of_ball(slope):
                        self._bracket(chart, a, b, mirrored)
                        continue
                    if slope.is_finite():
                        middle = self._series(chart, arb(a / 2 + b / 2), flips)
                        if middle is not None and sign_of_ball(middle[0] + slope * (box - arb(a / 2 + b / 2))):
                            continue
                    if self.boxes > EASY and self.credit > 0:
                        self.credit -= 1
                        if self._far_from_zero(chart, a, b, flips, bits):
                            self.credit += GAIN
                            continue
                    if b - a < 1e-3 * max(abs(a), abs(b)) and self._touching(chart, a, b, mirrored):
                        continue
            # Distances from an end of pred are measured by themselves, scores by no less than a tiny amount.
            size = max(abs(a), abs(b), THINNEST) if self.signs.score else b
            if b - a < THINNEST * size or self.boxes > MAX_BOXES:
                if self._edge_germ(a, b, mirrored):
                    continue
                place = 1 - a if mirrored else a
                raise Undecided(
                    f"the sign near {'score' if self.signs.score else 'pred'} = {place:.6g} ({self.boxes} boxes)"
                )
            m = _split(a, b, self.signs.score)
            stack.append((m, b))
            stack.append((a, m))

    def _far_from_zero(self, chart: Chart, a: float, b: float, flips: tuple[int, ...], bits: int) -> bool:
        """Whether Taylor's formula of high order keeps the function off zero: for differences of nearly equal things.

        Where x - sin x is looked at near 0, say, a slope as a ball is all rounding, however small the box.
        """
        m = a / 2 + b / 2
        with precision(bits, HIGH + 1):
            wide = self._series(chart, arb(a).union(arb(b)), flips)
            middle = self._series(chart, arb(m), flips)
            if wide is None or middle is None or wide.prec <= HIGH or middle.prec <= HIGH:
                return False
            step = arb(a).union(arb(b)) - arb(m)
            rest = wide[HIGH]
            for k in range(HIGH - 1, 0, -1):
                rest = middle[k] + rest * step
            return bool(sign_of_ball(middle[0] + rest * step))

    def _excluded(self, along: Along, box: arb, a: float, b: float, mirrored: bool, bits: int) -> bool | None:
        """True: no zero in the box. None: one at most, and a simple one. False: nothing is known."""
        v = along.on(box, mirrored, 1, bits)
        if v is None:
            return False
        if sign_of_ball(v[0]):
            return True
        if sign_of_ball(v[1]):
            return None
        m = a / 2 + b / 2
        middle = along.on(arb(m), mirrored, 0, bits)
        return middle is not None and bool(sign_of_ball(middle[0] + v[1] * (box - arb(m))))

    def _edge_germ(self, a: float, b: float, mirrored: bool) -> bool:
        """Whether the box lies next to a rational end of the piece, where an expansion proves one sign."""
        for point, way in ((self.low, 1), (self.high, -1)):
            q = point.rational
            if q is None:
                continue
            t = float_of(1 - q if mirrored else q)
            if a <= t <= b:
                near = self.signs.ends.sign_near(self.g, End("plain", q, way))
                return near is not None and 2.0 ** -near[1] > b - a
        return False

    def _bracket(self, chart: Chart, a: float, b: float, mirrored: bool) -> None:
        """The function is strictly monotone on [a, b]: finds its zero there, if it has one."""
        left, right = self._sign(a, mirrored), self._sign(b, mirrored)
        if left == 0 or right == 0:
            self._add(rational_point(_place(a if left == 0 else b, mirrored)))
            return
        if left == right or self._beyond(a, b, mirrored, left, right):
            return
        outer = sorted((_place(a, mirrored), _place(b, mirrored)), key=_order)
        a, b = self._newton(chart, a, b, mirrored, left)
        low, high = sorted((_place(a, mirrored), _place(b, mirrored)), key=_order)
        width = max(high - low, fmpq(1, 2**60))
        guess = simplest_between(low - width, high + width)
        if guess.q <= 10**6 and outer[0] < guess < outer[1] and self._is_zero(guess):
            self._add(rational_point(guess))
            return
        key = ("bracket", poly_key(self.g), float_of(low))
        point = Point(low, high, self.g, key, tighten=self._tightener())
        point.outer = outer[0], outer[1]
        self._add(point)

    def _beyond(self, a: float, b: float, mirrored: bool, left: int, right: int) -> bool:
        """Whether a box reaches over an end of the piece and its zero lies on that end or beyond it."""
        for point, inner in ((self.low, left if mirrored else right), (self.high, right if mirrored else left)):
            q = point.rational
            if q is not None:
                t = 1 - q if mirrored else q
                if fmpq(*a.as_integer_ratio()) <= t <= fmpq(*b.as_integer_ratio()):
                    # Monotone as it is, the function has its zero inside only if the sign at the end is the other one.
                    if self.signs.at_number(self.g, q) in (0, inner):
                        return True
        return False

    def _newton(self, chart: Chart, a: float, b: float, mirrored: bool, left: int) -> tuple[float, float]:
        """A narrower interval around the only zero, in m - f(m)/f'([a, b]); by halves where that does not help."""
        for _ in range(60):
            if b - a < 1e-15 * max(abs(a), abs(b)):
                break
            self.boxes += 1
            self.signs.budget.spend(2)
            m = (a + b) / 2
            low, high = a, b
            with precision(128):
                wide, middle = self._both(chart, a, m, b, mirrored)
                if wide is not None and middle is not None and sign_of_ball(wide[1]):
                    root = arb(m) - middle[0] / wide[1]
                    low, high = nextafter(float(root.lower()), -inf), nextafter(float(root.upper()), inf)
            low, high = max(a, low), min(b, high)
            if not high - low < (b - a) / 2:
                sign = self._sign(m, mirrored)
                low, high = (m, b) if sign == left else (a, m) if sign else (m, m)
            a, b = low, high
        return a, b

    def _both(self, chart: Chart, a: float, m: float, b: float, mirrored: bool) -> tuple[Any, Any]:
        """Value and slope on [a, b] and at m, of one function that has the zero."""
        box = arb(a).union(arb(b))
        if self.along is not None:
            wide, middle = self.along.on(box, mirrored, 1, 128), self.along.on(arb(m), mirrored, 0, 128)
            if wide is not None and middle is not None and sign_of_ball(wide[1]):
                return wide, middle
        flips = self._flips(chart, arb(m))
        return self._series(chart, box, flips), self._series(chart, arb(m), flips)

    def _tightener(self) -> Any:
        signs, g = self.signs, self.g

        def tighten(point: Point) -> None:
            if point.bits > 384:
                raise Undecided("two places on the axis cannot be told apart")
            point.bits += 64
            left = signs.ball_sign(g, point.low, point.bits + 128)
            for _ in range(64):
                signs.budget.spend(self.cost)
                m = (point.low + point.high) / 2
                sign = signs.ball_sign(g, m, point.bits + 128)
                if not left or not sign:
                    raise Undecided("two places on the axis cannot be told apart")
                if sign == left:
                    point.low = m
                else:
                    point.high = m

        return tighten

    def _is_zero(self, q: fmpq) -> bool:
        return vanishes_at(self.signs.field, self.g, q, self.signs.budget)

    def _touching(self, chart: Chart, a: float, b: float, mirrored: bool) -> bool:
        """Whether the only zero in the box is a rational where the function touches zero without crossing it."""
        with precision(128, 3):
            v = self._series(chart, arb(a).union(arb(b)), self._flips(chart, arb(a)))
        if v is None or not sign_of_ball(v[2]):
            return False
        low, high = sorted((_place(a, mirrored), _place(b, mirrored)), key=_order)
        guess = simplest_between(low, high)
        field = self.signs.field
        if guess.q > 10**4 or not self._is_zero(guess):
            return False
        slope = field.poly_slope(self.g)
        if not slope.is_zero and not vanishes_at(field, slope.n, guess, self.signs.budget):
            return False
        self._add(rational_point(guess))
        return True

    def _add(self, point: Point) -> None:
        if not any(compare(point, p) == 0 for p in self.found):
            self.found.append(point)


def _order(q: fmpq) -> Fraction:
    return Fraction(int(q.p), int(q.q))


def _place(t: float, mirrored: bool) -> fmpq:
    q = fmpq(*t.as_integer_ratio())
    return 1 - q if mirrored else q


def _outer(q: fmpq, way: int) -> float:
    """A float at q or just beyond it."""
    t = float_of(q)
    if fmpq(*t.as_integer_ratio()) == q:
        return t
    return nextafter(t, inf if way > 0 else -inf)


def _split(a: float, b: float, score: bool) -> float:
    """Where to cut a box: by ratio where it reaches down to the end, else a little off the middle."""
    if not score and b > 4 * a > 0:
        return sqrt(a) * sqrt(b)  # a*b may underflow
    m = a + 0.4921875 * (b - a)
    return m if a < m < b else (a + b) / 2
