"""Facts of one cell: polynomials with a strict sign all over it, each with the evidence that shows so.

Evidence is one of

* `"sturm"`: no root of a polynomial in x by Sturm's theorem, and its sign at one place;
* `"log"`: a lone log kernel has the sign of its argument minus 1;
* `"exp"`: a lone exponential, less 1, has the sign of its exponent;
* `["sum", [[c, [[i, e], …]], …]]`: the polynomial is the sum of c times powers of earlier facts, all of one sign;
* `["monotone", end]`: its derivative has a sign, and its limit at that end of the cell is on the right side of zero;
* `["pieces", [cut, …], [rule, …]]`: the cell falls into pieces, shown one by one: `"box"` by intervals on the closed
  piece, `"root"` next to an end where it vanishes, by the sign of its slope there, `"end"` next to 0 or 1, by a leading
  term that outweighs the rest;
* `["bernstein", [box, …]]`: on each of the boxes, which fill the cell and the ranges of parameters, all coefficients in
  Bernstein's form have one sign.

A sum, `exp` and Bernstein's form may show a weak sign, of a polynomial that may be zero at places or for some
parameters: such a fact is marked `"weak"`, and it is used where that is enough.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from lossdsl.verifier import bernstein, univariate
from lossdsl.verifier import constants as exact
from lossdsl.verifier.boxes import read_boxes
from lossdsl.verifier.ends import sign_towards_end
from lossdsl.verifier.intervals import Intervals, Unbounded, sign
from lossdsl.verifier.kernels import Kernels, sign_at
from lossdsl.verifier.limits import MAX_CUTS, MAX_FACTS, MAX_POWER, Malformed, Rejected
from lossdsl.verifier.points import END, START, Point, fraction, one_signed_slope
from lossdsl.verifier.polynomials import ONE, ZERO, Key, Poly, read, variable


class Facts:
    """What is known of the open interval between two points; `sign` looks a polynomial up."""

    def __init__(self, table: Kernels, left: Point, right: Point) -> None:
        self.table = table
        self.left = left
        self.right = right
        self.listed: list[tuple[Poly, int]] = []
        self._signs: dict[Key, int] = {}
        self._weak: dict[Key, int] = {}
        self._unsure: set[int] = set()
        self._defined: set[int] = set()
        if not left.high < right.low:
            raise Rejected("the cell has no inside")
        self.middle = (left.high + right.low) / 2

    # -- asking ------------------------------------------------------------------------------------------------------

    def sign(self, f: Poly) -> int | None:
        """The strict sign of f on the cell, 0 for the zero polynomial, None where no fact says."""
        f = self.table.fold(f)
        content, g = f.primitive()
        if g.constant is not None:
            return (content > 0) - (content < 0)
        known = self._signs.get(g.key)
        return None if known is None else known if content > 0 else -known

    def need(self, f: Poly, what: str) -> int:
        """The sign of f; `Rejected` where no fact says."""
        found = self.sign(f)
        if found is None:
            raise Rejected(f"there is no evidence for the sign of {what}")
        return found

    def lean(self, f: Poly, what: str) -> tuple[int, bool]:
        """The weak sign of f and whether it is strict; the sign 0 of the zero polynomial is."""
        found = self.sign(f)
        if found is not None:
            return found, True
        content, g = self.table.fold(f).primitive()
        if g.key not in self._weak:
            raise Rejected(f"there is no evidence for the sign of {what}")
        return self._weak[g.key] * (1 if content > 0 else -1), False

    def define(self, f: Poly) -> None:
        """`Rejected` unless every kernel in f is defined on the cell."""
        for v in f.variables():
            if v and v - 1 not in self._defined:
                kernel = self.table.items[v - 1]
                if kernel.kind == "range":
                    continue
                self.define(kernel.n)
                self.define(kernel.d)
                if kernel.kind == "exp":
                    if self.need(kernel.d, f"the divisor within kernel {v - 1}") == 0:
                        raise Rejected(f"kernel {v - 1} is not defined")
                elif self.need(kernel.n, f"the argument of kernel {v - 1}") != 1:
                    raise Rejected(f"the argument of kernel {v - 1} is not positive")
                self._defined.add(v - 1)

    # -- telling -----------------------------------------------------------------------------------------------------

    def read(self, rows: object) -> None:
        """Checks facts in order and keeps them."""
        if not isinstance(rows, list) or len(rows) > MAX_FACTS:
            raise Malformed("the facts are a list of limited length")
        for i, row in enumerate(rows):
            weak = isinstance(row, list) and row[3:] == ["weak"]
            if (
                not isinstance(row, list)
                or not (len(row) == 3 or weak)
                or row[1] not in (1, -1)
                or type(row[1]) is not int
            ):
                raise Malformed("a fact is a polynomial, 1 or -1, its evidence, and perhaps `weak`")
            f = read(row[0], len(self.table.items))
            if self.table.fold(f) != f:
                raise Malformed("a polynomial has a power of a root that is not folded")
            try:
                shown = self._show(f, row[2], weak)
            except (Rejected, Unbounded) as error:
                raise Rejected(str(error), f"fact {i}") from None
            if shown != row[1]:
                raise Rejected("the evidence does not show the sign that is claimed", f"fact {i}")
            self._keep(f, shown, weak)

    def _keep(self, f: Poly, shown: int, weak: bool) -> None:
        if weak:
            self._unsure.add(len(self.listed))
        self.listed.append((f, shown))
        content, g = f.primitive()
        (self._weak if weak else self._signs)[g.key] = shown if content > 0 else -shown

    def _show(self, f: Poly, evidence: Any, weak: bool = False) -> int:
        """The sign that the evidence shows, strict or weak; `Rejected` or another sign where it does not."""
        if f.constant is not None:
            raise Malformed("a constant needs no fact")
        self.define(f)
        if isinstance(evidence, list) and len(evidence) == 2 and evidence[0] in ("sum", "bernstein"):
            found, strict = (self._sum if evidence[0] == "sum" else self._bernstein)(f, evidence[1])
            if not (strict or weak):
                raise Rejected("the sign is shown, but not that there is no zero")
            return found
        if evidence == "exp":
            found, strict = self._exp(f)
            if not (strict or weak):
                raise Rejected("the sign is shown, but not that there is no zero")
            return found
        if evidence == "sturm":
            return self._sturm(f)
        if evidence == "log":
            return self._log(f)
        if isinstance(evidence, list) and len(evidence) == 2 and evidence[0] == "monotone":
            return self._monotone(f, evidence[1])
        if isinstance(evidence, list) and len(evidence) == 3 and evidence[0] == "pieces":
            return self._pieces(f, evidence[1], evidence[2])
        if evidence == "positive":
            return self._positive(f)
        raise Malformed("an unknown kind of evidence")

    def _positive(self, f: Poly) -> int:
        if len(f.terms) == 1 and f.degree >= 1:
            (v,), (c,) = f.variables(), f.terms.values()
            if v and f.highest(v) == 1 and c == 1 and self.table.items[v - 1].kind in ("exp", "root"):
                return 1
        raise Rejected("only a lone exp or root is positive by nature")

    def _log(self, f: Poly) -> int:
        if len(f.terms) == 1 and len(f.variables()) == 1:
            (v,), (c,) = f.variables(), f.terms.values()
            if v and f.highest(v) == 1 and c == 1 and self.table.items[v - 1].kind == "log":
                return self.need(self.table.items[v - 1].n - ONE, "the argument of a log, less 1")
        raise Rejected("it is no lone log")

    def _exp(self, f: Poly) -> tuple[int, bool]:
        """exp(n/d) - 1 has the sign of n/d."""
        for v in f.variables():
            if v and self.table.items[v - 1].kind == "exp" and f.primitive()[1] == variable(v) - ONE:
                kernel = self.table.items[v - 1]
                found, strict = self.lean(kernel.n, "an exponent")
                below = self.need(kernel.d, "the divisor of an exponent")
                return found * below * (1 if f.primitive()[0] > 0 else -1), strict
        raise Rejected("it is not 1 less a lone exponential")

    def _sturm(self, f: Poly) -> int:
        if f.variables() != [0]:
            raise Rejected("Sturm's theorem is about polynomials in x alone")
        dense = f.dense()
        allowed = 0
        for end in (self.left, self.right):
            if end.rational is not None:
                allowed += univariate.sign_at(dense, end.rational) == 0
            elif end.poly is not None and end.poly.variables() == [0]:
                shared = univariate.common(dense, end.poly.dense())
                allowed += univariate.roots_on(shared, end.low, end.high) == 1 if len(shared) > 1 else 0
        if univariate.roots_on(dense, self.left.low, self.right.high) != allowed:
            raise Rejected("the polynomial has a root in the cell")
        return univariate.sign_at(dense, self.middle)

    def _bernstein(self, f: Poly, rows: Any) -> tuple[int, bool]:
        # exp and roots are positive; not above 1 where a fact says so.
        small = frozenset(v for v in f.variables() if v and self._weakly(ONE - variable(v)) == 1)
        variables = bernstein.spread(self.table, f, self.left.low, self.right.high, small)
        signs, strict = set(), True
        for box, _ in read_boxes(rows, variables.whole, frozenset()):
            found = bernstein.sign_on(variables, box)
            if found is None:
                raise Rejected("the coefficients on a box differ in sign")
            signs.add(found[0])
            strict = strict and found[1]
        if len(signs) != 1:
            raise Rejected("the boxes differ in sign")
        return signs.pop(), strict

    def _weakly(self, f: Poly) -> int | None:
        try:
            return self.lean(f, "it")[0]
        except Rejected:
            return None

    def _sum(self, f: Poly, rows: Any) -> tuple[int, bool]:
        if not isinstance(rows, list) or not rows:
            raise Malformed("a sum is a list of products")
        total, signs, sure = ZERO, set(), False
        for row in rows:
            if not isinstance(row, list) or len(row) != 2 or type(row[0]) is not int or not isinstance(row[1], list):
                raise Malformed("a product is a whole number and a list of facts with their powers")
            c = row[0]
            product, s, strict = ONE.scale(c), (c > 0) - (c < 0), c != 0
            for part in row[1]:
                if not isinstance(part, list) or len(part) != 2 or any(type(n) is not int for n in part):
                    raise Malformed("a factor is the number of a fact and its power")
                i, e = part
                if not 0 <= i < len(self.listed) or not 1 <= e <= MAX_POWER:
                    raise Malformed("a factor is an earlier fact with a power of at least 1")
                g, known = self.listed[i]
                product = product * g**e
                s *= known**e
                strict = strict and i not in self._unsure
            total = total + product
            signs.add(s)
            sure = sure or strict
        if self.table.fold(total) != f:
            raise Rejected("the sum of products is another polynomial")
        if len(signs) != 1:
            raise Rejected("the products of the sum differ in sign")
        return signs.pop(), sure

    def _monotone(self, f: Poly, side: Any) -> int:
        if side not in ("left", "right"):
            raise Malformed("an end of a cell is left or right")
        top, _ = self.table.slope(f)
        way = self.need(top, "the derivative")
        if way == 0:
            raise Rejected("the derivative is zero")
        wanted = way if side == "left" else -way
        found = self._towards(f, self.left if side == "left" else self.right)
        if found is None or found == -wanted:
            raise Rejected(f"its limit at the {side} end is not shown to have the sign {wanted}")
        return wanted

    def _towards(self, f: Poly, end: Point) -> int | None:
        """The sign of the limit of f at an end of the cell, 0 for zero, None where it is not known."""
        if end in (START, END):
            value = self.table.at(f, end.low)
            q = exact.known(value)
            if q is not None:
                return (q > 0) - (q < 0)
            arithmetic = Intervals()
            try:
                return sign(self.table.on(arithmetic.rational(end.low), arithmetic).poly(f))
            except Unbounded:
                return None
        if end.rational is not None:
            return sign_at(self.table, f, end.rational)
        if vanishes(self.table, f, end):
            return 0
        arithmetic = Intervals()
        return sign(self.table.on(arithmetic.hull(end.low, end.high), arithmetic).poly(f))

    def _pieces(self, f: Poly, cuts: Any, rules: Any) -> int:
        if not isinstance(cuts, list) or not isinstance(rules, list) or len(cuts) > MAX_CUTS:
            raise Malformed("pieces are a list of cuts and a list of rules")
        if len(rules) != len(cuts) + 1:
            raise Malformed("pieces are a list of cuts and one rule more")
        places = [fraction(cut) for cut in cuts]
        bounds = [self.left.low, *places, self.right.high]
        inner = [self.left.high, *places, self.right.low]
        # For the message alone: pieces that run back and forth from one end to the other cover the cell all the same.
        if any(not a < b for a, b in zip(inner, inner[1:])):
            raise Rejected("the cuts do not follow one another inside the cell")
        signs = set()
        for i, rule in enumerate(rules):
            low, high = bounds[i], bounds[i + 1]
            if rule == "box":
                signs.add(box_sign(self.table, f, low, high))
            elif rule == "root":
                signs.add(self._next_to_root(f, i == 0, i == len(cuts), low, high))
            elif rule == "end":
                # For the message alone: elsewhere a sign would be shown up to 1, which is more than the piece.
                if (i > 0 or self.left != START) and (i < len(cuts) or self.right != END):
                    raise Rejected("this piece does not touch 0 or 1")
                at_one = not (i == 0 and self.left == START)
                signs.add(sign_towards_end(self.table, f, 1 - low if at_one else high, at_one))
            else:
                raise Malformed("a piece is shown by box, root or end")
            # Two signs cannot be: neighbours share a cut, on which both have shown theirs.
            if len(signs) > 1 or 0 in signs:
                raise Rejected(f"intervals do not show one sign from {float(low):.6g} to {float(high):.6g}")
        return signs.pop()

    def _next_to_root(self, f: Poly, first: bool, last: bool, low: Fraction, high: Fraction) -> int:
        way = one_signed_slope(self.table, f, low, high)
        if first and self._zero_at(f, self.left):
            return way
        if last and self._zero_at(f, self.right):
            return -way
        raise Rejected("the polynomial is not shown to vanish at an end that the piece touches")

    def _zero_at(self, f: Poly, end: Point) -> bool:
        if end in (START, END):
            value = self.table.at(f, end.low)
            return value is not None and not value
        return vanishes(self.table, f, end)


def vanishes(table: Kernels, f: Poly, point: Point) -> bool:
    """Whether f is certainly zero at a point inside (0, 1)."""
    if not f:
        return True
    if point.rational is not None:
        return sign_at(table, f, point.rational) == 0
    assert point.poly is not None
    if f.primitive()[1] == point.poly.primitive()[1]:
        return True
    if f.variables() == [0] == point.poly.variables():
        shared = univariate.common(f.dense(), point.poly.dense())
        return len(shared) > 1 and univariate.roots_on(shared, point.low, point.high) == 1
    return False


def box_sign(table: Kernels, f: Poly, low: Fraction, high: Fraction) -> int:
    """The sign of f on [low, high] by intervals, in the plain form and in that of the mean value; 0 where open."""
    arithmetic = Intervals()
    box = table.on(arithmetic.hull(low, high), arithmetic)
    try:
        found = sign(box.poly(f))
        if found:
            return found
        middle = (low + high) / 2
        centre = table.on(arithmetic.rational(middle), arithmetic).poly(f)
        reach = arithmetic.sub(arithmetic.hull(low, high), arithmetic.rational(middle))
        return sign(arithmetic.add(centre, arithmetic.mul(box.slope(f), reach))) or 0
    except Unbounded:
        return 0
