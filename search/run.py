"""The practical search: propose, throw away, train, learn, rank the best again; all of it resumable."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossdsl.grammar.parser import read
from lossdsl.grammar.printer import show_node
from lossdsl.grammar.tree import Node
from lossdsl.search.bench import Bench, Job, Result
from lossdsl.search.budget import Clock
from lossdsl.search.evaluator import Evaluator, OutOfTime
from lossdsl.search.ledger import Ledger, Trial
from lossdsl.search.moves import short
from lossdsl.search.mutation import at, constants, with_constant
from lossdsl.search.screen import Screened, screen
from lossdsl.search.settings import Settings
from lossdsl.search.strategy import Outcome, Proposal, Strategy, generator_from, generator_state
from lossdsl.search.verdict import Judge

RECENT = 100
ARCHIVE = 64
_TRIED_PROOFS = 20


@dataclass(frozen=True)
class Entry:
    """A loss that was trained: `root` unscaled, `formula` as trained.

    `final` is its mean over folds and seeds, once it was ranked.
    """

    root: Node
    formula: str
    reward: float
    nodes: int
    l2: float
    number: int
    source: str
    verdict: str = ""
    final: float | None = None
    values: tuple[float, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(replace(self, root=_NOTHING)), "root": show_node(self.root)}

    @classmethod
    def read(cls, data: dict[str, Any]) -> Entry:
        """The way back from `plain`."""
        return cls(**{**data, "root": read(data["root"]).tree.root, "values": tuple(data["values"])})


_NOTHING = read("0").tree.root


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
        judge: Judge,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self.settings, self.bench, self.strategy = settings, bench, strategy
        self.ledger, self.evaluator, self.clock, self.judge, self.report = ledger, evaluator, clock, judge, report
        self.number = 0
        self.rows = 0  # of training, over all trials
        self.batches = 0
        self.known: dict[bytes, float] = {}
        self.archive: list[Entry] = []
        self.finals: dict[str, Entry] = {}
        self.firsts: deque[float] = deque(maxlen=RECENT)
        self.rewards: deque[float] = deque(maxlen=RECENT)
        self.fates = {"trained": 0, "duplicate": 0, "filtered": 0, "failed": 0}
        self.rng = np.random.default_rng([settings.seed, 21])

    # -- the loop ------------------------------------------------------------------------------------------------

    def go(self, share: float = 1.0) -> None:
        """Search until the budget (or this share of a budget of time) is used up."""

        def late() -> bool:
            return self.clock.late(share)

        try:
            while not late() and self._left() > 0:
                proposals = self.strategy.propose(self.settings.ladder.batch)
                outcomes = list(self._try(proposals[: self._left()], late))
                if len(outcomes) < len(proposals):
                    return  # the budget of trials ended inside the batch: a longer run redoes it whole
                self.strategy.observe(outcomes)
                self.batches += 1
                if self.batches % self.settings.ladder.tune_every == 0 and not self._improve(late):
                    return
                self.save()
        except OutOfTime:
            self.ledger.flush()

    def _left(self) -> int:
        return self.clock.budget.left(self.number, self.rows)

    def _try(self, proposals: list[Proposal], late: Callable[[], bool], source: str = "") -> Iterator[Outcome]:
        """Screen, train and log proposals; outcomes in order."""
        ladder = self.settings.ladder
        screened = [screen(p.root, pairwise=self.bench.pairwise, max_size=ladder.max_size) for p in proposals]
        keys = [hashlib.blake2b(s.key, digest_size=16).digest() for s in screened]
        batch: set[bytes] = set()
        jobs: list[Job] = []
        for found, key in zip(screened, keys):
            if not found.why and key not in self.known and key not in batch:
                batch.add(key)
                jobs.append(self._job(found))
        results = self.evaluator.map(jobs, late)
        for proposal, found, key in zip(proposals, screened, keys):
            yield self._log(proposal, found, key, results)

    def _job(self, found: Screened) -> Job:
        ladder, training = self.settings.ladder, self.settings.training
        enough = len(self.firsts) >= 20
        # A first rung below the recent median is hopeless; a first L2 below the recent middle gets no second.
        first_bar = float(np.quantile(self.firsts, 1 - ladder.keep)) if enough else -np.inf
        bar = float(np.quantile(self.rewards, 0.5)) if enough else -np.inf
        text = show_node(found.trained)
        return Job(text, training.l2, (self.settings.seed,), first_bar, bar, ladder.first_epochs)

    def _log(self, proposal: Proposal, found: Screened, key: bytes, results: Iterator[Result]) -> Outcome:
        self.number += 1
        source = proposal.source
        text = show_node(proposal.root if found.why else found.trained)
        trial = Trial(self.number, text, None, "filtered", None, 0, 0, source, found.why or None)
        outcome = Outcome("filtered", None, proposal.root, True, found.credit)
        if not found.why and key in self.known:
            reward = self.known[key]
            trial = replace(trial, fate="duplicate", reward=reward, hash=key.hex())
            outcome = Outcome("duplicate", reward, found.root, False)
        elif not found.why:
            result = next(results)
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
                hash=key.hex(),
            )
            outcome = Outcome(trial.fate, trial.reward, found.root)
            if trained:
                self.firsts.append(result.first)
                self.rewards.append(reward)
                self._keep(Entry(found.root, text, reward, found.nodes, result.l2, self.number, source))
        self.fates[trial.fate] += 1
        self.rows += trial.rows
        self.ledger.append(replace(trial, at=round(self.clock.elapsed, 3)))
        top = self.archive[0].reward if self.archive else None
        self.report(Progress(self.number, self.fates["trained"], self.fates, top, self.clock.elapsed))
        return outcome

    def _keep(self, entry: Entry) -> None:
        self.archive.append(entry)
        self.archive.sort(key=lambda e: (-e.reward, e.nodes, e.number))
        del self.archive[ARCHIVE:]

    # -- the best ------------------------------------------------------------------------------------------------

    def _improve(self, late: Callable[[], bool]) -> bool:
        """Tune the constants of the best and rank the best again; False where the budget of trials ended meanwhile."""
        ladder = self.settings.ladder
        for entry in self.archive[: ladder.tune]:
            tries = self._tuned(entry, ladder.tune_tries)
            outcomes = list(self._try(tries[: self._left()], late))
            if len(outcomes) < len(tries):
                return False
        self.rank(late)
        return True

    def _tuned(self, entry: Entry, tries: int) -> list[Proposal]:
        places = constants(entry.root)
        out = []
        for _ in range(tries if places else 0):
            root = entry.root
            for place in places:
                if len(places) == 1 or self.rng.random() < 0.6:
                    value = at(entry.root, place)
                    assert hasattr(value, "value")
                    new = short(float(value.value) * float(np.exp(self.rng.normal() * 0.3)))
                    root = with_constant(root, place, new) if new > 0 else root
            if root != entry.root:
                out.append(Proposal(root, "tuned"))
        return out

    def rank(self, late: Callable[[], bool]) -> None:
        """Measure the best of the archive with more folds, L2 values and seeds; only proved losses are let in."""
        ladder, training = self.settings.ladder, self.settings.training
        chosen: list[Entry] = []
        for entry in self.archive:
            if len(chosen) == ladder.final:
                break
            if entry.formula in self.finals:
                chosen.append(self.finals[entry.formula])
                continue
            verdict = entry.verdict or self.judge.verdict(entry.formula)
            if not entry.verdict:
                self.archive[self.archive.index(entry)] = entry = replace(entry, verdict=verdict)
            if verdict == "valid":
                chosen.append(entry)
            if late():
                break
        new = [entry for entry in chosen if entry.final is None]
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
        if not self.finals:
            self._settle_for_the_reward()
        return self.best()

    def _settle_for_the_reward(self) -> None:
        """A run too short to rank anything: the proved loss of the best reward is the result, with that reward."""
        for entry in self.archive[:_TRIED_PROOFS]:
            verdict = entry.verdict or self.judge.verdict(entry.formula)
            if verdict == "valid":
                self.finals[entry.formula] = replace(entry, verdict=verdict, final=entry.reward)
                return

    def best(self) -> Entry | None:
        """The smallest of the proved losses that are as good as the best of them."""
        ranked = [entry for entry in self.finals.values() if entry.final is not None]
        if not ranked:
            return None
        top = max(entry.final or -1.0 for entry in ranked)
        equal = [entry for entry in ranked if (entry.final or -1.0) >= top - self.settings.ladder.tie]
        return min(equal, key=lambda e: (e.nodes, -(e.final or -1.0), e.number))

    def front(self) -> list[Entry]:
        """Of the losses that were ranked, those that no smaller one beats, smallest first."""
        out: list[Entry] = []
        for entry in sorted(self.finals.values(), key=lambda e: (e.nodes, -(e.final or -1.0), e.number)):
            if not out or (entry.final or -1.0) > (out[-1].final or -1.0):
                out.append(entry)
        return out

    # -- state ---------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Put everything away that a resume needs."""
        arrays, meta = self.strategy.state()
        state: dict[str, NDArray[Any]] = {f"strategy.{name}": array for name, array in arrays.items()}
        state["known.keys"] = np.frombuffer(b"".join(self.known), np.uint8).reshape(-1, 16)
        state["known.rewards"] = np.array(list(self.known.values()), np.float64)
        self.ledger.save(state, {
            "number": self.number,
            "rows": self.rows, "batches": self.batches, "fates": self.fates, "strategy": meta,
            "archive": [entry.plain() for entry in self.archive],
            "finals": [entry.plain() for entry in self.finals.values()],
            "firsts": list(self.firsts), "rewards": list(self.rewards),
            "rng": generator_state(self.rng), "elapsed": self.clock.elapsed,
        })  # fmt: skip

    def restore(self, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> None:
        """Go on from a state."""
        own = {name.removeprefix("strategy."): array for name, array in arrays.items() if name.startswith("strategy.")}
        self.strategy.restore(own, meta["strategy"])
        self.known = dict(zip((row.tobytes() for row in arrays["known.keys"]), arrays["known.rewards"].tolist()))
        self.number, self.batches, self.fates = meta["number"], meta["batches"], meta["fates"]
        self.rows = meta["rows"]
        self.archive = [Entry.read(data) for data in meta["archive"]]
        self.finals = {data["formula"]: Entry.read(data) for data in meta["finals"]}
        self.firsts = deque(meta["firsts"], maxlen=RECENT)
        self.rewards = deque(meta["rewards"], maxlen=RECENT)
        self.rng = generator_from(meta["rng"])
