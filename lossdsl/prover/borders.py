"""Leading terms at pred = 0 and pred = 1 where kernels are analytic there, or logs: read off, without expansions.

Next to such an end a polynomial is a sum of c * t^a * K1^e1 * K2^e2 ..., a kernel being a number in the limit or a log
of something that goes to zero. The lowest power of t leads, then the highest power of log t; where that coefficient is
certainly not zero, nothing else matters. All other questions are left to the expansions of `ends`.
"""

from __future__ import annotations

from typing import Any

from flint import arb, fmpq

from lossdsl.prover.field import Element
from lossdsl.prover.numeric import Chart, power, sign_of_ball
from lossdsl.prover.polynomials import Poly, only_x, univariate, univariate_mirrored

Lead = tuple[int, int, Any]
"""The power of t, the power of log t, and the coefficient as a ball that is not around zero."""
Limit = tuple[int, Any]
"""What a kernel tends to: (0, value), or (1, c) for c log t and less."""


class Border:
    """Leading terms at t = 0 of a chart."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self._limits: dict[int, Limit | None] = {}

    def element(self, a: Element) -> Lead | None:
        """The leading term of an element; None where it takes more than a look."""
        above = self.polynomial(a.n)
        if above is None or a.d.is_one():
            return above
        below = self.polynomial(a.d)
        if below is None:
            return None
        return above[0] - below[0], above[1] - below[1], above[2] / below[2]

    def polynomial(self, f: Poly) -> Lead | None:
        """The leading term of a polynomial."""
        if only_x(f):
            return self._of_x(f)
        rows = self.chart.plan(f)[0]
        if not rows:
            return None
        lowest = min(low for _, _, low, _ in rows)
        sums: dict[int, Any] = {}
        for coefficients, _, low, powers in rows:
            c, logs = coefficients[-1], 0
            for i, e in powers:
                known = self._limit(i)
                if known is None:
                    return None  # it may outgrow every power of t
                c = c * power(known[1], e)
                logs += known[0] * e
            if low == lowest:
                sums[logs] = sums[logs] + c if logs in sums else c
        top = max(sums)
        return (lowest, top, sums[top]) if sign_of_ball(sums[top]) else None

    def _of_x(self, f: Poly) -> Lead:
        row = univariate_mirrored(f) if self.chart.mirrored else univariate(f)
        for e, c in enumerate(row.coeffs()):
            if c != 0:
                return e, 0, arb(c)
        raise ValueError("zero has no leading term")

    def _limit(self, i: int) -> Limit | None:
        if i not in self._limits:
            self._limits[i] = None
            self._limits[i] = self._find(i)
        return self._limits[i]

    def _find(self, i: int) -> Limit | None:
        kernel = self.chart.field.kernels[i]
        if kernel.kind == "exp":
            assert kernel.inner is not None
            lead = self.element(kernel.inner)
            if lead is None or lead[0] < 0 or (lead[0] == 0 and lead[1] > 0):
                return None
            return 0, lead[2].exp() if lead[:2] == (0, 0) else arb(1)
        if kernel.kind == "free":
            return None
        lead = self.polynomial(kernel.poly)
        if lead is None or lead[1] or not lead[2] > 0:
            return None
        if kernel.kind == "log":
            return (1, arb(lead[0])) if lead[0] else (0, lead[2].log())
        if lead[0]:
            return 0, arb(0)
        return 0, lead[2].sqrt() if kernel.n == 2 else (lead[2].log() / kernel.n).exp()


def as_powers(lead: Lead) -> tuple[fmpq, int, Any]:
    """The power of t as a rational, which it is where roots are involved."""
    return fmpq(lead[0]), lead[1], lead[2]
