"""The same function on the same domain, shorter where it can be.

Every step keeps the value *and* the domain: a part is dropped only where it is real and finite everywhere, a common
factor is cancelled only where it is never zero. Work is counted, never timed, so the result is the same on every
machine; what does not get shorter is returned as it was written.
"""

from __future__ import annotations

from lossdsl.grammar.limits import breach
from lossdsl.grammar.numerals import write_decimal
from lossdsl.grammar.printer import show
from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree, names, size, walk
from lossdsl.local_rules import RULES, fold
from lossdsl.ranges import Ranges
from lossdsl.rational import RATIONAL, shortest

_MAX_VISITS = 4000
_MAX_FORMS = 60


def simplify(tree: Tree) -> Tree:
    """The shortest form that the rules find, or the tree itself.

    >>> from lossdsl.grammar.parser import read
    >>> from lossdsl.grammar.printer import show
    >>> from lossdsl.simplify import simplify
    >>> for text in ("label^2 - 2*label*pred + pred^2", "clamp(abs(pred), 1e-9, 1)*1", "pred/pred", "score/score"):
    ...     print(show(simplify(read(text).tree)))
    (label-pred)^2
    max(pred, 1e-9)
    1
    score/score
    """
    best, key = tree, _key(tree)
    longest = key[1]
    along_score = "score" in names(tree.root)
    for found in _candidates(tree):
        found_key = _key(found)
        # A formula without score is a function of pred: dropping the last score would change what the slope is along.
        if found_key < key and found_key[1] <= longest and breach(found) is None:
            if not along_score or "score" in names(found.root):
                best, key = found, found_key
    return best


def simplify_slope(tree: Tree) -> Tree:
    """The same for a slope, which may be larger than any formula that a person writes."""
    return min((tree, *_candidates(tree)), key=_key)


def _candidates(tree: Tree) -> list[Tree]:
    starts = dict.fromkeys((tree, _substituted(tree)))
    return [_pruned(Tree(_Simplifier(start).run(start.root), start.where)) for start in starts]


def _key(tree: Tree) -> tuple[int, int]:
    count = size(tree.root)
    return count, len(show(tree)) if count <= _MAX_VISITS else 0


def _pruned(tree: Tree) -> Tree:
    used = names(tree.root)
    return Tree(tree.root, tuple(b for b in tree.where if b.name in used))


def _substituted(tree: Tree) -> Tree:
    """Parameters with one value, where a number can be written for it, replaced by that number."""
    values: dict[str, Node] = {}
    for binding in tree.where:
        if binding.value is not None and write_decimal(abs(binding.value)) is not None:
            number = Number(abs(binding.value))
            values[binding.name] = Apply("neg", (number,)) if binding.value < 0 else number
    new: dict[Node, Node] = {}
    for node in walk(tree.root):
        if isinstance(node, Name):
            new[node] = values.get(node.name, node)
        elif isinstance(node, Apply):
            new[node] = Apply(node.op, tuple(new[a] for a in node.args))
        else:
            new[node] = node
    return Tree(new[tree.root], tuple(b for b in tree.where if b.name not in values))


class _Simplifier:
    def __init__(self, tree: Tree) -> None:
        self.ranges = Ranges(tree)
        self.visits = _MAX_VISITS
        self.forms = _MAX_FORMS

    def run(self, root: Node) -> Node:
        new: dict[Node, Node] = {}
        for node in walk(root):
            if isinstance(node, Apply):
                args = self.arguments(node, new)
                if node.op not in RATIONAL:
                    args = tuple(self.tidy(a) for a in args)
                new[node] = self.make(node.op, *args)
            else:
                new[node] = node
        return self.tidy(new[root])

    def tidy(self, node: Node) -> Node:
        """The shortest form of a rational expression in whatever stands below it."""
        if not isinstance(node, Apply) or node.op not in RATIONAL or self.forms <= 0:
            return node
        self.forms -= 1
        found = shortest(node, self.ranges)
        return node if found is None else self.again(found)

    def again(self, root: Node) -> Node:
        """The local rules once more, over a part that was built anew."""
        new: dict[Node, Node] = {}
        for node in walk(root):
            new[node] = self.make(node.op, *self.arguments(node, new)) if isinstance(node, Apply) else node
        return new[root]

    def arguments(self, node: Apply, new: dict[Node, Node]) -> tuple[Node, ...]:
        """The simpler arguments of a node.

        A power of what may be negative is defined where its exponent is a whole number, and to see that of sqrt(1) or
        log(exp(label)) takes more than arithmetic: such an exponent stays as it was written.
        """
        args = tuple(new[a] for a in node.args)
        if node.op == "pow" and not self.ranges.of(args[0]).positive:
            return args[0], node.args[1]
        return args

    def make(self, op: str, *args: Node) -> Node:
        """`op` on arguments that are simple already."""
        self.visits -= 1
        if self.visits < 0:
            return Apply(op, args)
        folded = fold(op, args)
        if folded is not None:
            return folded
        rule = RULES.get(op)
        found = rule(self, args) if rule is not None else None
        return Apply(op, args) if found is None else found

    def total(self, *nodes: Node) -> bool:
        return all(self.ranges.of(node).total for node in nodes)
