"""AutoLossGen's search as published: controller and recommender take turns (Li et al., SIGIR 2022.

And their program).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lossdsl.errors import LossError
from lossdsl.formula import Formula
from lossdsl.grammar.tree import size
from lossdsl.lowering import lower
from lossdsl.recsys.trainer import State
from lossdsl.search.archive import Entry
from lossdsl.search.budget import Clock
from lossdsl.search.controller import Controller, Draws
from lossdsl.search.evaluator import Evaluator, OutOfTime
from lossdsl.search.learner import Learner
from lossdsl.search.ledger import Ledger, Trial
from lossdsl.search.original_bench import OriginalBench, Step, Stepped
from lossdsl.search.run import Progress
from lossdsl.search.settings import Settings
from lossdsl.search.space import Graph
from lossdsl.search.strategy import generator_from, generator_state
from lossdsl.search.verdict import Judge
from lossdsl.targets.numpy import evaluate

REFUSED = -1.0  # the reward of what has no slope, diverges, or makes the recommender worse
_PLAIN = ("number", "rows", "fates", "epoch", "count", "done", "rejected", "baseline", "start_metric", "best_text",
          "best_reward")  # fmt: skip
_KEPT = 200  # formulas that are remembered as possible results


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
        self.ledger, self.evaluator, self.clock, self.judge, self.report = ledger, evaluator, clock, judge, report
        self.space = settings.space.space()
        seeds = np.random.SeedSequence([settings.seed, 31]).generate_state(3)
        network = Controller(self.space, settings.controller, generator=torch.Generator().manual_seed(int(seeds[0])))
        self.controller, self.learner = network, Learner(network, settings.controller, int(seeds[1]))
        self.rng = np.random.default_rng(seeds[2])
        self.number = 0
        self.rows = 0  # of training, over all trials
        self.fates = {"trained": 0, "duplicate": 0, "filtered": 0, "failed": 0}
        self.state = bench.start()
        self.epoch = 0
        self.count = self.original.aggregate * self.original.train_steps
        self.candidates: dict[str, Entry] = {}
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
        self.done = 0
        self.best_text = ""
        self.best_reward = REFUSED
        self.rejected = 0

    def go(self, share: float = 1.0) -> None:
        """Search until the budget (or this share of a budget of time) is used up."""

        def late() -> bool:
            return self.clock.late(share)

        every = self.original.save_every if self.settings.model == "biasedmf" else 1
        try:
            while not late() and self._left() > 0:
                if self.done < self.count:
                    if not self._learn(late):
                        return
                    if self.done % (self.original.aggregate * every) == 0 or self.done >= self.count:
                        self.save()
                else:
                    if not self._advance(late):
                        return
                    self.save()
        except OutOfTime:
            self.ledger.flush()

    def _left(self) -> int:
        return self.clock.budget.left(self.number, self.rows)

    def _learn(self, late: Callable[[], bool]) -> bool:
        """Draw one group, reward it, take one step of REINFORCE; False where the budget of trials ended inside it."""
        drawn = self.controller.draw(self.original.aggregate, self.learner.generator)
        rewards = list(self._rewards(drawn.graphs[: self._left()], late))
        if len(rewards) < len(drawn.graphs):
            return False
        self.learner.step(self._loss(drawn, rewards))
        self.done += len(rewards)
        return True

    def _rewards(self, graphs: Sequence[Graph], late: Callable[[], bool]) -> Iterator[tuple[float, str]]:
        """Reward (of training, of an earlier twin, or -1) and formula of each graph, logged in order."""
        trees = [self.space.tree(graph) for graph in graphs]
        texts = [str(Formula.from_tree(tree)) for tree in trees]
        slopes = [self._slopes(tree) for tree in trees]
        jobs: list[Step] = []
        fresh: list[NDArray[np.float64]] = []
        for slope, text in zip(slopes, texts):
            if self._why(slope) or self._twin(slope) is not None or any(self._alike(slope, other) for other in fresh):
                continue
            fresh.append(slope)
            jobs.append(Step(text, self.state, self.original.search_epochs))
        results = self.evaluator.map(jobs, late)
        for text, slope in zip(texts, slopes):
            why, twin = self._why(slope), self._twin(slope)
            if why:
                self._log(text, "filtered", None, "controller", why)
                yield REFUSED, text
            elif twin is not None:
                self._log(text, "duplicate", twin, "controller")
                yield twin, text
            else:
                result = next(results)
                reward = REFUSED if result.reward is None else result.reward
                self._log(text, "failed" if result.reward is None else "trained", result.reward, "controller",
                          result.note, result)  # fmt: skip
                self.cache.append((slope, reward))
                self._remember(text, result.reward, "controller")
                yield reward, text

    def _loss(self, drawn: Draws, rewards: Sequence[tuple[float, str]]) -> torch.Tensor:
        """REINFORCE's loss over a group; the baseline moves as each accepted reward comes in."""
        controller = self.settings.controller
        entropy = drawn.entropy.detach().tolist()
        terms = []
        for k, (reward, text) in enumerate(rewards):
            bonus = controller.entropy * entropy[k]
            if reward < self.baseline - self.original.skip_limit:
                reward = REFUSED + bonus
            else:
                if reward > self.best_reward:
                    self.best_reward = reward
                    if self.original.train_with_best:
                        self.best_text = text
                reward += bonus
                self.baseline += controller.baseline_step * (reward - self.baseline)
            terms.append(-drawn.log_prob[k] * (reward - self.baseline) / self.original.aggregate)
        return torch.stack(terms).sum()

    def _advance(self, late: Callable[[], bool]) -> bool:
        """The recommender's own step; False where the budget of trials ended before one was accepted."""
        o = self.original
        if self.best_text and self.best_reward > self.start_metric - o.reject_limit:
            result = self._step(self.best_text, late)
            self._log(self.best_text, "trained" if result.reward is not None else "failed", result.reward, "step",
                      result.note, result)  # fmt: skip
            self._accept(self.best_text, result)
            self.count = o.aggregate * o.train_steps
            self.epoch += 1
            self._begin()
            return True
        return self._sample(late)

    def _sample(self, late: Callable[[], bool]) -> bool:
        """Draw graphs until one does not make the recommender worse, and keep what it made of it."""
        o = self.original
        tried: list[NDArray[np.float64]] = []
        for _ in range(o.max_rejections):
            if self._left() == 0:
                return False
            with torch.no_grad():
                graph = self.controller.draw(1, self.learner.generator, sampling=True).graphs[0]
            self.rejected += 1
            tree = self.space.tree(graph)
            text, slope = str(Formula.from_tree(tree)), self._slopes(tree)
            why = self._why(slope)
            if why or any(self._alike(slope, other) for other in tried):
                self._log(text, "filtered" if why else "duplicate", None, "sample", why)
                if late():
                    raise OutOfTime
                continue
            tried.append(slope)
            result = self._step(text, late)
            fine = result.reward is not None and result.reward > self.start_metric - o.reject_limit
            self._log(text, "failed" if result.reward is None else "trained", result.reward, "sample",
                      result.note or ("" if fine else "rejected"), result)  # fmt: skip
            if fine:
                self._accept(text, result)
                break
        # The original would draw for ever; after max_rejections the recommender stays as it is.
        least = o.aggregate * o.train_steps
        self.count = max(self.rejected // o.reject_divisor, least)
        self.count = -(-self.count // o.aggregate) * o.aggregate
        self.epoch += 1
        self._begin()
        return True

    def _step(self, text: str, late: Callable[[], bool]) -> Stepped:
        job = Step(text, self.state, self.original.step_epochs, regularised=True)
        return next(self.evaluator.map([job], late))

    def _accept(self, text: str, result: Stepped) -> None:
        if result.state is not None:
            self.state = result.state
            self._remember(text, result.reward, "step")

    # -- the tests before training -------------------------------------------------------------------------------

    def _slopes(self, tree: Any) -> NDArray[np.float64]:
        """The gradient of the mean loss at the fresh points."""
        pred, label = self.points
        try:
            program = lower(tree, axis="pred")
        except LossError:
            return np.full(len(pred), np.nan)
        with np.errstate(all="ignore"):
            slope = evaluate(program, pred, label)[1]
        return np.broadcast_to(np.asarray(slope, np.float64), pred.shape) / len(pred)

    def _why(self, slope: NDArray[np.float64]) -> str:
        if not np.isfinite(slope).all():
            return "it has no finite slope"
        return "its slope is zero" if np.abs(slope).max() < self.original.zero_slope else ""

    def _alike(self, a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
        return bool(np.abs(a - b).max() < self.original.same_slope)

    def _twin(self, slope: NDArray[np.float64]) -> float | None:
        return next((reward for other, reward in self.cache if self._alike(slope, other)), None)

    # -- what is written down ------------------------------------------------------------------------------------

    def _log(
        self, text: str, fate: str, reward: float | None, source: str, why: str = "", result: Stepped | None = None
    ) -> None:
        self.number += 1
        self.fates[fate] += 1
        self.rows += result.rows if result else 0
        trained = fate in ("trained", "failed")
        self.ledger.append(Trial(
            self.number, text, None, fate, reward, result.rows if result else 0,
            (self.original.search_epochs if source == "controller" else self.original.step_epochs) if trained else 0,
            source, why or None, self.epoch, self.settings.seed if trained else None,
            round(result.seconds, 4) if result else 0.0, round(self.clock.elapsed, 3),
        ))  # fmt: skip
        top = max((e.reward for e in self.candidates.values()), default=None)
        self.report(Progress(self.number, self.fates["trained"], self.fates, top, self.clock.elapsed))

    def _remember(self, text: str, reward: float | None, source: str) -> None:
        """Keep a formula that helped as a possible result, by how much it gained."""
        if reward is None or reward < self.start_metric:
            return
        gain = reward - self.start_metric
        known = self.candidates.get(text)
        if known is None or gain > known.values[0]:
            root = Formula.from_tree(_read(text)).tree.root
            self.candidates[text] = Entry(root, text, reward, size(root), 0.0, self.number, source, "", None, (gain,))
        if len(self.candidates) > 2 * _KEPT:
            kept = sorted(self.candidates.values(), key=lambda e: (-e.values[0], e.number))[:_KEPT]
            self.candidates = {entry.formula: entry for entry in kept}

    def finish(self, share: float = 1.0) -> Entry | None:
        """The proved loss that gained most.

        The published method has no other notion of the best before its third phase.
        """
        for entry in sorted(self.candidates.values(), key=lambda e: (-e.values[0], e.nodes, e.number)):
            if self.judge.verdict(entry.formula) == "valid":
                self.candidates[entry.formula] = replace(entry, verdict="valid", final=entry.reward)
                return self.best()
            if self.clock.late(share):
                break
        return None

    def best(self) -> Entry | None:
        """What `finish` found."""
        return next((entry for entry in self.candidates.values() if entry.final is not None), None)

    def front(self) -> list[Entry]:
        """The best alone: rewards of different states of the recommender cannot be compared."""
        best = self.best()
        return [best] if best else []

    def save(self) -> None:
        """Put everything away that a resume needs."""
        arrays = {f"controller.{name}": array for name, array in self.learner.state().items()}
        arrays.update({f"recommender.{name}": array for name, array in self.state.arrays.items()})
        arrays["points"] = np.stack(self.points)
        arrays["cache.slopes"] = np.array([s for s, _ in self.cache]).reshape(len(self.cache), self.original.points)
        arrays["cache.rewards"] = np.array([r for _, r in self.cache], np.float64)
        self.ledger.save(arrays, {
            "number": self.number,
            "rows": self.rows, "fates": self.fates, "rng": generator_state(self.rng), "epoch": self.epoch,
            "recommender_epoch": self.state.epoch, "count": self.count, "done": self.done, "rejected": self.rejected,
            "baseline": self.baseline, "start_metric": self.start_metric, "best_text": self.best_text,
            "best_reward": self.best_reward, "candidates": [e.plain() for e in self.candidates.values()],
            "elapsed": self.clock.elapsed,
        })  # fmt: skip

    def restore(self, arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> None:
        """Go on from a state."""
        own = {name.removeprefix("controller."): a for name, a in arrays.items() if name.startswith("controller.")}
        self.learner.restore(own)
        self.state = recommender_state(arrays, meta)
        self.points = (arrays["points"][0], arrays["points"][1])
        self.cache = list(zip(arrays["cache.slopes"], arrays["cache.rewards"].tolist()))
        self.rng = generator_from(meta["rng"])
        self.candidates = {data["formula"]: Entry.read(data) for data in meta["candidates"]}
        for name in _PLAIN:
            setattr(self, name, meta[name])


def recommender_state(arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> State:
    """The recommender of a saved state: what the rewards of its outer epoch started from."""
    own = {name.removeprefix("recommender."): a for name, a in arrays.items() if name.startswith("recommender.")}
    return State(own, meta["recommender_epoch"])


def _read(text: str) -> Any:
    from lossdsl.grammar.parser import read

    return read(text).tree
