"""Are searched losses worth having? `python benchmarks/worth.py SPLIT [SPLIT ...] --seeds 1,2 --budget 10m`.

A search that starts from nothing, sees train and validation only and is given `--budget` on `--workers` cores, against
the known losses. What it found and every known loss are tuned over the same points (learning rate and L2 in steps of
the square root of two, on validation), then trained with fresh seeds and tested once, at the epoch that was best on
validation.

Splits: `published` (AutoLossGen's files), `rolling-1` to `rolling-5` (leave-one-out of raw MovieLens-100k, each one
positive of every user further back), `implicit-1` to `implicit-5` (the same, as the implicit task), `mq2008-1` to
`mq2008-5` (RankNet). A finished cell is a line of `results/worth.jsonl` and is not made again; without a split the
table of what is there is printed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from run import HERE, data_folder
from worth_table import table

from lossdsl.recsys import metrics
from lossdsl.recsys.course import follow
from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Columns, Dataset, from_columns
from lossdsl.recsys.negatives import evaluation_rows
from lossdsl.recsys.objective import Objective
from lossdsl.recsys.settings import Settings
from lossdsl.recsys.significance import Bootstrap
from lossdsl.recsys.splits import leave_one_out, rolled_back
from lossdsl.recsys.trainer import Trainer
from lossdsl.recsys.training import single_thread
from lossdsl.recsys.tuning import slope_scale
from lossdsl.search.bench import Tabled
from lossdsl.search.folds import blind
from lossdsl.search.presets import for_model, for_task
from lossdsl.search.session import search
from lossdsl.search.settings import Settings as SearchSettings
from lossdsl.search.toml import merge

RESULTS = HERE / "results" / "worth.jsonl"
REPLICATES = 1000
STEPS = 12  # values of L2, each the square root of two times the one before
MOVES = 4  # how often four more are tried beyond an end


@dataclass(frozen=True)
class Task:
    """How a task trains.

    Its points are `lrs`, the middle one first, times L2 from `least_l2` on, in units of each loss's own slope.
    """

    model: str
    settings: Settings
    lrs: tuple[float, ...]
    least_l2: float
    seeds: int
    weights: tuple[str, ...]

    @property
    def l2s(self) -> tuple[float, ...]:
        return tuple(self.least_l2 * 2 ** (k / 2) for k in range(STEPS))


# Explicit: maxr and sumr rest on a plateau for twenty epochs before they get as good as they can. Implicit: all sane
# losses are at their best within twenty epochs and fall from there.
TASKS = {
    "explicit": Task(
        "biasedmf", Settings(dim=16, batch_size=512, epochs=200, patience=25), (0.003, 0.00212, 0.00424), 1e-5, 8,
        ("1/16", "1/4", "1/2", "2", "4", "16"),
    ),
    "implicit": Task(
        "biasedmf", Settings(task="implicit", dim=32, batch_size=2048, train_neg=8, epochs=60, patience=5),
        (0.01, 0.00707, 0.0141), 2e-6, 8, ("1/4", "1/2", "2", "4", "16"),
    ),
    "mq2008": Task(
        "ranknet", Settings(model="ranknet", layers=(64, 32), epochs=100, patience=10), (0.001, 0.000707, 0.00141),
        1e-6, 5, (),
    ),
}  # fmt: skip
# L2 of the search, for the ladder and for its last rung, fixed when the study began. What a search finds by itself now
# is the same on five of the six explicit splits, on the sixth and on implicit-1 smaller by the square root of two.
SEARCH_L2 = {
    "explicit": {"l2": [6e-5, 3e-5, 1.1e-4], "final_l2": [2.8e-5, 4e-5, 5.7e-5, 8e-5, 1.13e-4]},
    "implicit": {"l2": [6e-6, 1.4e-5], "final_l2": [4e-6, 8e-6, 1.13e-5, 1.6e-5, 2.3e-5]},
}
POINTWISE = ("bce", "mse", "huber", "focal", "exponential", "hinge", "squared_hinge")
SLOW = ("maxr", "sumr", "logmin")
PAIRWISE = ("bpr", "mse", "focal", "exponential", "hinge", "squared_hinge")


def task_of(split: str) -> str:
    """The task of a split, by its name."""
    kind = split.split("-")[0]
    return {"published": "explicit", "rolling": "explicit"}.get(kind, kind)


def baselines(task: str) -> dict[str, tuple[str, ...]]:
    """The known losses of a task, each with its variants: what a practitioner would tune is tuned."""
    if task == "mq2008":
        return {name: (name,) for name in PAIRWISE}
    found: dict[str, tuple[str, ...]] = {name: (name,) for name in POINTWISE}
    weighted = "-{w}*label*log(pred) - (1-label)*log(1-pred)"
    if task == "implicit":
        weighted = "-label*log(pred) - {w}*(1-label)*log(1-pred)"
        found["ccl"] = tuple(f"ccl where w = {w}, margin = {m}" for w in ("1/4", "1", "4") for m in ("0", "0.5"))
    found["bce, weighted labels"] = tuple(weighted.format(w=w) for w in TASKS[task].weights)
    return found | {name: (name,) for name in SLOW}


@cache
def dataset(split: str) -> Dataset:
    """The data of a split."""
    root = data_folder()
    kind, _, number = split.partition("-")
    if kind in ("published", "mq2008") and root is None:
        raise SystemExit("the published files are not here: set LOSSDSL_DATA to the folder that holds them")
    if kind == "published":
        return load(root / "ml100k01-1-5")  # type: ignore[operator]
    if kind == "mq2008":
        return load(root / "mq2008", fold=int(number))  # type: ignore[operator]
    from lossdsl.recsys.fetch import movielens_100k

    raw = np.loadtxt(movielens_100k(), dtype=np.int64)
    rows = Columns(raw[:, 0], raw[:, 1], (raw[:, 2] > 3).astype(float), raw[:, 3])
    return from_columns(split, *leave_one_out(rolled_back(rows, int(number) - 1)), duplicates="keep")


class Lab:
    """Trains on one split; the rows of test are scored by `test` alone."""

    def __init__(self, split: str, workers: int) -> None:
        self.split, self.task, self.data = split, TASKS[task_of(split)], dataset(split)
        self.settings = self.task.settings.resolve(documents=self.data.documents)
        self.pool = ThreadPoolExecutor(workers)
        self.watched, self.tested = (
            evaluation_rows(self.data, part, task=self.settings.task, count=0) for part in ("validation", "test")
        )

    def tune(self, variants: Sequence[str]) -> dict[str, Any]:
        """The best variant and point on validation: all variants at the first learning rate, the best one at all."""
        found: list[tuple[float, str, float, float]] = []
        l2s = list(self.task.l2s)

        def points(texts: Sequence[str], lrs: Sequence[float], l2s: Sequence[float]) -> None:
            places = [(text, lr, l2) for text in texts for lr in lrs for l2 in l2s]
            values = self.pool.map(lambda place: self._train(*place, 999, False)[0], places)
            found.extend((value, *place) for value, place in zip(values, places))

        points(variants, self.task.lrs[:1], l2s)
        # Where the best lies at an end, the true best may lie beyond: for any loss the values go on there.
        for _ in range(MOVES):
            best = max(found)
            if best[3] not in (l2s[0], l2s[-1]):
                break
            more = [(l2s[0] / 2 ** (k / 2) if best[3] == l2s[0] else l2s[-1] * 2 ** (k / 2)) for k in range(1, 5)]
            points([best[1]], self.task.lrs[:1], more)
            l2s = sorted([*l2s, *more])
        points([max(found)[1]], self.task.lrs[1:], l2s)
        value, text, lr, l2 = max(found)
        edge = l2 in (l2s[0], l2s[-1])
        return {
            "formula": text, "lr": lr, "l2_in_slopes": l2, "validation": value, "points": len(found), "edge": edge,
        }  # fmt: skip

    def test(self, tuned: dict[str, Any]) -> dict[str, Any]:
        """Fresh seeds at a tuned point, and bootstrap means of their metric over users and seeds."""
        one = partial(self._train, tuned["formula"], tuned["lr"], tuned["l2_in_slopes"])
        runs = list(self.pool.map(lambda seed: one(seed, True), range(self.task.seeds)))
        metric = self.settings.metric or ""
        draws = Bootstrap(self.tested, metric, replicates=REPLICATES)
        # Users are drawn from all of the data set, by one seed: what is drawn is the same in every cell of a task.
        draws.weights = user_draws(self.data.users)[:, np.unique(self.tested.user)]
        drawn = draws.replicates([scores for _, _, scores in runs])
        values = [metrics.compute(metric, self.tested, scores) for _, _, scores in runs]
        return tuned | {
            "metric": metric, "test": drawn.mean, "values": [round(v, 6) for v in values],
            "best_epochs": [epoch for _, epoch, _ in runs],
            "best_was_last": sum(epoch == self.settings.epochs for _, epoch, _ in runs),
            "replicates": [round(v, 5) for v in drawn.values.tolist()],
        }  # fmt: skip

    def _train(self, text: str, lr: float, l2: float, seed: int, scored: bool) -> tuple[float, int, Any]:
        objective = objective_of(text)
        settings = replace(self.settings, lr=lr, l2=l2 * scale_of(text, bool(self.settings.pairs)))
        trainer = Trainer(objective, self.data, settings, seed=seed)
        nothing = np.zeros(len(self.tested) if scored else 0)
        course = follow(trainer, lambda: trainer.scores(self.tested) if scored else nothing, rows=self.watched)
        if course.kept is None:  # it exploded before it was through with an epoch
            return -1.0, 0, nothing
        return course.best, course.best_epoch, course.kept


@cache
def objective_of(text: str) -> Objective:
    """The loss, its slope tables made once."""
    return Tabled(text)


@cache
def scale_of(text: str, pairs: bool) -> float:
    """The unit of its L2."""
    return slope_scale(objective_of(text), pairs=pairs)


@cache
def user_draws(users: int) -> Any:
    """How often each user is drawn in each replicate."""
    return np.random.default_rng(12).multinomial(users, np.full(users, 1 / users), size=REPLICATES)


def searched(
    split: str, seed: int, budget: str, workers: int, rate: float = 0.0, seeded: bool = False
) -> dict[str, Any]:
    """What a search finds; the data it is given have no test rows. A `seeded` one starts from the known losses.

    With a `rate`, a second of the budget is so many processor seconds, however long others keep them from running.
    """
    data = dataset(split)
    task = task_of(split)
    settings = for_model(SearchSettings(seed=seed, seeded=seeded), TASKS[task].model)
    if task == "implicit":
        settings = for_task(settings, task)
    if task in SEARCH_L2:
        settings = merge(settings, {"training": SEARCH_L2[task]}, "the study")
    if task == "mq2008":
        training = replace(settings.training, layers=TASKS[task].settings.layers or (0,), train_rows=0, epochs=12,
                           lr=0.003, patience=3)  # fmt: skip
        settings = replace(settings, training=training)
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        now = (lambda: time.process_time() / rate) if rate else time.monotonic
        result = search(
            settings, run_dir=Path(folder) / "run", data=blind(data), budget=budget, workers=workers, now=now
        )
    if result.best is None:
        raise SystemExit(f"{split}, seed {seed}: nothing was found in {budget}")
    best = result.best
    return {
        "found": best["formula"], "nodes": best["nodes"], "trials": result.trials, "fates": result.fates,
        "reward": best["reward"], "final": best["final"], "front": best["front"],
        "folds": settings.ladder.folds, "seconds": round(result.elapsed, 1), "workers": workers,
        # On a machine that others use too, the processor's seconds say what the budget came to.
        "processor_seconds": round(time.process_time() - begin, 1), "rate": rate,
    }  # fmt: skip


class Kept:
    """The finished cells, a line each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def cell(self, key: dict[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The row of a cell, made unless it is there."""
        for row in self.rows:
            if all(row.get(name) == value for name, value in key.items()):
                return row
        begin = time.monotonic()
        row = key | make()
        row["wall"] = round(time.monotonic() - begin, 1)
        self.rows.append(row)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        named = ", ".join(str(value) for value in key.values())
        said = row["found"] if "test" not in row else f"validation {row['validation']:.4f}, test {row['test']:.4f}"
        print(f"{named}: {said}", file=sys.stderr, flush=True)
        return row


def study(
    splits: Iterable[str],
    seeds: Sequence[int],
    budget: str,
    workers: int,
    kept: Kept,
    known: bool = True,
    rate: float = 0.0,
    seeded: bool = False,
) -> None:
    """All cells of some splits that are not there yet."""
    for split in splits:
        lab = Lab(split, workers)
        for name, variants in baselines(task_of(split)).items() if known else ():
            kept.cell({"kind": "baseline", "split": split, "loss": name}, partial(_known, lab, variants))
        for seed in seeds:
            place = {"split": split, "seed": seed, "budget": budget, "seeded": seeded}
            # A row of its own: what ten minutes found is not lost where the tuning after it is broken off.
            kept.cell({"kind": "search"} | place, partial(_tested, lab, place, workers, kept, rate))


def _known(lab: Lab, variants: Sequence[str]) -> dict[str, Any]:
    return lab.test(lab.tune(variants))


def _tested(lab: Lab, place: dict[str, Any], workers: int, kept: Kept, rate: float) -> dict[str, Any]:
    find = partial(searched, place["split"], place["seed"], place["budget"], workers, rate, place["seeded"])
    found = kept.cell({"kind": "found"} | place, find)
    facts = {name: found[name] for name in ("found", "nodes", "trials", "folds", "processor_seconds")}
    return facts | lab.test(lab.tune([found["found"]]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("splits", nargs="*", metavar="SPLIT")
    parser.add_argument("--seeds", default="1,2,3,4,5")
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=0.0, metavar="R",
                        help="where others use the machine: R processor seconds are one of the budget")  # fmt: skip
    parser.add_argument("--only", choices=("baselines", "searches"), help="the known losses alone, or the searches")
    parser.add_argument("--seeded", action="store_true", help="searches that start from the known losses")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    single_thread()
    kept = Kept(options.results)
    seeds = [] if options.only == "baselines" else [int(seed) for seed in options.seeds.split(",")]
    study(
        options.splits,
        seeds,
        options.budget,
        options.workers,
        kept,
        known=options.only != "searches",
        rate=options.rate,
        seeded=options.seeded,
    )
    print(table(kept.rows, options.budget))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
