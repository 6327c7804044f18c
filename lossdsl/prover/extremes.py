"""The largest size of a slope, as an upper bound that is right to four digits as a rule, and to two on a plateau.

Boxes are looked at one by one, the most promising first.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf, log

from flint import arb, arb_series, fmpq

from lossdsl.prover.analysis import Analysis, Side
from lossdsl.prover.ends import LADDER, End
from lossdsl.prover.field import Element
from lossdsl.prover.germs import NoGerm
from lossdsl.prover.jets import slope_along
from lossdsl.prover.limits import Undecided
from lossdsl.prover.numeric import Chart, precision, sign_of_ball
from lossdsl.prover.points import Point, float_of
from lossdsl.prover.polynomials import only_x

EDGE = 1e-6
"""The bound in pred holds from here on; in score, expansions bound what is closer to an end."""
TOLERANCE = 5e-5
PATIENCE = ((80, TOLERANCE), (120, 5e-4), (inf, 2e-2))
"""Up to how many boxes which share of the bound may be too much: on a plateau the last digits cost hundreds."""
MAX_BOXES = 160
NEWTON_STEPS = 8


def largest_slope(analysis: Analysis, in_score: bool) -> float:
    """An upper bound of the slope's size: in score on the whole axis, in pred on [1e-6, 1-1e-6]."""
    search = _Largest(analysis, in_score)
    for side in analysis.distinct:
        slopes = analysis.slopes(side, in_score)
        for i, slope in enumerate(slopes):
            if slope.is_zero:
                continue
            value = analysis.field.value(slope)
            if value is not None:
                search.seen(abs(arb(value)))
                continue
            if _turns_known(analysis, side, i, in_score):
                search.turning(side, i, slope)
                continue
            curve = SlopeBalls(analysis, side, i, slope, in_score)
            search.pieces.append((side, i, slope))
            # In score, a piece that does not reach an end is looked at whole, however near it comes.
            edges = [0.0, 0.0] if in_score else [EDGE, EDGE]
            for high in (False, True):
                if in_score and i == (len(slopes) - 1 if high else 0):
                    size, edges[high] = _near(analysis, slope, analysis.end(high))
                    search.bound(size)
            for chart, a, b in _stretches(analysis, side, i, edges[0], edges[1]):
                search.add(chart, curve, a, b)
    return search.run()


def limit(analysis: Analysis, a: Element, end: End) -> arb:
    """The limit of an element at an end of the axis, infinite ones too; raises `Undecided`."""
    if a.is_zero:
        return arb(0)
    lead = analysis.signs.ends.leading(a, end)
    if lead is None:
        raise Undecided(f"the limit at {_end_name(end)}")
    power, logs, c = lead
    c = arb(c)
    if power == 0 and logs == 0:
        return c
    if power > 0 or (power == 0 and logs < 0):
        return arb(0)
    return arb("inf") if (c > 0) == (logs % 2 == 0) else arb("-inf")


def _end_name(end: End) -> str:
    if end.kind == "log":
        return "score = -infinity" if end.way > 0 else "score = infinity"
    return f"pred = {end.at}"


def _near(analysis: Analysis, slope: Element, end: End) -> tuple[arb, float]:
    """A ball around all sizes of the slope closer to an end than some d, and the d."""
    for n in LADDER[1:]:
        expansion = analysis.signs.ends.expansion(end, n)
        with precision(192):
            try:
                germ = expansion.element(slope)
                size = abs(expansion.bound(germ))
                lead = germ.get((0, 0), fmpq(0))
                # Good enough when the constant term is nearly all, or when all is small.
                if size < TOLERANCE or size < abs(arb(lead)) * (1 + TOLERANCE):
                    return size, 2.0**-n
            except (NoGerm, ZeroDivisionError):
                continue
    raise Undecided("how steep the loss is next to an end")


def _stretches(analysis: Analysis, side: Side, i: int, left: float, right: float) -> list[tuple[Chart, float, float]]:
    """A piece, but for what is closer to pred = 0 than `left` or to 1 than `right`, as intervals of a chart."""
    piece, signs = side.pieces[i], analysis.signs
    if analysis.score:
        far = [log((1 - d) / d) * (1 + 1e-12) if d else inf for d in (left, right)]
        low, high = max(-far[0], _low(piece.low, -far[0])), min(far[1], _high(piece.high, far[1]))
        return [(signs.chart, low, high)] if low < high else []
    out = []
    low, high = max(left, _low(piece.low, left)), min(0.5, _high(piece.high, 1))
    if low < high:
        out.append((signs.chart, low, high))
    # In the mirrored chart distances are from pred = 1.
    low, high = max(right, float_of(1 - piece.high.low)), min(0.5, float_of(1 - piece.low.low))
    if low < high:
        out.append((signs.mirrored, low, high))
    return out


def _low(point: Point, far: float) -> float:
    return far if point.side else float_of(point.low)


def _high(point: Point, far: float) -> float:
    return far if point.side else float_of(point.high)


def _turns_known(analysis: Analysis, side: Side, i: int, in_score: bool) -> bool:
    """Whether it takes no search to say where a slope turns."""
    if analysis.bends_known(side, in_score, i):
        return True
    curve, piece = analysis.curves(side, in_score)[i], side.pieces[i]
    return only_x(curve.n) or analysis.signs.structural(curve.n, piece.low, piece.high) is not None


class SlopeBalls:
    """Balls around one slope, on points and on boxes: from the terms, or from the field where these do not serve."""

    def __init__(self, analysis: Analysis, side: Side, i: int, slope: Element, in_score: bool) -> None:
        self.slope = slope
        jets = side.jets(i)
        self.along = None if jets is None else slope_along(jets, analysis.score, in_score)

    def on(self, chart: Chart, a: float, b: float, order: int, bits: int = 80) -> list[arb] | None:
        """The slope on [a, b] of a chart, and its derivatives there, each divided by its factorial."""
        with precision(bits):
            box = arb(a) if a == b else arb(a).union(arb(b))
        return self.around(chart, box, order, bits)

    def around(self, chart: Chart, box: arb, order: int, bits: int = 80) -> list[arb] | None:
        """The same for a box that is a ball already."""
        if self.along is not None:
            found = self.along.on(box, chart.mirrored, order, bits)
            if found is not None:
                return found
        return self.by_field(chart, box, order, bits)

    def by_field(self, chart: Chart, box: arb, order: int, bits: int = 80) -> list[arb] | None:
        """The same from the exact form, where terms that cancel are gone."""
        with precision(bits, order + 1):
            try:
                slope = chart.sized(self.slope, arb_series([box, 1]) if order else box)
            except (ZeroDivisionError, ValueError):
                return None
            found = [slope[k] for k in range(order + 1)] if order else [slope]
            return found if found[0].is_finite() else None


class _Largest:
    """Boxes in a heap, the one with the largest bound on top."""

    def __init__(self, analysis: Analysis, in_score: bool) -> None:
        self.analysis = analysis
        self.in_score = in_score
        self.pieces: list[tuple[Side, int, Element]] = []
        self.best = 0.0
        self.heap: list[tuple[float, int, Chart, SlopeBalls, float, float]] = []
        self.count = 0
        self.floor = 0.0

    def seen(self, size: arb) -> None:
        """A value that is taken."""
        self.best = max(self.best, float(size.lower()))
        self.floor = max(self.floor, float(size.upper()))

    def bound(self, size: arb) -> None:
        """A bound of what no box looks at."""
        self.floor = max(self.floor, float(size.upper()))

    def add(self, chart: Chart, curve: SlopeBalls, a: float, b: float) -> None:
        self.analysis.signs.budget.spend(2)
        self.count += 1
        upper = self._upper(chart, curve, a, b)
        if upper > self.best:
            heappush(self.heap, (-upper, self.count, chart, curve, a, b))

    def _upper(self, chart: Chart, curve: SlopeBalls, a: float, b: float) -> float:
        v = curve.on(chart, a, b, 2)
        upper = inf
        if v is not None:
            upper = float(abs(v[0]).upper())
            if upper <= self.best:
                return 0.0
            if sign_of_ball(v[1]):
                ends = [curve.on(chart, t, t, 0) for t in (a, b)]
                if None not in ends:
                    for value in ends:
                        assert value is not None
                        self.seen(abs(value[0]))
                    return 0.0
            if sign_of_ball(v[2]):
                bound = self._one_turn(chart, curve, a, b)
                if bound is not None:
                    return bound
        m = a / 2 + b / 2
        middle = curve.on(chart, m, m, 1)
        if middle is not None:
            size = abs(middle[0])
            self.best = max(self.best, float(size.lower()))
            if v is not None:
                with precision(64):
                    half = arb(b - m).union(arb(m - a))
                    for rest in (abs(v[1]) * half, abs(middle[1]) * half + abs(v[2]) * half * half):
                        if rest.is_finite():
                            upper = min(upper, float((size + rest).upper()))
        return upper

    def _one_turn(self, chart: Chart, curve: SlopeBalls, a: float, b: float) -> float | None:
        """A bound where the slope is convex or concave in [a, b], so that it turns there once at most.

        It lies on one side of its tangent at any place, and on the other side of one of its ends: the best tangent is
        the one where it turns.
        """
        ends = [curve.on(chart, t, t, 0) for t in (a, b)]
        if ends[0] is None or ends[1] is None:
            return None
        m = a / 2 + b / 2
        bound = inf
        for _ in range(NEWTON_STEPS):
            w = curve.on(chart, m, m, 2)
            if w is None:
                return None
            self.best = max(self.best, float(abs(w[0]).lower()))
            with precision(64):
                reach = abs(w[1]) * arb(max(b - m, m - a))
                bound = min(bound, float((abs(w[0]) + reach).upper()))
            slope, bend = float(w[1].mid()), 2 * float(w[2].mid())
            if reach < abs(w[0]) * TOLERANCE * 0.1 or not bend:
                break
            m = min(b, max(a, m - slope / bend))
        for value in ends:
            assert value is not None
            self.seen(abs(value[0]))
        if bound > self.best * (1 + TOLERANCE):
            return bound  # the tangent is not yet the one where it turns: nearer to that place it will be
        self.floor = max(self.floor, bound)
        return 0.0

    def turning(self, side: Side, i: int, slope: Element) -> None:
        """Takes the largest size of one slope from the places where it turns, and from the ends of its piece."""
        signs, piece = self.analysis.signs, side.pieces[i]
        for part in self.analysis.bends(side, self.in_score, i)[:-1]:
            self.seen(abs(signs.sharp(slope, part.high)))
        for point, high in ((piece.low, False), (piece.high, True)):
            if not self._is_end(point):
                self.seen(abs(signs.sharp(slope, point)))
            elif self.in_score:
                self.seen(abs(limit(self.analysis, slope, self.analysis.end(high))))
            else:
                self._at_edge(slope, high)

    def _is_end(self, point: Point) -> bool:
        return point.side != 0 or (not self.analysis.score and point.rational in (fmpq(0), fmpq(1)))

    def _at_edge(self, slope: Element, high: bool) -> None:
        """The slope at pred = 1e-6 or 1 - 1e-6."""
        signs, tiny = self.analysis.signs, fmpq(1, 10**6)
        if self.analysis.score:
            edge = (arb(1 - tiny) / arb(tiny)).log()
            value = _size(signs.chart, slope, edge if high else -edge)
        else:
            value = _size(signs.mirrored if high else signs.chart, slope, arb(tiny))
        if value is None:
            raise Undecided("how steep the loss is at most")
        self.seen(value)

    def _by_bends(self) -> float:
        """Where boxes lose patience, on a plateau: a search for the places where the slopes turn."""
        for side, i, slope in self.pieces:
            self.turning(side, i, slope)
        return max(self.best, self.floor)

    def run(self) -> float:
        while self.heap:
            top = -self.heap[0][0]
            least = max(self.best, self.floor)
            tolerance = next(t for count, t in PATIENCE if self.count < count)
            if top <= least * (1 + tolerance) + 1e-12:
                return max(top, self.floor)
            if self.count > MAX_BOXES:
                return self._by_bends()
            _, _, chart, curve, a, b = heappop(self.heap)
            m = a**0.5 * b**0.5 if b > 4 * a > 0 else (a + b) / 2
            self.add(chart, curve, a, m)
            self.add(chart, curve, m, b)
        return max(self.best, self.floor)


def _size(chart: Chart, slope: Element, t: arb) -> arb | None:
    try:
        size = abs(chart.sized(slope, t))
    except (ZeroDivisionError, ValueError):
        return None
    return size if size.is_finite() else None
