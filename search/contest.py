"""Strategies side by side at equal training cost: several search seeds each, the median of what they had found when."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossdsl.errors import LossError, naming
from lossdsl.recsys.dataset import Dataset
from lossdsl.search.budget import Budget
from lossdsl.search.calibration import FINAL, LADDER, around
from lossdsl.search.ledger import read_trials
from lossdsl.search.session import search
from lossdsl.search.settings import Settings
from lossdsl.search.toml import merge, read_file

DONE = "searches.jsonl"
MARKS = (0.1, 0.25, 0.5, 1.0)  # shares of the cost at which the table looks


@dataclass(frozen=True)
class Curve:
    """One search: the best reward so far after each cost, in rows of training."""

    strategy: str
    seed: int
    cost: NDArray[np.float64]
    best: NDArray[np.float64]
    trials: int
    trained: int
    valid_first: float
    valid_last: float
    final: float | None
    test: float | None

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "cost": self.cost.tolist(), "best": self.best.tolist()}

    @classmethod
    def read(cls, data: dict[str, Any]) -> Curve:
        """The way back from `plain`."""
        return cls(**{**data, "cost": np.array(data["cost"], np.float64), "best": np.array(data["best"], np.float64)})

    def at(self, cost: float) -> float:
        """The best reward at a cost; NaN before the first."""
        place = int(np.searchsorted(self.cost, cost, side="right"))
        return float(self.best[place - 1]) if place else float("nan")


def curve(run_dir: Path, strategy: str, seed: int, best: dict[str, Any] | None) -> Curve:
    """What a run directory says of its search.

    `valid_first` and `valid_last` are the shares of the strategy's own proposals that passed the screen, in the first
    and the last tenth of the run.
    """
    cost, rewards, own = [], [], []
    rows, count = 0, 0
    for trial in read_trials(run_dir):
        count += 1
        rows += trial.rows
        if trial.source in ("controller", "evolution", "random"):
            own.append(trial.fate != "filtered")
        if trial.fate == "trained" and trial.reward is not None:
            cost.append(rows)
            rewards.append(trial.reward)
    tenth = max(1, len(own) // 10)
    return Curve(
        strategy,
        seed,
        np.array(cost, np.float64),
        np.maximum.accumulate(np.array(rewards, np.float64)) if rewards else np.array([]),
        count,
        len(rewards),
        float(np.mean(own[:tenth])) if own else 0.0,
        float(np.mean(own[-tenth:])) if own else 0.0,
        None if best is None else best["final"],
        None if best is None else best["test"]["best"]["mean"],
    )


@dataclass(frozen=True)
class Contest:
    """All searches; `cost` is the training that every one of them was given, in rows."""

    curves: tuple[Curve, ...]
    cost: float

    @property
    def strategies(self) -> tuple[str, ...]:
        """The strategies, in order."""
        return tuple(dict.fromkeys(c.strategy for c in self.curves))

    def median(self, strategy: str, share: float) -> float:
        """The median over seeds of the best reward after a share of the cost; NaN where most had none yet."""
        values = [c.at(share * self.cost) for c in self.curves if c.strategy == strategy]
        # A search without a reward is behind all others; left out, a median could fall as the searches go on.
        middle = float(np.median(np.nan_to_num(values, nan=-np.inf)))
        return middle if np.isfinite(middle) else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON takes it."""
        return {
            "schema": 1,
            "cost_rows": self.cost,
            "searches": [
                {
                    "strategy": c.strategy,
                    "seed": c.seed,
                    "trials": c.trials,
                    "trained": c.trained,
                    "valid_first_tenth": c.valid_first,
                    "valid_last_tenth": c.valid_last,
                    "final": c.final,
                    "test": c.test,
                    "cost": c.cost.tolist(),
                    "best": c.best.tolist(),
                }
                for c in self.curves
            ],
        }


def contest(
    settings: Settings,
    data: Dataset,
    strategies: Sequence[str],
    seeds: Sequence[int],
    rows: int,
    folder: Path,
    *,
    workers: int = 1,
    say: Callable[[str], None] = lambda text: None,
) -> Contest:
    """Run every strategy with every seed until it has trained on `rows` rows.

    A search that is done is a line of `searches.jsonl` in the folder and is not run again; one that was interrupted
    goes on. Seeds come first, so that a contest that is stopped has the same seeds of every strategy. A folder with
    searches of other settings, or of more rows, is refused.
    """
    if settings.preset:
        raise LossError("strategies are compared in the practical search, not in a preset")
    strategies = tuple(dict.fromkeys(strategies))
    folder.mkdir(parents=True, exist_ok=True)
    kept = _kept(folder / DONE)
    done = {key: found for (key, cost), found in kept.items() if cost == rows}
    for seed in seeds:
        for strategy in strategies:
            place = folder / f"{strategy}-{seed}"
            chosen = merge(settings, {"strategy": strategy, "seed": seed, "budget": f"{rows}rows"}, "contest")
            config = place / "config.toml"
            if config.exists():
                most = max((cost for key, cost in kept if key == (strategy, seed)), default=0)
                _same(config, chosen, rows, most)
            if (strategy, seed) in done:
                continue
            result = search(
                None if config.exists() else chosen,
                run_dir=place,
                data=data,
                budget=f"{rows}rows",
                resume=config.exists(),
                workers=workers,
            )
            found = done[strategy, seed] = curve(place, strategy, seed, result.best)
            with naming(folder / DONE), (folder / DONE).open("a", encoding="utf-8") as file:
                # A line break first: what a crash left of a line must not swallow this one.
                file.write("\n" * bool(file.tell()) + json.dumps({"rows": rows, **found.plain()}) + "\n")
            say(f"{strategy} seed {seed}: {found.trained} trained of {found.trials} proposals")
    curves = [done[strategy, seed] for strategy in strategies for seed in seeds]
    return Contest(tuple(curves), float(rows))


def _kept(path: Path) -> dict[tuple[tuple[str, int], int], Curve]:
    """The searches that are through, by strategy, seed and rows; a line that a crash tore does not count."""
    out: dict[tuple[tuple[str, int], int], Curve] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            data = json.loads(line)
            rows = int(data.pop("rows"))
            found = Curve.read(data)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        out[(found.strategy, found.seed), rows] = found
    return out


def _same(config: Path, chosen: Settings, rows: int, most: int) -> None:
    """Whether the search that is in the folder is one of this contest."""
    there = read_file(config)
    # What the settings of the contest leave open, every search found for itself.
    found: dict[str, Any] = {
        name: ()
        for name, factors in (("l2", LADDER), ("final_l2", FINAL))
        if not getattr(chosen.training, name)
        and there.training.l2
        and getattr(there.training, name) == around(there.training.l2[0], factors)
    }
    there = replace(there, training=replace(there.training, **found))
    names = [f.name for f in fields(Settings) if f.name not in ("budget", "fingerprint")]
    other = [name for name in names if getattr(there, name) != getattr(chosen, name)]
    if other:
        raise LossError(f"{config.parent} holds a search of another contest ({', '.join(other)} differ); "
                        "give another --run-dir")  # fmt: skip
    most = max(most, Budget.read(there.budget).rows or 0)
    if most > rows:
        raise LossError(f"{config.parent} holds a search of {most:,} rows, more than {rows:,}; give another --run-dir")


def table(result: Contest) -> str:
    """Medians over the seeds, for people."""
    marks = "".join(f"{f'{share:.0%}':>9}" for share in MARKS)
    lines = [f"{'strategy':<12}{marks}{'final':>9}{'test':>9}{'valid share, first and last tenth':>36}"]
    for strategy in result.strategies:
        own = [c for c in result.curves if c.strategy == strategy]
        values = "".join(_cell(result.median(strategy, share)) for share in MARKS)
        final, test = (
            np.median(v) if v else np.nan
            for v in ([c.final for c in own if c.final is not None], [c.test for c in own if c.test is not None])
        )
        first, last = (np.median([getattr(c, name) for c in own]) for name in ("valid_first", "valid_last"))
        lines.append(f"{strategy:<12}{values}{_cell(final)}{_cell(test)}{f'{first:.3f} {last:.3f}':>36}")
    lines.append(f"medians of {len(result.curves) // max(1, len(result.strategies))} search seeds; "
                 f"best reward after shares of {result.cost:,.0f} rows of training")  # fmt: skip
    return "\n".join(lines)


def _cell(value: float) -> str:
    return f"{value:>9.4f}" if np.isfinite(value) else f"{'-':>9}"
