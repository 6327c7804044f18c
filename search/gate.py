"""What stands between a proposal and its training: the free screen, the shortest spelling, the exact proof, the key.

All of it costs milliseconds, counted in steps and never by the clock, where a training costs tenths of a second.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from lossdsl.checking import check
from lossdsl.equivalence import slope_key
from lossdsl.errors import LossError
from lossdsl.formula import Formula
from lossdsl.grammar.printer import show_node
from lossdsl.grammar.tree import Node, Tree, size
from lossdsl.lowering import lower
from lossdsl.report import PROVED, Report
from lossdsl.search.moves import at_label
from lossdsl.search.screen import Screened, curves_of, screen
from lossdsl.simplify import simplify

# The properties that make the verdict.
DECISIVE = ("domain", "uses_pred", "uses_label", "gradient", "monotone")
_REFUTED, _UNDECIDED = 0.5, 0.75  # credit of what passes the screen and not the proof
_REMEMBERED = 1 << 14
_NOISE = 1e-4  # an error in float32 that no training notices
_WIDE = np.linspace(-12.0, 12.0, 49)


@dataclass(frozen=True, slots=True)
class Judged:
    """A proposal as the gate leaves it.

    `why` is empty where it may train: then `root` is the loss turned the right way and as short as the rules make it,
    `text` the same scaled to mean slope 1, which is what trains and is logged, and `key` is equal for losses that
    train alike: the prover's, where it can give one (`hash`), else that of sampled slopes. `credit` says how far it
    came.
    """

    why: str
    root: Node
    text: str
    nodes: int
    credit: float
    key: str = ""
    hash: str | None = None


class Gate:
    """Judges proposals, and remembers the last of them.

    >>> from lossdsl.formula import parse
    >>> from lossdsl.search.gate import Gate
    >>> gate = Gate()
    >>> gate.judge(parse("label*1 - 2*label*pred + square(pred)").tree.root).text
    '5.11*(label - 2*label*pred + square(pred))'
    >>> gate.judge(parse("log(pred)").tree.root).why
    'it does not use label'
    """

    def __init__(self, *, pairwise: bool = False, max_size: int = 120) -> None:
        self.pairwise, self.max_size = pairwise, max_size
        self._known: OrderedDict[Node, Judged] = OrderedDict()

    def judge(self, root: Node) -> Judged:
        """Screen, shorten, prove; the same answer for the same tree, on any machine."""
        known = self._known.get(root)
        if known is None:
            known = self._known[root] = self._judge(root)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return known

    def hash_of(self, judged: Judged) -> str | None:
        """The prover's key, that of what was refused included; None where it cannot give one.

        Apart from `judge`, because it can be made while others train.
        """
        if judged.hash is not None or not judged.why:
            return judged.hash
        try:
            return slope_key(Formula.from_tree(Tree(judged.root)), pairwise=self.pairwise or None)
        except LossError:
            return None

    def _judge(self, root: Node) -> Judged:
        if self.pairwise:
            # A pair is trained at label 1 alone, and what else stands beside label would only make the formula longer.
            root = at_label(root, 1)
        found = screen(root, pairwise=self.pairwise, max_size=self.max_size)
        if found.why:
            return _refused(found, found.why, found.credit)
        found = self._shortest(found)
        try:
            formula = Formula.from_tree(Tree(found.trained))
        except LossError as error:
            return _refused(found, str(error), _REFUTED)
        # No clock: counted steps alone, so that trials do not depend on how busy the machine is.
        report = check(formula, pairwise=self.pairwise or None, timeout=None, properties=DECISIVE)
        if report.verdict != "valid":
            return _refused(
                found, objection(report), _REFUTED if report.verdict == "invalid" else _UNDECIDED, report.hash
            )
        key = report.hash or hashlib.blake2b(found.key, digest_size=16).hexdigest()
        return Judged("", found.root, str(formula), size(found.root), found.credit, key, report.hash)

    def _shortest(self, found: Screened) -> Screened:
        """The shortest spelling that the rules find, where it passes the screen and keeps its digits.

        `1 + 2*label*p^2 - label - p^2` is shorter than what it comes from, and in float32 nothing but noise where
        a prediction is sure.
        """
        short = simplify(Tree(found.root)).root
        if short == found.root or noise(short) > max(_NOISE, 2 * noise(found.root)):
            return found
        again = screen(short, pairwise=self.pairwise, max_size=self.max_size)
        return found if again.why else again


def noise(root: Node) -> float:
    """The largest error of the slope in float32, as a share of the slope (or of a thousandth of the mean slope).

    >>> from lossdsl.formula import parse
    >>> from lossdsl.search.gate import noise
    >>> noise(parse("1/(label*pred^2 + (1-label)*(1-pred^2))").tree.root) < 0.01
    True
    >>> noise(parse("1/(1 + 2*label*pred^2 - label - pred^2)").tree.root) > 0.01
    True
    """
    try:
        program = lower(Tree(root), axis="score")
    except LossError:
        return float("inf")  # a spelling that cannot be computed
    slopes = curves_of(program, _WIDE)[1]
    rough = curves_of(program, _WIDE.astype(np.float32))[1].astype(np.float64)
    with np.errstate(all="ignore"):
        error = np.abs(rough - slopes) / (np.abs(slopes) + 1e-3 * np.abs(slopes).mean())
    return float(np.where(np.isfinite(error), error, np.inf).max())


def objection(report: Report) -> str:
    """What keeps a loss from being proved valid.

    >>> import lossdsl
    >>> from lossdsl.search.gate import objection
    >>> objection(lossdsl.check("label*(1-pred)"))
    'the prover: uses_pred is refuted'
    """
    name, finding = next((name, f) for name, f in report.properties.items() if name in DECISIVE and f.status != PROVED)
    return f"the prover: {name} is {finding.status}"


def _refused(found: Screened, why: str, credit: float, key: str | None = None) -> Judged:
    return Judged(why, found.root, show_node(found.root), found.nodes, credit, "", key)
