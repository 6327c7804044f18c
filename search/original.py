"""AutoLossGen's search as published (Li et al., SIGIR 2022, and their program): controller and recommender in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossdsl.recsys.trainer import State
from lossdsl.search.archive import Entry
from lossdsl.search.budget import Clock
from lossdsl.search.controller import Controller, Draws
from lossdsl.search.evaluator import Evaluator, OutOfTime
from lossdsl.search.foresight import Foresight
from lossdsl.search.gains import Helper, Helpers
from lossdsl.search.ledger import Ledger, Trial
from lossdsl.search.likeness import Slopes
from lossdsl.search.original_bench import OriginalBench, Step, Stepped
from lossdsl.search.proxy import Keys, Speller, slopes
from lossdsl.search.run import Progress
from lossdsl.search.scribe import Scribe
from lossdsl.search.settings import Settings
from lossdsl.search.space import INPUTS, Graph
from lossdsl.search.strategy import generator_from, generator_state
from lossdsl.search.verdict import Judge

Late = Callable[[], bool]
REFUSED = -1.0  # the reward of what has no slope, diverges, or makes the recommender worse
_PLAIN = ("number", "rows", "fates", "epoch", "count", "done", "rejected", "baseline", "start_metric", "best_text",
          "best_reward", "top")  # fmt: skip
_AHEAD = 10  # graphs that are drawn at a time while the recommender looks for its step
_UNWRITTEN = 60  # trials that may wait for the scribe while no worker is idle


@dataclass(frozen=True)
class Candidate:
    """A graph as a formula, with its slopes at the points; `why` says what the proxy test objects to."""

    graph: Graph
    text: str
    slope: NDArray[np.float64]
    why: str


class OriginalSearch:
    """One run of the published method over a bench.

    An outer epoch has two halves. First the controller learns: graphs are drawn, those without slope or with the
    slopes of an earlier one are not trained, the others train the present recommender for an epoch, from the same
    state each. Then the recommender takes its step: with the best of them, or with graphs drawn until one does no
    harm.
    """

    def __init__(
        self,
        settings: Settings,
        bench: OriginalBench,
        ledger: Ledger,
        evaluator: Evaluator,
        clock: Clock,
        judge: Judge,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self.settings, self.bench, self.original = settings, bench, settings.original
        self.ledger, self.evaluator, self.clock, self.judge = ledger, evaluator, clock, judge
        self.space = settings.space.space()
        seeds = np.random.SeedSequence([settings.seed, 31]).generate_state(2)
        self.controller = Controller(self.space, settings.controller, seed=int(seeds[0]))
        self.rng = np.random.default_rng(seeds[1])
        self.speller = Speller(self.space)
        self.scribe = Scribe(ledger, Keys(self.space, pairwise=bench.pairwise), report)
        self.foresight = Foresight(evaluator, self._foreseen, self._alike)
        evaluator.meanwhile = self._meanwhile
        self._unsaved = 0
        self.number = 0
        self.rows = 0  # of training, over all trials
        self.fates = {"trained": 0, "duplicate": 0, "filtered": 0, "failed": 0}
        self.state = bench.start()
        self.epoch = 0
        self.count = self.original.aggregate * self.original.train_steps
        self.helpers = Helpers()
        self.found: Entry | None = None
        self.top: float | None = None
        self._begin()

    # -- the loop ------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """A new outer epoch: the baseline starts at the present validation metric, the cache is empty."""
        self.start_metric = self.bench.measure(self.state)
        self.baseline = self.start_metric
        o = self.original
        pred = o.point_low + (o.point_high - o.point_low) * self.rng.random(o.points)
        self.points = (pred, self.rng.random(o.points))
        self.cache: list[tuple[NDArray[np.float64], float]] = []
        self._known = Slopes(o.points, o.same_slope)
        self.bench.trees = {}
        self.foresight.forget()
        self.done = 0
        self.best_text = ""
        self.best_reward = REFUSED
        self.rejected = 0
        self._sampling = False

    def go(self, share: float = 1.0) -> None:
        """Search until the budget (or this share of a budget of time) is used up."""

        def late() -> bool:
            return self.clock.ends(share, self.fates)

        every = self.original.save_every if self.settings.model == "biasedmf" else 1
        try:
            while not late() and self._left() > 0:
                if not (self._learn if self.done < self.count else self._advance)(late):
                    return
                self._unsaved += 1
                if self._unsaved >= every:
                    self.save()
                elif self.evaluator.workers == 1:
                    self.scribe.write()
        except OutOfTime:
            pass
        finally:
            self.foresight.forget()
            self.scribe.write()
            self.ledger.flush()

    def _left(self) -> int:
        return self.clock.budget.left(self.number, self.rows)

    def _learn(self, late: Late) -> bool:
        """Draw one group, reward it, take one step of REINFORCE; False where the budget of trials ended inside it."""
        drawn = self.controller.draw(self.original.aggregate)
        candidates = self._candidates(drawn)
        rewards = list(self._rewards(candidates[: self._left()], late))
        if len(rewards) < len(candidates):
            return False
        weight = self._weight(drawn, candidates, rewards)
        self.done += len(rewards)
        self.controller.descend(self.controller.gradient(drawn, weight))
        return True

    def _candidates(self, drawn: Draws) -> list[Candidate]:
        begin = len(INPUTS)
        found = slopes(self.space, drawn.op[begin:], drawn.first[begin:], drawn.second[begin:], self.points)
        return [
            Candidate(graph, text, slope, self._why(slope))
            for (graph, text), slope in zip(self.speller.spell(drawn), found)
        ]

    def _rewards(self, candidates: Sequence[Candidate], late: Late) -> Iterator[float]:
        """Reward of each graph, of training, of an earlier twin, or -1; logged in order."""
        fresh: list[Candidate] = []
        for one in candidates:
            if not one.why and self._twin(one.slope) is None:
                if not any(self._alike(one.slope, other.slope) for other in fresh):
                    fresh.append(one)
        self.foresight.turn([one.slope for one in fresh])
        results = self._train(fresh, self.original.search_epochs, False, late)
        for one in candidates:
            twin = self._twin(one.slope)
            if one.why:
                self._log(one.text, one.graph, "filtered", None, "controller", one.why)
                yield REFUSED
            elif twin is not None:
                self._log(one.text, one.graph, "duplicate", twin, "controller")
                yield twin
            else:
                result = next(results)
                reward = REFUSED if result.reward is None else result.reward
                fate = "failed" if result.reward is None else "trained"
                self._log(one.text, one.graph, fate, result.reward, "controller", result.note, result)
                self._cache(one.slope, reward)
                self._remember(one.text, result.reward, "controller")
                yield reward

    def _train(self, fresh: list[Candidate], epochs: int, regularised: bool, late: Late) -> Iterator[Stepped]:
        return self.evaluator.map([self._job(one, epochs, regularised) for one in fresh], late)

    def _job(self, one: Candidate, epochs: int, regularised: bool) -> Step:
        # Threads of this process need not read the text again.
        if one.text not in self.bench.trees:
            self.bench.trees[one.text] = self.space.tree(one.graph)
        return Step(one.text, self.state, epochs, regularised)

    # -- what is done while results are awaited ------------------------------------------------------------------

    def _meanwhile(self, jobs: int) -> bool:
        """Look ahead where the workers run out of jobs; write where one of them has none."""
        if self.foresight.further(jobs):
            return True
        return (jobs < self.evaluator.workers or self.scribe.waiting > _UNWRITTEN) and self.scribe.write_one()

    def _foreseen(self, groups: int) -> list[tuple[Step, NDArray[np.float64]]] | None:
        """What the group after the present one and `groups` more would train; after the last one, the step."""
        o, after = self.original, groups * self.original.aggregate
        if self._sampling:
            drawn = self.controller.foresee(_AHEAD, groups * _AHEAD, sampling=True)
            epochs, regularised = o.step_epochs, True
        elif self.done + o.aggregate + after < self.count:
            drawn = self.controller.foresee(o.aggregate, after)
            epochs, regularised = o.search_epochs, False
        elif self.done + o.aggregate + after == self.count and self._good():
            return [(Step(self.best_text, self.state, o.step_epochs, regularised=True), np.full(o.points, np.nan))]
        else:
            return None
        fresh = [one for one in self._candidates(drawn) if not one.why and self._known.find(one.slope) < 0]
        return [(self._job(one, epochs, regularised), one.slope) for one in fresh]

    def _weight(self, drawn: Draws, candidates: Sequence[Candidate], rewards: Sequence[float]) -> NDArray[np.float64]:
        """What each log-probability weighs in REINFORCE's loss; the baseline moves as each accepted reward comes in."""
        controller = self.settings.controller
        weight = np.empty(len(rewards))
        for k, (one, reward) in enumerate(zip(candidates, rewards)):
            bonus = controller.entropy * float(drawn.entropy[k])
            if reward < self.baseline - self.original.skip_limit:
                reward = REFUSED + bonus
            else:
                if reward > self.best_reward:
                    self.best_reward = reward
                    if self.original.train_with_best:
                        self.best_text = one.text
                reward += bonus
                self.baseline += controller.baseline_step * (reward - self.baseline)
            weight[k] = -(reward - self.baseline) / self.original.aggregate
        return weight

    def _advance(self, late: Late) -> bool:
        """The recommender's own step; False where the budget of trials ended before one was accepted."""
        o = self.original
        if self._good():
            job = Step(self.best_text, self.state, o.step_epochs, regularised=True)
            result = next(self.evaluator.map([job], late))
            fate = "failed" if result.reward is None else "trained"
            self._log(self.best_text, self.best_text, fate, result.reward, "step", result.note, result)
            self._accept(self.best_text, result)
            self.count = o.aggregate * o.train_steps
            self.epoch += 1
            self._begin()
            return True
        return self._sample(late)

    def _good(self) -> bool:
        """Whether the best of this outer epoch may be the recommender's step."""
        return bool(self.best_text) and self.best_reward > self.start_metric - self.original.reject_limit

    def _sample(self, late: Late) -> bool:
        """Draw graphs until one does not make the recommender worse, and keep what it made of it."""
        o = self.original
        accepted, self._sampling = False, True
        self._known = Slopes(o.points, o.same_slope)
        self.foresight.forget()
        while not accepted and self.rejected < o.max_rejections:
            if late():
                raise OutOfTime
            # Several at a time, so that they train side by side; those behind the accepted one were never drawn.
            candidates = self._candidates(self.controller.draw(_AHEAD, sampling=True))
            fates = []
            for one in candidates:
                alike = self._known.find(one.slope) >= 0
                fates.append("filtered" if one.why else "duplicate" if alike else "trained")
                if fates[-1] == "trained":
                    self._known.add(one.slope)
            fresh = [one for one, fate in zip(candidates, fates) if fate == "trained"]
            self.foresight.turn([one.slope for one in fresh])
            results = self._train(fresh, o.step_epochs, True, late)
            for k, (one, fate) in enumerate(zip(candidates, fates)):
                if self._left() == 0:
                    return False
                self.rejected += 1
                if fate != "trained":
                    self._log(one.text, one.graph, fate, None, "sample", one.why)
                    continue
                result = next(results)
                accepted = result.reward is not None and result.reward > self.start_metric - o.reject_limit
                why = result.note or ("" if accepted else "rejected")
                fate = "failed" if result.reward is None else "trained"
                self._log(one.text, one.graph, fate, result.reward, "sample", why, result)
                if accepted:
                    self.controller.drawn -= len(candidates) - 1 - k
                    self._accept(one.text, result)
                    break
        # The original would draw for ever; after max_rejections the recommender stays as it is.
        least = o.aggregate * o.train_steps
        self.count = max(self.rejected // o.reject_divisor, least)
        self.count = -(-self.count // o.aggregate) * o.aggregate
        self.epoch += 1
        self._begin()
        return True

    def _accept(self, text: str, result: Stepped) -> None:
        if result.state is not None:
            self.state = result.state
            self._remember(text, result.reward, "step")

    # -- the tests before training -------------------------------------------------------------------------------

    def _why(self, slope: NDArray[np.float64]) -> str:
        if not np.isfinite(slope).all():
            return "it has no finite slope"
        return "its slope is zero" if np.abs(slope).max() < self.original.zero_slope else ""

    def _alike(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
        return bool(np.abs(a - b).max() < self.original.same_slope)

    def _twin(self, slope: NDArray[np.float64]) -> float | None:
        place = self._known.find(slope)
        return None if place < 0 else self.cache[place][1]

    def _cache(self, slope: NDArray[np.float64], reward: float) -> None:
        self.cache.append((slope, reward))
        self._known.add(slope)

    # -- what is written down ------------------------------------------------------------------------------------

    def _log(
        self,
        text: str,
        spelling: Graph | str,
        fate: str,
        reward: float | None,
        source: str,
        why: str = "",
        result: Stepped | None = None,
    ) -> None:
        self.number += 1
        self.fates[fate] += 1
        self.rows += result.rows if result else 0
        trained = fate in ("trained", "failed")
        if reward is not None and fate == "trained" and (self.top is None or reward > self.top):
            self.top = reward
        elapsed = self.clock.elapsed
        trial = Trial(
            self.number, text, None, fate, reward, result.rows if result else 0,
            (self.original.search_epochs if source == "controller" else self.original.step_epochs) if trained else 0,
            source, why or None, self.epoch, self.settings.seed if trained else None,
            round(result.seconds, 4) if result else 0.0, round(elapsed, 3),
        )  # fmt: skip
        progress = Progress(self.number, self.fates["trained"], dict(self.fates), self.top, elapsed)
        self.scribe.add(trial, spelling, progress)

    def _remember(self, text: str, reward: float | None, source: str) -> None:
        if reward is not None and reward >= self.start_metric:
            self.helpers.remember(Helper(text, reward, reward - self.start_metric, self.number, source))

    def finish(self, share: float = 1.0) -> Entry | None:
        """The proved loss that gained most.

        The published method has no other notion of the best before its third phase.
        """
        self.found = self.helpers.proved(self.judge, lambda: self.clock.late(share))
        return self.found

    def best(self) -> Entry | None:
        """What `finish` found."""
        return self.found

    def front(self) -> list[Entry]:
        """The best alone: rewards of different states of the recommender cannot be compared."""
        best = self.best()
        return [best] if best else []

    def save(self) -> None:
        """Put everything away that a resume needs."""
        self.scribe.write()
        self._unsaved = 0
        arrays = {f"controller.{name}": array for name, array in self.controller.state().items()}
        arrays.update({f"recommender.{name}": array for name, array in self.state.arrays.items()})
        arrays["points"] = np.stack(self.points)
        arrays["cache.slopes"] = np.array([s for s, _ in self.cache]).reshape(len(self.cache), self.original.points)
        arrays["cache.rewards"] = np.array([r for _, r in self.cache], np.float64)
        self.ledger.save(arrays, {
            "number": self.number,
            "rows": self.rows, "fates": self.fates, "rng": generator_state(self.rng), "epoch": self.epoch,
            "recommender_epoch": self.state.epoch, "count": self.count, "done": self.done, "rejected": self.rejected,
            "baseline": self.baseline, "start_metric": self.start_metric, "best_text": self.best_text,
            "best_reward": self.best_reward, "top": self.top, "elapsed": self.clock.elapsed,
            "candidates": self.helpers.state(),
        })  # fmt: skip

    def restore(self, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> None:
        """Go on from a state."""
        own = {name.removeprefix("controller."): a for name, a in arrays.items() if name.startswith("controller.")}
        self.controller.restore(own)
        self.state = recommender_state(arrays, meta)
        self.points = (arrays["points"][0], arrays["points"][1])
        for slope, reward in zip(arrays["cache.slopes"], arrays["cache.rewards"].tolist()):
            self._cache(slope, reward)
        self.rng = generator_from(meta["rng"])
        self.helpers.restore(meta["candidates"])
        for name in _PLAIN:
            setattr(self, name, meta[name])


def recommender_state(arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> State:
    """The recommender of a saved state: what the rewards of its outer epoch started from."""
    own = {name.removeprefix("recommender."): a for name, a in arrays.items() if name.startswith("recommender.")}
    return State(own, meta["recommender_epoch"])
