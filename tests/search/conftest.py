"""One thread for torch, as the controller's matrices are small; and what tests make of draws and trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from lossdsl.search.controller import Draws
from lossdsl.search.ledger import Trial
from lossdsl.search.space import INPUTS, Graph, Space, Step


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def timeless(trial: Trial) -> Trial:
    """A trial without what the clock says of it."""
    return replace(trial, seconds=0.0, at=0.0)


def graphs_of(drawn: Draws, space: Space) -> tuple[Graph, ...]:
    """The graphs that were drawn, whole."""
    columns = zip(*(part[len(INPUTS) :].T.tolist() for part in (drawn.op, drawn.first, drawn.second)))
    steps = [[(space.operators[op], first, second) for op, first, second in zip(*column)] for column in columns]
    return tuple(
        Graph(tuple(Step(op, first, second if space.arity(op) == 2 else -1) for op, first, second in graph))
        for graph in steps
    )
