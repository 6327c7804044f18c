"""Dead zones: stretches of pred on which the loss teaches nothing, exactly flat or too flat to matter."""

from __future__ import annotations

from math import exp, log

from flint import arb, fmpq

from lossdsl.prover.analysis import Analysis, Side
from lossdsl.prover.extremes import SlopeBalls
from lossdsl.prover.limits import Undecided
from lossdsl.prover.numeric import Chart, precision
from lossdsl.prover.places import readable
from lossdsl.prover.points import Point, between, float_of
from lossdsl.prover.verdict import PARAMETERS, at_label, method_of, proof, where
from lossdsl.report import REFUTED, Finding, Witness

FLAT = 1e-6
"""A slope in pred under this size is as good as none."""
LENGTH = 0.01
"""Only stretches of pred at least this long count."""
MARGIN = 0.004
"""The stretches next to the ends that need no look, being shorter than LENGTH."""
FINE = 0.003
COARSE = 0.07
"""From this length down the exact form is asked where the terms as written do not tell."""
MAX_BOXES = 600


def no_dead_zone(analysis: Analysis, parameters: PARAMETERS) -> Finding:
    """The slope is not zero, nor under 1e-6 in size, all over a stretch."""
    for side in analysis.distinct:
        for piece, slope in zip(side.pieces, side.slopes):
            if slope.is_zero:
                name = analysis.axis
                whole = f"from {name} = {readable(piece.low)} to {readable(piece.high)}"
                q = between(piece.low, piece.high)
                witness = Witness(where(side.label, name, str(q), parameters), "0", f"the slope is zero {whole}")
                detail = f"{at_label(analysis, side)}the loss is flat {whole}: nothing is learned there"
                return Finding("no_dead_zone", REFUTED, detail, method="exact algebra", witness=witness)
    for side in analysis.distinct:
        found = _Scan(analysis, side).run()
        if found is not None:
            low, high = found
            q = _rational(analysis, (low + high) / 2)
            witness = Witness(where(side.label, analysis.axis, str(q), parameters), "0",
                              f"the slope in pred is under 1e-6 from pred = {low:.4g} to {high:.4g}")  # fmt: skip
            detail = f"{at_label(analysis, side)}the slope is under 1e-6 from pred = {low:.4g} to {high:.4g}"
            return Finding("no_dead_zone", REFUTED, detail, method=method_of(analysis), witness=witness)
    return proof("no_dead_zone", analysis, "no stretch of pred is without a slope")


def _rational(analysis: Analysis, pred: float) -> fmpq:
    x = log(pred / (1 - pred)) if analysis.score else pred
    return fmpq(*(round(x * 2**20) / 2**20).as_integer_ratio())


class _Scan:
    """Boxes over pred at one label: where is the slope certainly large enough, where certainly too small?"""

    def __init__(self, analysis: Analysis, side: Side) -> None:
        self.analysis = analysis
        self.side = side
        self.large: list[tuple[float, float]] = [(0.0, 0.0), (1.0, 1.0)]
        self.small: list[tuple[float, float]] = []
        self.boxes = 0

    def run(self) -> tuple[float, float] | None:
        """A stretch that is too flat, or None if there is none."""
        slopes = self.analysis.slopes(self.side, False)
        for i, (piece, slope) in enumerate(zip(self.side.pieces, slopes)):
            low, high = max(self._pred(piece.low), MARGIN), min(self._pred(piece.high), 1 - MARGIN)
            if low < high:
                curve = SlopeBalls(self.analysis, self.side, i, slope, False)
                for a, b in ((low, min(high, 0.5)), (max(low, 0.5), high)):
                    if a < b:
                        self._boxes(curve, a, b)
        stretch: tuple[float, float] | None = None
        for a, b in sorted(self.small):
            stretch = (stretch[0], b) if stretch is not None and a <= stretch[1] else (a, b)
            if stretch[1] - stretch[0] >= LENGTH:
                return stretch
        at = 0.0
        for a, b in sorted(self.large):
            if a - at >= LENGTH:
                raise Undecided(f"whether the slope is under 1e-6 near pred = {(a + at) / 2:.4g}")
            at = max(at, b)
        return None

    def _pred(self, point: Point) -> float:
        if point.side:
            return 0.0 if point.side < 0 else 1.0
        x = float_of((point.low + point.high) / 2)
        if not self.analysis.score:
            return x
        return 1 / (1 + exp(-x)) if x > -700 else 0.0

    def _boxes(self, curve: SlopeBalls, low: float, high: float) -> None:
        signs = self.side.signs
        chart = signs.chart if self.analysis.score or high <= 0.5 else signs.mirrored
        stack = [(low, high)]
        with precision(64):
            while stack:
                a, b = stack.pop()
                self.boxes += 1
                signs.budget.spend()
                if self.boxes > MAX_BOXES:
                    return
                size = self._size(chart, curve, a, b)
                if b - a <= COARSE and (size is None or not (size > FLAT or size < FLAT)):
                    size = self._size(chart, curve, a, b, exact=True)
                if size is not None and size > FLAT:
                    self.large.append((a, b))
                elif size is not None and size < FLAT:
                    self.small.append((a, b))
                elif b - a > FINE:
                    m = a + (b - a) * 0.4921875
                    stack += [(m, b), (a, m)]
                else:
                    m = (a + b) / 2
                    size = self._size(chart, curve, m, m, exact=True)
                    if size is not None and size > FLAT:
                        self.large.append((m, m))

    def _size(self, chart: Chart, curve: SlopeBalls, a: float, b: float, exact: bool = False) -> arb | None:
        if self.analysis.score:
            t = arb(log(a / (1 - a))).union(arb(log(b / (1 - b))))
        elif chart.mirrored:
            t = arb(1 - b).union(arb(1 - a))
        else:
            t = arb(a).union(arb(b))
        found = curve.by_field(chart, t, 0, 64) if exact else curve.around(chart, t, 0, 64)
        return None if found is None else abs(found[0])
