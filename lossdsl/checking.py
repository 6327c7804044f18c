"""`check`: what is provably true of a loss."""

from __future__ import annotations

import time
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

from lossdsl.report import PROPERTIES, REFUTED, Finding, Report

if TYPE_CHECKING:
    from lossdsl.formula import Formula
    from lossdsl.prover.analysis import Analysis

LABELS = {"{0,1}": (Fraction(0), Fraction(1)), "{1}": (Fraction(1),), "[0,1]": (Fraction(0), Fraction(1))}


def check(
    formula: str | Formula,
    *,
    pairwise: bool | None = None,
    label: str = "{0,1}",
    timeout: float | None = 1.0,
    properties: Iterable[str] | None = None,
) -> Report:
    """Say what is proved, refuted or undecided of a loss.

    `label` is the set of labels to judge at: `{0,1}`, `{1}` or `[0,1]`. `pairwise=True` reads the formula as a loss of
    pairs; None leaves that to the formula. `timeout` in seconds, None for counted steps alone, so that the answer does
    not depend on the machine. `properties` restricts the work to some of `lossdsl.report.PROPERTIES`.

    >>> import lossdsl
    >>> report = lossdsl.check("(pred - 0.5)^2")
    >>> report.verdict
    'invalid'
    >>> report.properties["monotone"].witness.why
    'slope -0.333333 < 0'
    """
    from lossdsl.formula import as_formula
    from lossdsl.prover.decide import decide
    from lossdsl.prover.terms import names

    wanted = PROPERTIES if properties is None else tuple(p for p in PROPERTIES if p in set(properties))
    if properties is not None:
        unknown = sorted(set(properties) - set(PROPERTIES))
        if unknown:
            raise ValueError(f"no property {unknown[0]!r}; they are {', '.join(PROPERTIES)}")
    if label not in LABELS:
        raise ValueError(f"label is one of {', '.join(LABELS)}, not {label!r}")
    formula = as_formula(formula)
    start = time.perf_counter()
    labelled = "label" in names(formula.tree.root)
    as_pairs = formula.pairwise if pairwise is None else pairwise
    labels = LABELS[label] if labelled or not as_pairs else LABELS["{1}"]
    decision = decide(formula.tree, labels, wanted, timeout, between=label == "[0,1]" and labelled)
    found = decision.findings
    if not labelled and not as_pairs and "uses_label" in found and found["uses_label"].status == REFUTED:
        refuted = found["uses_label"]
        found["uses_label"] = Finding(refuted.name, REFUTED, refuted.detail, method=refuted.method,
                                      witness=refuted.witness, mend="for pairs, add --pairwise")  # fmt: skip
    ordered = {name: found[name] for name in PROPERTIES if name in found}
    report = Report(formula.source, formula.dialect, formula, ordered, tuple(decision.kinks), notes=formula.notes)
    analysis = decision.analysis
    if analysis is not None:
        report.make_hash = lambda: _hash(analysis)
    report.ms = (time.perf_counter() - start) * 1e3
    return report


def _hash(analysis: Analysis) -> str | None:
    from lossdsl.equivalence import hash_of

    with analysis.field.budget.running():
        return hash_of(analysis)
