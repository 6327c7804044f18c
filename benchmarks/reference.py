"""The reference table: `python benchmarks/reference.py [PART ...]`.

Eight losses on four places, tuned alike. Each finished training is kept in `results/reference/PART/`, so a run that was
broken off goes on there, on another day too. A finished part writes `results/reference/PART.csv`, keeps no scores of
test rows any more, and is not trained again but with `--again`. `--tables` trains nothing.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from run import HERE, data_folder

from lossdsl.cli.compare import as_csv
from lossdsl.cli.progress import bar
from lossdsl.recsys.compare import Data, compare
from lossdsl.recsys.data import load
from lossdsl.recsys.letor import FOLDS
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.training import single_thread
from lossdsl.recsys.trainings import KEPT

LOSSES = ("bce", "mse", "hinge", "focal", "maxr", "sumr", "logmin", "exponential")
RESULTS = HERE / "results" / "reference"


@dataclass(frozen=True)
class Part:
    """One place of the table."""

    title: str
    folder: str
    settings: Settings
    seeds: int
    folds: bool = False

    def data(self, root: Path) -> Data:
        """The data set, or its folds."""
        if self.folds:
            return tuple(load(root / self.folder, fold=fold) for fold in range(1, FOLDS + 1))
        return load(root / self.folder)


# A training ends after `patience` epochs without a better one. Some losses rest on a plateau for twenty epochs on
# BiasedMF before they get as good as any, so its patience is long.
PARTS = {
    "biasedmf": Part("BiasedMF", "ml100k01-1-5", Settings(epochs=200, patience=25), 20),
    "deepmodel": Part("DeepModel", "ml100k01-1-5", Settings(model="deepmodel", epochs=100, patience=20), 5),
    "ranknet": Part("RankNet", "ml100k01-1-5", Settings(model="ranknet", layers=(64, 32), epochs=100, patience=10), 5),
    "mq2008": Part(
        "RankNet, MQ2008", "mq2008", Settings(model="ranknet", layers=(64, 32), epochs=200, patience=15), 5, True
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--workers", type=int, default=1, help="trainings side by side")
    parser.add_argument("--again", action="store_true", help="train finished parts again from the points they chose")
    parser.add_argument("--tables", action="store_true", help="print the Markdown of the finished parts, train nothing")
    options = parser.parse_args()
    if unknown := [name for name in options.parts if name not in PARTS]:
        parser.error(f"no part is called {unknown[0]}; there are {', '.join(PARTS)}")
    if options.tables:
        print(overview())
        for name in options.parts or PARTS:
            print(f"\n{table(name)}" if rows(name) else f"\n{PARTS[name].title}: not finished")
        return 0
    root = data_folder()
    if root is None:
        print("no data: set LOSSDSL_DATA, or put it into shared/data beside the repository", file=sys.stderr)
        return 2
    single_thread()
    for name in options.parts or PARTS:
        part = PARTS[name]
        if rows(name) and not options.again:
            print(f"{part.title}: finished before, in {RESULTS.name}/{name}.csv")
            continue
        with bar(name, None) as step:
            result = compare(
                LOSSES, [part.data(root)], [part.settings.model], settings=part.settings, seeds=part.seeds,
                workers=options.workers, run_dir=RESULTS / name, progress=step, total=step.total,
            )  # fmt: skip
        (RESULTS / f"{name}.csv").write_text(as_csv(result), encoding="utf-8")
        drop_scores(RESULTS / name / KEPT)
        print(table(name), flush=True)
    return 0


def drop_scores(path: Path) -> None:
    """Keeps what each training came to, and not the megabytes that the bootstrap needed."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    kept = [{key: value for key, value in facts.items() if key not in ("scores", "dtype")} for facts in lines]
    aside = path.with_suffix(".tmp")
    aside.write_text("".join(json.dumps(facts) + "\n" for facts in kept), encoding="utf-8")
    aside.replace(path)


def rows(name: str) -> list[dict[str, str]]:
    """The cells of a finished part; none of one that is not."""
    path = RESULTS / f"{name}.csv"
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def overview() -> str:
    """One row a loss, one column a part; a star where the difference to bce stands after Holm's correction."""
    lines = [
        "| loss | " + " | ".join(_head(name) for name in PARTS) + " |",
        "|---" * (len(PARTS) + 1) + "|",
    ]
    found = {name: {row["name"]: row for row in rows(name)} for name in PARTS}
    for loss in LOSSES:
        cells = []
        for name in PARTS:
            row = found[name].get(loss)
            star = "\\*" if row and row["p_holm"] and float(row["p_holm"]) < 0.05 else ""
            cells.append(f"{float(row['mean']):.4f}{star}" if row else "…")
        lines.append(f"| {loss} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _head(name: str) -> str:
    part = PARTS[name]
    metric = "NDCG@10" if part.folds else "per-user AUC" if part.settings.model == "ranknet" else "AUC"
    return f"{part.title}, {metric}"


def table(name: str) -> str:
    """A part as Markdown."""
    head = "| loss | test {} [95 % over users and seeds] | sd of seeds | difference to bce, paired by user | p (Holm) "
    head += "| lr | L2 in slopes | best epoch, median |"
    lines = [head.format(rows(name)[0]["metric"]), "|---" * 8 + "|"]
    for row in rows(name):
        f = {key: float(row[key]) for key in ("mean", "low", "high", "seed_sd")}
        apart = ["", ""]
        if row["difference"]:
            low, high = float(row["difference_low"]), float(row["difference_high"])
            apart = [f"{float(row['difference']):+.4f} [{low:+.4f}, {high:+.4f}]", f"{float(row['p_holm']):.2g}"]
        marks = " at the edge" * (row["edge_of_grid"] == "True")
        last = f" ({row['best_was_last']} at the last)" if row["best_was_last"] != "0" else ""
        lost = f"; {row['exploded']} seeds blew up" if row["exploded"] != "0" else ""
        lines.append(
            f"| {row['name']} | {f['mean']:.4f} [{f['low']:.4f}, {f['high']:.4f}]{lost} | {f['seed_sd']:.4f} | "
            f"{apart[0]} | {apart[1]} | {_each(row['lr'], 'g')} | {_each(row['l2_in_slopes'], '.1e')}{marks} | "
            f"{median(map(int, row['best_epochs'].split())):g}{last} |"
        )
    return "\n".join(lines)


def _each(values: str, form: str) -> str:
    return ", ".join(f"{float(value):{form}}" for value in values.split())


if __name__ == "__main__":
    sys.exit(main())
