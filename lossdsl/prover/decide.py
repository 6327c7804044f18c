"""From a tree to findings: which questions are asked, in which order, and what becomes of one that gave up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from lossdsl.grammar.tree import Apply, Node, Tree, walk
from lossdsl.prover import all_values, flat, probability, probe, ranges, shape, soft, structure, verdict
from lossdsl.prover import between as between_labels
from lossdsl.prover.analysis import Analysis, AtLabel, analyse
from lossdsl.prover.cells import Ranges
from lossdsl.prover.limits import Budget, Undecided, Undefined
from lossdsl.prover.terms import names, specialise
from lossdsl.report import OPEN, PROVED, REFUTED, SHORT, UNDECIDED, Exact, Finding


@dataclass
class Decision:
    """The findings of one formula, its kinks, and the analysis they came from, where there is one."""

    findings: dict[str, Finding] = field(default_factory=dict)
    kinks: list[dict[str, Exact]] = field(default_factory=list)
    analysis: Analysis | None = None


def decide(
    tree: Tree, labels: tuple[Fraction, ...], wanted: tuple[str, ...], timeout: float | None, between: bool = False
) -> Decision:
    """Decides the wanted properties of a tree at the given labels; with `between`, at all labels between them too.

    >>> from lossdsl.grammar.parser import read
    >>> decision = decide(read("bce").tree, (Fraction(0), Fraction(1)), ("domain", "monotone"), None)
    >>> {name: finding.status for name, finding in decision.findings.items()}
    {'domain': 'proved', 'monotone': 'proved'}
    """
    # A little less than allowed: the step at which the clock is looked at has to end, too.
    budget = Budget(seconds=None if timeout is None else 0.92 * timeout)
    fixed = {b.name: b.value for b in tree.where if b.value is not None}
    bounds = ranges.bounds_of(tree)
    if bounds:

        def over(box: Ranges, some: tuple[str, ...]) -> dict[str, Finding]:
            asked = tuple(dict.fromkeys((*some, *all_values.needed(some))))
            made = _decide(tree, labels, asked, fixed, budget, box)
            all_values.settle(made.findings, made.analysis)
            return {name: finding for name, finding in made.findings.items() if name in some}

        decision = Decision()
        decision.findings = ranges.for_all(
            bounds,
            wanted,
            lambda values, some: _decide(tree, labels, some, {**fixed, **values}, budget).findings,
            over,
        )
    else:
        decision = _decide(tree, labels, wanted, fixed, budget)
    if "float_safe" in wanted:
        _judge_floats(decision, tree, labels, fixed, bool(bounds), between and "label" in names(tree.root))
    if between and "label" in names(tree.root):
        _soften(decision, tree, fixed, budget, bool(bounds))
        if budget.why_spent:
            _say_why(decision, budget.why_spent)
    budget.pause()
    return decision


def _judge_floats(
    decision: Decision,
    tree: Tree,
    labels: tuple[Fraction, ...],
    fixed: dict[str, Fraction],
    ranged: bool,
    between: bool,
) -> None:
    """What floats do is a question to the compiled steps, which need no analysis; an undefined loss has no answer."""
    domain = decision.findings.get("domain")
    if ranged:
        decision.findings["float_safe"] = Finding("float_safe", UNDECIDED, "a parameter has a range")
    elif domain is None or domain.status != REFUTED:
        from lossdsl.prover.floats import float_safe

        decision.findings["float_safe"] = float_safe(tree, labels, fixed, between)


def _soften(decision: Decision, tree: Tree, fixed: dict[str, Fraction], budget: Budget, ranged: bool) -> None:
    """Judges again, at all labels in [0, 1], what was proved at 0 and 1 and does not follow for those between."""
    found = decision.findings
    open_ = [name for name in ranges.SOFT_PROPERTIES if name in found and found[name].status != REFUTED]
    if ranges.affine(tree.root, "label"):
        open_ = [name for name in open_ if name not in ranges.CARRIED]
    if ranged:
        _soften_ranged(found, open_, tree, fixed, budget)
        return
    judged = tuple(name for name in open_ if name != "minimum")
    between = ranges.for_all(
        {"label": (Fraction(0), Fraction(1))},
        judged,
        lambda values, some: _decide(tree, (values["label"],), some, fixed, budget).findings,
        lambda box, some: _decide(tree, (Fraction(1, 2),), some, fixed, budget, box).findings,
    )
    at_ends = {name for name in open_ if found[name].status == PROVED}
    found.update(between)
    if "minimum" in open_:
        # At 0 and 1 it is shown already; here for all labels between them. A loss that jumps may jump at the label.
        smooth = _unbroken(tree) or ("gradient" in found and found["gradient"].status == PROVED)
        shown = soft.between_labels(tree.root, fixed, budget) if "minimum" in at_ends and smooth else {}
        for name, finding in shown.items():
            if name in at_ends and (name == "minimum" or found[name].status == UNDECIDED):
                found[name] = finding
        if "minimum" not in shown:
            found["minimum"] = _soft_minimum(decision, tree, fixed, budget)

    def reduced(root: Node, some: tuple[str, ...]) -> tuple[dict[str, Finding], Analysis | None]:
        made = _decide(Tree(root, tree.where), (Fraction(0),), some, fixed, budget)
        return made.findings, made.analysis

    between_labels.settle(found, open_, tree.root, fixed, budget, reduced)


def _say_why(decision: Decision, why: str) -> None:
    """A question that ran out of time may have been asked again in another way, whose failure is not the reason."""
    for name, finding in decision.findings.items():
        if finding.status == UNDECIDED and name != "float_safe" and finding.proved_on is None:
            decision.findings[name] = replace(finding, detail=why)


def _soften_ranged(
    found: dict[str, Finding], open_: list[str], tree: Tree, fixed: dict[str, Fraction], budget: Budget
) -> None:
    """The same with parameters that range too: the label is one more number in a range."""
    bounds = {"label": (Fraction(0), Fraction(1)), **ranges.bounds_of(tree)}

    def at(values: dict[str, Fraction], some: tuple[str, ...]) -> dict[str, Finding]:
        given = {name: q for name, q in values.items() if name != "label"}
        return _decide(tree, (values["label"],), some, {**fixed, **given}, budget).findings

    shown = ranges.for_all(
        bounds,
        tuple(name for name in open_ if name != "minimum"),
        at,
        lambda box, some: _decide(tree, (Fraction(1, 2),), some, fixed, budget, box).findings,
    )
    reason = "ranges of parameters together with labels in [0, 1]"
    found.update({name: shown.get(name, Finding(name, UNDECIDED, reason)) for name in open_})


def _unbroken(tree: Tree) -> bool:
    """Whether the formula has no part that may jump."""
    jumping = ("sign", "if", "plog", "pinv", "psqrt")
    return not any(isinstance(node, Apply) and node.op in jumping for node in walk(tree.root))


def _soft_minimum(decision: Decision, tree: Tree, fixed: dict[str, Fraction], budget: Budget) -> Finding:
    if ranges.affine(tree.root, "label"):
        # The loss at label y is then the expected loss at the true probability y.
        proper = _decide(tree, (Fraction(0), Fraction(1)), ("proper",), fixed, budget).findings.get("proper")
        if proper is not None and proper.status == PROVED:
            return Finding(
                "minimum", PROVED, "at every label the loss is least where pred equals it", proper.strict, OPEN,
                proper.method,
            )  # fmt: skip
    for label in ranges.SOFT:
        try:
            analysis = analyse(tree.root, (label,), fixed, "score" in names(tree.root), budget)
        except (AtLabel, Undecided):
            continue
        finding = shape.minimum_between(analysis, label, fixed)
        if finding is not None:
            return finding
    return Finding("minimum", UNDECIDED, "not decided for labels between 0 and 1")


def _decide(
    tree: Tree,
    labels: tuple[Fraction, ...],
    wanted: tuple[str, ...],
    parameters: dict[str, Fraction],
    budget: Budget,
    free: Ranges | None = None,
) -> Decision:
    """Decides properties at fixed labels and parameters; what is proved holds for all values of names in `free`."""
    decision = Decision()
    if not wanted:
        return decision
    score = "score" in names(tree.root)
    try:
        analysis = decision.analysis = analyse(tree.root, labels, parameters, score, budget, free)
    except AtLabel as failed:
        if isinstance(failed.error, Undefined) and not free:
            why = "the loss is not defined everywhere"
            _all_undecided(decision, wanted, why)
            if "domain" in wanted:
                decision.findings["domain"] = verdict.undefined(failed, score, parameters)
            return decision
        place = f"at label {failed.label}: " if not free else ""
        _all_undecided(decision, wanted, f"{place}{failed.error}")
        return _look(decision, tree, labels, parameters, score, wanted, free)
    except (Undecided, ArithmeticError, ValueError) as error:
        _all_undecided(decision, wanted, str(error))
        return _look(decision, tree, labels, parameters, score, wanted, free)

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
        except (ArithmeticError, ValueError):
            finding = Finding(name, UNDECIDED, "a value that grows beyond all bounds")
        if finding is not None:
            decision.findings[name] = _within_sight(finding) if analysis.signs.short else finding
    if analysis.short:
        _by_shape(decision, tree, labels, parameters, score, free)
    return decision


WHOLE = frozenset({"uses_pred", "uses_label", "calibrated", "minimum", "bounded_gradient", "no_saturation"})
"""Properties whose refutation speaks of the whole interval or of its ends, not of one place."""


def _within_sight(finding: Finding) -> Finding:
    """What remains of a finding where the pieces next to the ends are not known for certain.

    A slope that is zero on [1e-6, 1-1e-6] may wake up beyond; a bad place inside stays bad.
    """
    if finding.status != REFUTED:
        return finding
    at = finding.witness.at if finding.witness is not None else {}
    seen = [place for key in ("pred", "score") if key in at for place in _ends(at[key])]
    edge = Fraction(13) if "score" in at else None  # sigmoid(13) is inside 1 - 1e-6
    inside = bool(seen) and all(
        abs(x) <= edge if edge is not None else Fraction(1, 10**6) <= x <= 1 - Fraction(1, 10**6) for x in seen
    )
    if finding.name not in WHOLE and inside:
        return finding
    reason = f"{finding.detail}; seen on {SHORT} only, closer to the ends it is not decided"
    return Finding(finding.name, UNDECIDED, reason, method=finding.method)


def _ends(place: Exact) -> list[Fraction]:
    return [Fraction(x) for x in ([place] if isinstance(place, str) else place)]


def _look(
    decision: Decision,
    tree: Tree,
    labels: tuple[Fraction, ...],
    parameters: dict[str, Fraction],
    score: bool,
    wanted: tuple[str, ...],
    free: Ranges | None,
) -> Decision:
    """Where exact algebra gave up: the shape may prove, and a few places may refute, what the verdict rests on."""
    labelled = "label" in names(tree.root)
    _by_shape(decision, tree, labels, parameters, score, free)
    if free:
        return decision
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


def _by_shape(
    decision: Decision,
    tree: Tree,
    labels: tuple[Fraction, ...],
    parameters: dict[str, Fraction],
    score: bool,
    free: Ranges | None,
) -> None:
    try:
        sides = [specialise(tree.root, label, parameters, score, tuple(free or {})) for label in labels]
    except Undecided:
        return
    if not all(structure.total(terms, free) for terms in sides):
        return
    method = "the shape of the formula"
    found = {"domain": "real and finite everywhere"}
    # All functions of the language are definable with exp over the reals, so that kinks are finitely many.
    if all(structure.unbroken(terms) for terms in sides):
        found["gradient"] = "continuous, with finitely many kinks"
    ways = {Fraction(0): 1, Fraction(1): -1}
    trends = [(ways[label], structure.trend(terms, free)) for label, terms in zip(labels, sides) if label in ways]
    if trends and all(trend in (0, way) for way, trend in trends):
        found["monotone"] = "no part of the loss pulls away from the label"
    if all(probe.moves(terms, free) for terms in sides):
        found["uses_pred"] = "the slope is not zero throughout at any label"
    if len(sides) == 2 and probe.differ(sides[0], sides[1], free):
        found["uses_label"] = "the slopes at label 0 and 1 differ"
    for name, detail in found.items():
        if name in decision.findings and decision.findings[name].status == UNDECIDED:
            decision.findings[name] = Finding(name, PROVED, detail, False, OPEN, method)


def _all_undecided(decision: Decision, wanted: tuple[str, ...], why: str) -> Decision:
    for name in wanted:
        decision.findings[name] = Finding(name, UNDECIDED, why)
    return decision
