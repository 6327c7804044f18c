"""A stretch of the axis, or a place on it, and the loss there; the order of such along the axis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lossdsl.prover.field import Element
from lossdsl.prover.points import Point, compare


@dataclass(frozen=True, slots=True)
class Piece:
    """An open interval, or a single place (`low is high`), and the loss there.

    `picks` says which way each max, abs, if, ... goes there, as the sign that it goes by; None where more than one way
    was taken.
    """

    low: Point
    high: Point
    value: Element
    picks: Mapping[int, int] | None = None

    @property
    def is_place(self) -> bool:
        return self.low is self.high


def piece_order(piece: Piece) -> Any:
    return _Order(piece)


class _Order:
    """Sorts pieces along the axis: a place comes before the interval that begins there."""

    __slots__ = ("piece",)

    def __init__(self, piece: Piece) -> None:
        self.piece = piece

    def __lt__(self, other: _Order) -> bool:
        order = compare(self.piece.low, other.piece.low)
        return order < 0 or (order == 0 and self.piece.is_place and not other.piece.is_place)
