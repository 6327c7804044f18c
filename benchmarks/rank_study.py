"""Does the ladder's last rung order losses as a full tuning does? Spearman over random valid losses.

    python benchmarks/rank_study.py --data FOLDER [--count 60] [--seconds 600]

Each loss gets the mean of the last rung (validation folds, the L2 grid of the search, its seeds), and a full tuning: L2
in steps of √2 chosen on validation, ten fresh seeds, the mean AUC on test. A line a loss goes to
`benchmarks/results/rank_study.jsonl`; a run goes on where the last one stopped. The losses are drawn from a seed, by
moves and mutations from random trees, whatever their reward. `--rungs` measures the rungs of the losses there are anew,
where the ladder has changed; their tuned AUC stays.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from lossdsl.recsys.data import load
from lossdsl.search.bench import Bench, Job
from lossdsl.search.final import FinalTest
from lossdsl.search.gate import Gate, Judged
from lossdsl.search.mutation import mutate, random_tree
from lossdsl.search.settings import Settings

RESULTS = Path(__file__).parent / "results" / "rank_study.jsonl"
TUNED_L2 = tuple(1e-5 * 2 ** (k / 2) for k in range(10))


def losses(seed: int, most: int = 40) -> Iterator[Judged]:
    """Valid losses at random: trees that pass, and two in three times some mutations of those that passed before."""
    rng, gate = np.random.default_rng([seed, 41]), Gate(max_size=most)
    found: dict[str, Judged] = {}
    while True:
        if len(found) < 5 or rng.random() < 1 / 3:
            root = random_tree(rng, int(rng.integers(2, 5)))
        else:
            pool = [one.root for one in found.values()]
            root = pool[int(rng.integers(len(pool)))]
            for _ in range(int(rng.integers(1, 4))):
                root = mutate(root, rng, pool)
        judged = gate.judge(root)
        if not judged.why and judged.key not in found:
            found[judged.key] = judged
            yield judged


def main() -> None:
    """Go on with the study, and print what it says so far."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rungs", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = load(options.data)
    settings = Settings()
    bench = Bench(data, settings)
    ladder = bench.calibrated().training
    tuned = replace(settings.training, final_l2=TUNED_L2, test_seeds=10)
    test = FinalTest(data, bench)
    test.training = tuned
    seeds = tuple(settings.seed + 1 + k for k in range(settings.ladder.final_seeds))

    def rungs(text: str) -> dict[str, float]:
        first = bench.run(Job(text, ladder.l2[:1], (0,), bar=np.inf, first_epochs=1))
        return {"one_epoch": first.first, "rung": bench.run(Job(text, ladder.final_l2, seeds)).reward}

    if options.rungs:
        rows = [row | rungs(row["formula"]) for row in kept()]
        RESULTS.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        report(rows)
        return
    known = {(row["seed"], row["hash"]): row for row in kept()}
    end = time.monotonic() + options.seconds
    rows = []
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a", encoding="utf-8") as file:
        for judged, _ in zip(losses(options.seed), range(options.count)):
            row = known.get((options.seed, judged.key))
            if row is None:
                if time.monotonic() >= end:
                    break
                result = test.run("loss", judged.text, scale=False)
                row = {"seed": options.seed, "hash": judged.key, "formula": judged.text, "nodes": judged.nodes,
                       **rungs(judged.text), "test": result.mean, "l2": result.l2}  # fmt: skip
                file.write(json.dumps(row) + "\n")
                file.flush()
            rows.append(row)
    print(f"{len(rows)} losses on {data.name}")
    report(rows)


def kept() -> list[dict[str, Any]]:
    """The losses that are through."""
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.is_file() else []
    return [json.loads(line) for line in lines]


def report(rows: list[dict[str, Any]]) -> float:
    """Print Spearman of the last rung, and of one epoch, with the tuned AUC on test; the first is returned."""
    rung, final, first = (np.array([row[name] for row in rows]) for name in ("rung", "test", "one_epoch"))
    better = final >= np.median(final)
    for name, values in (("last rung", rung), ("one epoch", first)):
        print(f"{name:<10} Spearman with the tuned test AUC {spearmanr(values, final).statistic:.2f}, "
              f"in the better half {spearmanr(values[better], final[better]).statistic:.2f}")  # fmt: skip
    return float(spearmanr(rung, final).statistic)


if __name__ == "__main__":
    main()
