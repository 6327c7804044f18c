"""Long fuzzing of the prover: no proof may be contradicted, and every witness has to show what it says.

    python benchmarks/soundness.py [COUNT] [--seed N] [--largest N] [--workers N] [--log FILE]

Checks COUNT random formulas (default 100,000) of three kinds, on all cores, and holds each report against values in 220
digits that the engine did not make. Prints what is at fault and exits with 1 where anything is. With --log, each slice
of 250 that is done is a line of FILE, and is not done again by a later run: a long run may be stopped at any time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from objections import objections
from randoms import formula as random_formula
from randoms import log_line

from lossdsl.checking import check
from lossdsl.errors import LossError
from lossdsl.formula import parse

SLICE = 250
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


def tasks(slices: list[int], count: int, seed: int, largest: int) -> Iterator[tuple[int, int, int]]:
    for first in slices:
        yield from ((seed, number, largest) for number in range(first, min(first + SLICE, count)))


def finished(log: Path | None, seed: int, largest: int) -> dict[int, dict[str, Any]]:
    """The slices that a log holds, by their first number."""
    if log is None or not log.is_file():
        return {}
    rows = [json.loads(line) for line in log.read_text().splitlines() if line.strip()]
    return {row["first"]: row for row in rows if (row["seed"], row["largest"]) == (seed, largest)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--largest", type=int, default=7, help="how many operators and leaves a part may have")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--log", type=Path, metavar="FILE", help="write down what is done, and do not do it again")
    options = parser.parse_args()
    done = finished(options.log, options.seed, options.largest)
    slices = [first for first in range(0, options.count, SLICE) if first not in done]
    verdicts: Counter[str] = Counter()
    faults = 0
    for row in done.values():
        verdicts.update(row["verdicts"])
        faults += len(row["objections"])
    with multiprocessing.Pool(options.workers) as pool:
        answers = pool.imap(attempt, tasks(slices, options.count, options.seed, options.largest), 8)
        for first in slices:
            row = {"seed": options.seed, "largest": options.largest, "first": first}
            row |= one_slice(list(islice(answers, min(SLICE, options.count - first))))
            verdicts.update(row["verdicts"])
            faults += len(row["objections"])
            for text in row["objections"]:
                print(text, flush=True)
            if options.log is not None:
                with options.log.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    total = sum(verdicts.values())
    print(f"{total} formulas, {faults} objections; " + ", ".join(f"{n} {v}" for v, n in verdicts.most_common()))
    return 1 if faults else 0


def one_slice(answers: list[tuple[str, list[str]]]) -> dict[str, Any]:
    """How many formulas of a slice got which verdict, and what is at fault."""
    counts = Counter(verdict for verdict, _ in answers)
    return {"verdicts": dict(sorted(counts.items())), "objections": [text for _, found in answers for text in found]}


if __name__ == "__main__":
    sys.exit(main())
