"""Facts that find their own evidence: asked for a sign, they search for what the verifier will accept.

Nothing here has to be right: every piece of evidence is put to the verifier's own check before it is written.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from lossdsl.certificate.translation import Translation
from lossdsl.prover.limits import Undecided
from lossdsl.verifier import bernstein
from lossdsl.verifier.ends import sign_towards_end
from lossdsl.verifier.facts import Facts, box_sign
from lossdsl.verifier.intervals import Intervals, Unbounded, sign
from lossdsl.verifier.limits import Rejected
from lossdsl.verifier.points import END, START, Point, one_signed_slope
from lossdsl.verifier.polynomials import ONE, Poly, from_dense, variable

MAX_BOXES = 700
MAX_DEPTH = 5
MAX_PARTS = 64
ENDS = tuple(Fraction(1, 2**k) for k in (2, 4, 7, 12, 20, 32, 50, 80))


class Searching(Facts):
    """Facts of one cell; `rows` is what the certificate says of them."""

    def __init__(self, translation: Translation, left: Point, right: Point) -> None:
        super().__init__(translation.table, left, right)
        self.translation = translation
        self.rows: list[list[Any]] = []
        self.places: dict[Any, int] = {}
        self.depth = 0
        self._hopeless: set[Any] = set()
        self._open: set[Any] = set()

    def need(self, f: Poly, what: str) -> int:
        """The sign of f, with evidence found for it where there was none."""
        found = self.sign(f)
        if found is None:
            self.show(self.table.fold(f).primitive()[1])
            found = super().need(f, what)
        return found

    def lean(self, f: Poly, what: str) -> tuple[int, bool]:
        """The weak sign of f, with evidence found for it where there was none."""
        g = self.table.fold(f).primitive()[1]
        if g.constant is None and g.key not in self._signs and g.key not in self._weak:
            try:
                self.show(g)
            except Rejected:
                self._show_weakly(g)
        return super().lean(f, what)

    def _show_weakly(self, f: Poly) -> None:
        if f.key in self._open or self.depth > 40 or not self.table.ranges:
            return
        self._open.add(f.key)
        self.depth += 1
        try:
            self.define(f)
            any(evidence is not None and self._accepted(f, evidence, True) for evidence in self._weak_candidates(f))
        except Rejected:
            return
        finally:
            self.depth -= 1

    def _weak_candidates(self, f: Poly) -> Any:
        yield "exp"
        content, factors = self.translation.field.factor(self.translation.back(f))
        if len(factors) > 1 or factors[0][1] > 1:
            rows = []
            for g, e in factors:
                h = _primitive(self.translation.poly(g))
                self.lean(h, "a factor")
                rows.append([self.places[h.key], e])
            yield ["sum", [[int(content) * self._unit(factors), rows]]]
            return
        yield self._by_groups(f, weakly=True)
        yield self._by_coefficients(f)
        yield self._between_two(f)

    def _between_two(self, f: Poly) -> Any:
        """Linear in an exponential E that is not above 1: f is E f(1) + (1-E) f(0)."""
        for v in f.variables():
            if not v or self.table.items[v - 1].kind != "exp" or f.highest(v) != 1:
                continue
            parts = f.split(v)
            if 0 not in parts or 1 not in parts:
                continue
            rows = []
            for weight, g in ((variable(v), parts[0] + parts[1]), (ONE - variable(v), parts[0])):
                scale, rest = weight.primitive()
                content, other = g.primitive()
                if not g or not self._leans(rest):
                    break
                product = [[self.places[rest.key], 1]]
                if other.constant is None:
                    if not self._leans(other):
                        break
                    product.append([self.places[other.key], 1])
                rows.append([scale * content, product])
            else:
                return ["sum", rows]
        return None

    def _leans(self, f: Poly) -> int:
        try:
            return self.lean(f, "it")[0]
        except Rejected:
            return 0

    def _by_coefficients(self, f: Poly) -> Any:
        """Boxes on each of which the coefficients in Bernstein's form have one sign."""
        for v in f.variables():
            if v and self.table.items[v - 1].kind in ("exp", "root"):
                self._leans(variable(v) - ONE)
        small = frozenset(v for v in f.variables() if v and self._weakly(ONE - variable(v)) == 1)
        try:
            variables = bernstein.spread(self.table, f, self.left.low, self.right.high, small)
            work, done = [variables.whole], []
            while work:
                box = work.pop()
                if bernstein.sign_on(variables, box) is not None:
                    done.append(box)
                    continue
                if len(done) + len(work) > MAX_PARTS:
                    return None
                longest = max(
                    box,
                    key=lambda name: (
                        (box[name][1] - box[name][0]) / (variables.whole[name][1] - variables.whole[name][0])
                    ),
                )
                low, high = box[longest]
                work += [{**box, longest: ((low + high) / 2, high)}, {**box, longest: (low, (low + high) / 2)}]
        except Rejected:
            return None
        return ["bernstein", [{name: [str(a) for a in ends] for name, ends in box.items()} for box in done]]

    def show(self, f: Poly) -> int:
        """The number of the fact that f has a sign; `Rejected` where no evidence is found."""
        known = self.places.get(f.key)
        if known is not None and f.key in self._signs:
            return known
        if f.key in self._hopeless or self.depth > 40:
            raise Rejected("no evidence is found for a sign")
        self.depth += 1
        try:
            self.define(f)
            for evidence in self._candidates(f):
                if evidence is not None and self._accepted(f, evidence):
                    return self.places[f.key]
        finally:
            self.depth -= 1
        self._hopeless.add(f.key)
        raise Rejected(f"no evidence is found for the sign of {_short(f)}")

    def _accepted(self, f: Poly, evidence: Any, weak: bool = False) -> bool:
        try:
            found = self._show(f, evidence, weak)
        except (Rejected, Unbounded):
            return False
        if found not in (1, -1):
            return False
        self.places[f.key] = len(self.listed)
        self._keep(f, found, weak)
        self.rows.append([str(f), found, evidence, *(["weak"] if weak else [])])
        return True

    def _candidates(self, f: Poly) -> Any:
        """Kinds of evidence to try, cheapest first."""
        if len(f.terms) == 1 and f.degree == 1 and len(f.variables()) == 1 and f.variables() != [0]:
            kind = self.table.items[f.variables()[0] - 1].kind
            if kind == "range":
                yield ["pieces", [], ["box"]]
                return
            if kind != "log":
                yield "positive"
                return
            self._try(self.table.items[f.variables()[0] - 1].n - ONE)
            yield "log"
            yield self._by_pieces(f)
            return
        content, factors = self.translation.field.factor(self.translation.back(f))
        if len(factors) > 1 or factors[0][1] > 1:
            rows = [[self.show(_primitive(self.translation.poly(g))), e] for g, e in factors]
            yield ["sum", [[int(content) * self._unit(factors), rows]]]
            return
        if f.variables() == [0]:
            yield "sturm"
            return
        if self.table.ranges:
            yield "exp"
        yield self._by_groups(f)
        yield ["pieces", [], ["box"]]
        if self.table.ranges:
            yield self._by_groups(f, weakly=True)
            yield self._by_coefficients(f)
            yield self._between_two(f)
            if self.value(f) is None:
                return
        yield self._by_derivative(f)
        yield self._by_pieces(f)

    def _unit(self, factors: list[Any]) -> int:
        unit = 1
        for g, e in factors:
            if self.translation.poly(g).primitive()[0] < 0 and e % 2:
                unit = -unit
        return unit

    def _try(self, f: Poly) -> int | None:
        content, g = f.primitive()
        if g.constant is not None:
            return (content > 0) - (content < 0)
        try:
            place = self.show(g)
        except (Rejected, Unbounded, Undecided):
            return None
        return self.listed[place][1] * (1 if content > 0 else -1)

    def value(self, f: Poly, x: Fraction | None = None) -> int | None:
        """The sign of f at one place, not proved for any other."""
        arithmetic = Intervals(160)
        try:
            return sign(self.table.on(arithmetic.rational(self.middle if x is None else x), arithmetic).poly(f))
        except Unbounded:
            return None

    # -- all terms of one sign ---------------------------------------------------------------------------------------

    def _by_groups(self, f: Poly, weakly: bool = False) -> Any:
        """f by monomials in the kernels, with coefficients in x that have one sign each, all the products the same."""
        groups: dict[int, dict[int, int]] = {}
        for m, c in f.terms.items():
            power = m & 0xFFFFF
            groups.setdefault(m - power, {})[power] = c
        wanted = None if weakly else self.value(f)
        sign_of = self._leans if weakly else self._try
        rows = []
        for kernels, row in groups.items():
            content, g = from_dense([row.get(i, 0) for i in range(max(row) + 1)]).primitive()
            product = Poly({kernels: 1}, f.degree)
            s = self.value(g * product)
            if not weakly and (not wanted or s is None or s * (1 if content > 0 else -1) != wanted):
                return None
            parts = []
            if g.constant is None:
                if not sign_of(g):
                    return None
                parts.append([self.places[g.key], 1])
            for v in product.variables():
                if not sign_of(variable(v)):
                    return None
                parts.append([self.places[variable(v).key], product.highest(v)])
            rows.append([content, parts])
        return ["sum", rows]

    # -- by the derivative -------------------------------------------------------------------------------------------

    def _by_derivative(self, f: Poly) -> Any:
        if self.depth > MAX_DEPTH:
            return None
        top, _ = self.table.slope(f)
        wanted, way = self.value(f), self.value(top)
        if not wanted or not way or any(self.value(top, x) == -way for x in self._probes()):
            return None
        side = "left" if way == wanted else "right"
        # The end first: it costs nothing, and the derivative may cost a search.
        found = self._towards(f, self.left if side == "left" else self.right)
        if found is None or found == -wanted or self._try(top) is None:
            return None
        return ["monotone", side]

    def _probes(self) -> list[Fraction]:
        low, high = self.left.high, self.right.low
        width = high - low
        near = [low + width * t for t in (Fraction(1, 3), Fraction(2, 3), Fraction(1, 50), Fraction(49, 50))]
        if low == 0:
            near += [high * t for t in (Fraction(1, 10**4), Fraction(1, 10**9))]
        if high == 1:
            near += [1 - (1 - low) * t for t in (Fraction(1, 10**4), Fraction(1, 10**9))]
        return near

    # -- piece by piece ----------------------------------------------------------------------------------------------

    def _by_pieces(self, f: Poly) -> Any:
        wanted = self.value(f)
        if not wanted or any(self.value(f, x) == -wanted for x in self._probes()):
            return None
        first, last = self._first(f, self.left, True), self._first(f, self.right, False)
        if first is None or last is None:
            return None
        (start, rule), (stop, end_rule) = first, last
        if start >= stop:
            # The two ends meet: give each its half.
            return ["pieces", [_text(self.middle)], [rule, end_rule]]
        inner = self._boxes(f, start, stop, wanted)
        if inner is None:
            return None
        cuts = ([] if rule == "box" else [start]) + inner + ([] if end_rule == "box" else [stop])
        rules = ["box"] * (len(inner) + 1)
        rules = ([] if rule == "box" else [rule]) + rules + ([] if end_rule == "box" else [end_rule])
        return ["pieces", [_text(c) for c in cuts], rules]

    def _first(self, f: Poly, end: Point, at_left: bool) -> tuple[Fraction, str] | None:
        """How the piece next to an end is shown, and how far it reaches."""
        room = self.right.low - self.left.high
        if end in (START, END):
            for d in ENDS:
                if d < room / 2 and self._settled(f, d, end == END):
                    return (d if at_left else 1 - d), "end"
            return end.low, "box"
        if self._zero_at(f, end):
            outer = end.low if at_left else end.high
            reach = room / 3
            for _ in range(40):
                far = _simple(end.high + reach, reach) if at_left else _simple(end.low - reach, reach)
                if one_signed_slope(self.table, f, *sorted((outer, far))):
                    return far, "root"
                reach /= 3
            return None
        return (end.low if at_left else end.high), "box"

    def _settled(self, f: Poly, d: Fraction, at_one: bool) -> bool:
        try:
            return sign_towards_end(self.table, f, d, at_one) != 0
        except (Rejected, Unbounded):
            return False

    def _boxes(self, f: Poly, start: Fraction, stop: Fraction, wanted: int) -> list[Fraction] | None:
        """Cuts between which intervals show the sign."""
        cuts: list[Fraction] = []
        stack = [(start, stop)]
        count = 0
        while stack:
            low, high = stack.pop()
            count += 1
            found = box_sign(self.table, f, low, high)
            if found == wanted:
                if low != start:
                    cuts.append(low)
                continue
            if found == -wanted or count > MAX_BOXES or high - low < Fraction(1, 2**90):
                return None
            cut = _between(low, high)
            stack += [(cut, high), (low, cut)]
        return cuts


def _between(low: Fraction, high: Fraction) -> Fraction:
    """A short number about half-way, on the scale of the distance to 0 or to 1."""
    if low > 0 and high > 4 * low and high <= Fraction(1, 2):
        return _simple(low * _power_of_two(high / low), low)
    if high < 1 and 1 - low > 4 * (1 - high) and low >= Fraction(1, 2):
        return 1 - _between(1 - high, 1 - low)
    return _simple((low + high) / 2, (high - low) / 4)


def _power_of_two(ratio: Fraction) -> Fraction:
    return Fraction(2) ** ((int(ratio).bit_length()) // 2)


def _simple(x: Fraction, room: Fraction) -> Fraction:
    """A dyadic number within `room` of x, or within a quarter of it."""
    scale = 1
    while Fraction(1, scale) > room / 4:
        scale *= 2
    return Fraction(round(x * scale), scale)


def _primitive(f: Poly) -> Poly:
    return f.primitive()[1]


def _text(q: Fraction) -> str:
    return str(q)


def _short(f: Poly) -> str:
    text = str(f)
    return text if len(text) < 60 else text[:57] + "..."
