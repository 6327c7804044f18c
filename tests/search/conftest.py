"""One thread for torch, as the controller's matrices are small; and trials without what the clock says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from lossdsl.search.ledger import Trial


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def timeless(trial: Trial) -> Trial:
    """A trial without what the clock says of it."""
    return replace(trial, seconds=0.0, at=0.0)
