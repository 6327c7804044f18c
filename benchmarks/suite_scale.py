"""Whether twenty million interactions cost what their number says: time for each, memory, and a straight line."""

from __future__ import annotations

import resource
import sys
import time

import numba
import numpy as np
from run import Figure, data_folder

from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Dataset, Rows
from lossdsl.recsys.demo import demo
from lossdsl.recsys.kernels import JIT
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.trainer import Trainer

ROWS, USERS, ITEMS, DIM = 20_000_000, 200_000, 50_000, 64
SETTINGS = Settings(dim=DIM, optimizer="gd", lr=0.01, l2=1e-6, batch_size=128)


def run() -> list[Figure]:
    """Prints the table, returns the figures."""
    folder = data_folder()
    small = load(folder / "ml100k01-1-5") if folder is not None else demo()
    base = per_row(small, len(small.train))
    print(f"one thread, its processor time\n{small.name}: {base * 1e9:.0f} ns an interaction")
    data = made()
    sizes = [ROWS // 8, ROWS // 4, ROWS // 2, ROWS]
    trainer = Trainer("bce", data, SETTINGS, engine="fused")
    trainer.epoch(limit=1000)
    seconds = []
    for size in sizes:
        begin = time.process_time()
        trainer.epoch(limit=size)
        seconds.append(time.process_time() - begin)
        print(f"{size:>12,} rows: {seconds[-1]:6.2f} s, {seconds[-1] / size * 1e9:.0f} ns an interaction")
    slope, start = np.polyfit(sizes, seconds, 1)
    line = slope * np.array(sizes) + start
    bend = float(np.abs(np.array(seconds) - line).max() / seconds[-1])
    ratio = seconds[-1] / ROWS / base
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    # Each row reads both vectors twice (for the score, for the step) and writes them once.
    moved = (2 * 2 + 2) * DIM * 4 * ROWS
    reached, possible = moved / seconds[-1], bandwidth()
    scattered = at_random(data)
    print(f"{ratio:.2f} times {small.name} (to reach 4), {peak:.2f} GB (to reach 2.5), off the line by {bend:.1%}")
    print(
        f"vectors moved: {reached / 1e9:.1f} GB/s; copying long arrays moves {possible / 1e9:.1f} GB/s here,\n"
        f"  reading and writing the same vectors in the same order, with nothing worked out, {scattered / 1e9:.1f} GB/s"
    )
    return [
        Figure("scale_time_per_row", ratio, "times", small.name),
        Figure("scale_memory", peak, "GB"),
        Figure("scale_off_the_line", bend, "share", "a straight line in rows"),
        Figure("scale_bandwidth", reached / possible, "share", "copying long arrays"),
        Figure("scale_bandwidth_at_random", reached / scattered, "share", "the same vectors read and written"),
    ]


def per_row(data: Dataset, rows: int) -> float:
    """Seconds an interaction, the best of a few epochs."""
    trainer = Trainer("bce", data, SETTINGS, engine="fused")
    times = []
    for _ in range(8):
        begin = time.process_time()
        trainer.epoch()
        times.append(time.process_time() - begin)
    return float(np.median(times[1:])) / rows


def made() -> Dataset:
    """Twenty million rows; popular items and busy users come more often, as in life."""
    random = np.random.default_rng(0)
    user = (USERS * random.random(ROWS, np.float32) ** 1.5).astype(np.int32)
    item = (ITEMS * random.random(ROWS, np.float32) ** 2).astype(np.int32)
    label = random.integers(0, 2, ROWS, dtype=np.int8).astype(np.float32)
    train = Rows(user, item, label)
    few = train.take(np.arange(1000))
    return Dataset("made", train, few, few, np.arange(USERS), np.arange(ITEMS))


def bandwidth() -> float:
    """Bytes a second, read and written, of copying arrays far larger than the cache."""
    source = np.ones(64_000_000, np.float32)
    target = np.empty_like(source)
    best = np.inf
    for _ in range(4):
        begin = time.process_time()
        np.copyto(target, source)
        best = min(best, time.process_time() - begin)
    return 2 * source.nbytes / best


@numba.njit(**JIT)
def touch(rows: np.ndarray, user: np.ndarray, item: np.ndarray, users: int) -> float:
    """What an epoch does to memory and no more: both vectors of each row read, and read again and written."""
    kept = np.float32(0)
    for start in range(0, user.shape[0], 128):
        for j in range(start, min(start + 128, user.shape[0])):
            for k in range(rows.shape[1]):
                kept += rows[user[j], k] + rows[users + item[j], k]
        for j in range(start, min(start + 128, user.shape[0])):
            for k in range(rows.shape[1]):
                rows[user[j], k] += np.float32(1)
            for k in range(rows.shape[1]):
                rows[users + item[j], k] += np.float32(1)
    return kept


def at_random(data: Dataset) -> float:
    """Bytes a second, read and written, of vectors met as the rows of an epoch meet them."""
    rows = np.ones((USERS + ITEMS, DIM), np.float32)
    count = 1_000_000
    user, item = (column[:count].astype(np.int64) for column in (data.train.user, data.train.item))
    touch(rows, user[:10], item[:10], USERS)
    best = np.inf
    for _ in range(3):
        begin = time.process_time()
        touch(rows, user, item, USERS)
        best = min(best, time.process_time() - begin)
    return (2 * 2 + 2) * DIM * 4 * count / best
