"""The controller of the practical search: an LSTM that writes recipes, a whole batch of them in one pass.

It is the published controller with three changes. It may stop, so that short recipes exist. Besides operators it
chooses validity-closed moves and their constants. And besides the leaves it can refer to slots, which hold the best
losses so far by rank, so that "a blend of the best and the third" means the same thing all along.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lossdsl.search.moves import CONSTANTS, LEAVES, MOVES, OPERATIONS, Edit, Recipe
from lossdsl.search.settings import ControllerSettings

# Of one step: operation, first and second operand, constant; an entry a recipe each.
Choices = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Recipes:
    """A batch of recipes with what the update needs: one entry a recipe."""

    recipes: tuple[Recipe, ...]
    log_prob: Tensor
    entropy: Tensor
    choices: list[Choices]
    filled: int


class Editor(nn.Module):
    """Draws recipes of up to `steps` steps over the leaves and up to `slots` slots.

    >>> import torch
    >>> from lossdsl.search.editor import Editor
    >>> editor = Editor(steps=3, slots=2, generator=torch.Generator().manual_seed(0))
    >>> drawn = editor.draw(16, filled=0, generator=torch.Generator().manual_seed(1))
    >>> len(drawn.recipes), all(1 <= len(recipe) <= 3 for recipe in drawn.recipes)
    (16, True)
    """

    def __init__(
        self,
        steps: int,
        slots: int,
        settings: ControllerSettings | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.steps, self.slots = steps, slots
        self.settings = settings or ControllerSettings()
        size = self.settings.size
        self.stop = len(OPERATIONS)
        self.cell = nn.LSTMCell(size, size)
        self.start = nn.Embedding(1, size)
        self.nodes = nn.Embedding(len(LEAVES) + slots, size)
        self.embed = nn.Embedding(len(OPERATIONS) + 1, size)
        self.to_operation = nn.Linear(size, len(OPERATIONS) + 1)
        self.to_constant = nn.Linear(size, len(CONSTANTS))
        self.key = nn.Linear(size, size, bias=False)
        self.query = nn.ModuleList([nn.Linear(size, size, bias=False) for _ in range(2)])
        self.value = nn.Linear(size, 1, bias=False)
        rows = [MOVES[name] for name in OPERATIONS]
        self.register_buffer("binary", torch.tensor([row[0] == 2 for row in rows] + [False]), persistent=False)
        self.register_buffer("constant", torch.tensor([row[1] for row in rows] + [False]), persistent=False)
        bound = size**-0.5
        for name, parameter in self.named_parameters():
            limit = bound if name.startswith("cell.bias") else self.settings.init
            nn.init.uniform_(parameter, -limit, limit, generator=generator)

    def _scores(self, logits: Tensor, forbidden: Tensor | None = None) -> Tensor:
        logits = self.settings.tanh_constant * torch.tanh(logits)
        if forbidden is not None:
            logits = logits.masked_fill(forbidden, -torch.inf)
        return torch.log_softmax(logits, dim=1)

    def draw(
        self, count: int, filled: int, generator: torch.Generator, given_choices: list[Choices] | None = None
    ) -> Recipes:
        """Draw `count` recipes while `filled` of the slots hold something.

        `given_choices`, those of an earlier batch, are followed instead of drawing: that gives the same recipes with
        the log-probabilities of the present weights.
        """
        batch = torch.arange(count)
        given = self.start.weight.expand(count, -1)
        state = (torch.zeros_like(given), torch.zeros_like(given))
        log_prob, entropy = torch.zeros(count), torch.zeros(count)
        fixed = self.nodes.weight[None].expand(count, -1, -1)
        states, keys = list(fixed.unbind(1)), list(self.key(fixed).unbind(1))
        empty = [False] * (len(LEAVES) + filled) + [True] * (self.slots - filled)
        alive = torch.ones(count, dtype=torch.bool)
        choices: list[Choices] = []

        def pick_from(scores: Tensor, kind: int) -> Tensor:
            if given_choices is not None:
                return given_choices[len(choices)][kind]
            return _draw(scores, generator)

        for step in range(self.steps):
            state = self.cell(given, state)
            barred = torch.zeros(count, self.stop + 1, dtype=torch.bool)
            barred[:, self.stop] = step == 0
            scores = self._scores(self.to_operation(state[0]), barred)
            operation = torch.where(alive, pick_from(scores, 0), self.stop)
            log_prob = log_prob + torch.where(alive, scores[batch, operation], 0.0)
            entropy = entropy + torch.where(alive, _entropy(scores), 0.0)
            alive = alive & (operation != self.stop)
            state = self.cell(self.embed(operation), state)
            output = state[0]
            # A step's own result may be used from the next step on; empty slots never.
            forbidden = torch.tensor(empty + [False] * step).expand(count, -1)
            stacked = torch.stack(keys, dim=1)
            picks: list[Tensor] = []
            for which, counts in enumerate((alive, alive & self.binary[operation])):
                attention = self.value(torch.tanh(stacked + self.query[which](output)[:, None])).squeeze(2)
                scores = self._scores(attention, forbidden)
                pick = pick_from(scores, 1 + which)
                log_prob = log_prob + torch.where(counts, scores[batch, pick], 0.0)
                entropy = entropy + torch.where(counts, _entropy(scores), 0.0)
                picks.append(pick)
            counts = alive & self.constant[operation]
            scores = self._scores(self.to_constant(output))
            constant = pick_from(scores, 3)
            log_prob = log_prob + torch.where(counts, scores[batch, constant], 0.0)
            entropy = entropy + torch.where(counts, _entropy(scores), 0.0)
            given = torch.stack(states, dim=1)[batch, picks[0]]
            states.append(output)
            keys.append(self.key(output))
            choices.append((operation, picks[0], picks[1], constant))
        # The operands of a step that was not reached are noise; they count in nothing and are dropped here.
        rows = [torch.stack(step, dim=1).tolist() for step in choices]
        recipes = tuple(self._recipe([tuple(step[b]) for step in rows], filled) for b in range(count))
        return Recipes(recipes, log_prob, entropy, choices, filled)

    def _recipe(self, steps: list[tuple[int, ...]], filled: int) -> Recipe:
        edits: list[Edit] = []
        for operation, first, second, constant in steps:
            if operation == self.stop:
                break
            operands, takes, _, _ = MOVES[OPERATIONS[operation]]
            # The network numbers its nodes with all slots, a recipe with the filled ones.
            places = [k if k < len(LEAVES) + filled else k - (self.slots - filled) for k in (first, second)]
            edits.append(Edit(operation, places[0], places[1] if operands == 2 else -1, constant if takes else -1))
        return tuple(edits)


def _draw(log_probs: Tensor, generator: torch.Generator) -> Tensor:
    return torch.multinomial(log_probs.detach().exp(), 1, generator=generator).squeeze(1)


def _entropy(log_probs: Tensor) -> Tensor:
    return -(log_probs.exp() * log_probs.clamp_min(-1e9)).sum(dim=1)
