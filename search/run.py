"""The practical search: propose, throw away, train, learn, rank the best again; all of it resumable."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossdsl.search.archive import Archive, Entry, front
from lossdsl.search.bench import Bench, Job, Result
from lossdsl.search.budget import Clock
from lossdsl.search.evaluator import Evaluator, OutOfTime
from lossdsl.search.gate import Gate, Judged
from lossdsl.search.known import known_losses
from lossdsl.search.ledger import Ledger, Trial
from lossdsl.search.refine import shorter, tuned
from lossdsl.search.settings import Settings
from lossdsl.search.strategy import Outcome, Proposal, Strategy, generator_from, generator_state

RECENT = 100
KEY = 32  # characters of a key


@dataclass(frozen=True)
class Progress:
    """What a reporter is told after every trial."""

    trials: int
    trained: int
    fates: dict[str, int]
    top: float | None
    elapsed: float


class Search:
    """One run over a bench: `go` until the budget ends, `finish` to rank what is left, `best` for the result.

    Everything that happens depends on the settings, the seed and the data; the clock only says when to stop.
    """

    def __init__(
        self,
        settings: Settings,
        bench: Bench,
        strategy: Strategy,
        ledger: Ledger,
        evaluator: Evaluator,
        clock: Clock,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self.settings, self.bench, self.strategy = settings, bench, strategy
        self.ledger, self.evaluator, self.clock, self.report = ledger, evaluator, clock, report
        self.number = 0
        self.rows = 0  # of training, over all trials
        self.batches = 0
        self.known: dict[str, float] = {}
        self.gate = Gate(pairwise=bench.pairwise, max_size=settings.ladder.max_size)
        self.archive = Archive(settings.ladder.size_price)
        self.finals: dict[str, Entry] = {}
        self.firsts: deque[float] = deque(maxlen=RECENT)
        self.rewards: deque[float] = deque(maxlen=RECENT)
        self.fates = {"trained": 0, "duplicate": 0, "filtered": 0, "failed": 0}
        self.rng = np.random.default_rng([settings.seed, 21])

    # -- the loop ------------------------------------------------------------------------------------------------

    def go(self, share: float = 1.0) -> None:
        """Search until the budget (or this share of a budget of time) is used up."""

        def late() -> bool:
            return self.clock.ends(share, self.fates)

        try:
            if self.settings.seeded and self.batches == 0:
                known = [Proposal(root, "known") for root in known_losses()]
                outcomes = list(self._try(known[: self._left()], late))
                if len(outcomes) < len(known):
                    return
                self.strategy.welcome(outcomes)
            while not late() and self._left() > 0:
                proposals = self.strategy.propose(self.settings.ladder.batch)
                outcomes = list(self._try(proposals[: self._left()], late))
                if len(outcomes) < len(proposals):
                    return  # the budget ended inside the batch: a longer run redoes it whole
                self.strategy.observe(outcomes)
                self.batches += 1
                if self.batches % self.settings.ladder.tune_every == 0 and not self._improve(late):
                    return
                self.save()
        except OutOfTime:
            self.ledger.flush()

    def _left(self) -> int:
        return self.clock.budget.left(self.number, self.rows)

    def _try(self, proposals: list[Proposal], late: Callable[[], bool]) -> Iterator[Outcome]:
        """Judge, train and log proposals; outcomes in order."""
        judged: list[Judged] = []
        known = set(self.known)
        bars = self._bars()

        def judge(k: int) -> Judged:
            while len(judged) <= k:
                judged.append(self.gate.judge(proposals[len(judged)].root))
            return judged[k]

        def jobs() -> Iterator[Job]:
            for k in range(len(proposals)):
                found = judge(k)
                if not found.why and found.key not in known:
                    known.add(found.key)
                    yield self._job(found, *bars)

        # Asked for one by one: the first candidates train while the next ones are judged.
        results = self.evaluator.map(jobs(), late)
        for k, proposal in enumerate(proposals):
            if self._left() == 0:  # a budget of rows ends within a batch
                return
            yield self._log(proposal, judge(k), results)

    def _bars(self) -> tuple[float, float]:
        enough = len(self.firsts) >= 20
        # A first rung below the recent median is hopeless; a first L2 below the recent middle gets no second.
        first_bar = float(np.quantile(self.firsts, 1 - self.settings.ladder.keep)) if enough else -np.inf
        bar = float(np.quantile(self.rewards, 0.5)) if enough else -np.inf
        return first_bar, bar

    def _job(self, found: Judged, first_bar: float, bar: float) -> Job:
        ladder, training = self.settings.ladder, self.settings.training
        return Job(found.text, training.l2, (self.settings.seed,), first_bar, bar, ladder.first_epochs)

    def _log(self, proposal: Proposal, found: Judged, results: Iterator[Result]) -> Outcome:
        source, key = proposal.source, found.key
        # Before it is counted: where the time ends while it trains, it never was a trial.
        result = None if found.why or key in self.known else next(results)
        self.number += 1
        price = self.archive.price * found.nodes
        trial = Trial(self.number, found.text, None, "filtered", None, 0, 0, source, found.why or None)
        outcome = Outcome("filtered", None, found.root, True, found.credit)
        if result is None and not found.why:
            reward = self.known[key]
            trial = replace(trial, fate="duplicate", reward=reward)
            outcome = Outcome("duplicate", reward - price, found.root, False)
        elif result is not None:
            trained = np.isfinite(result.reward)
            reward = result.reward if trained else -1.0
            self.known[key] = reward
            trial = replace(
                trial,
                fate="trained" if trained else "failed",
                reward=reward if trained else None,
                rows=result.rows,
                epochs=result.epochs,
                why=result.note or None,
                seed=self.settings.seed,
                seconds=round(result.seconds, 4),
            )
            outcome = Outcome(trial.fate, reward - price if trained else None, found.root)
            if trained:
                self.firsts.append(result.first)
                self.rewards.append(reward)
                self.archive.add(
                    Entry(found.root, found.text, reward, found.nodes, result.l2, self.number, source, "valid")
                )
        self.fates[trial.fate] += 1
        self.rows += trial.rows
        self.ledger.append(replace(trial, hash=self.gate.hash_of(found), at=round(self.clock.elapsed, 3)))
        top = max((entry.reward for entry in self.archive.front), default=None)
        self.report(Progress(self.number, self.fates["trained"], self.fates, top, self.clock.elapsed))
        return outcome

    # -- the best ------------------------------------------------------------------------------------------------

    def _improve(self, late: Callable[[], bool]) -> bool:
        """Tune and shorten the best, and rank the best again; False where the budget ended meanwhile."""
        ladder = self.settings.ladder
        for entry in list(itertools.islice(self.archive.chosen(), ladder.tune)):
            tries = tuned(entry.root, ladder.tune_tries, self.rng) + shorter(entry.root, ladder.shorten, self.rng)
            outcomes = list(self._try(tries[: self._left()], late))
            if len(outcomes) < len(tries):
                return False
        # A budget of rows is what proposals train on. The ranking comes on top, and as strategies are compared by such
        # budgets, it is the same for all: the best, once, at the end.
        if self.clock.budget.rows is None:
            self.rank(late)
        return True

    def rank(self, late: Callable[[], bool]) -> None:
        """Measure the best of the archive with more folds, L2 values and seeds; all of them were proved valid."""
        ladder, training = self.settings.ladder, self.settings.training
        chosen = itertools.islice(self.archive.chosen(), ladder.final)
        new = [entry for entry in chosen if entry.formula not in self.finals]
        seeds = tuple(self.settings.seed + 1 + k for k in range(ladder.final_seeds))
        jobs = [Job(entry.formula, training.final_l2, seeds) for entry in new]
        for entry, result in zip(new, self.evaluator.map(jobs, late)):
            final = result.reward if np.isfinite(result.reward) else -1.0
            self.finals[entry.formula] = replace(entry, final=final, l2=result.l2, values=result.values)

    def finish(self, share: float = 1.0) -> Entry | None:
        """Rank what is new among the best, as far as the time allows, and give the result."""
        try:
            self.rank(lambda: self.clock.late(share))
        except OutOfTime:
            pass
        # What was ranked stays so, however little time a resume is given.
        self.ledger.amend({"finals": self._finals()})
        if not self.finals and self.archive.entries:
            # A run too short to rank anything: the best reward is the result, with that reward.
            entry = self.archive.entries[0]
            self.finals[entry.formula] = replace(entry, final=entry.reward)
        return self.best()

    def best(self) -> Entry | None:
        """The smallest of the proved losses that are as good as the best of them."""
        ranked = [entry for entry in self.finals.values() if entry.final is not None]
        if not ranked:
            return None
        top = max(_final(entry) for entry in ranked)
        equal = [entry for entry in ranked if _final(entry) >= top - self.settings.ladder.tie]
        return min(equal, key=lambda e: (e.nodes, -_final(e), e.number))

    def front(self) -> list[Entry]:
        """Of the losses that were ranked, those that no smaller one beats, smallest first."""
        return front(list(self.finals.values()), _final)

    # -- state ---------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Put everything away that a resume needs."""
        arrays, meta = self.strategy.state()
        state: dict[str, NDArray[Any]] = {f"strategy.{name}": array for name, array in arrays.items()}
        state["known.keys"] = np.frombuffer("".join(self.known).encode(), np.uint8).reshape(-1, KEY)
        state["known.rewards"] = np.array(list(self.known.values()), np.float64)
        self.ledger.save(state, {
            "number": self.number,
            "rows": self.rows, "batches": self.batches, "fates": self.fates, "strategy": meta,
            "archive": self.archive.state(),
            "finals": self._finals(),
            "firsts": list(self.firsts), "rewards": list(self.rewards),
            "rng": generator_state(self.rng), "elapsed": self.clock.elapsed,
        })  # fmt: skip

    def _finals(self) -> list[dict[str, Any]]:
        return [entry.plain() for entry in self.finals.values()]

    def restore(self, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> None:
        """Go on from a state."""
        own = {name.removeprefix("strategy."): array for name, array in arrays.items() if name.startswith("strategy.")}
        self.strategy.restore(own, meta["strategy"])
        self.known = dict(
            zip((row.tobytes().decode() for row in arrays["known.keys"]), arrays["known.rewards"].tolist())
        )
        self.number, self.batches, self.fates = meta["number"], meta["batches"], meta["fates"]
        self.rows = meta["rows"]
        self.archive.restore(meta["archive"])
        self.finals = {data["formula"]: Entry.read(data) for data in meta["finals"]}
        self.firsts = deque(meta["firsts"], maxlen=RECENT)
        self.rewards = deque(meta["rewards"], maxlen=RECENT)
        self.rng = generator_from(meta["rng"])


def _final(entry: Entry) -> float:
    """What the ranking gave; a metric may be 0."""
    return -1.0 if entry.final is None else entry.final
