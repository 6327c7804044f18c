"""The named losses as trees without parameters: what a seeded search starts from."""

from __future__ import annotations

from lossdsl.grammar.losses import loss_names
from lossdsl.grammar.parser import read
from lossdsl.grammar.tree import Name, Node, Tree
from lossdsl.search.moves import number, substitute


def known_losses() -> list[Node]:
    """Every named loss, its parameters at their values; the gate refuses those that are none for the task at hand.

    >>> from lossdsl.grammar.printer import show_node
    >>> from lossdsl.search.known import known_losses
    >>> "-label*log(pred) - (1-label)*log(1-pred)" in [show_node(root) for root in known_losses()]
    True
    """
    return [_filled(read(name).tree) for name in loss_names()]


def _filled(tree: Tree) -> Node:
    values = {binding.name: number(binding.value) for binding in tree.where if binding.value is not None}
    return substitute(tree.root, lambda node: values.get(node.name) if isinstance(node, Name) else None)
