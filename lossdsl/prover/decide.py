"""From a tree to findings: which questions are asked, in which order, and what becomes of one that gave up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from lossdsl.grammar.tree import Tree, names
from lossdsl.prover import flat, probability, probe, shape, verdict
from lossdsl.prover.analysis import Analysis, AtLabel, analyse
from lossdsl.prover.limits import Budget, Undecided, Undefined
from lossdsl.prover.terms import specialise
from lossdsl.report import UNDECIDED, Exact, Finding


@dataclass
class Decision:
    """The findings of one formula, its kinks, and the analysis they came from, where there is one."""

    findings: dict[str, Finding] = field(default_factory=dict)
    kinks: list[dict[str, Exact]] = field(default_factory=list)
    analysis: Analysis | None = None


def decide(tree: Tree, labels: tuple[Fraction, ...], wanted: tuple[str, ...], timeout: float | None) -> Decision:
    """Decides the wanted properties of a tree at the given labels.

    >>> from lossdsl.grammar.parser import read
    >>> decision = decide(read("bce").tree, (Fraction(0), Fraction(1)), ("domain", "monotone"), None)
    >>> {name: finding.status for name, finding in decision.findings.items()}
    {'domain': 'proved', 'monotone': 'proved'}
    """
    decision = Decision()
    # A little less than allowed: the step at which the clock is looked at has to end, too.
    budget = Budget(seconds=None if timeout is None else 0.92 * timeout)
    score = "score" in names(tree.root)
    parameters: dict[str, Fraction] = {}
    for binding in tree.where:
        if binding.value is None:
            return _all_undecided(decision, wanted, f"{binding.name} has a range")
        parameters[binding.name] = binding.value
    try:
        analysis = decision.analysis = analyse(tree.root, labels, parameters, score, budget)
    except AtLabel as failed:
        if isinstance(failed.error, Undefined):
            why = "the loss is not defined everywhere"
            _all_undecided(decision, wanted, why)
            if "domain" in wanted:
                decision.findings["domain"] = verdict.undefined(failed, score, parameters)
            return decision
        _all_undecided(decision, wanted, f"at label {failed.label}: {failed.error}")
        return _look(decision, tree, labels, parameters, score, wanted)
    except Undecided as error:
        _all_undecided(decision, wanted, str(error))
        return _look(decision, tree, labels, parameters, score, wanted)

    def domain() -> Finding:
        return verdict.proof("domain", analysis, "real and finite everywhere")

    def gradient() -> Finding:
        finding, decision.kinks = verdict.gradient(analysis, parameters)
        return finding

    questions: dict[str, Callable[[], Finding | None]] = {
        "domain": domain,
        "uses_pred": lambda: verdict.uses_pred(analysis, parameters),
        "uses_label": lambda: verdict.uses_label(analysis, parameters),
        "gradient": gradient,
        "monotone": lambda: verdict.monotone(analysis, parameters),
        "minimum": lambda: shape.minimum(analysis, parameters),
        "no_dead_zone": lambda: flat.no_dead_zone(analysis, parameters),
        "bounded_gradient": lambda: shape.bounded_gradient(analysis, parameters),
        "no_saturation": lambda: shape.no_saturation(analysis, parameters),
        "convex_pred": lambda: shape.convex(analysis, False, parameters),
        "convex_score": lambda: shape.convex(analysis, True, parameters),
        "calibrated": lambda: probability.calibrated(analysis, parameters),
        "proper": lambda: probability.proper(analysis, parameters),
        "proper_composite": lambda: probability.proper_composite(analysis, parameters),
    }
    for name in wanted:
        if name not in questions:
            continue
        analysis.signs.short = analysis.short
        analysis.signs.methods = set()
        try:
            finding = questions[name]()
        except Undecided as error:
            finding = Finding(name, UNDECIDED, str(error))
        except ZeroDivisionError:
            finding = Finding(name, UNDECIDED, "a value that grows beyond all bounds")
        if finding is not None:
            decision.findings[name] = finding
    return decision


def _look(
    decision: Decision,
    tree: Tree,
    labels: tuple[Fraction, ...],
    parameters: dict[str, Fraction],
    score: bool,
    wanted: tuple[str, ...],
) -> Decision:
    """A look at a few places, where exact algebra gave up: it can refute the domain, and monotone."""
    labelled = "label" in names(tree.root)
    for label in labels:
        try:
            terms = specialise(tree.root, label, parameters, score)
            found = probe.wrong_way(terms, label, Budget(20_000))
        except Undefined as error:
            if "domain" in wanted:
                failed = AtLabel(label, error, labelled)
                decision.findings["domain"] = verdict.undefined(failed, score, parameters)
            return decision
        except (Undecided, ZeroDivisionError, ValueError, OverflowError):
            continue
        if found is not None and "monotone" in wanted and decision.findings["monotone"].status == UNDECIDED:
            decision.findings["monotone"] = verdict.seen_wrong(label, found, score, labelled, parameters)
    return decision


def _all_undecided(decision: Decision, wanted: tuple[str, ...], why: str) -> Decision:
    for name in wanted:
        decision.findings[name] = Finding(name, UNDECIDED, why)
    return decision
