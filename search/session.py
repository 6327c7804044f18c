"""One search from beginning to end: opens or resumes a run directory, searches, tests the best fairly.

Writes it down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lossdsl.errors import LossError
from lossdsl.recsys.data import load
from lossdsl.recsys.dataset import Dataset
from lossdsl.search.archive import Entry
from lossdsl.search.bench import Bench
from lossdsl.search.budget import Budget, Clock
from lossdsl.search.evaluator import Evaluator
from lossdsl.search.final import FinalTest, Tested
from lossdsl.search.ledger import Ledger, read_trials
from lossdsl.search.limits import check
from lossdsl.search.original import OriginalSearch
from lossdsl.search.original_bench import OriginalBench, make_bench
from lossdsl.search.presets import for_test
from lossdsl.search.remote import Link, Remote
from lossdsl.search.run import Progress, Search
from lossdsl.search.settings import Settings
from lossdsl.search.strategies import make
from lossdsl.search.toml import read_file, write
from lossdsl.search.verdict import Judge

# Shares of a budget of time: proposing ends at the first, ranking at the second; the rest is for the fair test.
SEARCH_SHARE, RANK_SHARE = 0.8, 0.93
SCHEMA = 1


@dataclass(frozen=True)
class SearchResult:
    """What a search ended with: `best` is the content of `best.json`, None where no loss was proved valid."""

    run_dir: Path
    best: dict[str, Any] | None
    trials: int
    fates: dict[str, int]
    elapsed: float
    settings: Settings
    warnings: tuple[str, ...] = ()

    @property
    def data(self) -> str:
        """The data, as the settings name it."""
        return self.settings.data


def search(
    settings: Settings | None = None,
    *,
    run_dir: Path | str,
    data: Dataset | None = None,
    budget: str | None = None,
    resume: bool = False,
    workers: int = 1,
    cluster: str | None = None,
    progress: Callable[[Progress], None] = lambda progress: None,
    say: Callable[[str], None] = lambda text: None,
    now: Callable[[], float] = time.monotonic,
) -> SearchResult:
    """Search for a loss.

    `settings` say what and how; with `resume`, a run that is there goes on with those of its `config.toml`, and only
    `budget`, `workers` and `cluster` may change. `data` stands for `settings.data` where it was loaded already.
    `cluster` is the address of a Dask scheduler whose workers train the candidates; `workers` then counts for what is
    trained before, here. `say` is told what a user should know while it runs. `now` counts the seconds of a budget of
    time: processor time, say, on a machine that others use.

    >>> import tempfile
    >>> from lossdsl.search.session import search
    >>> from lossdsl.search.settings import Settings
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = search(Settings(data="demo", budget="60trials"), run_dir=folder + "/run")
    >>> result.trials
    60
    """
    run_dir = Path(run_dir)
    config = run_dir / "config.toml"
    if resume and config.is_file():
        kept = read_file(config)
        settings = replace(kept, budget=budget or kept.budget)
        _refuse_less(Budget.read(settings.budget), Budget.read(kept.budget), run_dir)
    else:
        if resume and settings is None:
            raise LossError(f"{run_dir} holds no run to resume, and no settings to begin one with are given")
        resume = False
        settings = settings or Settings()
        settings = replace(settings, budget=budget or settings.budget)
    limit = Budget.read(settings.budget)
    check(settings)
    with _link(cluster, say) as link:
        data = data if data is not None else load(settings.data, settings.reading.reading())
        for note in data.notes:
            say(f"note: {note}")
        return _run(settings, limit, run_dir, data, resume, workers, link, progress, say, now)


def _run(
    settings: Settings,
    limit: Budget,
    run_dir: Path,
    data: Dataset,
    resume: bool,
    workers: int,
    link: Link | None,
    progress: Callable[[Progress], None],
    say: Callable[[str], None],
    now: Callable[[], float],
) -> SearchResult:
    if settings.preset and settings.seeded:
        raise LossError("the published method starts from no known losses; leave out `seeded`, or the preset")
    bench = make_bench(data, settings)
    fingerprint = bench.data.fingerprint
    if resume and settings.fingerprint != fingerprint:
        raise LossError(f"{settings.data} is not the data that the run in {run_dir} began with")
    settings = replace(settings, fingerprint=fingerprint)
    ledger = Ledger.open(run_dir) if resume else Ledger.create(run_dir, write(settings))
    say(f"run directory: {run_dir}")
    with ledger:
        if resume:
            ledger.configure(write(settings))  # the budget may be another
        held = ledger.count() if resume else 0
        state = ledger.load() if resume else None
        # Before the clock starts: what is compiled on first use can take longer than a short budget.
        with announced(say, "compiling the training loop, once per installation …"):
            bench.warm()
        clock = Clock(limit, state[1]["elapsed"] if state else 0.0, now, held)
        with announced(say, "finding how much L2 suits the data …"):
            training = bench.calibrated(workers).training
        if training != settings.training:
            settings = replace(settings, training=training)
            ledger.configure(write(settings))
        judge = Judge(pairwise=bench.pairwise)
        with Evaluator(bench, data, workers) if link is None else Remote(bench, link, clock.late) as evaluator:
            run: Search | OriginalSearch
            if isinstance(bench, OriginalBench):
                run = OriginalSearch(settings, bench, ledger, evaluator, clock, judge, progress)
            else:
                run = Search(settings, bench, make(settings), ledger, evaluator, clock, progress)
            if state:
                run.restore(*state)
            run.go(SEARCH_SHARE)
            best = run.finish(RANK_SHARE)
        content = None
        if best is not None:
            with announced(say, "testing the best beside the known loss, both tuned alike …"):
                content = describe(run, best, settings, bench, data, judge)
            ledger.write_best(content)
        return SearchResult(
            run_dir, content, run.number, dict(run.fates), clock.elapsed, settings, tuple(ledger.warnings)
        )


def _refuse_less(limit: Budget, before: Budget, run_dir: Path) -> None:
    """Refuse a budget below what a run has used: to go on from an earlier state would throw away what is there.

    The last trials may have gone beyond a budget of rows, so the one before is always enough.
    """
    if limit.trials is not None and (held := sum(1 for _ in read_trials(run_dir))) > limit.trials:
        raise LossError(f"the run in {run_dir} has {held} trials already; give it a --budget of more than that")
    if limit.rows is not None and limit.rows < (before.rows or limit.rows + 1):
        if (used := sum(trial.rows for trial in read_trials(run_dir))) > limit.rows:
            raise LossError(f"the run in {run_dir} has trained on {used:,} rows already; "
                            "give it a --budget of more than that")  # fmt: skip


@contextmanager
def _link(cluster: str | None, say: Callable[[str], None]) -> Iterator[Link | None]:
    """The way to a cluster's workers, before anything is loaded or written: a wrong address is said at once."""
    if cluster is None:
        yield None
        return
    from lossdsl.search.cluster import Dask

    with closing(Dask(cluster, say)) as link:
        yield link


@contextmanager
def announced(say: Callable[[str], None], text: str, after: float = 1.5) -> Iterator[None]:
    """Says a line if what is done inside takes longer than `after` seconds."""
    timer = threading.Timer(after, say, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _row(tested: Tested) -> dict[str, Any]:
    return {
        "mean": tested.mean,
        "values": list(tested.values),
        "l2": tested.l2,
        "formula": tested.formula,
        "best_was_last": tested.unfinished,
    }


def describe(
    run: Search | OriginalSearch, best: Entry, settings: Settings, bench: Bench, data: Dataset, judge: Judge
) -> dict[str, Any]:
    """The content of `best.json`: the loss, its proof, the front of reward against size, and the fair test."""
    report = judge.report(best.formula)
    tested = for_test(settings)
    own = tested.preset
    if isinstance(bench, OriginalBench) and own:
        # The published third phase: its own optimizer, L2 and patience, the formula as it was searched.
        test = FinalTest(data, bench, bench.third_phase)
    else:
        test = FinalTest(data, bench if tested is settings else Bench(data, tested))
    scale = bool(settings.preset) and not own
    ours = test.run("best", best.formula, scale=scale)
    baseline = "bpr" if bench.pairwise else "bce"
    known = test.run(baseline, baseline, scale=not own)
    difference = test.difference(ours, known)
    return {
        "schema": SCHEMA,
        "formula": best.formula,
        "verdict": report.verdict,
        "hash": report.hash,
        "reward": best.reward,
        "final": best.final,
        "l2": ours.l2,
        "nodes": best.nodes,
        "number": best.number,
        "source": best.source,
        "seeded": settings.seeded,
        "test": {
            "metric": bench.metric,
            "baseline": baseline,
            "protocol": own or "practical",
            "seeds": len(ours.values),
            "best": _row(ours),
            "bce": _row(known),
            "difference": {"mean": difference.mean, "low": difference.low, "high": difference.high},
        },
        "front": [
            {"formula": e.formula, "nodes": e.nodes, "final": e.final, "reward": e.reward, "number": e.number}
            for e in run.front()
        ],
        "report": report.to_dict(),
    }
