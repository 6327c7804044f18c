"""Long fuzzing of the prover: no proof may be contradicted, and every witness has to show what it says.

    python benchmarks/soundness.py [COUNT] [--seed N] [--largest N]

Checks COUNT random formulas (default 100,000) of three kinds, on all cores, and holds each report against values in 220
digits that the engine did not make. Prints what is at fault and exits with 1 where anything is.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from oracle import objections
from randoms import formula as random_formula
from randoms import log_line

from lossdsl.checking import check
from lossdsl.errors import LossError
from lossdsl.formula import parse

DIALECTS = ("lossdsl", "lossdsl", "autolossgen", "autolossgen-plain")


def attempt(task: tuple[int, int, int]) -> tuple[str, list[str]]:
    """The verdict on one random formula, and the objections to its report."""
    seed, number, largest = task
    dice = random.Random(f"{seed}-{number}")
    dialect = DIALECTS[number % len(DIALECTS)]
    text = random_formula(dice, largest) if dialect == "lossdsl" else log_line(dice, dice.randint(1, largest))
    try:
        formula = parse(text, dialect)
    except LossError:
        return "unreadable", []
    try:
        report = check(formula, timeout=None)
        found = objections(formula, report, dice)
    except Exception as error:  # what breaks is a finding, too, and the next formula has to be tried
        return "broken", [f"{type(error).__name__}: {error} | {dialect}: {text}"]
    return report.verdict, [f"{text_} | {dialect}: {text}" for text_ in found]


def tasks(count: int, seed: int, largest: int) -> Iterator[tuple[int, int, int]]:
    return ((seed, number, largest) for number in range(count))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--largest", type=int, default=7, help="how many operators and leaves a part may have")
    options = parser.parse_args()
    verdicts: Counter[str] = Counter()
    faults = 0
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for verdict, found in pool.imap_unordered(attempt, tasks(options.count, options.seed, options.largest), 8):
            verdicts[verdict] += 1
            for text in found:
                faults += 1
                print(text, flush=True)
    print(f"{options.count} formulas, {faults} objections; " + ", ".join(f"{n} {v}" for v, n in verdicts.most_common()))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
