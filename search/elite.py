"""The best losses so far, by rank; what the controller's slots and evolution's parents are taken from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lossdsl.grammar.parser import read
from lossdsl.grammar.printer import show_node
from lossdsl.grammar.tree import Node, size


@dataclass
class Elite:
    """At most `capacity` losses, best first; of two with the same reward the smaller, then the older one leads."""

    capacity: int
    members: list[tuple[float, Node]] = field(default_factory=list)

    def add(self, reward: float, root: Node) -> None:
        """Take a loss in, if it is good enough and not there yet."""
        if any(root == other for _, other in self.members):
            return
        self.members.append((reward, root))
        self.members.sort(key=lambda member: (-member[0], size(member[1])))
        del self.members[self.capacity :]

    @property
    def roots(self) -> list[Node]:
        """The losses, best first."""
        return [root for _, root in self.members]

    def state(self) -> list[Any]:
        """Plain data for JSON."""
        return texts(self.members)

    def restore(self, state: Sequence[Any]) -> None:
        """Go on from `state`."""
        self.members = trees(state)


def texts(members: Sequence[tuple[float, Node]]) -> list[Any]:
    """Losses with their rewards as plain data."""
    return [[reward, show_node(root)] for reward, root in members]


def trees(state: Sequence[Any]) -> list[tuple[float, Node]]:
    """The way back from `texts`."""
    return [(float(reward), read(text).tree.root) for reward, text in state]
