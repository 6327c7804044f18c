"""The tree of a formula: three kinds of frozen nodes.

A tree is what was written, nothing simplified: `x/x` and `0*log(pred)` stay, because they carry domain obligations.
Equality and hash look at the structure alone, spans do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction

from lossdsl.errors import Span


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """Base of the three kinds of nodes; compare with `==`, hash in constant time."""

    span: Span | None = field(default=None, kw_only=True, repr=False)
    key: int = field(init=False, repr=False)

    def __hash__(self) -> int:
        return self.key

    def __reduce__(self) -> tuple[Callable[..., Node], tuple[object, ...]]:
        # Strings hash differently in each process, so a key must not travel; it is made anew where it arrives.
        parts = (getattr(self, f.name) for f in fields(self) if f.init and f.name != "span")
        return _remade, (type(self), self.span, *parts)


def _remade(kind: Callable[..., Node], span: Span | None, *parts: object) -> Node:
    return kind(*parts, span=span)


@dataclass(frozen=True, eq=False, slots=True)
class Number(Node):
    """A literal, exact, never negative: `0.1` is 1/10. A minus in front is a `neg`."""

    value: Fraction

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", hash(("number", self.value)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and self.value == other.value

    __hash__ = Node.__hash__


@dataclass(frozen=True, eq=False, slots=True)
class Name(Node):
    """`pred`, `label`, `score`, or a parameter that `where` defines."""

    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", hash(("name", self.name)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Name) and self.name == other.name

    __hash__ = Node.__hash__


@dataclass(frozen=True, eq=False, slots=True)
class Apply(Node):
    """An operator of `lossdsl.grammar.operators` on its arguments.

    `if(a < b, x, y)` is `Apply("if", (Apply("lt", (a, b)), x, y))`; `-x` is `neg`, `|x|` is `abs`.
    """

    op: str
    args: tuple[Node, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", hash(("apply", self.op, tuple(a.key for a in self.args))))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Apply) and self.key == other.key and _same(self, other)

    __hash__ = Node.__hash__


def _same(a: Apply, b: Apply) -> bool:
    """Equality of two graphs, each pair of nodes looked at once: where parts are shared, recursion would take 2^n."""
    seen: set[tuple[int, int]] = set()
    todo: list[tuple[Node, Node]] = [(a, b)]
    while todo:
        x, y = todo.pop()
        if x is y or (id(x), id(y)) in seen:
            continue
        if isinstance(x, Apply) and isinstance(y, Apply):
            if x.key != y.key or x.op != y.op or len(x.args) != len(y.args):
                return False
            seen.add((id(x), id(y)))
            todo.extend(zip(x.args, y.args))
        elif x != y:
            return False
    return True


@dataclass(frozen=True, slots=True)
class Binding:
    """A parameter of `where`: one value (`low == high`), or a closed range for checking."""

    name: str
    low: Fraction
    high: Fraction

    @property
    def value(self) -> Fraction | None:
        """The value, or None for a range."""
        return self.low if self.low == self.high else None


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole formula: the root and what `where` says of its parameters, in the order of writing."""

    root: Node
    where: tuple[Binding, ...] = ()


VARIABLES = ("pred", "label", "score")


def walk(root: Node) -> Iterator[Node]:
    """Each *distinct* node once, arguments before what uses them (the order of evaluation).

    >>> from lossdsl.grammar.tree import Apply, Name, walk
    >>> p = Name("pred")
    >>> [getattr(n, "op", "leaf") for n in walk(Apply("add", (Apply("mul", (p, p)), p)))]
    ['leaf', 'mul', 'add']
    """
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if node in seen:
            continue
        if ready or not isinstance(node, Apply):
            seen.add(node)
            yield node
        else:
            stack.append((node, True))
            stack.extend((a, False) for a in reversed(node.args))


def names(root: Node) -> frozenset[str]:
    """The names that occur in a tree, variables and parameters alike."""
    return frozenset(n.name for n in walk(root) if isinstance(n, Name))


def renamed(root: Node, values: Mapping[str, Node]) -> Node:
    """The tree with other nodes in the place of some names.

    >>> from lossdsl.grammar.tree import Apply, Name, renamed
    >>> renamed(Apply("neg", (Name("pred"),)), {"pred": Name("score")}).args[0].name
    'score'
    """
    new: dict[Node, Node] = {}
    for node in walk(root):
        if isinstance(node, Apply):
            new[node] = Apply(node.op, tuple(new[argument] for argument in node.args))
        else:
            new[node] = values.get(node.name, node) if isinstance(node, Name) else node
    return new[root]


def size(root: Node) -> int:
    """The number of nodes as written out, shared ones counted each time."""
    total: dict[Node, int] = {}
    for node in walk(root):
        total[node] = 1 + sum(total[a] for a in node.args) if isinstance(node, Apply) else 1
    return total[root]
