"""One label's curve cut into pieces: on each, the loss is one element of the field; the places between are kept too.

A kink (of max, min, abs, sign, if) is a place where an argument changes its sign. What lies *on* such a place is looked
at as well: log(abs(pred - 1/2)) is fine on both sides of 1/2 and undefined there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flint import fmpq

from lossdsl.prover.field import Element, Field
from lossdsl.prover.jets import Along, Jets
from lossdsl.prover.limits import MAX_CELLS, MAX_DEGREE, Undecided, Undefined
from lossdsl.prover.pieces import Piece, piece_order
from lossdsl.prover.points import (
    MINUS_INFINITY,
    ONE_END,
    PLUS_INFINITY,
    ZERO_END,
    Point,
    between,
    compare,
    rational_point,
)
from lossdsl.prover.signs import Part, Signs
from lossdsl.prover.spans import ALL, Span, axis_span, span_of
from lossdsl.prover.terms import OBLIGING, Term, Terms, holds

Ranges = dict[str, tuple[fmpq, "fmpq | None"]]
"""The numbers that are only known to lie in a range, by name; without a second bound, all above the first."""

JUMPING = frozenset({"sign", "select"})
Outcome = tuple[Point, Point, Element, int, bool]
"""A stretch, the value there, the sign that was gone by, and whether it is that sign everywhere on the stretch."""


@dataclass(slots=True)
class _Cell:
    low: Point
    high: Point
    values: list[Element | None]
    at: int  # the next term to do, as a place in the order
    picks: dict[int, int] = field(default_factory=dict)
    known: dict[tuple[int, ...], int] = field(default_factory=dict)
    """The signs of terms, or of differences of two, by which the axis was cut already."""
    spans: list[Span] = field(default_factory=list)  # of the terms done so far, in order; see `_span`
    axis: Span | None = None
    borrowed: bool = False
    """Whether `spans` are those of a stretch around this one: they hold here, but may be wider than they have to be."""


def axis_ends(score: bool) -> tuple[Point, Point]:
    """The open ends of the axis."""
    return (MINUS_INFINITY, PLUS_INFINITY) if score else (ZERO_END, ONE_END)


def cut(terms: Terms, field: Field, signs: Signs, free: Ranges | None = None) -> tuple[list[Piece], list[Point]]:
    """The pieces of a formula at one label, in order, and the places where it may jump.

    Raises `Undefined` or `Undecided`.

    >>> from fractions import Fraction
    >>> from lossdsl.grammar.tree import Apply, Name, Number
    >>> from lossdsl.prover.terms import specialise
    >>> tree = Apply("max", (Name("pred"), Apply("sub", (Number(Fraction(1)), Name("pred")))))
    >>> field = Field()
    >>> pieces, _ = cut(specialise(tree, Fraction(1), {}, False), field, Signs(field, False, field.budget))
    >>> [(p.low, p.high, p.value.n) for p in pieces]
    [(0, 1/2, -x + 1), (1/2, 1, x)]
    """
    cutter = _Cutter(terms, field, signs, free or {})
    return cutter.run(), cutter.torn


class _Cutter:
    def __init__(self, terms: Terms, field: Field, signs: Signs, free: Ranges) -> None:
        self.terms = terms
        self.free = free
        self.field = field
        self.signs = signs
        # Constants and the variable are the same in all cells.
        self.start: list[Element | None] = [None] * len(terms.items)
        self.fixed: dict[int, Span] = {}
        self.order: list[int] = []
        for i in terms.needed():
            self._begin(i, terms.items[i])
        # Where sign or if switch over; everywhere else the loss is continuous, being made of continuous parts.
        self.torn: list[Point] = []
        last = -1
        for j, i in enumerate(self.order):
            if terms.items[i].op in OBLIGING or terms.items[i].op in JUMPING:
                last = j
        # Places between pieces need a look of their own only while something can go wrong or jump there.
        self.last_delicate = last

    def _begin(self, i: int, term: Term) -> None:
        if term.op == "const":
            assert term.value is not None
            self.start[i] = self.field.constant(term.value)
            self.fixed[i] = span_of(term, (), ALL, self.free)
        elif term.op == "x":
            self.start[i] = self.field.x
        elif term.op == "free":
            self.start[i] = self.field.free(term.name, *self.free[term.name])
        else:
            self.order.append(i)

    def run(self) -> list[Piece]:
        low, high = axis_ends(self.terms.score)
        done: list[_Cell] = []
        work = [_Cell(low, high, list(self.start), 0)]
        trouble: Undecided | None = None
        while work:
            cell = work.pop()
            if len(done) + len(work) > 2 * MAX_CELLS:
                raise Undecided("the loss has too many pieces")
            try:
                parts = self._advance(cell)
            except Undecided as why:
                # Another piece may still show that the formula is undefined, which is an answer.
                trouble = trouble or why
                continue
            if parts is None:
                if cell.low is not cell.high or self._may_jump(cell.low):
                    done.append(cell)
            else:
                work.extend(reversed(parts))
        if trouble is not None:
            raise trouble
        pieces = []
        for cell in done:
            value = cell.values[self.terms.root]
            assert value is not None
            pieces.append(Piece(cell.low, cell.high, value, cell.picks))
        return self._merge(sorted(pieces, key=piece_order))

    def _advance(self, cell: _Cell) -> list[_Cell] | None:
        """Works through the terms of a cell until it is done (None) or falls apart."""
        is_place = cell.low is cell.high
        for j in range(cell.at, len(self.order)):
            if is_place and j > self.last_delicate and not self._may_jump(cell.low):
                return None  # nothing can go wrong on this place any more, and the loss is continuous there
            i = self.order[j]
            self.signs.budget.spend()
            try:
                outcome = self._term(i, self.terms.items[i], cell)
            except Undefined as bad:
                raise Undefined(bad.why, bad.where, i, self.terms.origin[i]) from None
            if isinstance(outcome, Element):
                cell.values[i] = outcome
                continue
            cells = []
            args = _decider(self.terms.items[i])
            for low, high, value, sign, throughout in outcome:
                values = list(cell.values)
                values[i] = value
                known = {**cell.known, args: sign} if throughout else dict(cell.known)
                picks = {**cell.picks, i: sign}
                cells.append(_Cell(low, high, values, j + 1, picks, known, list(cell.spans), borrowed=True))
            return cells
        return None

    def _value(self, cell: _Cell, place: int) -> Element:
        value = cell.values[place]
        assert value is not None
        return value

    def _term(self, i: int, term: Term, cell: _Cell) -> Element | list[Outcome]:
        field = self.field
        op = term.op
        a = self._value(cell, term.args[0]) if term.args else field.zero
        if op == "add":
            return field.add(a, self._value(cell, term.args[1]))
        if op == "mul":
            return field.mul(a, self._value(cell, term.args[1]))
        if op == "neg":
            return field.neg(a)
        if op == "exp":
            return field.exp(a)
        if op == "inv":
            if not self._sign(cell, term.args):
                self._require(a, cell, "a division by zero", lambda s: s != 0, *term.args)
            return field.inverse(a)
        if op == "log":
            if self._sign(cell, term.args) != 1:
                self._require(a, cell, "the log of a number that is not positive", lambda s: s > 0, *term.args)
            return field.log(a, self.signs.sign_on(cell.low, cell.high))
        if op == "power":
            assert term.value is not None
            return self._power(a, term.value, cell, *term.args)
        if op == "tower":
            return self._tower(a, self._value(cell, term.args[1]), cell, *term.args)
        if op in ("max", "min"):
            b = self._value(cell, term.args[1])
            first = 1 if op == "max" else -1
            sign = self._glance(cell, term.args)
            if sign:
                cell.picks[i] = sign
                return a if sign == first else b
            return self._choose(i, field.sub(a, b), cell, lambda s: a if s * first >= 0 else b, True, asked=True)
        if op == "abs":
            return self._choose(i, a, cell, lambda s: a if s >= 0 else field.neg(a), smooth=True)
        if op == "sign":
            return self._choose(i, a, cell, lambda s: field.units[s], smooth=False)
        if op == "select":
            b, c = self._value(cell, term.args[1]), self._value(cell, term.args[2])
            return self._choose(i, a, cell, lambda s: b if holds(term.name, s) else c, smooth=False)
        raise Undecided(f"{op} is not known to the prover")

    def _sign(self, cell: _Cell, args: tuple[int, ...]) -> int:
        """1 or -1 where a term, or the difference of two, is known to have that sign all over the cell; 0 otherwise."""
        return cell.known.get(args) or self._glance(cell, args)

    def _span(self, cell: _Cell, place: int) -> Span:
        """An interval around a term that is done."""
        spans = cell.spans
        if len(spans) <= place:
            terms, fixed, free = self.terms.items, self.fixed, self.free
            axis = cell.axis = cell.axis or axis_span(cell.low, cell.high)
            for i in range(len(spans), place + 1):
                known = fixed.get(i)
                if known is None:
                    term = terms[i]
                    known = span_of(term, [spans[a] for a in term.args], axis, free)
                spans.append(known)
        return spans[place]

    def _glance(self, cell: _Cell, args: tuple[int, ...]) -> int:
        """1 or -1 where intervals show the sign of a term, or of the difference of two; 0 otherwise."""
        while True:
            low, high = self._span(cell, args[0])
            if len(args) > 1:
                other = self._span(cell, args[1])
                sign = 1 if low > other[1] else -1 if high < other[0] else 0
            else:
                sign = 1 if low > 0 else -1 if high < 0 else 0
            if sign or not cell.borrowed:
                return sign
            # Once more, with intervals that are no wider than this stretch asks for.
            cell.spans, cell.borrowed = [], False

    def _parts(self, a: Element, cell: _Cell, *args: int) -> list[Part]:
        """Open intervals of one sign and the places between them, in order.

        `a` is the value of the term `args`, or the difference of two.
        """
        sign = cell.known.get(args) if args else 0
        if sign is None:
            sign = self._glance(cell, args)
        elif args:
            return [Part(cell.low, cell.high, sign)]
        if sign:
            return [Part(cell.low, cell.high, sign)]
        if cell.low is cell.high:
            return [Part(cell.low, cell.high, self.signs.at(a, cell.low))]
        out: list[Part] = []
        for part in self.signs.of(a, cell.low, cell.high, lambda: self._along(cell, args)):
            if out:
                out.append(Part(part.low, part.low, 0))
            out.append(part)
        return out

    def _along(self, cell: _Cell, args: tuple[int, ...]) -> Along | None:
        """A term, or the difference of two, as it was written."""
        jets = [Jets(self.terms, cell.picks, self.free, i) for i in args]
        if len(jets) == 2:
            return Along(lambda x: jets[0].at(x) - jets[1].at(x))
        return Along(jets[0].at) if jets else None

    def _require(self, a: Element, cell: _Cell, why: str, fine: Any, *args: int) -> None:
        for part in sorted(self._parts(a, cell, *args), key=lambda p: p.low is p.high):
            if not fine(part.sign):
                raise Undefined(why, _somewhere(part))

    def _choose(
        self, i: int, a: Element, cell: _Cell, pick: Any, smooth: bool, asked: bool = False
    ) -> Element | list[Outcome]:
        """The outcome where the value depends on the sign of `a`; `smooth`: it is continuous where `a` is zero.

        `asked`: what intervals say of the sign is known already, and is nothing.
        """
        term = self.terms.items[i]
        args = _decider(term)
        sign = 0 if asked else self._sign(cell, args)
        if sign:
            cell.picks[i] = cell.known[args] = sign
            seen: Element = pick(sign)
            return seen
        parts = self._parts(a, cell, *args)
        if not smooth and cell.low is cell.high and parts[0].sign == 0:
            # The place was cut out by another part, such as abs; the switch happens here all the same.
            self.torn.append(cell.low)
        if len(parts) == 1:
            cell.picks[i] = cell.known[args] = parts[0].sign
            chosen: Element = pick(parts[0].sign)
            return chosen
        merged: list[Part] = []
        mixed: set[int] = set()  # the places in `merged` of stretches on which the sign is zero somewhere
        for part in parts:
            touching = smooth and len(merged) > 1 and merged[-1].low is merged[-1].high and merged[-2].sign == part.sign
            if touching:
                merged.pop()
                merged[-1] = Part(merged[-1].low, part.high, part.sign)
                mixed.add(len(merged) - 1)
            else:
                merged.append(part)
        if len(merged) == 1:
            cell.picks[i] = merged[0].sign
            chosen = pick(merged[0].sign)
            return chosen
        if not smooth:
            self.torn += [p.low for p in merged if p.low is p.high]
        return [(p.low, p.high, pick(p.sign), p.sign, k not in mixed) for k, p in enumerate(merged)]

    def _power(self, a: Element, q: fmpq, cell: _Cell, *args: int) -> Element | list[Outcome]:
        field = self.field
        if q.q == 1 and abs(int(q.p)) <= MAX_DEGREE:
            return field.power(a, int(q.p))
        parts = self._parts(a, cell, *args)
        for part in parts:
            if part.sign < 0 or (part.sign == 0 and q < 0):
                why = "a negative number to a power that is not whole" if part.sign < 0 else "a division by zero"
                if q == fmpq(1, 2):
                    why = "the square root of a negative number"
                raise Undefined(why, _somewhere(part))

        def raised(part: Part) -> Element:
            if part.sign == 0:
                return field.zero
            return field.real_power(a, q, self.signs.sign_on(part.low, part.high))

        if len(parts) == 1:
            return raised(parts[0])
        return [(p.low, p.high, raised(p), p.sign, True) for p in parts]

    def _tower(self, a: Element, b: Element, cell: _Cell, *args: int) -> Element | list[Outcome]:
        """a^b with an exponent that varies: a > 0, or a = 0 and b > 0."""
        field = self.field
        out: list[Outcome] = []
        for part in self._parts(a, cell, *args[:1]):
            if part.sign < 0:
                raise Undefined("a negative number to a power that varies", _somewhere(part))
            inner = _Cell(part.low, part.high, [], 0)
            if part.sign == 0:
                self._require(b, inner, "zero to a power that is not positive", lambda s: s > 0)
                out.append((part.low, part.high, field.zero, 0, True))
            else:
                log = field.log(a, self.signs.sign_on(part.low, part.high))
                out.append((part.low, part.high, field.exp(field.mul(b, log)), 1, True))
        return out[0][2] if len(out) == 1 else out

    def _merge(self, pieces: list[Piece]) -> list[Piece]:
        """Joins neighbours that are one function, and drops the places where nothing jumps."""
        out: list[Piece] = []
        for piece in pieces:
            if piece.is_place:
                out.append(piece)
                continue
            place = out[-1] if out and out[-1].is_place else None
            before = out[-2] if place is not None and len(out) > 1 else out[-1] if out and place is None else None
            same = before is not None and before.value.same(piece.value)
            if before is not None and same and (place is None or self._harmless(place, piece)):
                if place is not None:
                    out.pop()
                # Equal as elements, the two may have come about in different ways.
                picks = piece.picks if piece.picks == before.picks else None
                out[-1] = Piece(before.low, piece.high, piece.value, picks)
            else:
                out.append(piece)
        # A place where the value joins both sides carries no news.
        out = [p for p in out if not p.is_place or self._may_jump(p.low)]
        return [
            p
            for k, p in enumerate(out)
            if not (p.is_place and self._agrees(p, out[k - 1]) and self._agrees(p, out[k + 1]))
        ]

    def _harmless(self, place: Piece, piece: Piece) -> bool:
        return not self._may_jump(place.low) or self._agrees(place, piece)

    def _may_jump(self, point: Point) -> bool:
        return any(p is point or compare(p, point) == 0 for p in self.torn)

    def _agrees(self, place: Piece, piece: Piece) -> bool:
        """Whether the value at a place is the one that a neighbouring piece has there."""
        difference = self.field.sub(place.value, piece.value)
        return difference.is_zero or self.signs.at(difference, place.low) == 0


def _decider(term: Term) -> tuple[int, ...]:
    """The term by whose sign another one goes, or the two of which it is the difference."""
    return term.args if term.op in ("max", "min") else term.args[:1]


def _somewhere(part: Part) -> Point:
    """A place in a part, rational where there is a choice."""
    return part.low if part.low is part.high else rational_point(between(part.low, part.high))
