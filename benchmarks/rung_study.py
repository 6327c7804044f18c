"""How few rows order losses as a plain loop's whole epoch does? Spearman with full training, over random valid losses.

    python benchmarks/rung_study.py --data FOLDER [--model deepmodel] [--count 24] [--seconds 180]

For each loss: the validation metric of full training (all rows, early stop, the best of three L2 values, another seed
than the rest), that of one epoch over all rows as a plain loop makes it (batches of 512, Adam at 0.001), and those of
cheaper rungs after each of their epochs. A line a loss goes to `benchmarks/results/rung_study_MODEL.jsonl`; a run goes
on where the last one stopped. The losses are those of `rank_study.py`.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rank_study import losses
from scipy.stats import spearmanr

from lossdsl.formula import parse
from lossdsl.recsys.data import load
from lossdsl.recsys.trainer import Diverged, Trainer
from lossdsl.search.bench import Bench, Tabled, some_users
from lossdsl.search.presets import for_model
from lossdsl.search.settings import Settings

RESULTS = Path(__file__).parent / "results"
# Rows of an epoch (0: all), rows or pairs of a batch, learning rate, epochs.
PLAIN = (0, 512, 1e-3, 1)
RUNGS = (
    PLAIN, (0, 512, 3e-3, 1), (5000, 128, 3e-3, 4), (10000, 128, 3e-3, 3), (20000, 128, 3e-3, 2), (20000, 512, 3e-3, 4),
    (5000, 128, 1e-2, 4), (10000, 512, 1e-2, 4),
)  # fmt: skip
FULL_L2, FULL_EPOCHS, PATIENCE = (1e-6, 1e-5, 1e-4), 15, 3


def curve(
    bench: Bench, loss: Tabled, rung: tuple[int, int, float, int], seed: int, l2: float, patience: int = 0
) -> Any:
    """The metric after each epoch, and the processor seconds of all of them."""
    rows, batch, lr, epochs = rung
    pairs = bench.pairwise
    settings = replace(bench.recommender, lr=lr, l2=l2, batch_size=None if pairs else batch)
    trainer = Trainer(loss, bench.data, settings.resolve(), seed=seed)
    train = bench.data.train
    if rows and pairs:
        train = some_users(train, rows, 0)
    out: list[float] = []
    begin = time.process_time()
    for _ in range(epochs):
        try:
            trainer.epoch(train, limit=rows if rows and not pairs else None)
        except Diverged:
            break
        out.append(float(np.mean(bench.measured(trainer))))
        if patience and len(out) - int(np.argmax(out)) > patience:
            break
    return out or [0.0], time.process_time() - begin


def main() -> None:
    """Go on with the study, and print what it says so far."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="deepmodel")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=180.0, help="of processor time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(load(options.data), for_model(Settings(), options.model))
    path = RESULTS / f"rung_study_{options.model}.jsonl"
    done = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    known = {row["formula"] for row in done}
    for loss in islice(losses(0), options.count):
        if loss.text in known or time.process_time() > options.seconds:
            continue
        objective = Tabled(parse(loss.text, dialect="lossdsl"))
        full = [curve(bench, objective, (0, 512, 3e-3, FULL_EPOCHS), 1, l2, PATIENCE) for l2 in FULL_L2]
        row: dict[str, Any] = {"formula": loss.text, "full": max(max(part[0]) for part in full)}
        row["full_seconds"] = round(sum(part[1] for part in full), 3)
        for rung in RUNGS:
            values, seconds = curve(bench, objective, rung, 0, 1e-5)
            row["x".join(map(str, rung))] = {"values": values, "seconds": round(seconds, 4)}
        done.append(row)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
    report(done)


def report(done: list[dict[str, Any]]) -> None:
    """Spearman with full training over all losses and over the better half, and what a candidate costs."""
    full = np.array([row["full"] for row in done])
    better = full >= np.median(full)
    print(f"{len(done)} losses, full training {np.mean([row['full_seconds'] for row in done]):.2f} s each")
    for rung in RUNGS:
        key = "x".join(map(str, rung))
        cost = np.mean([row[key]["seconds"] for row in done]) / rung[3]
        for epochs in range(1, rung[3] + 1):
            score = np.array([max(row[key]["values"][:epochs]) for row in done])
            rho = spearmanr(score, full).statistic, spearmanr(score[better], full[better]).statistic
            print(f"{rung[0] or 'all':>6} rows, batches of {rung[1]:4}, rate {rung[2]:g}, {epochs} epochs: "
                  f"{rho[0]:.2f} (better half {rho[1]:+.2f}), {cost * epochs:.3f} s")  # fmt: skip


if __name__ == "__main__":
    main()
