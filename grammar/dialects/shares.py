"""A pair's loss as the share of an exponential: exp(s_i)/(exp(s_i) + exp(s_j)) is sigmoid(s_i - s_j)."""

from __future__ import annotations

from collections.abc import Callable

from lossdsl.grammar.dialects.scan import apply
from lossdsl.grammar.tree import Apply, Name, Node, walk

Side = Callable[[str], tuple[str, int] | None]


def read_shares(root: Node, side: Side) -> tuple[Node, bool]:
    """The tree with each such share read as a sigmoid of the difference, and whether there was one.

    The scores may be divided or multiplied by something that is the same for both, such as a temperature. `side` says
    which names are members of pairs, as `is_pair_name` does.

    >>> from lossdsl.grammar.dialects.meaning import is_pair_name
    >>> from lossdsl.grammar.dialects.shares import read_shares
    >>> from lossdsl.grammar.printer import show_node
    >>> from lossdsl.grammar.tree import Apply, Name
    >>> a, b = (Apply("exp", (Name(n),)) for n in ("pos", "neg"))
    >>> show_node(read_shares(Apply("div", (a, Apply("add", (a, b)))), is_pair_name)[0])
    'sigmoid(pos-neg)'
    """
    new: dict[Node, Node] = {}
    found = False
    for node in walk(root):
        if not isinstance(node, Apply):
            new[node] = node
            continue
        args = tuple(new[a] if isinstance(a, Apply) else a for a in node.args)
        made = _share(node, side)
        found = found or made is not None
        if made is None:
            same = all(a is b for a, b in zip(args, node.args))
            made = node if same else Apply(node.op, args, span=node.span)
        new[node] = made
    return new[root], found


def _share(node: Apply, side: Side) -> Apply | None:
    if node.op != "div" or not isinstance(node.args[1], Apply) or node.args[1].op != "add":
        return None
    above, below = node.args[0], list(node.args[1].args)
    if above not in below or not _is_exp(above):
        return None
    below.remove(above)
    other = below[0]
    if not _is_exp(other):
        return None
    assert isinstance(above, Apply) and isinstance(other, Apply)
    one, two = _member(above.args[0], side), _member(other.args[0], side)
    if one is None or two is None:
        return None
    (name, family, way), (partner, other_family, other_way) = one, two
    if family != other_family or way != -other_way or _put(above.args[0], name, partner) != other.args[0]:
        return None
    difference = apply("sub", name, partner, span=node.span)
    return apply("sigmoid", _put(above.args[0], name, difference), span=node.span)


def _is_exp(node: Node) -> bool:
    return isinstance(node, Apply) and node.op == "exp"


def _member(node: Node, side: Side) -> tuple[Name, str, int] | None:
    """The one member of a pair in `s`, `-s`, `s/c`, `c*s` or `s*c`, where c holds none."""
    while isinstance(node, Apply):
        held = [a for a in node.args if any(isinstance(n, Name) and side(n.name) for n in walk(a))]
        scaled = node.op in ("neg", "mul") or (node.op == "div" and held == [node.args[0]])
        if len(held) != 1 or not scaled:
            return None
        node = held[0]
    pair = side(node.name) if isinstance(node, Name) else None
    return (node, *pair) if isinstance(node, Name) and pair else None


def _put(node: Node, old: Name, new: Node) -> Node:
    """`node` with `new` where `old` stood."""
    if isinstance(node, Apply):
        return Apply(node.op, tuple(_put(a, old, new) for a in node.args), span=node.span)
    return new if node == old else node
