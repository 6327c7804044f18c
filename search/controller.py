"""The controller of ENAS and AutoLossGen: an LSTM that draws graphs, a whole batch of them in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lossdsl.search.settings import ControllerSettings
from lossdsl.search.space import INPUTS, Graph, Space, Step


@dataclass(frozen=True)
class Draws:
    """A batch of graphs with what the update needs: `log_prob` and `entropy` have one entry a graph."""

    graphs: tuple[Graph, ...]
    log_prob: Tensor
    entropy: Tensor


class Controller(nn.Module):
    """Draws, node by node, an operator and then which earlier nodes feed it (attention over their states).

        `sample_operator` and `sample_operand` False are the original's greedy modes: the most probable one is taken.

        Three traits of the original are kept, because they are part of the method as published: one operator is drawn
        for each of the three inputs too, changes nothing in the graph and counts in log-probability and entropy; the
        next input of the LSTM averages the states of the nodes that were *not* chosen; the log-probability of a
        second operand is that of the full distribution, though it is drawn with the first one excluded.

        >>> import torch
        >>> from lossdsl.search.controller import Controller
        >>> from lossdsl.search.space import Space
        >>> controller = Controller(Space(nodes=4), generator=torch.Generator().manual_seed(0))
        >>> draws = controller.draw(8, torch.Generator().manual_seed(1))
        >>> len(draws.graphs), len(draws.graphs[0].steps), tuple(draws.log_prob.shape)
        (8, 4, (8,))
    """

    def __init__(
        self, space: Space, settings: ControllerSettings | None = None, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.space = space
        self.settings = settings or ControllerSettings(tanh_constant=1.5)
        size, operators = self.settings.size, len(space.operators)
        self.cell = nn.LSTMCell(size, size)
        self.start = nn.Embedding(1, size)
        self.embed = nn.Embedding(operators, size)
        self.to_operator = nn.Linear(size, operators, bias=False)
        self.attend_node = nn.Linear(size, size, bias=False)
        self.attend_query = nn.Linear(size, size, bias=False)
        self.attend_value = nn.Linear(size, 1, bias=False)
        self.register_buffer("binary", torch.tensor([space.arity(op) == 2 for op in space.operators]), persistent=False)
        bias = size**-0.5  # PyTorch's default for LSTM biases, which the original leaves alone
        for name, parameter in self.named_parameters():
            bound = bias if "bias" in name else self.settings.init
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def _squash(self, logits: Tensor) -> Tensor:
        return self.settings.tanh_constant * torch.tanh(logits)

    def draw(self, count: int, generator: torch.Generator, *, sampling: bool = False) -> Draws:
        """Draw `count` graphs; `sampling` draws even where the settings say greedy."""
        batch = torch.arange(count)
        start = self.start.weight.expand(count, -1)
        state = (torch.zeros_like(start), torch.zeros_like(start))
        log_prob = torch.zeros(count)
        entropy = torch.zeros(count)
        anchors: list[Tensor] = []
        keys: list[Tensor] = []
        chosen: list[tuple[Tensor, Tensor, Tensor]] = []
        given = start
        for node in range(len(INPUTS) + self.space.nodes):
            state = self.cell(given, state)
            scores = torch.log_softmax(self._squash(self.to_operator(state[0])), dim=1)
            if self.settings.sample_operator or sampling:
                operator = _draw(scores, generator)
            else:
                operator = scores.argmax(dim=1)
            log_prob = log_prob + scores[batch, operator]
            entropy = entropy - (scores.exp() * scores).sum(dim=1)
            state = self.cell(self.embed(operator), state)
            output = state[0]
            if node < len(INPUTS):
                given = start
            else:
                raw = self.attend_value(torch.tanh(torch.stack(keys, dim=1) + self.attend_query(output)[:, None]))
                wanted = self._squash(-raw.squeeze(2))
                scores = torch.log_softmax(wanted, dim=1)
                binary = self.binary[operator]
                first, second, gain = self._operands(wanted, scores, binary, generator, sampling)
                log_prob = log_prob + gain
                entropy = entropy - (scores.exp() * scores).sum(dim=1)
                unchosen = torch.ones_like(scores)
                unchosen[batch, first] = 0.0
                unchosen[batch, second] = 0.0
                given = torch.einsum("bn,bnh->bh", unchosen, torch.stack(anchors, dim=1))
                given = given / (1.0 + unchosen.sum(dim=1, keepdim=True))
                chosen.append((operator, first, torch.where(binary, second, -1)))
            anchors.append(output)
            keys.append(self.attend_node(output))
        return Draws(_graphs(self.space, chosen), log_prob, entropy)

    def _operands(
        self, wanted: Tensor, scores: Tensor, binary: Tensor, generator: torch.Generator, sampling: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """First and second operand (equal for operators of one operand) and their log-probability."""
        batch = torch.arange(len(scores))
        if self.settings.sample_operand or sampling:
            first = _draw(scores, generator)
            second = _draw(scores.detach().index_put((batch, first), torch.tensor(-torch.inf)), generator)
            second = torch.where(binary, second, first)
            gain = scores[batch, first] + torch.where(binary, scores[batch, second], 0.0)
            return first, second, gain
        top = wanted.topk(2, dim=1).indices
        first, second = top[:, 0], torch.where(binary, top[:, 1], top[:, 0])
        # Greedy operands are judged one by one in the original: each earlier node is skipped or not.
        skipped = torch.ones_like(wanted, dtype=torch.bool).index_put((batch, first), torch.tensor(False))
        skipped = skipped.index_put((batch, second), torch.tensor(False))
        each = nn.functional.logsigmoid(torch.where(skipped, -2.0, 2.0) * wanted).sum(dim=1)
        return first, second, torch.where(binary, each, scores[batch, first])


def _draw(log_probs: Tensor, generator: torch.Generator) -> Tensor:
    return torch.multinomial(log_probs.detach().exp(), 1, generator=generator).squeeze(1)


def _graphs(space: Space, chosen: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[Graph, ...]:
    columns = [(op.tolist(), first.tolist(), second.tolist()) for op, first, second in chosen]
    count = len(columns[0][0])
    return tuple(
        Graph(tuple(Step(space.operators[ops[b]], firsts[b], seconds[b]) for ops, firsts, seconds in columns))
        for b in range(count)
    )
