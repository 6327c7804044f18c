"""Boxes for the verifier: each is cut in two until the verifier's own arithmetic sees on it what has to be shown."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from lossdsl.grammar.tree import Tree
from lossdsl.verifier.boxes import MAX_BOXES, Box, region
from lossdsl.verifier.intervals import Unbounded, exact_value
from lossdsl.verifier.jets import Jet, Jets
from lossdsl.verifier.limits import Rejected
from lossdsl.verifier.soft import EDGE, bent, ends_of
from lossdsl.verifier.spans import End, Span, opposite
from lossdsl.verifier.wide import UNIT, Wide, around, lively, steep, wider

MOST_LOOKS = 500
PLACES = tuple(Fraction(k, 16) for k in (7, 3, 12, 1, 15))
DISTANCES = tuple(Fraction(1, 2**k) for k in (1, 3, 8, 20))
Test = Callable[[Jets, Box], "dict[str, Any] | None"]
"""What is said of a box where it holds, None where it does not."""


def claim_of(wide: Wide, name: str, looks: int = MOST_LOOKS) -> dict[str, Any]:
    """What a certificate says for a property; `Rejected` where no boxes are found within so many looks."""
    if name in ("gradient", "minimum") and "any" not in wide.terms:
        return {}
    if name == "gradient":
        return {}
    if name == "minimum":
        return _both_sides(wide, (-1, 1), looks)
    if name == "uses_label":
        return {"boxes": _differing(wide, looks)}
    if name == "no_saturation":
        return {"floors": {side: _floor(wide, side, looks) for side in wide.terms}}
    tests: dict[str, Callable[[str], Test]] = {
        "domain": lambda side: lambda jets, box: None if jet_on(jets, box) is None else {},
        "monotone": lambda side: _slope_sign(-1 if side == "1" else 1),
        "convex_pred": lambda side: _bends_up,
        "convex_score": lambda side: _bends_up,
        "proper_composite": lambda side: _rises,
        "bounded_gradient": lambda side: _bounded,
        "no_dead_zone": lambda side: _lively,
        "uses_pred": lambda side: _moves,
    }
    if name not in tests:
        raise Rejected("it is not shown by boxes")
    in_score = name in ("convex_score", "bounded_gradient")
    axes = () if name == "uses_pred" else ("pred",)
    rows = {
        side: cover(Jets(wide.terms[side], in_score), wide.whole(side, *axes), tests[name](side), looks)
        for side in wide.terms
    }
    if name == "bounded_gradient":
        most = max(row.pop("most") for some in rows.values() for row in some)
        return {"boxes": rows, "bound": str(2 ** max(0, (most.numerator // most.denominator).bit_length()))}
    return {"boxes": rows}


def bent_boxes(tree: Tree) -> dict[str, Any]:
    """`no_dead_zone` at all labels of an affine loss: the slopes at 0 and 1 rise."""
    ends = ends_of(tree)

    def test(jets: Jets, box: Box) -> dict[str, Any] | None:
        try:
            return {} if bent(jets, box) else None
        except (Rejected, Unbounded):
            return None

    whole = {"pred": (EDGE, 1 - EDGE)}
    return {"boxes": {side: cover(Jets(ends.terms[side], False), whole, test) for side in ends.terms}}


def _both_sides(wide: Wide, wanted: tuple[int, int], looks: int) -> dict[str, Any]:
    return {
        "below": _side(wide, (Fraction(0), Fraction(1)), wanted[0], looks),
        "above": _side(wide, (Fraction(-1), Fraction(0)), wanted[1], looks),
    }


def steep_beside(wide: Wide) -> dict[str, Any]:
    """`no_dead_zone` at all labels, where the loss is steep on both sides of each."""
    return _both_sides(wide, (0, 0), MOST_LOOKS)


def cover(jets: Jets, whole: Box, test: Test, most: int = MOST_LOOKS) -> list[dict[str, Any]]:
    """Boxes that fill the whole and pass the test."""
    out: list[dict[str, Any]] = []
    work, looks = [whole], 0
    while work:
        box = work.pop()
        looks += 1
        said = test(jets, box)
        if said is not None:
            out.append({**{name: [str(a) for a in ends] for name, ends in box.items()}, **said})
            continue
        if looks + len(work) > most or len(out) + len(work) >= MAX_BOXES:
            raise Rejected("no boxes are found on which it shows")
        longest = max(box, key=lambda name: (box[name][1] - box[name][0]) / (whole[name][1] - whole[name][0]))
        low, high = box[longest]
        middle = (low + high) / 2
        work += [{**box, longest: (middle, high)}, {**box, longest: (low, middle)}]
    return out


def jet_on(jets: Jets, box: Box) -> Jet | None:
    there = region(jets.spans, box)
    if there is None:
        raise Rejected("there is no prediction in the box")
    try:
        return jets.on(there)
    except (Rejected, Unbounded):
        return None


def _slope_sign(wanted: int) -> Test:
    def test(jets: Jets, box: Box) -> dict[str, Any] | None:
        jet = jet_on(jets, box)
        if jet is None or not (jet[1].never_negative if wanted > 0 else jet[1].never_positive):
            return None
        return {"sign": wanted}

    return test


def _bends_up(jets: Jets, box: Box) -> dict[str, Any] | None:
    jet = jet_on(jets, wider(box))
    return {"sign": 1} if jet is not None and jet[2].never_negative else None


def _rises(jets: Jets, box: Box) -> dict[str, Any] | None:
    jet = jet_on(jets, wider(box))
    return {"sign": 1} if jet is not None and jet[2].sign == 1 else None


def _bounded(jets: Jets, box: Box) -> dict[str, Any] | None:
    jet = jet_on(jets, box)
    if jet is None or jet[1].low.infinite or jet[1].high.infinite:
        return None
    return {"most": max(abs(_number(jet[1].low)), abs(_number(jet[1].high)))}


def _lively(jets: Jets, box: Box) -> dict[str, Any] | None:
    try:
        return {} if lively(jets, box) else None
    except (Rejected, Unbounded):
        return None


def _moves(jets: Jets, box: Box) -> dict[str, Any] | None:
    return next(({"at": str(q)} for q in PLACES if _at(jets, box, q).sign in (1, -1)), None)


def _at(jets: Jets, box: Box, place: Fraction) -> Span:
    jet = jet_on(jets, {**box, "pred": around(place)})
    if jet is None:
        raise Rejected("the loss may be undefined")
    return jet[1]


def _number(end: End) -> Fraction:
    return exact_value(end.at)


def _differing(wide: Wide, looks: int) -> list[dict[str, Any]]:
    zero, one = (Jets(wide.terms[side], False) for side in ("0", "1"))

    def test(jets: Jets, box: Box) -> dict[str, Any] | None:
        for q in PLACES:
            if jets.spans.plus(_at(zero, box, q), opposite(_at(one, box, q))).sign in (1, -1):
                return {"at": str(q)}
        return None

    return cover(zero, wide.whole("0"), test, looks)


def _floor(wide: Wide, side: str, looks: int) -> list[Any]:
    wanted = -1 if side == "1" else 1
    for distance in DISTANCES:
        ends = (Fraction(0), distance) if side == "1" else (1 - distance, Fraction(1))
        floors: list[Fraction] = []

        def test(jets: Jets, box: Box, floors: list[Fraction] = floors) -> dict[str, Any] | None:
            jet = jet_on(jets, box)
            if jet is None:
                return None
            low = (jet[1] if wanted > 0 else opposite(jet[1])).low
            if low.infinite or low.sign <= 0:
                return None
            floors.append(_number(low))
            return {"sign": wanted}

        try:
            rows = cover(Jets(wide.terms[side], True), {"pred": ends, **wide.ranges}, test, looks)
        except Rejected:
            continue
        floor = min(floors) / 2
        shift = max(0, floor.denominator.bit_length() - floor.numerator.bit_length())
        return [str(distance), str(Fraction(1, 2 ** (shift + 1)) if floor < 1 else Fraction(1)), rows]
    raise Rejected("no number is found below the slope at the wrong end")


def _side(wide: Wide, distances: tuple[Fraction, Fraction], wanted: int, looks: int) -> list[dict[str, Any]]:
    """Boxes on one side of the label where the slope has a sign, or where it is steep, of either sign."""
    jets = Jets(wide.terms["any"], False)
    whole = {"label": UNIT, **wide.ranges, "distance": distances}

    def test(jets: Jets, box: Box) -> dict[str, Any] | None:
        if not wanted:
            jet = None if region(jets.spans, box) is None else jet_on(jets, box)
            return {} if region(jets.spans, box) is None or (jet is not None and steep(jet[1])) else None
        if region(jets.spans, box) is None:
            return {"sign": wanted}
        return _slope_sign(wanted)(jets, box)

    return cover(jets, whole, test, looks)
