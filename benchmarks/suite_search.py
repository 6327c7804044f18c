"""Candidates a second: the published method and the practical search, beside a plain PyTorch loop in the same run.

BiasedMF on the published split where LOSSDSL_DATA (or shared/data beside the repository) has it, else on `demo`. The
loop trains one candidate after another with PyTorch's own BCE, autograd and SGD, on as many batches of an epoch as fit
into `LOOP` seconds.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import torch
from run import Figure, data_folder

from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.models import BiasedMF
from lossdsl.search.ledger import read_trials
from lossdsl.search.session import search
from lossdsl.search.settings import Settings, assign, preset

SECONDS, LOOP = 40, 10


def plain_loop(data: Dataset, dim: int, batch: int) -> float:
    """Seconds that an epoch takes in a plain PyTorch loop, from as many batches as fit into LOOP seconds."""
    model = BiasedMF(data.users, data.items, dim)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, weight_decay=1e-4)
    user, item, label = (torch.from_numpy(c.copy()) for c in (data.train.user, data.train.item, data.train.label))
    order = torch.randperm(len(user), generator=torch.Generator().manual_seed(0))
    begin, done = time.perf_counter(), 0
    while time.perf_counter() - begin < LOOP and done < len(order):
        rows = order[done : done + batch]
        optimizer.zero_grad()
        score = model(user[rows].long(), item[rows].long())
        torch.nn.functional.binary_cross_entropy_with_logits(score, label[rows]).backward()
        optimizer.step()
        done += len(rows)
    return (time.perf_counter() - begin) * len(order) / done


def course(settings: Settings, data: Dataset, workers: int) -> tuple[float, float, float]:
    """Trained candidates a second, rows trained a second, and the share of the wall time that is not training."""
    with tempfile.TemporaryDirectory() as folder:
        search(
            settings, run_dir=Path(folder) / "warm", data=data, budget="150trials", workers=1
        )  # compiles the kernels
        search(settings, run_dir=Path(folder) / "run", data=data, budget=f"{SECONDS}s", workers=workers)
        trials = list(read_trials(Path(folder) / "run"))
    trained = [t for t in trials if t.fate == "trained"]
    wall = trials[-1].at
    busy = sum(t.seconds for t in trained) / workers
    return len(trained) / wall, sum(t.rows for t in trained) / wall, max(0.0, 1 - busy / wall)


def run() -> list[Figure]:
    """Measure and print the table."""
    torch.set_num_threads(1)
    folder = data_folder()
    path = folder / "ml100k01-1-5" if folder else None
    data = load(path if path is not None and path.is_dir() else "demo")
    workers = min(2, os.cpu_count() or 1)
    published = assign(preset("autolossgen"), "training.test_seeds=1")
    practical = assign(Settings(), "training.test_seeds=1")
    figures = []
    for name, settings in (("preset", published), ("practical", practical)):
        rate, rows, overhead = course(settings, data, workers)
        epoch = plain_loop(data, settings.training.dim, settings.training.batch_size)
        loop_rows = len(data.train) / epoch
        line = f"{name:<10} {rate:8.2f} candidates/s  {rows:12,.0f} rows/s  overhead {overhead:4.0%}"
        print(f"{line}  plain loop {epoch:.2f} s/epoch")
        figures += [
            Figure(f"{name}-trained", rate, "candidates/s"),
            Figure(f"{name}-rows", rows / loop_rows, "ratio", "rows a second of the plain PyTorch loop"),
            Figure(f"{name}-overhead", overhead, "share", "wall time"),
        ]
    return figures
