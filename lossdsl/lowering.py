"""From a tree to a Program: what the formula says, then its slope by the chain rule, both as shared steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from lossdsl.builder import LONGEST_PRODUCT, Builder
from lossdsl.errors import LossError, Span
from lossdsl.folding import ZERO
from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree, names, walk
from lossdsl.program import Axis, Program, Step, reachable
from lossdsl.slopes import Slopes

if TYPE_CHECKING:
    from lossdsl.formula import Formula

EPSILON = Fraction(1, 10**6)  # of the protected operators, where none is written
HALF = Fraction(1, 2)


class LoweringError(LossError):
    """A formula that cannot be compiled; `span` is the place of the sub-expression, where it is known."""

    def __init__(self, message: str, span: Span | None = None) -> None:
        self.span = span
        super().__init__(message)


def lower(
    formula: str | Formula | Tree,
    axis: Axis = "score",
    *,
    label: Fraction | int | None = None,
    pairwise: bool = False,
    values: Mapping[str, Fraction | float] | None = None,
    free: Collection[str] = (),
) -> Program:
    """Value and slope along `axis` as one Program.

    On the axis "score", pred is `sigmoid(score)`, carried with its complement as a pair. `label` fixes the label;
    `pairwise` gives the loss of a pair, whose score is the difference of the two. `values` overrides
    what `where` says; parameters in `free`, and those that have no value, stay open.

    Raises LoweringError, naming the sub-expression that cannot be computed.

    >>> from lossdsl.grammar.tree import Apply, Name, Tree
    >>> bpr = Tree(Apply("neg", (Apply("logsigmoid", (Name("score"),)),)))
    >>> lower(bpr, pairwise=True).uses_label
    False
    """
    b, value, bound = _read(formula, axis, label, pairwise, dict(values or {}), frozenset(free))
    slope = Slopes(b, b.input(axis)).of(value)
    return _finish(b, axis, value, b.constant(0) if slope is None else slope, bound)


def lower_slope(formula: str | Formula | Tree, axis: Axis = "score", *, label: Fraction | int | None = None) -> Program:
    """The Program whose value is the slope of the loss, and whose slope is its curvature.

    >>> program = lower_slope("(score-1)^2")
    >>> program.steps[program.slope].constant
    Fraction(2, 1)
    """
    b, value, bound = _read(formula, axis, label, False, {}, frozenset())
    first = Slopes(b, b.input(axis)).of(value)
    second = None if first is None else Slopes(b, b.input(axis)).of(first)
    zero = b.constant(0)
    return _finish(b, axis, zero if first is None else first, zero if second is None else second, bound)


def _read(
    formula: str | Formula | Tree,
    axis: Axis,
    label: Fraction | int | None,
    pairwise: bool,
    values: dict[str, Fraction | float],
    free: frozenset[str],
) -> tuple[Builder, int, dict[str, Fraction | None]]:
    """A builder with the steps of the value, the number of its last, and the parameters' values."""
    tree = formula if isinstance(formula, Tree) else _tree(formula)
    used = names(tree.root)
    if axis == "pred" and "score" in used:
        raise LoweringError("the formula contains score, so it cannot be computed from pred alone")
    b = Builder()
    bound = _bind(tree, values, free, used)
    if pairwise:
        return b, _pair(b, tree, axis, bound, "label" in used), bound
    fixed = b.constant(label) if label is not None else None
    return b, _Reader(b, axis, bound, fixed).read(tree.root), bound


def _tree(formula: str | Formula) -> Tree:
    from lossdsl.formula import as_formula

    return as_formula(formula).tree


def _bind(
    tree: Tree, values: dict[str, Fraction | float], free: frozenset[str], used: frozenset[str]
) -> dict[str, Fraction | None]:
    """Each parameter's value, None where it stays open, in the order of `where`."""
    known = {b.name: b.value for b in tree.where}
    for name in (*values, *sorted(free)):
        if name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise LoweringError(f"the formula has no parameter `{name}`; {has}")
    return {
        name: None if name in free else Fraction(values[name]) if name in values else value
        for name, value in known.items()
        if name in used
    }


def _pair(b: Builder, tree: Tree, axis: Axis, bound: dict[str, Fraction | None], uses_label: bool) -> int:
    if axis != "score":
        raise LoweringError("a pairwise loss is a function of score, the difference of two scores")
    score = b.input("score")
    first = _Reader(b, axis, bound, b.constant(1)).read(tree.root)
    if not uses_label:
        return first
    second = _Reader(b, axis, bound, b.constant(0), b.emit("neg", score)).read(tree.root)
    if first == second:
        return first
    return b.emit("mul", b.constant(HALF), b.emit("add", first, second))


def _finish(b: Builder, axis: Axis, value: int, slope: int, bound: dict[str, Fraction | None]) -> Program:
    kept = reachable(b.steps, (value, slope))
    new = {old: number for number, old in enumerate(kept)}
    steps = tuple(
        Step(s.op, tuple(new[a] for a in s.args), s.constant, s.name) if s.args else s
        for s in (b.steps[number] for number in kept)
    )
    open_ones = tuple(name for name, v in bound.items() if v is None)
    return Program(axis, steps, new[value], new[slope], open_ones)


class _Reader:
    """Reads a tree into steps, for one label and one place to take the score from."""

    def __init__(
        self,
        b: Builder,
        axis: Axis,
        bound: Mapping[str, Fraction | None],
        label: int | None,
        score: int | None = None,
    ) -> None:
        self.b = b
        self.axis = axis
        self.bound = bound
        self.label = label
        self.score = score

    def read(self, root: Node) -> int:
        done: dict[Node, int] = {}
        for node in walk(root):
            try:
                done[node] = self._node(node, done)
            except LoweringError:
                raise
            except LossError as error:
                from lossdsl.grammar.printer import show_node

                raise LoweringError(f"cannot compute `{show_node(node)}`: {error}", node.span) from None
        return done[root]

    def _node(self, node: Node, done: Mapping[Node, int]) -> int:
        if isinstance(node, Number):
            return self.b.constant(node.value)
        if isinstance(node, Name):
            return self._name(node)
        assert isinstance(node, Apply)
        return self._apply(node.op, [done[a] for a in node.args])

    def _name(self, node: Name) -> int:
        b = self.b
        if node.name == "label":
            return b.input("label") if self.label is None else self.label
        if node.name in ("pred", "score"):
            if node.name == self.axis == "pred":
                return b.input("pred")
            score = b.input("score") if self.score is None else self.score
            return score if node.name == "score" else b.emit("sigmoid", score)
        if node.name not in self.bound:
            raise LoweringError(f"the parameter `{node.name}` has no value; give one by `where`", node.span)
        value = self.bound[node.name]
        return b.parameter(node.name) if value is None else b.constant(value)

    def _apply(self, op: str, a: list[int]) -> int:
        b = self.b
        if op == "square":
            return b.power(a[0], 2)
        if op == "reciprocal":
            return b.emit("div", b.constant(1), a[0])
        if op == "softplus":
            return b.emit("neg", b.emit("logsigmoid", b.emit("neg", a[0])))
        if op == "pow":
            return self._pow(a[0], a[1])
        if op in ("min", "max"):
            result = a[0]
            for other in a[1:]:
                result = b.emit(op, result, other)
            return result
        if op == "if":
            return b.emit("select", *a)
        if op in ("plog", "pinv", "psqrt"):
            return self._protected(op, a[0], a[1] if len(a) > 1 else b.constant(EPSILON))
        return b.emit(op, *a)

    def _pow(self, base: int, exponent: int) -> int:
        b = self.b
        n = b.constant_of(exponent)
        if n is None or b.constant_of(base) is not None:
            return b.emit("pow", base, exponent)
        if n.denominator == 1 and abs(n) <= LONGEST_PRODUCT:
            return b.power(base, int(n))
        if n == HALF:
            return b.emit("sqrt", base)
        if n == -HALF:
            return b.emit("div", b.constant(1), b.emit("sqrt", base))
        return b.emit("pow", base, exponent)

    def _protected(self, op: str, x: int, epsilon: int) -> int:
        b = self.b
        inner = b.emit("add", b.emit("abs", x), epsilon)
        sign = b.emit("sign", x)
        if op == "pinv":
            return b.emit("div", sign, inner)
        result = b.emit("mul", sign, b.emit("log" if op == "plog" else "sqrt", inner))
        return b.constant(ZERO) if b.constant_of(sign) == 0 else result
