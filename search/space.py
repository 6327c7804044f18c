"""The space of graphs that AutoLossGen draws from, and how a graph becomes a formula.

A graph is a list of steps. Each step applies an operator to earlier nodes; the first nodes are the inputs `pred`,
`label` and 1; the last node is the loss. Protection and clamping are part of the formula that comes out, because what
is logged has to be what is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from lossdsl.errors import LossError
from lossdsl.grammar.printer import show_node
from lossdsl.grammar.tree import Apply, Name, Node, Number, Tree

# name in the settings -> (operator of the language, number of operands)
OPERATORS: Mapping[str, tuple[str | None, int]] = {
    "add": ("add", 2),
    "multiply": ("mul", 2),
    "max": ("max", 2),
    "min": ("min", 2),
    "negate": ("neg", 1),
    "identity": (None, 1),
    "log": ("plog", 1),
    "square": ("square", 1),
    "reciprocal": ("pinv", 1),
    "sigmoid": ("sigmoid", 1),
    "tanh": ("tanh", 1),
    "relu": ("relu", 1),
    "abs": ("abs", 1),
    "sqrt": ("psqrt", 1),
    "exp": ("exp", 1),
}
INPUTS = ("pred", "label", "1")
PROTECTED = ("plog", "pinv", "psqrt")
_MOST = 12  # steps up to which no text can get out of hand
DEFAULT_EPSILON = Fraction(1, 10**6)


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a graph: an operator and the nodes that feed it; `second` is -1 for operators of one operand."""

    op: str
    first: int
    second: int = -1


@dataclass(frozen=True, slots=True)
class Graph:
    """Steps in order of evaluation; node k of the inputs has number k, step k has number `len(INPUTS) + k`."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Space:
    """What a graph may be made of.

    `clamp` bounds every step's result, not the inputs; None leaves them free. `epsilon` protects log, reciprocal and
    square root.

    >>> from lossdsl.search.space import Graph, Space, Step
    >>> space = Space(nodes=2)
    >>> graph = Graph((Step("log", 0), Step("negate", 3)))
    >>> space.tree(graph).root.op
    'clamp'
    """

    operators: tuple[str, ...] = ("add", "multiply", "max", "min", "negate", "identity", "log", "square", "reciprocal")
    nodes: int = 10
    clamp: tuple[Fraction, Fraction] | None = (Fraction(1, 10**5), Fraction(10**5))
    epsilon: Fraction = DEFAULT_EPSILON

    def __post_init__(self) -> None:
        unknown = [name for name in self.operators if name not in OPERATORS]
        if unknown:
            raise LossError(f"unknown operator `{unknown[0]}` in the search space; known: {', '.join(OPERATORS)}")
        if self.nodes < 1:
            raise LossError("a graph needs at least one node")

    def arity(self, op: str) -> int:
        """How many operands an operator takes."""
        return OPERATORS[op][1]

    def tree(self, graph: Graph) -> Tree:
        """The formula of a graph, with every clamp and every protected operator as a node of its own."""
        nodes: list[Node] = [Name("pred"), Name("label"), Number(Fraction(1))]
        for step in graph.steps:
            operands = [nodes[step.first]]
            if self.arity(step.op) == 2:
                # Operands of a commutative operator are written in the order of the nodes, as the original prints them.
                low, high = sorted((step.first, step.second))
                operands = [nodes[low], nodes[high]]
            nodes.append(self._apply(step.op, operands))
        return Tree(nodes[-1])

    def _apply(self, op: str, operands: list[Node]) -> Node:
        name = OPERATORS[op][0]
        if name in PROTECTED and self.epsilon != DEFAULT_EPSILON:
            operands = [*operands, Number(self.epsilon)]
        result = operands[0] if name is None else Apply(name, tuple(operands))
        if self.clamp is None:
            return result
        return Apply("clamp", (result, Number(self.clamp[0]), Number(self.clamp[1])))

    def text(self, graph: Graph) -> str:
        """The canonical text of the formula of a graph, the same as that of its tree.

        >>> from lossdsl.search.space import Graph, Space, Step
        >>> Space().text(Graph((Step("log", 0),)))
        'clamp(plog(pred), 1e-5, 1e5)'
        """
        if self.clamp is None or len(graph.steps) > _MOST:
            return show_node(self.tree(graph).root)
        # Each clamped step is a call, so nothing depends on what stands around it, and texts can be put together.
        bounds = f", {show_node(Number(self.clamp[0]))}, {show_node(Number(self.clamp[1]))})"
        texts = list(INPUTS)
        for step in graph.steps:
            name = OPERATORS[step.op][0]
            a = texts[step.first]
            if self.arity(step.op) == 2:
                low, high = sorted((step.first, step.second))
                a, b = texts[low], texts[high]
                blank = " " if "(" in a or "(" in b else ""
                a = {"add": f"{a}{blank}+{blank}{b}", "mul": f"{a}*{b}"}.get(str(name), f"{name}({a}, {b})")
            elif name == "neg":
                a = f"-{a}"
            elif name in PROTECTED and self.epsilon != DEFAULT_EPSILON:
                a = f"{name}({a}, {show_node(Number(self.epsilon))})"
            elif name is not None:
                a = f"{name}({a})"
            texts.append(f"clamp({a}{bounds}")
        return texts[-1]
