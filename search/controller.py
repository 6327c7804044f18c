"""The controller of ENAS and AutoLossGen: an LSTM that draws graphs, a whole batch of them in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossdsl.errors import LossError
from lossdsl.search import controller_kernels as kernels
from lossdsl.search.settings import ControllerSettings
from lossdsl.search.space import INPUTS, Space

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Draws:
    """A batch of graphs with what the update needs.

    `op`, `first` and `second` have a row for each node, the inputs' included, and a column for each graph; `log_prob`
    and `entropy` an entry for each graph.
    """

    op: Places
    first: Places
    second: Places
    log_prob: NDArray[np.float64]
    entropy: NDArray[np.float64]
    kept: Mapping[str, NDArray[Any]]


class Controller:
    """Draws, node by node, an operator and then which earlier nodes feed it (attention over their states).

    `sample_operator` and `sample_operand` False are the original's greedy modes: the most probable one is taken.

    Three traits of the original are kept, because they are part of the method as published: one operator is drawn
    for each of the three inputs too, changes nothing in the graph and counts in log-probability and entropy; the
    next input of the LSTM averages the states of the nodes that were *not* chosen; the log-probability of a
    second operand is that of the full distribution, though it is drawn with the first one excluded.

    The n-th graph of a run depends on the seed, n and the weights alone, not on how many are drawn at a time.

    >>> from lossdsl.search.controller import Controller
    >>> from lossdsl.search.space import Space
    >>> controller = Controller(Space(nodes=4))
    >>> draws = controller.draw(8)
    >>> draws.op.shape, draws.log_prob.shape
    ((7, 8), (8,))
    """

    def __init__(self, space: Space, settings: ControllerSettings | None = None, *, seed: int = 0) -> None:
        self.space = space
        self.settings = settings or ControllerSettings(tanh_constant=1.5)
        size, operators = self.settings.size, len(space.operators)
        # As PyTorch names and lays them out.
        self.shapes: dict[str, tuple[int, ...]] = {
            "cell.weight_ih": (4 * size, size), "cell.weight_hh": (4 * size, size),
            "cell.bias_ih": (4 * size,), "cell.bias_hh": (4 * size,),
            "start.weight": (1, size), "embed.weight": (operators, size), "to_operator.weight": (operators, size),
            "attend_node.weight": (size, size), "attend_query.weight": (size, size), "attend_value.weight": (1, size),
        }  # fmt: skip
        total = sum(int(np.prod(shape)) for shape in self.shapes.values())
        self.flat: Floats = np.empty(total, np.float32)
        self.moments: tuple[Floats, Floats] = np.zeros_like(self.flat), np.zeros_like(self.flat)
        self.steps = 0
        self.drawn = 0
        drawing, weights = np.random.SeedSequence(seed).spawn(2)
        self.seed = np.uint64(drawing.generate_state(1, np.uint64)[0])
        rng = np.random.default_rng(weights)
        bias = size**-0.5  # PyTorch's default for LSTM biases, which the original leaves alone
        for name, view in self.named(self.flat).items():
            bound = bias if "bias" in name else self.settings.init
            view[...] = rng.uniform(-bound, bound, view.shape)
        self._binary = np.array([space.arity(op) == 2 for op in space.operators])

    def named(self, flat: Floats) -> dict[str, Floats]:
        """The parts of a vector of all parameters, as views of it."""
        out, start = {}, 0
        for name, shape in self.shapes.items():
            end = start + int(np.prod(shape))
            out[name] = flat[start:end].reshape(shape)
            start = end
        return out

    def draw(self, count: int, *, sampling: bool = False) -> Draws:
        """Draw the next `count` graphs; `sampling` draws even where the settings say greedy."""
        drawn = self.foresee(count, 0, sampling=sampling)
        self.drawn += count
        return drawn

    def foresee(self, count: int, after: int, *, sampling: bool = False) -> Draws:
        """What `draw` would give after `after` more graphs, were the weights still those of now.

        >>> from lossdsl.search.controller import Controller
        >>> from lossdsl.search.space import Space
        >>> controller = Controller(Space(nodes=4))
        >>> later = controller.foresee(2, 3)
        >>> controller.draw(5).op[:, 3:].tolist() == later.op.tolist()
        True
        """
        nodes = len(INPUTS) + self.space.nodes
        place = np.uint64(3 * nodes * (self.drawn + after))
        op, first, second = (np.zeros((nodes, count), np.int64) for _ in range(3))
        s = self.settings
        size, operators = s.size, len(self.space.operators)
        w = self.named(self.flat)
        bias = w["cell.bias_ih"] + w["cell.bias_hh"]
        w_in = np.ascontiguousarray(w["cell.weight_ih"].T)
        shapes = {
            "gates": (2 * nodes, count, 4 * size), "c": (2 * nodes + 1, count, size), "h": (2 * nodes + 1, count, size),
            "tanh_c": (2 * nodes, count, size), "op_tanh": (nodes, count, operators),
            "op_score": (nodes, count, operators), "anchors": (nodes, count, size), "keys": (nodes, count, size),
            "mixed": (nodes, count, nodes, size), "wanted": (nodes, count, nodes), "arg_score": (nodes, count, nodes),
            "given": (nodes, count, size),
        }  # fmt: skip
        kept = {name: np.empty(shape, np.float32) for name, shape in shapes.items()}
        kept["c"][0] = kept["h"][0] = 0
        log_prob, entropy = np.zeros(count), np.zeros(count)
        turned = [
            np.ascontiguousarray(w[f"{name}.weight"].T) for name in ("to_operator", "attend_node", "attend_query")
        ]
        operand = s.sample_operand or sampling
        kernels.forward(
            len(INPUTS), self._binary, s.tanh_constant, s.sample_operator or sampling, operand, self.seed,
            place, w["embed.weight"] @ w_in + bias, (w["start.weight"] @ w_in + bias)[0], w_in, bias,
            np.ascontiguousarray(w["cell.weight_hh"].T), *turned, w["attend_value.weight"][0],
            op, first, second, log_prob, entropy, *kept.values(),
        )  # fmt: skip
        return Draws(op, first, second, log_prob, entropy, {**kept, "operand": np.array(operand)})

    def gradient(self, draws: Draws, weight: NDArray[np.float64]) -> Floats:
        """The gradient of `sum(weight * log_prob)`; the draws have to be of the present weights."""
        w = self.named(self.flat)
        flat = np.zeros_like(self.flat)
        g = self.named(flat)
        kept = draws.kept
        embed_in = np.zeros((len(self.space.operators), 4 * self.settings.size), np.float32)
        start_in = np.zeros(4 * self.settings.size, np.float32)
        kernels.backward(
            np.asarray(weight, np.float64), len(INPUTS), self._binary, self.settings.tanh_constant,
            bool(kept["operand"]), w["cell.weight_ih"], w["cell.weight_hh"], w["to_operator.weight"],
            w["attend_node.weight"], w["attend_query.weight"], w["attend_value.weight"][0],
            draws.op, draws.first, draws.second,
            *(kept[name] for name in ("gates", "c", "h", "tanh_c", "op_tanh", "op_score", "anchors", "mixed", "wanted",
                                      "arg_score", "given")),
            embed_in, start_in, g["cell.weight_ih"], g["cell.bias_ih"], g["cell.weight_hh"], g["to_operator.weight"],
            g["attend_node.weight"], g["attend_query.weight"], g["attend_value.weight"][0],
        )  # fmt: skip
        g["cell.bias_ih"] += embed_in.sum(axis=0) + start_in
        g["cell.bias_hh"][...] = g["cell.bias_ih"]
        g["cell.weight_ih"] += embed_in.T @ w["embed.weight"] + np.outer(start_in, w["start.weight"][0])
        g["embed.weight"][...] = embed_in @ w["cell.weight_ih"]
        g["start.weight"][0] = start_in @ w["cell.weight_ih"]
        return flat

    def descend(self, gradient: Floats) -> float:
        """One step of Adam down a gradient, clipped; returns its norm before clipping."""
        s = self.settings
        norm = float(np.sqrt(np.sum(np.square(gradient, dtype=np.float64))))
        # PyTorch's rule, its 1e-6 included.
        gradient *= np.float32(min(1.0, s.clip_norm / (norm + 1e-6)))
        self.steps += 1
        kernels.adam(self.flat, gradient, *self.moments, self.steps, s.lr, s.beta1, s.beta2, s.eps)
        return norm

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `restore` needs, as arrays."""
        first, second = self.moments
        return {"weights": self.flat.copy(), "first": first.copy(), "second": second.copy(),
                "counts": np.array([self.steps, self.drawn])}  # fmt: skip

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from `state`."""
        for name, own in (("weights", self.flat), ("first", self.moments[0]), ("second", self.moments[1])):
            if name not in arrays or arrays[name].shape != own.shape:
                raise LossError(f"the state does not fit the controller: `{name}` has another shape")
            own[...] = arrays[name]
        self.steps, self.drawn = map(int, arrays["counts"])
