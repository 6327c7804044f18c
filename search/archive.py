"""The trained losses worth remembering: the best by reward less the price of size, and the best of each size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lossdsl.grammar.parser import read
from lossdsl.grammar.printer import show_node
from lossdsl.grammar.tree import Node

CAPACITY = 64


@dataclass(frozen=True)
class Entry:
    """A loss that was trained: `root` unscaled, `formula` as trained.

    `final` is its mean over folds and seeds, once it was ranked.
    """

    root: Node
    formula: str
    reward: float
    nodes: int
    l2: float
    number: int
    source: str
    verdict: str = ""
    final: float | None = None
    values: tuple[float, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(replace(self, root=_NOTHING)), "root": show_node(self.root)}

    @classmethod
    def read(cls, data: dict[str, Any]) -> Entry:
        """The way back from `plain`."""
        return cls(**{**data, "root": read(data["root"]).tree.root, "values": tuple(data["values"])})


_NOTHING = read("0").tree.root


class Archive:
    """At most `CAPACITY` losses by reward less `price` for every node, and beside them those that no smaller one beats.

    >>> from lossdsl.formula import parse
    >>> from lossdsl.search.archive import Archive, Entry
    >>> archive = Archive(price=1e-3)
    >>> for number, (text, reward) in enumerate([("pred", 0.5), ("label-pred", 0.501), ("abs(label-pred)", 0.6)]):
    ...     root = parse(text).tree.root
    ...     archive.add(Entry(root, text, reward, len(text), 0.0, number, "here"))
    >>> [entry.formula for entry in archive.entries], [entry.formula for entry in archive.front]
    (['abs(label-pred)', 'pred', 'label-pred'], ['pred', 'label-pred', 'abs(label-pred)'])
    """

    def __init__(self, price: float) -> None:
        self.price = price
        self.entries: list[Entry] = []
        self.front: list[Entry] = []

    def worth(self, entry: Entry) -> float:
        """Reward less the price of its size."""
        return entry.reward - self.price * entry.nodes

    def add(self, entry: Entry) -> None:
        """Take a loss in, if it is good enough for one of the two."""
        self.entries.append(entry)
        self.entries.sort(key=lambda e: (-self.worth(e), e.nodes, e.number))
        del self.entries[CAPACITY:]
        self.front = front([*self.front, entry], lambda e: e.reward)

    def chosen(self) -> Iterator[Entry]:
        """All of them in the order in which they deserve a second look: one by worth, one of the front, in turn."""
        seen: set[str] = set()
        best_first = sorted(self.front, key=lambda e: (-e.reward, e.number))
        for k in range(max(len(self.entries), len(best_first))):
            for rank in (self.entries, best_first):
                if k < len(rank) and rank[k].formula not in seen:
                    seen.add(rank[k].formula)
                    yield rank[k]

    def state(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"entries": [e.plain() for e in self.entries], "front": [e.plain() for e in self.front]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.entries = [Entry.read(data) for data in state["entries"]]
        self.front = [Entry.read(data) for data in state["front"]]


def front(entries: Sequence[Entry], value: Any) -> list[Entry]:
    """Those that no smaller or equal one beats in `value(entry)`, smallest first."""
    out: list[Entry] = []
    for entry in sorted(entries, key=lambda e: (e.nodes, -value(e), e.number)):
        if not out or value(entry) > value(out[-1]):
            out.append(entry)
    return out
