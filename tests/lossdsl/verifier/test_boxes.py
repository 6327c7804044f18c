"""Boxes fill the whole, neither with a gap nor with an overlap."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.verifier.boxes import Box, fill, read_boxes, region
from lossdsl.verifier.limits import Malformed, Rejected
from lossdsl.verifier.spans import Spans

UNIT: Box = {"x": (Fraction(0), Fraction(1)), "y": (Fraction(0), Fraction(1))}


@st.composite
def covers(draw: st.DrawFn) -> list[Box]:
    """What is left of a square that is cut in two a few times."""
    boxes = [UNIT]
    for _ in range(draw(st.integers(0, 7))):
        box = boxes.pop(draw(st.integers(0, len(boxes) - 1)))
        name, share = draw(st.sampled_from("xy")), draw(st.sampled_from([Fraction(1, 2), Fraction(1, 3)]))
        low, high = box[name]
        cut = low + share * (high - low)
        boxes += [{**box, name: (low, cut)}, {**box, name: (cut, high)}]
    return draw(st.permutations(boxes))


@given(covers(), st.data())
def test_covers_are_seen_and_others_are_not(boxes: list[Box], data: st.DataObject) -> None:
    fill(boxes, UNIT)
    i = data.draw(st.integers(0, len(boxes) - 1))
    name, end = data.draw(st.sampled_from("xy")), data.draw(st.integers(0, 1))
    moved = dict(boxes[i])
    ends = list(moved[name])
    ends[end] += Fraction(1, 1000) * data.draw(st.sampled_from([-1, 1]))
    moved[name] = (ends[0], ends[1])
    wrong = [[*boxes[:i], *boxes[i + 1 :]], [*boxes, boxes[i]], [*boxes[:i], moved, *boxes[i + 1 :]]]
    for some in wrong:
        if some:
            with pytest.raises(Rejected):
                fill(some, UNIT)


ROTTEN: list[Any] = [
    None, [], {}, [1], [{}], [{"x": ["0", "1"]}], [{"x": ["0", "1"], "sign": 1, "more": 1}], [{"x": "01", "sign": 1}],
    [{"x": ["0"], "sign": 1}], [{"x": [0, 1], "sign": 1}], [{"x": ["0", "1/0"], "sign": 1}], [{"x": ["0", "1"]}] * 1000,
]  # fmt: skip


@pytest.mark.parametrize("rows", ROTTEN, ids=range(len(ROTTEN)))
def test_rows_that_make_no_sense(rows: Any) -> None:
    with pytest.raises(Malformed):
        read_boxes(rows, {"x": UNIT["x"]}, frozenset({"sign"}))


def test_an_empty_box_is_refused() -> None:
    with pytest.raises(Rejected):
        read_boxes([{"x": ["1", "0"]}], {"x": UNIT["x"]}, frozenset())


def test_distances_say_where_predictions_are() -> None:
    spans = Spans()
    label, quarter = (Fraction(1, 2), Fraction(3, 4)), (Fraction(0), Fraction(1, 4))
    there = region(spans, {"label": label, "distance": quarter})
    assert there is not None and there.pred == spans.between(Fraction(1, 4), Fraction(3, 4))
    assert there.distance == spans.between(*quarter)
    assert region(spans, {"label": (Fraction(0), Fraction(1, 4)), "distance": (Fraction(1, 4), Fraction(1))}) is None
    edge = region(spans, {"pred": (Fraction(0), Fraction(1)), "w": quarter})
    assert edge is not None and edge.pred.low.open and edge.pred.high.open and not edge.free["w"].low.open
