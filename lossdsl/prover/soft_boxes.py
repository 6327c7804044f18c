"""What holds at every label in [0, 1] at once, by boxes of labels and predictions; see `plane`.

Each answer is a proof, or None where boxes do not tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from math import inf, isfinite

from lossdsl.prover.limits import Budget, Undecided
from lossdsl.prover.plane import Box, Jet, Plane
from lossdsl.prover.spans import Span

FLAT = 1e-6
LENGTH = 0.01
"""A dead zone: no slope in pred of this size on a stretch of this length."""
FINE = 0.003
THINNEST = 1 / 512
"""No label's neighbourhood is looked at more closely than this."""
MAX_BOXES = 4000
EDGE = 1e-6
TOLERANCE = 1e-2
MAX_BOUND_BOXES = 1200
LABELS = tuple((k / 4, (k + 1) / 4) for k in range(4))


class _Boxes:
    """Counts the boxes of one question."""

    def __init__(self, plane: Plane, budget: Budget, most: int = MAX_BOXES) -> None:
        self.plane = plane
        self.budget = budget
        self.left = most

    def at(self, box: Box) -> Jet:
        self.left -= 1
        self.budget.spend()
        if self.left < 0:
            raise Undecided("too many boxes")
        return self.plane.at(box)

    def slope(self, box: Box) -> Span:
        return self.at(box)[1]


def _halves(span: Span) -> tuple[Span, Span]:
    middle = (span[0] + span[1]) / 2
    return (span[0], middle), (middle, span[1])


# -- somewhere the slope is not zero --------------------------------------------------------------------------------


def uses_pred(plane: Plane, budget: Budget) -> bool:
    """Whether at every label some prediction has a slope that is not zero."""
    boxes = _Boxes(plane, budget)
    work = list(LABELS)
    while work:
        labels = work.pop()
        places = [(k / 16, (k + 0.25) / 16) for k in (7, 3, 12, 1, 14)]
        if any(not low <= 0 <= high for low, high in (boxes.slope(Box.of_preds(labels, p)) for p in places)):
            continue
        if labels[1] - labels[0] <= THINNEST:
            return False
        work += _halves(labels)
    return True


# -- no stretch is too flat -----------------------------------------------------------------------------------------


def no_dead_zone(plane: Plane, budget: Budget) -> bool:
    """Whether at no label the slope in pred is zero all along a stretch, nor under 1e-6 in size along one of 0.01."""
    boxes = _Boxes(plane, budget)
    work = list(LABELS)
    while work:
        labels = work.pop()
        if not _flat(boxes, labels):
            continue
        if labels[1] - labels[0] <= THINNEST:
            return False
        work += _halves(labels)
    return True


def _flat(boxes: _Boxes, labels: Span) -> bool:
    """Whether a stretch may be flat at one of the labels.

    Without a kink a slope that is zero on a part of a box is zero all over it, and over what it joins: next to a box
    where it is not, it is not.
    """
    flat = 0.0
    lively = []
    for side in ((labels[0] - 1, 0.0), (0.0, labels[1])):
        if side[0] == side[1]:
            continue
        lively.append(False)
        for length, whole in _flatness(boxes, labels, side):
            flat = flat + length if length else 0.0
            if flat >= LENGTH:
                return True
            lively[-1] = lively[-1] or not whole
    if all(lively):
        return False
    boxes.at(Box.of_distances(labels, (max(labels[0] - 1, -FINE), min(labels[1], FINE))))
    return boxes.plane.kinked or not any(lively)


def _flatness(boxes: _Boxes, labels: Span, side: Span) -> Iterator[tuple[float, bool]]:
    """For distances in order: on how much of a box the slope may be as good as none, and if on all of it.

    A slope that rises everywhere by k is under 1e-6 in size on one stretch of 2e-6/k, if at all.
    """
    finest = max(FINE, (labels[1] - labels[0]) / 8)
    stack: list[Span] = [side]
    while stack:
        distance = stack.pop()
        _, (low, high), (bend_low, bend_high) = boxes.at(Box.of_distances(labels, distance))
        bend = max(bend_low, -bend_high)
        length = distance[1] - distance[0]
        if low > FLAT or high < -FLAT:
            yield 0.0, False
        elif bend > 20 * FLAT / LENGTH:
            yield min(length, 2.01 * FLAT / bend), False
        elif length > finest:
            stack += _halves(distance)[::-1]
        else:
            # A little more than the box, for a kink may lie where two boxes meet.
            wider = max(side[0], distance[0] - length / 64), min(side[1], distance[1] + length / 64)
            boxes.at(Box.of_distances(labels, wider))
            yield (LENGTH if boxes.plane.kinked else length), low <= 0 <= high


# -- least at the label ---------------------------------------------------------------------------------------------


def towards_label(plane: Plane, budget: Budget) -> bool:
    """Whether the slope never points away from the label, at any label and prediction."""
    boxes = _Boxes(plane, budget)
    work: list[tuple[Span, Span]] = []
    for labels in LABELS:
        work += [(labels, (0.0, labels[1])), (labels, (labels[0] - 1, 0.0))]
    while work:
        labels, distance = work.pop()
        box = Box.of_distances(labels, distance)
        if box.pred[0] >= box.pred[1]:
            continue
        low, high = boxes.slope(box)
        if high <= 0 if distance[0] >= 0 else low >= 0:
            continue
        if max(labels[1] - labels[0], distance[1] - distance[0]) <= THINNEST:
            return False
        if labels[1] - labels[0] > distance[1] - distance[0]:
            work += [(half, distance) for half in _halves(labels)]
        else:
            work += [(labels, half) for half in _halves(distance)]
    return True


# -- how steep ------------------------------------------------------------------------------------------------------


def largest_slope(plane: Plane, budget: Budget) -> tuple[float, bool] | None:
    """A bound of the slope's size and whether it is sharp to one percent; along pred only on [1e-6, 1-1e-6]."""
    boxes = _Boxes(plane, budget, MAX_BOUND_BOXES)
    first, last = (0.0, 1.0) if plane.in_score else (EDGE, 1 - EDGE)
    heap = [(-inf, labels, half) for labels in LABELS for half in ((first, 0.5), (0.5, last))]
    heapify(heap)
    best = 0.0
    while -heap[0][0] > best * (1 + TOLERANCE) and boxes.left > 4:
        _, labels, pred = heappop(heap)
        for y, p in _quarters(labels, pred):
            middle = ((y[0] + y[1]) / 2,) * 2, ((p[0] + p[1]) / 2,) * 2
            best = max(best, _least(boxes.slope(Box.of_preds(*middle))))
            heappush(heap, (-_size(boxes.slope(Box.of_preds(y, p))), y, p))
    top = -heap[0][0]
    return (top, top <= best * (1 + TOLERANCE)) if isfinite(top) else None


def _size(slope: Span) -> float:
    return max(abs(slope[0]), abs(slope[1]))


def _least(slope: Span) -> float:
    return max(slope[0], -slope[1], 0.0)


def _quarters(labels: Span, pred: Span) -> list[tuple[Span, Span]]:
    """Two boxes cut across the longer side; next to pred = 0 and 1 lengths are counted in orders of size."""
    low, high = pred
    if low >= 0.5:
        parts = [(1 - b, 1 - a) for a, b in _cut(1 - high, 1 - low)]
    else:
        parts = _cut(low, high)
    ratio = (high - low) / max(min(low, 1 - high), (high - low) / 1000, 1e-9)
    if labels[1] - labels[0] > min(1.0, ratio) / 2:
        return [(half, pred) for half in _halves(labels)]
    return [(labels, part) for part in parts]


def _cut(low: float, high: float) -> list[Span]:
    middle = low**0.5 * high**0.5 if 0 < 4 * low < high else high / 16 if low == 0 else (low + high) / 2
    return [(low, middle), (middle, high)]
