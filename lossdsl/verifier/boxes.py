"""Boxes of a certificate: ranges of predictions, labels and parameters that together leave nothing out."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from lossdsl.verifier.jets import Region
from lossdsl.verifier.limits import Malformed, Rejected, spend
from lossdsl.verifier.points import fraction
from lossdsl.verifier.spans import Spans

MAX_BOXES = 600
Range = tuple[Fraction, Fraction]
Box = dict[str, Range]


def read_boxes(rows: object, whole: Box, more: frozenset[str]) -> list[tuple[Box, dict[str, Any]]]:
    """The boxes of a list, each with the `more` that is said of it; together they are exactly the whole."""
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_BOXES:
        raise Malformed("boxes are a list of limited length")
    out: list[tuple[Box, dict[str, Any]]] = []
    for row in rows:
        if not isinstance(row, dict) or set(row) != set(whole) | more:
            raise Malformed("a box has a range for each name, and what is claimed of it")
        out.append(({name: read_range(row[name]) for name in whole}, {name: row[name] for name in more}))
    fill([box for box, _ in out], whole)
    return out


def read_range(row: object) -> Range:
    if not isinstance(row, list) or len(row) != 2:
        raise Malformed("a range is a list of two numbers")
    low, high = fraction(row[0]), fraction(row[1])
    if not low < high:
        raise Rejected("a range is empty")
    return low, high


def fill(boxes: list[Box], whole: Box) -> None:
    """`Rejected` unless boxes fill the whole without overlap, as cutting it in two again and again makes them.

    >>> from fractions import Fraction
    >>> fill([{"x": (Fraction(0), Fraction(1))}, {"x": (Fraction(1), Fraction(2))}], {"x": (Fraction(0), Fraction(2))})
    """
    work = [(boxes, whole)]
    while work:
        some, room = work.pop()
        spend(20 * len(some))
        if len(some) == 1:
            if some[0] != room:
                raise Rejected("the boxes leave something out, or overlap")
            continue
        work += _halves(some, room)


def _halves(boxes: list[Box], room: Box) -> list[tuple[list[Box], Box]]:
    """The two sides of a cut that goes through none of the boxes."""
    for name, (low, high) in room.items():
        for cut in sorted({box[name][0] for box in boxes}):
            spend(len(boxes))
            if not low < cut < high:
                continue
            before = [box for box in boxes if box[name][1] <= cut]
            after = [box for box in boxes if box[name][0] >= cut]
            if before and after and len(before) + len(after) == len(boxes):
                return [(before, {**room, name: (low, cut)}), (after, {**room, name: (cut, high)})]
    raise Rejected("the boxes leave something out, or overlap")


def region(spans: Spans, box: Box) -> Region | None:
    """What a box says of predictions and free names; None where there is no prediction between 0 and 1 in it.

    A box has predictions, or distances, which are label - pred.
    """
    free = {name: spans.between(*ends) for name, ends in box.items() if name not in ("pred", "distance")}
    if "pred" in box:
        low, high = box["pred"]
        distance = None
    else:
        near, far = box["distance"]
        low, high = box["label"][0] - far, box["label"][1] - near
        distance = spans.between(near, far)
    low, high = max(low, Fraction(0)), min(high, Fraction(1))
    if low > high or high == 0 or low == 1:
        return None
    return Region(spans.between(low, high, low == 0, high == 1), free, distance)
