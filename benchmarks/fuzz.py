"""Long fuzzing of the readers: no input may crash, hang or raise anything but a LossError.

    python benchmarks/fuzz.py [COUNT] [--seed N] [--seconds S] [--guided [--corpus FOLDER]]

Reads COUNT texts (default 1,000,000) as every dialect, on all cores; with --guided, texts that follow coverage, on
one. What can be read must print as text that reads back to the same tree. Exit code 1 where anything else happens;
the texts at fault are printed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from itertools import islice
from pathlib import Path

from guided import guide

from lossdsl.errors import LossError
from lossdsl.formula import Formula, parse
from lossdsl.testing import texts

DIALECTS = ("auto", "lossdsl", "python", "latex", "autolossgen", "autolossgen-plain")
SLOW = 1.0  # seconds


def attempt(text: str, dialects: tuple[str, ...] = DIALECTS) -> tuple[bool, str | None, float]:
    """Whether a text could be read as any dialect, what went wrong, and the slowest reading in processor seconds."""
    known, slowest = False, 0.0
    for dialect in dialects:
        begin = time.process_time()
        try:
            formula = parse(text, dialect)
            known = True
            if parse(str(formula), "lossdsl") != formula:
                return known, f"{dialect}: {text!r} does not read back", slowest
            if Formula.from_tree(formula.tree) != formula:
                return known, f"{dialect}: {text!r} is no tree that from_tree takes", slowest
        except LossError as error:
            str(error)
        except Exception as error:
            return known, f"{dialect}: {text!r} raised {type(error).__name__}: {error}", slowest
        slowest = max(slowest, time.process_time() - begin)
    return known, None, slowest


def run(job: tuple[int, int, float]) -> tuple[int, int, list[str], float, str]:
    """A share of the texts: how many, how many could be read, failures, the slowest time and its text."""
    seed, count, until = job
    done = readable = 0
    slowest, slow_text = 0.0, ""
    failures: list[str] = []
    for text in islice(texts(seed), count):
        known, failure, seconds = attempt(text)
        done, readable = done + 1, readable + known
        if failure:
            failures.append(failure[:2000])
        if seconds > slowest:
            slowest, slow_text = seconds, text
        if time.time() > until or len(failures) >= 20:
            break
    return done, readable, failures, slowest, slow_text


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Fuzz the readers of lossdsl.")
    parser.add_argument("count", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many seconds")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--guided", action="store_true", help="follow coverage; needs the `fuzz` extra")
    parser.add_argument("--corpus", type=Path, help="with --guided: a folder of texts to begin with, and to add to")
    options = parser.parse_args()
    if options.guided:
        return guide(options.count, options.seconds, options.seed, options.corpus)
    begin = time.time()
    share = 5000
    shares = range(0, options.count, share)
    until = begin + options.seconds
    jobs = [(options.seed * 10**9 + s, min(share, options.count - s), until) for s in shares]
    done = readable = 0
    slowest, slow_text = 0.0, ""
    failures: list[str] = []
    with multiprocessing.Pool(options.workers) as pool:
        for part in pool.imap_unordered(run, jobs):
            done, readable, failures = done + part[0], readable + part[1], failures + part[2]
            if part[3] > slowest:
                slowest, slow_text = part[3], part[4]
            print(f"\r{done:,} texts, {readable:,} readable, {len(failures)} failures", end="", file=sys.stderr)
            if time.time() > until or len(failures) >= 20:
                pool.terminate()
                break
    print(file=sys.stderr)
    for failure in failures:
        print(failure)
    seconds = time.time() - begin
    print(f"fuzz_texts {done} texts {done / seconds:.0f}-per-second")
    print(f"fuzz_readable {readable} texts {readable / max(done, 1):.2f}-of-all")
    print(f"fuzz_slowest {slowest:.3f} s of {SLOW}")
    if slowest > SLOW:
        print(f"slow: {slow_text[:200]!r} ({len(slow_text)} characters)")
    return 1 if failures or slowest > SLOW else 0


if __name__ == "__main__":
    sys.exit(main())
