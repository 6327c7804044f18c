"""The benchmarks: `python benchmarks/run.py SUITE [--json FILE]`.

A suite is a file of this folder with a function `run()` that prints its table and returns figures; they are printed
last, one a line: name, value, unit, and what the value is a ratio to.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITES = ("check", "loss", "fused", "search", "peers", "scale", "slopes", "cluster")


@dataclass(frozen=True)
class Figure:
    """One result; `ratio_to` says what was measured beside it in the same run, where the value is a ratio."""

    name: str
    value: float
    unit: str
    ratio_to: str = "-"


def data_folder() -> Path | None:
    """Where the public data lies: LOSSDSL_DATA, or shared/data beside the repository."""
    import os

    places = [os.environ.get("LOSSDSL_DATA"), HERE.parent.parent / "shared" / "data"]
    return next((Path(p) for p in places if p and Path(p).is_dir()), None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--json", metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--only", metavar="ROW", help="one row of a suite that has rows, such as search")
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    sys.modules.setdefault("run", sys.modules["__main__"])
    if not (HERE / f"suite_{options.suite}.py").is_file():
        print(f"the suite {options.suite} is not written yet", file=sys.stderr)
        return 2
    row = {"only": options.only} if options.only else {}
    figures: list[Figure] = importlib.import_module(f"suite_{options.suite}").run(**row)
    print()
    for figure in figures:
        print(f"{figure.name} {figure.value:.6g} {figure.unit} {figure.ratio_to}")
    if options.json:
        rows = {"suite": options.suite, "machine": platform.machine(), "python": platform.python_version()}
        Path(options.json).write_text(json.dumps({**rows, "figures": [asdict(f) for f in figures]}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
