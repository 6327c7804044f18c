"""What the properties are decided from: for each label the pieces of the loss, its slopes, their signs and kinks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as fill
from fractions import Fraction
from typing import TypeVar

from flint import fmpq

from lossdsl.grammar.tree import Node
from lossdsl.prover.cells import Ranges, axis_ends, cut
from lossdsl.prover.ends import PRED_0, PRED_1, SCORE_HIGH, SCORE_LOW, End
from lossdsl.prover.field import Element, Field, RetryWithRoot
from lossdsl.prover.jets import Along, Jets, curve_along, slope_along
from lossdsl.prover.limits import Budget, Undecided, Undefined
from lossdsl.prover.pieces import Piece
from lossdsl.prover.points import Point, between, by_place, compare, rational_point
from lossdsl.prover.polynomials import only_x
from lossdsl.prover.signs import Balls, Part, Signs
from lossdsl.prover.terms import Terms, names, specialise

T = TypeVar("T")
# One object each: roots that were searched for are remembered by the places between which they lie.
PRED_HALF, SCORE_HALF = rational_point(fmpq(1, 2)), rational_point(fmpq(0))


@dataclass(frozen=True, slots=True)
class Joint:
    """A place between two pieces; `value` is the loss on the place itself where that is not the limit from a side."""

    point: Point
    left: Piece
    right: Piece
    value: Element | None


@dataclass
class Side:
    """The loss at one label."""

    label: Fraction
    terms: Terms
    field: Field
    signs: Signs
    all_pieces: list[Piece]
    torn: list[Point]
    free: Ranges = fill(default_factory=dict)
    twin: Side | None = None
    """The side at another label whose loss is the same, for a formula without label; what is worked out is shared."""
    pieces: list[Piece] = fill(default_factory=list)
    joints: list[Joint] = fill(default_factory=list)
    _slopes: list[Element] = fill(default_factory=list)
    _curves: list[Element] = fill(default_factory=list)
    _signs: list[list[Part] | None] = fill(default_factory=list)
    _jets: dict[int, Jets | None] = fill(default_factory=dict)

    def __post_init__(self) -> None:
        if self.twin is not None:
            other = self.twin
            self.pieces, self.joints, self._jets = other.pieces, other.joints, other._jets
            self._slopes, self._curves, self._signs = other._slopes, other._curves, other._signs
            return
        self.pieces = [p for p in self.all_pieces if not p.is_place]
        place: Piece | None = None
        before: Piece | None = None
        for piece in self.all_pieces:
            if piece.is_place:
                place = piece
                continue
            if before is not None:
                self.joints.append(Joint(piece.low, before, piece, place.value if place else None))
            before, place = piece, None
        self._signs = [None] * len(self.pieces)

    @property
    def original(self) -> Fraction:
        """The label under which what is worked out is kept."""
        return self.label if self.twin is None else self.twin.label

    @property
    def slopes(self) -> list[Element]:
        """d loss / dx on each piece, x being the variable of the axis."""
        if not self._slopes:
            self._slopes += [self.field.derivative(p.value) for p in self.pieces]
        return self._slopes

    @property
    def curves(self) -> list[Element]:
        """The second derivative on each piece."""
        if not self._curves:
            self._curves += [self.field.derivative(s) for s in self.slopes]
        return self._curves

    def jets(self, i: int) -> Jets | None:
        """The loss on piece i as it was written; None where that is not one way all along."""
        if i not in self._jets:
            picks = self.pieces[i].picks
            self._jets[i] = None if picks is None else Jets(self.terms, picks, self.free)
        return self._jets[i]

    def along(self, i: int) -> Along | None:
        """Balls around the slope on piece i."""
        jets, score = self.jets(i), self.terms.score
        return None if jets is None else slope_along(jets, score, score)

    def slope_parts(self, i: int) -> list[Part]:
        """Where the slope of piece i is positive, negative, or zero throughout."""
        found = self._signs[i]
        if found is None:
            piece = self.pieces[i]
            found = self._signs[i] = self.signs.of(self.slopes[i], piece.low, piece.high, lambda: self.along(i))
        return found

    def value_at(self, q: fmpq) -> Element | None:
        """The loss around a rational, or on it where it jumps there; None where two pieces meet."""
        point = rational_point(q)
        for piece in self.all_pieces:
            if piece.is_place:
                if compare(piece.low, point) == 0:
                    return piece.value
            elif compare(piece.low, point) < 0 < compare(piece.high, point):
                return piece.value
        # Where nothing jumps, either neighbour has the value.
        for joint in self.joints:
            if not self.can_jump and compare(joint.point, point) == 0:
                return joint.left.value
        return None

    def signs_known(self, i: int) -> bool:
        """Whether `slope_parts(i)` has been worked out already, or takes no search."""
        return self._signs[i] is not None or only_x(self.slopes[i].n)

    def wrong_way(self, i: int, bad: int) -> fmpq | None:
        """A rational in piece i where the slope has the sign `bad`; None is a proof that there is none."""
        if self._signs[i] is None:
            piece = self.pieces[i]
            q = self.signs.find(self.slopes[i], piece.low, piece.high, bad, lambda: self.along(i))
            if q is not None:
                return q
        for part in self.slope_parts(i):
            if part.sign == bad:
                return between(part.low, part.high)
        return None

    @property
    def can_jump(self) -> bool:
        """Whether sign or if switch over anywhere."""
        return bool(self.torn)

    def may_jump(self, joint: Joint) -> bool:
        """Whether sign or if switch over at a joint; everywhere else the loss is continuous."""
        return any(p is joint.point or compare(p, joint.point) == 0 for p in self.torn)

    def jump(self, joint: Joint, left: Element, right: Element) -> int | None:
        """The sign of right - left at a joint; None where it is infinite or cannot be told."""
        difference = self.field.sub(right, left)
        if difference.is_zero:
            return 0
        try:
            return self.signs.at(difference, joint.point)
        except (Undecided, ZeroDivisionError):
            return None


@dataclass
class Analysis:
    """The sides of a formula for the labels that are judged, over one field."""

    root: Node
    score: bool
    field: Field
    signs: Signs
    sides: list[Side]
    short: bool
    """Whether the pieces themselves are known on [1e-6, 1-1e-6] only."""
    labelled: bool = fill(init=False)
    """Whether the formula contains `label`."""

    _pred: Element | None = None
    _weight: Element | None = None
    _slopes: dict[tuple[Fraction, bool], list[Element]] = fill(default_factory=dict)
    _curves: dict[tuple[Fraction, bool], list[Element]] = fill(default_factory=dict)
    _bends: dict[tuple[Fraction, bool, int], list[Part]] = fill(default_factory=dict)

    def __post_init__(self) -> None:
        self.labelled = "label" in names(self.root)

    @property
    def distinct(self) -> list[Side]:
        """The sides without those that repeat another."""
        return [s for s in self.sides if s.twin is None]

    @property
    def axis(self) -> str:
        return "score" if self.score else "pred"

    @property
    def half(self) -> Point:
        """The place where pred is 1/2."""
        return SCORE_HALF if self.score else PRED_HALF

    def side(self, label: int) -> Side | None:
        return next((s for s in self.sides if s.label == label), None)

    def end(self, high: bool) -> End:
        """The end of the axis where pred goes to 0, or to 1."""
        if self.score:
            return SCORE_HIGH if high else SCORE_LOW
        return PRED_1 if high else PRED_0

    def pred(self) -> Element:
        """pred as an element of the axis."""
        f = self.field
        if not self.score:
            return f.x
        if self._pred is None:
            e = f.exp(f.x)
            self._pred = f.mul(e, f.inverse(f.add(f.one, e)))
        return self._pred

    def apart(self, a: Element, b: Element, q: fmpq) -> bool:
        """Whether balls show that two elements differ at a rational; False says nothing."""
        point = rational_point(q)
        try:
            u, v = self.signs.value(a, point, 64), self.signs.value(b, point, 64)
        except (ZeroDivisionError, ValueError):
            return False
        return bool(u < v or u > v)

    def weight(self) -> Element:
        """d pred / d score = pred (1 - pred), as an element of the axis."""
        f = self.field
        if self._weight is None:
            p = self.pred()
            self._weight = f.mul(p, f.sub(f.one, p))
        return self._weight

    def slopes(self, side: Side, in_score: bool) -> list[Element]:
        """d loss / d score, or d loss / d pred, on each piece."""
        if in_score == self.score:
            return side.slopes
        found = self._slopes.get((side.original, in_score))
        if found is None:
            factor = self.weight() if in_score else self.field.inverse(self.weight())
            found = self._slopes[side.original, in_score] = [self.field.mul(s, factor) for s in side.slopes]
        return found

    def curves(self, side: Side, in_score: bool) -> list[Element]:
        """On each piece, what has the sign of the second derivative in score, or in pred."""
        if in_score == self.score:
            return side.curves
        found = self._curves.get((side.original, in_score))
        if found is None:
            found = [self.field.derivative(s) for s in self.slopes(side, in_score)]
            self._curves[side.original, in_score] = found
        return found

    def bends_known(self, side: Side, in_score: bool, i: int) -> bool:
        """Whether `bends` has been worked out already."""
        return (side.original, in_score, i) in self._bends

    def bends(self, side: Side, in_score: bool, i: int) -> list[Part]:
        """Where the slope in score, or in pred, rises and falls along piece i."""
        key = (side.original, in_score, i)
        found = self._bends.get(key)
        if found is None:
            piece = side.pieces[i]
            curve = self.curves(side, in_score)[i]
            found = self._bends[key] = self.signs.of(curve, piece.low, piece.high, self._balls(side, in_score, i))
        return found

    def _balls(self, side: Side, in_score: bool, i: int) -> Balls:
        def along() -> Along | None:
            jets = side.jets(i)
            return None if jets is None else curve_along(jets, self.score, in_score)

        return along

    def falls(self, side: Side, in_score: bool, i: int) -> fmpq | None:
        """A rational in piece i where the slope falls; None is a proof that there is none."""
        piece = side.pieces[i]
        if (side.original, in_score, i) not in self._bends:
            curve, balls = self.curves(side, in_score)[i], self._balls(side, in_score, i)
            q = self.signs.find(curve, piece.low, piece.high, -1, balls)
            if q is not None:
                return q
        return next((between(p.low, p.high) for p in self.bends(side, in_score, i) if p.sign < 0), None)


def analyse(
    root: Node,
    labels: tuple[Fraction, ...],
    parameters: Mapping[str, Fraction],
    score: bool,
    budget: Budget,
    free: Ranges | None = None,
) -> Analysis:
    """Cuts a formula into pieces at each label; raises `AtLabel` around an `Undefined` or `Undecided`.

    What is proved of names in `free` is proved for their whole range. If `label` is one of them there is one side,
    whose label stands as 1/2.
    """
    return analyse_sides(dict.fromkeys(labels, root), parameters, score, budget, free)


def analyse_sides(
    sides: Mapping[Fraction, Node],
    parameters: Mapping[str, Fraction],
    score: bool,
    budget: Budget,
    free: Ranges | None = None,
) -> Analysis:
    """As `analyse`, of a loss whose formula at each label is given."""
    hints: dict[object, int] = {}
    for _ in range(8):
        try:
            return _analyse(sides, parameters, score, budget, hints, free or {})
        except RetryWithRoot as retry:
            hints = {retry.key: retry.n} | {k: v for k, v in hints.items() if k != retry.key}
    raise Undecided("the exact form needs too many different roots")


class AtLabel(Exception):
    """What went wrong, and at which label."""

    def __init__(self, label: Fraction, error: Exception, labelled: bool = True) -> None:
        super().__init__(str(error))
        self.labelled = labelled
        self.label = label
        self.error = error


def _analyse(
    roots: Mapping[Fraction, Node],
    parameters: Mapping[str, Fraction],
    score: bool,
    budget: Budget,
    hints: dict[object, int],
    free: Ranges,
) -> Analysis:
    whole = next(iter(roots.values()))
    labelled = "label" in names(whole) or any(root is not whole and root != whole for root in roots.values())
    algebra = Field(hints, budget)
    signs = Signs(algebra, score, budget)
    sides: list[Side] = []
    trouble: AtLabel | None = None
    for label, root in roots.items():
        try:
            if sides and not labelled:
                first = sides[0]
                sides.append(Side(label, first.terms, algebra, signs, first.all_pieces, first.torn, free, first))
                continue
            terms = specialise(root, label, parameters, score, tuple(free))
            pieces, torn = cut(terms, algebra, signs, free)
            sides.append(Side(label, terms, algebra, signs, pieces, torn, free))
        except Undecided as error:
            trouble = trouble or AtLabel(label, error, labelled)
        except Undefined as error:
            raise AtLabel(label, error, labelled) from error
    if trouble is not None:
        raise trouble
    return Analysis(whole, score, algebra, signs, sides, signs.short)


def refine(analysis: Analysis, *columns: tuple[Side, list[T]]) -> Iterator[tuple[Point, Point, list[T]]]:
    """The common refinement of several labels' pieces: intervals with what each column has for the piece there."""
    places: list[Point] = []
    for side, _ in columns:
        for joint in side.joints:
            if not any(p is joint.point or compare(p, joint.point) == 0 for p in places):
                places.append(joint.point)
    places.sort(key=by_place)
    low, high = axis_ends(analysis.score)
    bounds = [low, *places, high]
    at = [0] * len(columns)
    for left, right in zip(bounds, bounds[1:]):
        row = []
        for c, (side, elements) in enumerate(columns):
            while at[c] + 1 < len(side.pieces) and compare(side.pieces[at[c]].high, left) <= 0:
                at[c] += 1
            row.append(elements[at[c]])
        yield left, right, row
