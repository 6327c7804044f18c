"""How fast a recommender trains: the fused engine beside the loop in plain PyTorch that one would write, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import torch
from run import Figure, data_folder
from torch import nn

from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Dataset
from lossdsl.recsys.demo import demo
from lossdsl.recsys.kernels import JIT
from lossdsl.recsys.pairs import groups as gathered
from lossdsl.recsys.pairs import plan
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.slopes import row_slopes
from lossdsl.recsys.trainer import Trainer

ROUNDS = 7


def run() -> list[Figure]:
    """Prints the table, returns the figures."""
    torch.set_num_threads(1)
    folder = data_folder()
    data = load(folder / "ml100k01-1-5") if folder is not None else demo()
    print(
        f"{data.name}, {len(data.train):,} rows; one thread, processor time; medians of {ROUNDS} interleaved rounds\n"
    )
    figures = [
        *descent(data, "gd", 64, 128, "epoch of GD, 64 dimensions, batch 128", goal=1 / 80),
        *descent(data, "adam", 64, 512, "epoch of Adam, 64 dimensions, batch 512", goal=1 / 8),
        *descent(data, "adam", 16, 512, "epoch of Adam, 16 dimensions, batch 512", goal=1 / 8),
        share_of_the_loss(data),
        *two_at_once(data),
        *ranknet(data),
    ]
    return figures


Clock = Callable[[], float]


def clock(work: Callable[[], Any], by: Clock = time.process_time) -> float:
    """Seconds that one call takes: of the processor, which others on the machine lengthen little, or by the wall."""
    begin = by()
    work()
    return by() - begin


def medians(works: list[Callable[[], Any]], rounds: int = ROUNDS, by: Clock = time.process_time) -> list[float]:
    """Medians of all, measured in turn, so that a slow moment of the machine meets each alike."""
    for work in works:
        work()
    times = np.array([[clock(work, by) for work in works] for _ in range(rounds)])
    return [float(t) for t in np.median(times, axis=0)]


class Plain(nn.Module):
    """BiasedMF as in a tutorial: embedding modules and autograd."""

    def __init__(self, users: int, items: int, dim: int) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(users, dim), nn.Embedding(items, dim)
        self.user_bias, self.item_bias = nn.Embedding(users, 1), nn.Embedding(items, 1)
        self.base = nn.Parameter(torch.tensor(0.1))

    def forward(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        product = (self.user(user) * self.item(item)).sum(-1)
        return product + self.user_bias(user).squeeze(-1) + self.item_bias(item).squeeze(-1) + self.base


def descent(data: Dataset, optimizer: str, dim: int, batch: int, what: str, goal: float) -> list[Figure]:
    """An epoch of BiasedMF against the plain loop; of the plain one a twentieth is timed."""
    settings = Settings(dim=dim, optimizer=optimizer, lr=0.01, l2=1e-6, batch_size=batch)
    trainer = Trainer("bce", data, settings, engine="fused")
    model = Plain(data.users, data.items, dim)
    kind = torch.optim.SGD if optimizer == "gd" else torch.optim.Adam
    stepper = kind(model.parameters(), lr=0.01, weight_decay=1e-6)
    user = torch.from_numpy(data.train.user.astype(np.int64))
    item = torch.from_numpy(data.train.item.astype(np.int64))
    label = torch.from_numpy(np.array(data.train.label))
    batches = (len(data.train) + batch - 1) // batch
    timed = max(1, batches // 20)

    def plain() -> None:
        order = torch.randperm(len(user))
        for pick in order[: timed * batch].split(batch):
            stepper.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(model(user[pick], item[pick]), label[pick])
            loss.backward()
            stepper.step()

    ours, theirs = medians([trainer.epoch, plain])
    theirs *= batches / timed
    ratio = ours / theirs
    rate = len(user) / ours / 1e6
    reached = f"1/{theirs / ours:.0f} (to reach 1/{1 / goal:.0f})"
    print(f"{what}: {ours * 1e3:.2f} ms, plain PyTorch {theirs * 1e3:.0f} ms, {reached}")
    out = [Figure(f"fused_{optimizer}_{dim}", ratio, "ratio", "plain PyTorch loop"),
           Figure(f"fused_{optimizer}_{dim}_rate", rate, "M rows/s")]  # fmt: skip
    if optimizer == "adam":
        weights = trainer.engine.arrays()
        numbers = sum(weights[name].size for name in ("user_vectors", "item_vectors", "user_bias", "item_bias"))
        moved = batches * numbers * 4 * 8  # weight, gradient and two moments, each read and written
        copy = bandwidth(numbers * 4 * 4)
        bound = moved / copy
        print(f"  its dense update moves {moved / 1e9:.1f} GB, at this machine's {copy / 1e9:.0f} GB/s for that size"
              f" {bound * 1e3:.1f} ms: {bound / ours:.0%} of the epoch")  # fmt: skip
        out.append(Figure(f"fused_{optimizer}_{dim}_memory_bound", bound / ours, "share", "the epoch"))
    return out


def bandwidth(size: int) -> float:
    """Bytes a second, read and written, of copying arrays of `size` bytes altogether."""
    source = np.ones(max(1, size // 8), np.float32)
    target = np.empty_like(source)
    turns = max(1, 200_000_000 // source.nbytes)

    def copy() -> None:
        for _ in range(turns):
            np.copyto(target, source)

    return 2 * source.nbytes * turns / min(clock(copy) for _ in range(5))


def share_of_the_loss(data: Dataset) -> Figure:
    """What the slopes alone take of an epoch, looked up in blocks of a batch as the epoch does."""
    trainer = Trainer("focal", data, Settings(dim=64, optimizer="gd", lr=0.01, batch_size=128), engine="fused")
    table = trainer.engine.loss.table()
    score = trainer.scores(data.train)
    label = np.array(data.train.label)

    def slopes() -> None:
        for start in range(0, len(score) - 128, 128):
            row_slopes(score[start : start + 128], label[start : start + 128], table)

    def calls() -> None:  # what it costs to call from Python, which the epoch does not do
        for start in range(0, len(score) - 128, 128):
            row_slopes(score[start : start + 1], label[start : start + 1], table)

    whole, part, empty = medians([trainer.epoch, slopes, calls])
    share = max(0.0, part - empty) / whole
    print(f"slopes of focal: {(part - empty) * 1e3:.2f} ms of {whole * 1e3:.2f} ms, {share:.0%} (to reach 15 %)")
    return Figure("fused_share_of_the_loss", share, "share", "the epoch")


@numba.njit(**JIT)
def arithmetic(x: np.ndarray, turns: int) -> None:
    """Multiplications and additions of numbers that never leave the first cache."""
    for _ in range(turns):
        for k in range(x.shape[0]):
            x[k] = x[k] * np.float32(0.999) + np.float32(0.001)


@numba.njit(**JIT)
def reading(x: np.ndarray, turns: int) -> float:
    """Additions of numbers that come from wherever `x` fits."""
    total = np.float32(0)
    for _ in range(turns):
        for k in range(x.shape[0]):
            total += x[k]
    return total


def two_at_once(data: Dataset) -> list[Figure]:
    """Two seeds in two threads against one after the other, and what two bare loops gain, which share nothing."""
    pair = [Trainer("bce", data, Settings(dim=64, optimizer="gd", lr=0.01, batch_size=128), seed=k) for k in (0, 1)]
    few, weights, many = ([np.ones(n, np.float32) for _ in (0, 1)] for n in (2048, pair[0].engine.weights.size, 2**24))

    def epochs(k: int) -> None:
        for _ in range(10):
            pair[k].epoch()

    loops: dict[str, Callable[[int], Any]] = {
        "seeds": epochs,
        "arithmetic": lambda k: arithmetic(few[k], 250_000),
        "cache": lambda k: reading(weights[k], 2000),
        "memory": lambda k: reading(many[k], 8),
    }

    def own(loop: Callable[[int], Any], k: int) -> float:
        return clock(lambda: loop(k), time.thread_time)

    # By the wall, which counts the time that others on the machine had the cores; and by each thread's processor time,
    # which counts only what two loops cost each other.
    wall, core = {}, {}
    with ThreadPoolExecutor(2) as pool:
        for name, loop in loops.items():
            rounds = []
            for _ in range(ROUNDS + 1):
                begin = time.perf_counter()
                alone = pool.submit(own, loop, 0).result()
                middle = time.perf_counter()
                both = list(pool.map(own, (loop, loop), (0, 1)))
                rounds.append((middle - begin, time.perf_counter() - middle, alone, max(both)))
            times = np.median(rounds[1:], axis=0)
            wall[name], core[name] = 2 * times[0] / times[1], 2 * times[2] / times[3]
    whole, outside = medians([pair[0].epoch, lambda: pair[0].epoch(limit=1)])
    print(
        f"two seeds at once on two cores: {wall['seeds']:.2f} times one by the wall (to reach 1.8),"
        f" {core['seeds']:.2f} by their processor time\n  two bare loops at once:"
    )
    for name, what in (("arithmetic", "arithmetic"), ("cache", "reading weights"), ("memory", "reading long arrays")):
        print(f"    {what}: {wall[name]:.2f} times one by the wall, {core[name]:.2f} by their processor time")
    print(f"  outside of the loop over batches (shuffle and watching for NaN): {outside / whole:.1%} of an epoch")
    return [
        Figure("fused_two_at_once", wall["seeds"], "times", "one seed on one core"),
        Figure("fused_two_at_once_processor", core["seeds"], "times", "one seed on one core"),
        *(Figure(f"fused_two_bare_{name}", wall[name], "times", "one loop") for name in loops if name != "seeds"),
        Figure("fused_outside_of_the_loop", outside / whole, "share", "the epoch"),
    ]


def ranknet(data: Dataset) -> list[Figure]:
    """An epoch of pairs against the plain loop over pairs, and against its bare matrix products."""
    users = np.unique(data.train.user)[:150]
    rows = data.train.take(np.isin(data.train.user, users))
    trainer = Trainer("bce", data, Settings(model="ranknet", dim=16, lr=0.001))
    plain_model = Trainer("bce", data, Settings(model="ranknet", dim=16, lr=0.001), engine="torch").engine.model.train()
    stepper = torch.optim.Adam(plain_model.parameters(), lr=0.001, weight_decay=trainer.settings.l2)
    of_user, of_item = (torch.from_numpy(column.astype(np.int64)) for column in (rows.user, rows.item))
    groups: dict[int, list[int]] = {}
    for number, user in enumerate(rows.user.tolist()):
        groups.setdefault(user, []).append(number)
    label = rows.label.tolist()

    def naive() -> None:
        """128 pairs a batch, each of a positive row and a negative one of the user, both scored for each pair."""
        pairs = []
        for mine in groups.values():
            bad = [k for k in mine if label[k] == 0]
            pairs += [(k, bad[(7 * k) % len(bad)]) for k in mine if label[k] > 0 and bad]
            # Every row is compared at least once in an epoch of ours, so the negatives take their turn too.
            good = [k for k in mine if label[k] > 0]
            pairs += [(good[(5 * k) % len(good)], k) for k in bad if good]
        for start in range(0, len(pairs), 128):
            better, worse = (torch.tensor(side) for side in zip(*pairs[start : start + 128]))
            ahead = plain_model(of_user[better], of_item[better]) - plain_model(of_user[worse], of_item[worse])
            stepper.zero_grad()
            nn.functional.softplus(-ahead).mean().backward()
            stepper.step()

    sizes = [(32, 512), (512, 256), (256, 1)]
    weights = [torch.randn(a, b) for a, b in sizes]
    inputs = [torch.randn(128, a) for a, _ in sizes]
    outputs = [torch.randn(128, b) for _, b in sizes]
    lengths = [len(numbers) for numbers, _ in plan(gathered(rows), 128, 1).batches()]

    def products() -> None:
        """Forward, and both products of the backward pass, of every layer."""
        for n in lengths:
            for x, w, y in zip(inputs, weights, outputs):
                x[:n] @ w
                y[:n] @ w.T
                x[:n].T @ y[:n]

    ours, theirs, bare = medians([lambda: trainer.epoch(rows), naive, products], rounds=3)
    print(f"RankNet (512, 256), {len(rows):,} rows: {ours * 1e3:.0f} ms")
    print(f"  naive pairs {theirs * 1e3:.0f} ms, 1/{theirs / ours:.1f} (to reach 1/3)")
    print(f"  bare matrix products {bare * 1e3:.0f} ms, {ours / bare:.2f} times (to reach 1.3)")
    return [
        Figure("fused_ranknet", ours / theirs, "ratio", "plain PyTorch loop over pairs"),
        Figure("fused_ranknet_products", ours / bare, "times", "bare matrix products"),
    ]
