"""Formulas that made the recommender of the published method better: the possible results of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossdsl.grammar.parser import read
from lossdsl.grammar.tree import size
from lossdsl.search.archive import Entry
from lossdsl.search.verdict import Judge

_KEPT = 200


@dataclass(frozen=True)
class Helper:
    """A formula that made the recommender better, and by how much."""

    formula: str
    reward: float
    gain: float
    number: int
    source: str


class Helpers:
    """Those that gained most, each with its largest gain.

    >>> from lossdsl.search.gains import Helper, Helpers
    >>> helpers = Helpers()
    >>> for number, gain in enumerate((0.1, 0.3, 0.2)):
    ...     helpers.remember(Helper("(label-pred)^2", 0.5 + gain, gain, number, "step"))
    >>> [data["gain"] for data in helpers.state()]
    [0.3]
    """

    def __init__(self) -> None:
        self._known: dict[str, Helper] = {}

    def remember(self, one: Helper) -> None:
        """Keep a formula, or its gain where that is the largest so far."""
        known = self._known.get(one.formula)
        if known is None or one.gain > known.gain:
            self._known[one.formula] = one
        if len(self._known) > 2 * _KEPT:
            kept = sorted(self._known.values(), key=lambda e: (-e.gain, e.number))[:_KEPT]
            self._known = {entry.formula: entry for entry in kept}

    def proved(self, judge: Judge, late: Callable[[], bool]) -> Entry | None:
        """The valid one that gained most, the smaller one first where two gained the same."""
        roots = {text: read(text).tree.root for text in self._known}
        for one in sorted(self._known.values(), key=lambda e: (-e.gain, size(roots[e.formula]), e.number)):
            if judge.verdict(one.formula) == "valid":
                root = roots[one.formula]
                return Entry(
                    root, one.formula, one.reward, size(root), 0.0, one.number, one.source, "valid", one.reward,
                    (one.gain,),
                )  # fmt: skip
            if late():
                break
        return None

    def state(self) -> list[dict[str, Any]]:
        """All that `restore` needs."""
        return [dict(vars(one)) for one in self._known.values()]

    def restore(self, state: Sequence[Mapping[str, Any]]) -> None:
        """Go on from `state`."""
        self._known = {data["formula"]: Helper(**data) for data in state}
