"""A text for the slopes of a loss that is the same for losses that train the same, whatever way they are written.

Slopes are taken along pred and divided by one positive number, the same for every label; kernels are named by what they
are of, so that the order in which they were met does not show. Equal keys prove equal slopes; unequal ones prove
nothing, for that `fingerprint` compares values.
"""

from __future__ import annotations

from fractions import Fraction
from hashlib import sha256
from math import exp

from flint import arb, fmpq

from lossdsl.prover.analysis import Analysis, Side
from lossdsl.prover.constants import Substitution, number_sign
from lossdsl.prover.field import Element, Field, RetryWithRoot
from lossdsl.prover.limits import Undecided
from lossdsl.prover.numeric import Chart, precision
from lossdsl.prover.places import PROBES
from lossdsl.prover.points import Point, between, float_of, rational_point
from lossdsl.prover.polynomials import GENERATORS, NIL, RING, UNIT, Poly, Powers, X, sparse_terms

Monomial = tuple[tuple[str, str], ...]
Row = tuple[Fraction, str, str, Element]
"""Label, low and high end of a stretch as text, and the slope in pred there."""
FINGERPRINT_PLACES = tuple(q + fmpq(1, 997) for q in PROBES[:9])


class Names:
    """Texts for kernels and polynomials of one field."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self._kernels: dict[int, tuple[str, int]] = {}
        self._powers: dict[tuple[int, int], tuple[str, str]] = {}
        # A polynomial stays alive as long as it is known here, so that its id stays its own.
        self._terms: dict[int, tuple[Poly, list[tuple[Monomial, int]]]] = {}

    def kernel(self, i: int) -> tuple[str, int]:
        """What a kernel is a power of, and the denominator of that power."""
        found = self._kernels.get(i)
        if found is None:
            kernel = self.field.kernels[i]
            if kernel.kind == "exp":
                assert kernel.inner is not None
                order = self.field.order_of(i)
                inner = self.field.mul(self.field.constant(fmpq(order)), kernel.inner)
                found = f"exp[{self.element(inner)}]", order
            elif kernel.kind == "root":
                found = f"pow[{self.poly(kernel.poly)}]", kernel.n
            else:
                found = f"log[{self.poly(kernel.poly)}]", 1
            self._kernels[i] = found
        return found

    def power(self, i: int, exponent: int) -> tuple[str, str]:
        """A power of a kernel, as what it is a power of and the exponent."""
        found = self._powers.get((i, exponent))
        if found is None:
            name, order = self.kernel(i)
            found = self._powers[i, exponent] = name, str(Fraction(exponent, order))
        return found

    def terms(self, f: Poly) -> list[tuple[Monomial, int]]:
        known = self._terms.get(id(f))
        if known is None or known[0] is not f:
            out = []
            for e, powers, c in sparse_terms(f):
                factors = [self.power(i, k) for i, k in powers]
                if e:
                    factors.append(("x", str(e)))
                factors.sort()
                out.append((tuple(factors), c))
            out.sort()
            known = self._terms[id(f)] = f, out
        return known[1]

    def poly(self, f: Poly) -> str:
        return _written(self.terms(f))

    def element(self, a: Element) -> str:
        """n/d with the sign settled on the first term of d."""
        n, d = self.terms(a.n), self.terms(a.d)
        if d[0][1] < 0:
            n, d = [(m, -c) for m, c in n], [(m, -c) for m, c in d]
        return f"({_written(n)})/({_written(d)})"


def _written(terms: list[tuple[Monomial, int]]) -> str:
    return "+".join(f"{c}" + "".join(f"*{name}^{e}" for name, e in m) for m, c in terms) or "0"


def rows(analysis: Analysis) -> tuple[Names, list[Row]]:
    """The slopes in pred of each label, stretch by stretch, in one field over pred, with the names of its kernels."""
    if analysis.short:
        raise Undecided("the pieces are not known up to the ends")
    hints: dict[object, int] = dict(analysis.field.hints)
    for _ in range(8):
        try:
            return _rows(analysis, hints)
        except RetryWithRoot as retry:
            hints = {**hints, retry.key: retry.n}
    raise Undecided("the exact form needs too many different roots")


def _rows(analysis: Analysis, hints: dict[object, int]) -> tuple[Names, list[Row]]:
    moved = _Moved(analysis, hints) if analysis.score else None
    field = analysis.field if moved is None else moved.field
    out: list[Row] = []
    names = Names(field)
    for side in analysis.sides:
        last: Row | None = None
        for piece, slope in zip(side.pieces, side.slopes):
            carried = slope if moved is None else moved.slope(slope, piece.low, piece.high)
            high = _place(names, piece.high, moved)
            if last is not None and last[3].same(carried):
                out[-1] = last = (side.label, last[1], high, carried)
                continue
            low = last[2] if last is not None else "0"
            last = (side.label, low, high, carried)
            out.append(last)
    return names, out


class _Moved:
    """Elements over score as elements over pred."""

    def __init__(self, analysis: Analysis, hints: dict[object, int]) -> None:
        self.source = analysis.field
        self.field = field = Field(hints, analysis.field.budget)
        rest = field.sub(field.one, field.x)
        logs = (field.log(share, lambda g: 1 if g == X else -1) for share in (field.x, rest))
        self.logit = field.sub(*logs)
        self.unweighted = field.inverse(field.mul(field.x, rest))
        self.chart: Chart | None = None
        # By the ends of a stretch, which are kept too, so that their ids stay theirs.
        self._along: dict[tuple[int, int], tuple[Point, Point, Substitution]] = {}

    def slope(self, slope: Element, low: Point, high: Point) -> Element:
        """A slope along score as a slope along pred."""
        return self.field.mul(self.element(slope, low, high), self.unweighted)

    def element(self, a: Element, low: Point, high: Point) -> Element:
        """An element on the stretch (low, high) of score."""
        kept = self._along.get((id(low), id(high)))
        if kept is None:
            kept = self._along[id(low), id(high)] = low, high, self._between(low, high)
        return kept[2](a)

    def _between(self, low: Point, high: Point) -> Substitution:
        def sign_of(g: Poly) -> int:
            if self.chart is None:
                self.chart = Chart(self.field)
            q = between(low, high)
            for bits in (64, 256, 1024):
                with precision(bits):
                    value = self.chart.poly_value(g, 1 / (1 + (-arb(q)).exp()))
                if value > 0 or value < 0:
                    return 1 if value > 0 else -1
            raise Undecided("a factor that cannot be told from zero")

        return Substitution(self.source, self.field, self.logit, sign_of)


def _place(names: Names, point: Point, moved: _Moved | None) -> str:
    """The end of a stretch as text: the polynomial that vanishes there, over pred, and about where."""
    q = point.rational
    if point.side:
        return "1" if point.side > 0 else "0"
    if q is not None and (moved is None or q == 0):
        return str(q) if moved is None else "1/2"
    vanishing = Element(point.vanishing, UNIT)
    about = point.ball()
    if moved is not None:
        near = fmpq(1, 10**6)
        ends = (q - near, q + near) if q is not None else (None, point.high + 1)
        low, high = (point if end is None else rational_point(end) for end in ends)
        vanishing = moved.element(vanishing, low, high)
        about = 1 / (1 + (-about).exp())
    content, factors = names.field.factor(vanishing.n)
    text = "|".join(sorted(names.poly(g if names.terms(g)[0][1] > 0 else -g) for g, _ in factors))
    return f"{text}@{float(about.mid()):.9e}"


def slope_text(analysis: Analysis) -> str:
    """The whole key as text; raises `Undecided`."""
    names, stretches = rows(analysis)
    field = names.field
    stretches = [(label, low, high, _plain_roots(field, slope)) for label, low, high, slope in stretches]
    unit = next((_leading(field, names, r[3]) for r in stretches if not r[3].is_zero), None)
    out = []
    for label, low, high, slope in stretches:
        if unit is not None and not slope.is_zero:
            slope = _plain_roots(field, field.mul(slope, field.inverse(unit)))
        out.append(f"{label} {low} {high} {names.element(slope)}")
    return "\n".join(out)


def slope_hash(analysis: Analysis) -> str:
    """The key, short."""
    return sha256(slope_text(analysis).encode()).hexdigest()[:32]


def _leading(field: Field, names: Names, a: Element) -> Element:
    """The size of the number in front of a slope: the ratio of the leading coefficients of n and d."""
    n, d = _leading_number(field, names, a.n), _leading_number(field, names, a.d)
    if n.is_constant() and d.is_constant():
        return field.constant(abs(fmpq(int(n.leading_coefficient()), int(d.leading_coefficient()))))
    ratio = field.quotient(n, d)
    sign = number_sign(field)
    return ratio if sign(ratio.n) * sign(ratio.d) > 0 else field.neg(ratio)


def _leading_number(field: Field, names: Names, f: Poly) -> Poly:
    """The coefficient, a number, of the first term in x and in the kernels that are no numbers."""
    fixed = [not _varies(field, i) for i in range(len(field.kernels))]
    groups: dict[Monomial, list[tuple[Powers, int]]] = {}
    for e, powers, c in sparse_terms(f):
        key = [names.power(i, k) for i, k in powers if not fixed[i]]
        key.append(("x", f"{e:03}"))
        key.sort()
        groups.setdefault(tuple(key), []).append((tuple((i, k) for i, k in powers if fixed[i]), c))
    total = NIL
    for powers, c in groups[min(groups)]:
        part = RING.constant(c)
        for i, k in powers:
            part = part * GENERATORS[i + 1] ** k
        total = total + part
    return total


def _varies(field: Field, i: int) -> bool:
    kernel = field.kernels[i]
    if kernel.kind == "exp":
        return kernel.inner is not None and field.value(kernel.inner) is None
    return not kernel.poly.is_constant()


def _plain_roots(field: Field, a: Element) -> Element:
    """Without square roots in the denominator, nor other roots as plain factors: there r^n = w offers choices."""
    n, d = a.n, a.d
    for i, kernel in enumerate(field.kernels if not d.is_one() else ()):
        if kernel.kind != "root" or not d.degrees()[i + 1]:
            continue
        root = GENERATORS[i + 1]
        lowest = min(int(m[i + 1]) for m in d.to_dict())
        if lowest:
            n, d = n * root ** (kernel.n - lowest), d * root ** (kernel.n - lowest)
        elif kernel.n == 2:
            parts: tuple[dict[tuple[int, ...], int], ...] = ({}, {})
            for m, c in d.to_dict().items():
                parts[int(m[i + 1]) % 2][(*m[: i + 1], 0, *m[i + 2 :])] = c
            mate = RING.from_dict(parts[0]) - RING.from_dict(parts[1]) * root
            n, d = n * mate, d * mate
        reduced = field.quotient(n, d)
        n, d = reduced.n, reduced.d
    return a if n is a.n else field.quotient(n, d)


# -- values, which only tell losses apart --------------------------------------------------------------------------


def fingerprint(analysis: Analysis, places: tuple[fmpq, ...] = FINGERPRINT_PLACES) -> list[arb]:
    """The slopes in pred at some places, label after label, as balls."""
    return [_slope_at(analysis, side, q) for side in analysis.sides for q in places]


def places_between_kinks(*analyses: Analysis) -> tuple[fmpq, ...]:
    """Fixed places, and one between each two neighbouring kinks of any of the losses."""
    kinks = [0.0, 1.0]
    for analysis in analyses:
        for side in analysis.sides:
            for joint in side.joints:
                x = float_of(joint.point.low)
                kinks.append(x if not analysis.score else 1 / (1 + exp(-x)) if x > -700 else 0.0)
    ordered = sorted(set(kinks))
    middles = [(a + b) / 2 for a, b in zip(ordered, ordered[1:]) if b - a > 1e-12]
    return (*FINGERPRINT_PLACES, *(fmpq(*m.as_integer_ratio()) for m in middles))


def _slope_at(analysis: Analysis, side: Side, q: fmpq) -> arb:
    with precision(256):
        t = (arb(q) / arb(1 - q)).log() if analysis.score else arb(q)
        scale = 1 / (arb(q) * arb(1 - q)) if analysis.score else arb(1)
        for piece, slope in zip(side.pieces, side.slopes):
            if (piece.low.side or t > piece.low.ball()) and (piece.high.side or t < piece.high.ball()):
                return scale * (arb(0) if slope.is_zero else analysis.signs.chart.value(slope, t))
    return arb("nan")


def differ(a: list[arb], b: list[arb]) -> bool:
    """True if no positive factor makes the two lists equal; False says nothing."""
    with precision(256):
        ratio: arb | None = None
        for u, v in zip(a, b):
            if not (u.is_finite() and v.is_finite()):
                continue
            if _apart(u) and v.is_zero() or _apart(v) and u.is_zero():
                return True
            if _apart(u) and ratio is None and _apart(v):
                ratio = v / u
                if ratio < 0:
                    return True
        if ratio is None:
            return False
        return any(_apart(v - ratio * u) for u, v in zip(a, b))


def _apart(v: arb) -> bool:
    return bool(v > 0 or v < 0)
