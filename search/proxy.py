"""The published tests before training, for a whole group of graphs at once: slopes at a few points, and who is alike.

The slopes are those of the formula's Program, as a test holds; making a Program for each graph would cost more than
all the rest of the search, training left out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from lossdsl.equivalence import sides_key, slope_key
from lossdsl.formula import Formula, parse
from lossdsl.grammar.tree import Node, Tree, names
from lossdsl.search.controller import Draws
from lossdsl.search.reduced import Reducer
from lossdsl.search.space import INPUTS, OPERATORS, Graph, Space, Step

_REMEMBERED = 1 << 14
_CODES = {name: code for code, name in enumerate(OPERATORS)}


def codes(space: Space) -> NDArray[np.int64]:
    """The kernel's number of each operator of a space."""
    return np.array([_CODES[name] for name in space.operators])


def slopes(
    space: Space, op: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64], points: tuple[Any, Any]
) -> NDArray[np.float64]:
    """The gradient of the mean loss at the points, in pred, a row for each graph.

    `op`, `first` and `second` have a row for each step and a column for each graph, as a controller draws them.

    >>> import numpy as np
    >>> from lossdsl.search.proxy import slopes
    >>> from lossdsl.search.space import Space
    >>> one_step = [np.array([[k]]) for k in (7, 0, 0)]
    >>> slopes(Space(), *one_step, (np.array([0.25, 0.5]), np.array([0.0, 1.0]))).tolist()
    [[0.25, 0.5]]
    """
    out = np.empty((op.shape[1], len(points[0])))
    low, high = (-np.inf, np.inf) if space.clamp is None else (float(space.clamp[0]), float(space.clamp[1]))
    _slopes(codes(space)[op], first, second, *points, low, high, float(space.epsilon), out)
    return out / len(points[0])


class Speller:
    """Graphs without the steps that the last node does not need, and their texts; the last ones are remembered."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._two = np.array([space.arity(op) == 2 for op in space.operators])
        self._known: OrderedDict[bytes, tuple[Graph, str]] = OrderedDict()

    def spell(self, drawn: Draws) -> list[tuple[Graph, str]]:
        """The graphs of a controller, in order."""
        begin = len(INPUTS)
        rows = _needed(drawn.op[begin:], drawn.first[begin:], drawn.second[begin:], self._two)
        out = []
        for row in rows:
            code = row.tobytes()
            known = self._known.get(code)
            if known is None:
                names = self.space.operators
                graph = Graph(tuple(Step(names[o], a, b) for o, a, b in row.tolist() if o >= 0))
                known = self._known[code] = (graph, self.space.text(graph))
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
            out.append(known)
        return out


@numba.njit(cache=True, nogil=True)
def _needed(op: Any, first: Any, second: Any, two: Any) -> Any:
    """For each graph its needed steps, numbered anew: operator, first, second (-1: none); -1 in the rows left over."""
    steps, count = op.shape
    out = np.full((count, steps, 3), -1, np.int8)
    need = np.empty(steps + 3, np.bool_)
    place = np.empty(steps + 3, np.int8)
    for b in range(count):
        need[:] = False
        need[steps + 2] = True
        for s in range(steps - 1, -1, -1):
            if need[s + 3]:
                need[first[s, b]] = True
                if two[op[s, b]]:
                    need[second[s, b]] = True
        for k in range(3):
            place[k] = k
        row = 0
        for s in range(steps):
            if need[s + 3]:
                place[s + 3] = row + 3
                out[b, row, 0] = op[s, b]
                out[b, row, 1] = place[first[s, b]]
                if two[op[s, b]]:
                    out[b, row, 2] = place[second[s, b]]
                row += 1
    return out


class Keys:
    """The prover's slope keys of graphs and texts; the last ones are remembered.

    >>> from lossdsl.search.proxy import Keys
    >>> from lossdsl.search.space import Graph, Space, Step
    >>> keys = Keys(Space())
    >>> keys.of(Graph((Step("negate", 0),))) == keys.of_text("label")
    True
    """

    def __init__(self, space: Space, *, pairwise: bool = False) -> None:
        self.space, self.pairwise = space, pairwise
        self._known: OrderedDict[Node | tuple[Node, Node], str | None] = OrderedDict()
        self._graphs: OrderedDict[Graph, str | None] = OrderedDict()
        # Where nothing can leave the numbers, every loss that is constant in pred has the key of all such losses.
        self._safe = space.clamp is not None and "exp" not in space.operators
        self._constant = self.of_text("label")
        self._whole, self._at_0, self._at_1 = Reducer(space), Reducer(space, 0), Reducer(space, 1)

    def of(self, graph: Graph) -> str | None:
        """The key of a graph's formula."""
        if graph not in self._graphs:
            self._graphs[graph] = self._of(graph)
            if len(self._graphs) > _REMEMBERED:
                self._graphs.popitem(last=False)
        return self._graphs[graph]

    def _of(self, graph: Graph) -> str | None:
        if self._safe and not self.pairwise:
            sides = self._at_0.reduced(graph), self._at_1.reduced(graph)
            if not any("pred" in names(side) for side in sides):
                return self._constant
            return self._remembered(sides, lambda: sides_key(sides))
        root = self._whole.reduced(graph)
        return self._remembered(root, lambda: self._make(Formula(Tree(root), "")))

    def _remembered(self, what: Node | tuple[Node, Node], make: Callable[[], str | None]) -> str | None:
        if what not in self._known:
            self._known[what] = make()
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return self._known[what]

    def of_text(self, text: str) -> str | None:
        """The key of a formula; None where the prover cannot give one."""
        return self._make(parse(text, dialect="lossdsl"))

    def _make(self, formula: Formula) -> str | None:
        return slope_key(formula, pairwise=self.pairwise or None)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _slopes(
    op: Any, first: Any, second: Any, pred: Any, label: Any, low: float, high: float, epsilon: float, out: Any
) -> None:
    steps = op.shape[0]
    inputs = 3
    value = np.empty(inputs + steps)
    slope = np.empty(inputs + steps)
    for b in range(op.shape[1]):
        for j in range(pred.shape[0]):
            value[0], value[1], value[2] = pred[j], label[j], 1.0
            slope[0], slope[1], slope[2] = 1.0, 0.0, 0.0
            for s in range(steps):
                code = op[s, b]
                x, dx = value[first[s, b]], slope[first[s, b]]
                y, dy = value[second[s, b]], slope[second[s, b]]
                v, d = x, dx
                if code == 0:
                    v, d = x + y, dx + dy
                elif code == 1:
                    v, d = x * y, dx * y + x * dy
                elif code == 2:
                    v = max(x, y)
                    d = dx if x > y else dy if y > x else 0.5 * (dx + dy)
                elif code == 3:
                    v = min(x, y)
                    d = dx if x < y else dy if y < x else 0.5 * (dx + dy)
                elif code == 4:
                    v, d = -x, -dx
                elif code == 6:
                    v, d = np.sign(x) * np.log(abs(x) + epsilon), (0.0 if x == 0.0 else dx / (abs(x) + epsilon))
                elif code == 7:
                    v, d = x * x, 2.0 * x * dx
                elif code == 8:
                    r = abs(x) + epsilon
                    v, d = np.sign(x) / r, (0.0 if x == 0.0 else -dx / (r * r))
                elif code == 9:
                    v = 1.0 / (1.0 + np.exp(-x))
                    d = dx * v * (1.0 - v)
                elif code == 10:
                    v = np.tanh(x)
                    d = dx * (1.0 - v * v)
                elif code == 11:
                    v, d = max(x, 0.0), (dx if x > 0.0 else 0.0)
                elif code == 12:
                    v, d = abs(x), np.sign(x) * dx
                elif code == 13:
                    r = np.sqrt(abs(x) + epsilon)
                    v, d = np.sign(x) * r, (0.0 if x == 0.0 else dx / (2.0 * r))
                elif code == 14:
                    v = np.exp(x)
                    d = dx * v
                if not (low <= v <= high):
                    d = 0.0 if v == v else v  # an infinite slope too is cut off
                    v = min(max(v, low), high)
                value[inputs + s], slope[inputs + s] = v, d
            out[b, j] = slope[inputs + steps - 1]
