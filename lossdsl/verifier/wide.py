"""What holds on boxes: for all parameters of a range, or all labels from 0 to 1, and all predictions.

Each function gives back `strict`, or None where a property knows no such thing, and raises `Rejected` where the demand
is not shown to be met. The meaning of each property stands in docs/certificates.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from lossdsl.grammar.tree import Tree
from lossdsl.verifier.boxes import Box, Range, read_boxes, region
from lossdsl.verifier.intervals import Unbounded, exact_value
from lossdsl.verifier.jets import Jet, Jets, smooth, unbroken
from lossdsl.verifier.limits import Malformed, Rejected
from lossdsl.verifier.points import fraction
from lossdsl.verifier.properties import FLAT, GAP
from lossdsl.verifier.spans import Span, opposite
from lossdsl.verifier.terms import Terms

UNIT: Range = (Fraction(0), Fraction(1))
SIGN = frozenset({"sign"})
TAKEN = frozenset({"pred", "label", "score", "distance", "sign", "at"})
PROBES = (Fraction(1, 7), Fraction(4, 9), Fraction(9, 11))
LABELS = (Fraction(1, 3), Fraction(5, 8))
SHARE = Fraction(3, 7)
NARROW = Fraction(1, 10**12)
BENT = Fraction(1, 1000)
LONGEST = 10_000  # bits of a number that an entry states: Python reads and writes 4,300 digits at most


@dataclass
class Wide:
    """A loss at labels 0 and 1, or 1 alone, each by its name, or at all labels from 0 to 1, by the name `any`."""

    tree: Tree
    terms: dict[str, Terms]
    ranges: Box
    proved: dict[str, bool | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        taken = sorted(TAKEN & set(self.ranges))
        if taken:
            raise Rejected(f"in boxes {taken[0]} is the name of something else than a parameter")

    def whole(self, side: str, *axes: str) -> Box:
        """All that there is to cover at one label, or at all of them."""
        out: Box = dict.fromkeys(axes, UNIT)
        if side == "any":
            out["label"] = UNIT
        return {**out, **self.ranges}

    def boxes(
        self, claim: dict[str, Any], in_score: bool, more: frozenset[str] = SIGN, more_room: bool = False
    ) -> Iterator[tuple[str, dict[str, Any], Jet]]:
        """Each box of a claim: at which label, what is said of it, and the jet of the loss on it.

        With `more_room`, on a little more than it, see `wider`.
        """
        for side, rows in self.sides(claim, "boxes").items():
            jets = Jets(self.terms[side], in_score)
            for box, said in read_boxes(rows, self.whole(side, "pred"), more):
                there = region(jets.spans, wider(box) if more_room else box)
                if there is not None:
                    yield side, said, _on(jets, there, box)

    def beside(self, claim: dict[str, Any], more: frozenset[str]) -> Iterator[tuple[str, dict[str, Any], Jet]]:
        """The same for boxes of labels and distances from them, `below` the label and `above` it."""
        for side in ("below", "above"):
            jets = Jets(self.terms["any"], False)
            whole = {**self.whole("any"), "distance": UNIT if side == "below" else (Fraction(-1), Fraction(0))}
            for box, said in read_boxes(claim.get(side), whole, more):
                there = region(jets.spans, box)
                if there is not None:
                    yield side, said, _on(jets, there, box)

    def sides(self, claim: dict[str, Any], name: str) -> dict[str, Any]:
        """What a claim says for each label."""
        rows = claim.get(name)
        if not isinstance(rows, dict) or set(rows) != set(self.terms):
            raise Malformed(f"it needs {name} for each label")
        return rows

    def need(self, *names: str) -> None:
        for name in names:
            if name not in self.proved:
                raise Rejected(f"it rests on {name}, which is not shown")


def _on(jets: Jets, there: Any, box: Box) -> Jet:
    try:
        return jets.on(there)
    except (Rejected, Unbounded) as error:
        shown = ", ".join(f"{name} in [{low}, {high}]" for name, (low, high) in box.items())
        raise Rejected(str(error), shown) from None


def slopes(wide: Wide) -> dict[str, list[list[str] | None]]:
    """The slopes in pred at places that are always the same, each between two numbers.

    None where there is none, or none that can be written in full.
    """
    out: dict[str, list[list[str] | None]] = {}
    for side, terms in wide.terms.items():
        jets = Jets(terms, False)
        fixed = {name: low + (high - low) * SHARE for name, (low, high) in wide.ranges.items()}
        out[side] = []
        for label in LABELS if side == "any" else LABELS[:1]:
            for pred in PROBES:
                box = {"pred": (pred, pred), **{name: (q, q) for name, q in fixed.items()}}
                if side == "any":
                    box["label"] = (label, label)
                out[side].append(_numbers(jets, box))
    return out


def _numbers(jets: Jets, box: Box) -> list[str] | None:
    there = region(jets.spans, box)
    assert there is not None
    try:
        _, slope, _ = jets.on(there)
    except (Rejected, Unbounded):
        return None
    if slope.low.infinite or slope.high.infinite:
        return None
    if any(abs(end.at[1]) > LONGEST for end in (slope.low, slope.high)):
        return None
    return [str(exact_value(slope.low.at)), str(exact_value(slope.high.at))]


def same_slopes(wide: Wide, claim: object) -> None:
    """`Rejected` unless the slopes that an entry states are those of its formula: it ties the one to the other."""
    mine = slopes(wide)
    if not isinstance(claim, dict) or set(claim) != set(mine):
        raise Malformed("the slopes are given for each label")
    for side, rows in mine.items():
        theirs = claim[side]
        if not isinstance(theirs, list) or len(theirs) != len(rows):
            raise Malformed("there is a slope for each of the places")
        for place, (own, other) in enumerate(zip(rows, theirs)):
            if (own is None) != (other is None):
                raise Rejected(f"the slope at place {place} is claimed to be what it is not")
            if own is None:
                continue
            if not isinstance(other, list) or len(other) != 2:
                raise Malformed("a slope is a list of two numbers")
            a, b, c, d = (fraction(text) for text in (*own, *other))
            if not (a <= d and c <= b and 0 <= d - c <= NARROW * max(Fraction(1), abs(c))):
                raise Rejected(f"the slope at place {place} is claimed to be what it is not")


# -- the properties ----------------------------------------------------------------------------------------------------


def domain(wide: Wide, claim: dict[str, Any]) -> bool | None:
    """Every term is defined on every box."""
    for _ in wide.boxes(claim, False, frozenset()):
        pass
    return None


def gradient(wide: Wide, claim: dict[str, Any]) -> bool | None:
    """No term can jump; kinks are finitely many, as for all functions made of these operations."""
    wide.need("domain")
    if not all(unbroken(terms) for terms in wide.terms.values()):
        raise Rejected("a sign or an if may jump")
    return None


def uses_pred(wide: Wide, claim: dict[str, Any]) -> bool | None:
    """On each box of labels and parameters, the slope at the pred `at` is not zero."""
    for side, rows in wide.sides(claim, "boxes").items():
        jets = Jets(wide.terms[side], False)
        for box, said in _by_names(wide, side, rows):
            if _slope_at(jets, box, fraction(said["at"])).sign not in (1, -1):
                raise Rejected("a slope may be zero")
    return None


def uses_label(wide: Wide, claim: dict[str, Any]) -> bool | None:
    """On each box of parameters, the slopes of labels 0 and 1 at the pred `at` differ."""
    if set(wide.terms) != {"0", "1"}:
        raise Rejected("the certificate is not about both labels")
    zero, one = (Jets(wide.terms[side], False) for side in ("0", "1"))
    for box, said in _by_names(wide, "0", claim.get("boxes")):
        place = fraction(said["at"])
        a, b = _slope_at(zero, box, place), _slope_at(one, box, place)
        if zero.spans.plus(a, opposite(b)).sign not in (1, -1):
            raise Rejected("the slopes are not shown to differ")
    return None


def _by_names(wide: Wide, side: str, rows: object) -> Iterator[tuple[Box, dict[str, Any]]]:
    whole = wide.whole(side)
    if not whole:
        raise Malformed("there is nothing that ranges")
    yield from read_boxes(rows, whole, frozenset({"at"}))


def _slope_at(jets: Jets, box: Box, place: Fraction) -> Span:
    if not 0 < place < 1:
        raise Rejected(f"{place} is not inside (0, 1)")
    there = region(jets.spans, {**box, "pred": around(place)})
    assert there is not None
    return _on(jets, there, box)[1]


def around(place: Fraction) -> Range:
    """A little more than a place: on a kink alone, parts may each take the slope of another side, whose sum is none."""
    room = min(place, 1 - place) / 2**40
    return place - room, place + room


def _weakly(span: Span, said: dict[str, Any], wanted: int) -> bool:
    """Whether a span has the wanted sign strictly; `Rejected` where it has the other somewhere, or is said to."""
    if said["sign"] != wanted or type(said["sign"]) is not int:
        raise Rejected("a sign is claimed that is not the one that is needed")
    if not (span.never_negative if wanted > 0 else span.never_positive):
        raise Rejected("a sign is not shown on a box")
    return span.sign == wanted


def monotone(wide: Wide, claim: dict[str, Any]) -> bool | None:
    """At label 1 the slope is nowhere positive, at label 0 nowhere negative."""
    wide.need("gradient")
    if "any" in wide.terms:
        raise Rejected("it is about labels 0 and 1")
    strict = True
    for side, said, jet in wide.boxes(claim, False):
        strict = _weakly(jet[1], said, -1 if side == "1" else 1) and strict
    return strict


def minimum(wide: Wide, claim: dict[str, Any]) -> bool | None:
    """With one label, it follows from `monotone`; with all, the slope points away from the label on both sides."""
    if "any" not in wide.terms:
        wide.need("monotone")
        return None
    wide.need("gradient")
    for side, said, jet in wide.beside(claim, SIGN):
        _weakly(jet[1], said, -1 if side == "below" else 1)
    return None


def no_dead_zone(wide: Wide, claim: dict[str, Any]) -> bool | None:
    """Each box is steep, or bends up, or is thin: at least one of three.

    Steep: the slope is at least 1e-6 in size all over it. Bent: the slope rises by 1/1000 a unit of pred, at least; so
    it is under 1e-6 in size on 0.002 of a row of such boxes, at most. Thin: 0.005 wide at most and without a kink, with
    a middle that is steep; it is not zero on a stretch, for then it would be zero on all of the box. A stretch of 0.01
    that is nowhere steep has at most half a thin box at each of its ends, so that 0.005 of it would be bent.
    """
    wide.need("gradient")
    if "any" in wide.terms and "below" in claim:
        # Steep everywhere beside the label: then no stretch is flat, whatever the kink on the label itself.
        if not all(steep(jet[1]) for _, _, jet in wide.beside(claim, frozenset())):
            raise Rejected("a slope may be under 1e-6 in size on a box")
        return None
    for side, rows in wide.sides(claim, "boxes").items():
        jets = Jets(wide.terms[side], False)
        for box, _ in read_boxes(rows, wide.whole(side, "pred"), frozenset()):
            if not lively(jets, box):
                raise Rejected("a slope may be under 1e-6 in size on a box")
    return None


def lively(jets: Jets, box: Box) -> bool:
    """Whether a box is steep, bent or thin."""
    there = region(jets.spans, wider(box))
    if there is None:
        return True
    _, slope, bend = _on(jets, there, box)
    if steep(slope) or (not bend.low.infinite and exact_value(bend.low.at) >= BENT):
        return True
    low, high = box["pred"]
    if not smooth(jets.terms) or high - low > GAP / 2:
        return False
    names = {name: ends for name, ends in box.items() if name != "pred"}
    return steep(_slope_at(jets, names, (low + high) / 2))


def wider(box: Box) -> Box:
    """A little more than a box: a kink where two boxes meet is within neither of them."""
    low, high = box["pred"]
    return {**box, "pred": (low - (high - low) / 64, high + (high - low) / 64)}


def steep(slope: Span) -> bool:
    """Whether all of a slope is at least 1e-6 in size, of one sign."""
    up, down = (span.low.infinite or exact_value(span.low.at) >= FLAT for span in (slope, opposite(slope)))
    return (slope.above and up) or (slope.below and down)


def bounded_gradient(wide: Wide, claim: dict[str, Any]) -> bool | None:
    """The slope in score is at most `bound` in size on each box."""
    wide.need("gradient")
    bound = fraction(claim.get("bound"))
    for _, _, jet in wide.boxes(claim, True, frozenset()):
        for span in (jet[1], opposite(jet[1])):
            if span.high.infinite or exact_value(span.high.at) > bound:
                raise Rejected(f"the slope in score may exceed {bound}")
    return None


def no_saturation(wide: Wide, claim: dict[str, Any]) -> bool | None:
    """Next to the wrong end the slope in score is at least a `floor` in size."""
    if "any" in wide.terms:
        raise Rejected("it is about labels 0 and 1")
    for side, row in wide.sides(claim, "floors").items():
        if not isinstance(row, list) or len(row) != 3:
            raise Malformed("a floor is a distance, a number, and boxes")
        distance, floor = fraction(row[0]), fraction(row[1])
        if not (0 < distance <= 1 and floor > 0):
            raise Rejected("a floor has to be positive, and to hold somewhere")
        ends = (Fraction(0), distance) if side == "1" else (1 - distance, Fraction(1))
        jets = Jets(wide.terms[side], True)
        for box, said in read_boxes(row[2], {"pred": ends, **wide.ranges}, SIGN):
            there = region(jets.spans, box)
            assert there is not None
            slope = _on(jets, there, box)[1]
            wanted = -1 if side == "1" else 1
            _weakly(slope, said, wanted)
            low = (slope if wanted > 0 else opposite(slope)).low
            if exact_value(low.at) < floor:
                raise Rejected(f"the slope in score is not shown to stay above {floor} at label {side}")
    return None


def convex_pred(wide: Wide, claim: dict[str, Any]) -> bool | None:
    """The second derivative, that at kinks included, is nowhere negative."""
    return _convex(wide, claim, False)


def convex_score(wide: Wide, claim: dict[str, Any]) -> bool | None:
    """The same as a function of the score."""
    return _convex(wide, claim, True)


def _convex(wide: Wide, claim: dict[str, Any], in_score: bool) -> bool | None:
    wide.need("gradient")
    for _, said, jet in wide.boxes(claim, in_score, more_room=True):
        _weakly(jet[2], said, 1)
    return None


def proper_composite(wide: Wide, claim: dict[str, Any]) -> bool | None:
    """Where D1 < 0 < D0 and both rise, D0/(D0-D1) rises: D0 D1' - D0' D1 is a sum of two parts above zero."""
    wide.need("monotone", "convex_pred")
    if set(wide.terms) != {"0", "1"}:
        raise Rejected("the certificate is not about both labels")
    if wide.proved["monotone"] is not True:
        raise Rejected("a slope rests")
    for _, said, jet in wide.boxes(claim, False, more_room=True):
        if not _weakly(jet[2], said, 1):
            raise Rejected("D0 / (D0 - D1) may stand still")
    return True


Check = Callable[[Wide, dict[str, Any]], "bool | None"]
CHECKS: dict[str, Check] = {
    "domain": domain,
    "uses_pred": uses_pred,
    "uses_label": uses_label,
    "gradient": gradient,
    "monotone": monotone,
    "minimum": minimum,
    "no_dead_zone": no_dead_zone,
    "bounded_gradient": bounded_gradient,
    "no_saturation": no_saturation,
    "convex_pred": convex_pred,
    "convex_score": convex_score,
    "proper_composite": proper_composite,
}
