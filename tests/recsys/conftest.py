"""Small data for the tests of training, and the real data where it is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lossdsl.recsys.dataset import Columns, Dataset, from_columns

# Threads that wait for one another make tiny tensors a hundred times slower on a busy machine.
torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parents[2]


def made(users: int = 12, items: int = 9, rows: int = 70, seed: int = 0) -> Dataset:
    """Random rows without repeats, every split with both labels."""
    random = np.random.default_rng(seed)
    parts = []
    for count in (rows, users, users):
        chosen = random.permutation(users * items)[:count]
        label = random.integers(0, 2, count).astype(float)
        label[:2] = (0, 1)
        parts.append(Columns(chosen // items, chosen % items, label))
    return from_columns("made", *parts, duplicates="keep")


@pytest.fixture
def small() -> Dataset:
    """Seventy rows of 12 users and 9 items."""
    return made()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data: LOSSDSL_DATA, or beside the repository."""
    for place in (os.environ.get("LOSSDSL_DATA"), ROOT.parent / "shared" / "data"):
        if place and Path(place).is_dir():
            return Path(place)
    pytest.skip("no real data: neither LOSSDSL_DATA nor ../shared/data is there")
