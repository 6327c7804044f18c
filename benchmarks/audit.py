"""What is true of the losses that AutoLossGen's public search log holds: `python benchmarks/audit.py [--out FILE]`.

Beside each formula's verdict stands what the original program's own validity check says of it: a slope by central
difference with step 1e-6 at the same 1,000 random predictions for both labels, counted as right where it is beyond 1e-6
in the right direction, accepted above 1,200 of 2,000. That check evaluates the logarithm without its sign factor and
without the clamps, so it looks at another function than the one that is trained, and than the one that is printed.
"""

from __future__ import annotations

import argparse
import random
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from run import data_folder

from lossdsl.checking import check
from lossdsl.formula import parse
from lossdsl.grammar.tree import Apply, Node, Number, Tree, walk
from lossdsl.lowering import lower
from lossdsl.report import Report
from lossdsl.targets.numpy import evaluate

POINTS, STEP, RIGHT, ENOUGH = 1000, 1e-6, 1e-6, 1200
READINGS = {"as printed": "autolossgen-plain", "as trained": "autolossgen"}
MOOT = "the loss is not defined everywhere"


def as_checked(root: Node) -> Node:
    """The function that the original check evaluates, from the one that is trained."""
    new: dict[Node, Node] = {}
    for node in walk(root):
        if not isinstance(node, Apply):
            new[node] = node
            continue
        args = tuple(new[a] for a in node.args)
        if node.op == "clamp":
            new[node] = args[0]
        elif node.op == "plog":
            size = Apply("add", (Apply("abs", (args[0],)), Number(Fraction(1, 10**6))))
            new[node] = Apply("log", (size,))
        else:
            new[node] = Apply(node.op, args)
    return new[root]


def accepted_by_original(text: str) -> bool:
    """Whether the original validity check lets a logged line through."""
    program = lower(Tree(as_checked(parse(text, "autolossgen").tree.root)), "pred")
    dice = random.Random(0)
    pred = np.clip(np.array([dice.random() for _ in range(POINTS)]), 1e-6, 1 - 1e-6)
    right = 0
    for label, way in ((0.0, 1), (1.0, -1)):
        labels = np.full(pred.shape, label)
        after, _ = evaluate(program, np.clip(pred + STEP, 0, 1), labels)
        before, _ = evaluate(program, np.clip(pred - STEP, 0, 1), labels)
        slope = (after - before) / (2 * STEP)
        right += int(np.count_nonzero(way * slope > RIGHT))
    return right > ENOUGH


def word(report: Report, name: str) -> str:
    """A finding in one word, `-` where the loss is undefined somewhere."""
    finding = report.properties.get(name)
    if finding is None or finding.detail == MOOT:
        return "-"
    return {"proved": "yes", "refuted": "no", "undecided": "?"}[finding.status]


def counts(reports: list[Report]) -> list[tuple[str, int]]:
    """How many formulas of the log are what."""
    undefined = sum(word(r, "domain") == "no" for r in reports)
    constant = sum(word(r, "uses_pred") == "no" for r in reports)
    keys = {r.hash for r in reports if r.hash is not None}
    return [
        ("undefined somewhere", undefined),
        ("flat in pred at a label", constant),
        ("monotone", sum(word(r, "monotone") == "yes" for r in reports)),
        ("valid: all five", sum(r.verdict == "valid" for r in reports)),
        ("least where pred is the label", sum(word(r, "minimum") == "yes" for r in reports)),
        ("proper", sum(word(r, "proper") == "yes" for r in reports)),
        ("calibrated", sum(word(r, "calibrated") == "yes" for r in reports)),
        ("verdict unknown", sum(r.verdict == "unknown" for r in reports)),
        ("different slopes", len(keys)),
    ]


def page(lines: list[str]) -> str:
    """The audit as a Markdown page."""
    accepted = [line for line in lines if accepted_by_original(line)]
    reports = {name: {t: check(parse(t, d), timeout=None) for t in lines} for name, d in READINGS.items()}
    out = ["# The search log, audited", ""]
    out.append(
        f"AutoLossGen (SIGIR 2022) logs the losses that its search tries. {len(lines)} lines of its public logs,"
        " all different, were read *as printed* and *as trained*, that is with the clamp around every operator and the"
        " protected logarithm and reciprocal, neither of which the log shows. `python benchmarks/audit.py` makes this"
        " page anew."
    )
    out += ["", "| | as printed | as trained |", "|---|---|---|"]
    columns = [counts(list(reports[name].values())) for name in READINGS]
    out += [f"| {title} | {a} | {b} |" for (title, a), (_, b) in zip(*columns)]
    out += ["", "## What the original validity check lets through", ""]
    out.append(
        f"It draws {POINTS:,} predictions (`random.seed(0)`, clipped to [1e-6, 1-1e-6]), the same for both labels, and"
        f" takes central differences of step {STEP:g}, of the formula without the sign factor of the logarithm and"
        f" without the clamps. A slope beyond {RIGHT:g} in the right direction counts as right, and a line is accepted"
        f" with more than {ENOUGH:,} right ones of {2 * POINTS:,}: {len(accepted)} of the {len(lines)} lines. So a loss"
        f" that points the wrong way at {2 * POINTS - ENOUGH - 1} of the samples would pass; among these lines is none."
    )
    if accepted:
        out += ["", "| line | as printed | as trained | because, as trained |", "|---|---|---|---|"]
    for text in accepted:
        printed, trained = (reports[name][text] for name in READINGS)
        found = trained.properties.values()
        why = next((f.detail for f in found if f.status == "refuted" and f.severity == "error"), "")
        out.append(f"| {code(text)} | {printed.verdict} | {trained.verdict} | {why} |")
    out += differing(lines, reports)
    return "\n".join(out) + "\n"


def code(text: str) -> str:
    """A line of the log inside a Markdown table."""
    return "`" + text.replace("|", "\\|") + "`"


def differing(lines: list[str], reports: dict[str, dict[str, Report]]) -> list[str]:
    """The lines of which one reading is monotone and the other is not, and how many train another function at all."""
    printed, trained = (reports[name] for name in READINGS)
    known = [t for t in lines if printed[t].hash is not None and trained[t].hash is not None]
    other = sum(printed[t].hash != trained[t].hash for t in known)
    out = ["", "## Where print and training part", ""]
    out.append(
        f"Of the {len(known)} lines that are defined everywhere in both readings, {other} train with other slopes than"
        " the printed line has. These are monotone in one reading only:"
    )
    out += ["", "| line | as printed | as trained | because |", "|---|---|---|---|"]
    for text in known:
        pair = [reports[name][text].properties["monotone"] for name in READINGS]
        if {f.status for f in pair} == {"proved", "refuted"}:
            why = next(f.detail for f in pair if f.status == "refuted")
            out.append(
                f"| {code(text)} | {word(printed[text], 'monotone')} | {word(trained[text], 'monotone')} | {why} |"
            )
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", metavar="FILE", help="write the page to FILE instead of printing it")
    options = parser.parse_args()
    data = data_folder()
    if data is None:
        print("no data folder: set LOSSDSL_DATA to where formulas/autolossgen-log.txt lies", file=sys.stderr)
        return 2
    rows = (data / "formulas" / "autolossgen-log.txt").read_text().splitlines()
    text = page(list(dict.fromkeys(row.strip() for row in rows if row.strip())))
    if options.out:
        Path(options.out).write_text(text)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
