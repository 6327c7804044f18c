"""The published controller once more, in PyTorch and as plainly as it goes: what the compiled one is held against."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lossdsl.search.controller import Controller
from lossdsl.search.space import INPUTS


class Twin(nn.Module):
    """The same weights as a `Controller`; follows the choices that one has made."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self.space, self.settings = controller.space, controller.settings
        size, operators = self.settings.size, len(self.space.operators)
        self.cell = nn.LSTMCell(size, size)
        self.start = nn.Embedding(1, size)
        self.embed = nn.Embedding(operators, size)
        self.to_operator = nn.Linear(size, operators, bias=False)
        self.attend_node = nn.Linear(size, size, bias=False)
        self.attend_query = nn.Linear(size, size, bias=False)
        self.attend_value = nn.Linear(size, 1, bias=False)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.copy_(torch.from_numpy(controller.named(controller.flat)[name].copy()))

    def squash(self, logits: Tensor) -> Tensor:
        return self.settings.tanh_constant * torch.tanh(logits)

    def forward(self, op: Tensor, first: Tensor, second: Tensor, sampling: bool) -> tuple[Tensor, Tensor]:
        """Log-probability and entropy of each graph."""
        count = op.shape[1]
        log_prob, entropy = torch.zeros(count), torch.zeros(count)
        start = self.start.weight.expand(count, -1)
        state = (torch.zeros_like(start), torch.zeros_like(start))
        given, anchors, keys = start, [], []
        batch = torch.arange(count)
        binary = torch.tensor([self.space.arity(name) == 2 for name in self.space.operators])
        for node in range(len(INPUTS) + self.space.nodes):
            state = self.cell(given, state)
            scores = torch.log_softmax(self.squash(self.to_operator(state[0])), dim=1)
            log_prob = log_prob + scores[batch, op[node]]
            entropy = entropy - (scores.exp() * scores).sum(dim=1)
            state = self.cell(self.embed(op[node]), state)
            output = state[0]
            given = start
            if node >= len(INPUTS):
                raw = self.attend_value(torch.tanh(torch.stack(keys, dim=1) + self.attend_query(output)[:, None]))
                wanted = self.squash(-raw.squeeze(2))
                scores = torch.log_softmax(wanted, dim=1)
                entropy = entropy - (scores.exp() * scores).sum(dim=1)
                two = binary[op[node]]
                log_prob = log_prob + self.gain(wanted, scores, two, first[node], second[node], sampling)
                unchosen = torch.ones_like(scores)
                unchosen[batch, first[node]] = 0.0
                unchosen[batch, second[node]] = 0.0
                given = torch.einsum("bn,bnh->bh", unchosen, torch.stack(anchors, dim=1))
                given = given / (1.0 + unchosen.sum(dim=1, keepdim=True))
            anchors.append(output)
            keys.append(self.attend_node(output))
        return log_prob, entropy

    def gain(
        self, wanted: Tensor, scores: Tensor, two: Tensor, first: Tensor, second: Tensor, sampling: bool
    ) -> Tensor:
        batch = torch.arange(len(scores))
        if self.settings.sample_operand or sampling:
            return scores[batch, first] + torch.where(two, scores[batch, second], 0.0)
        taken = torch.zeros_like(wanted, dtype=torch.bool)
        taken[batch, first] = taken[batch, second] = True
        each = nn.functional.logsigmoid(torch.where(taken, 2.0, -2.0) * wanted).sum(dim=1)
        return torch.where(two, each, scores[batch, first])
