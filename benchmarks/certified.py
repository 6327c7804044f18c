"""How many of the claims that the prover proves have a certificate: `python benchmarks/certified.py [--out FILE]`.

The named losses at labels 0 and 1 and at every label between, and losses with a parameter that ranges, at both. The
table in docs/certificates.md is made of this and compared with it by tests/benchmarks/test_certified.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from lossdsl.certificate import certify, document
from lossdsl.checking import check
from lossdsl.formula import parse
from lossdsl.grammar.losses import loss_names
from lossdsl.verifier import verify

RANGED = (
    "focal where gamma in [0, 5]",
    "focal where gamma in [1, 3]",
    "hinge where margin in [0.5, 2]",
    "squared_hinge where margin in [0.5, 2]",
    "huber where delta in [0.1, 1]",
    "ccl where w in [0.5, 2]",
    "-w*label*log(pred) - (1-label)*log(1-pred) where w in [0.5, 5]",
    "w*(label-pred)^2 where w in [0.5, 2]",
    "exp(-a*(2*label-1)*score) where a in [0.25, 1]",
    "softplus(-a*(2*label-1)*score)/a where a in [0.5, 2]",
    "-(label*(1-e)+e/2)*log(pred) - (1-label*(1-e)-e/2)*log(1-pred) where e in [0, 0.4]",
    "-label*log(pred) - (1-label)*log(1-pred) + w*(label-pred)^2 where w in [0, 1]",
)
LABELS = ("{0,1}", "[0,1]")
FLOATS = "float_safe"


def count(formula: str, label: str) -> tuple[int, int, list[str]]:
    """How many claims are certified, how many proved, and which are proved alone; `float_safe` is about floats."""
    report = check(formula, label=label, timeout=None)
    proved = [name for name, found in report.properties.items() if found.status == "proved" and name != FLOATS]
    entry = certify(parse(formula), report, label=label)
    outcome = verify(document([entry]))
    verified = outcome.entries[0].verified if not outcome.entries[0].failed else ()
    return len(verified), len(proved), [name for name in proved if name not in verified]


def table(losses: Iterable[str]) -> list[str]:
    """Rows of certified and proved claims, with a sum at the end."""
    out, sums = [], [0, 0, 0, 0]
    for formula in losses:
        cells = []
        for i, label in enumerate(LABELS):
            certified, proved, _ = count(formula, label)
            sums[2 * i] += certified
            sums[2 * i + 1] += proved
            cells.append(f"{certified} of {proved}")
        out.append(f"| `{formula}` | {' | '.join(cells)} |")
    return [*out, f"| together | {sums[0]} of {sums[1]} | {sums[2]} of {sums[3]} |"]


def page() -> str:
    """Both tables."""
    head = ["| loss | labels 0 and 1 | every label |", "|---|---|---|"]
    return (
        "\n".join([*head, *table(loss_names()), "", "With a parameter that ranges:", "", *head, *table(RANGED)]) + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="a file for the tables")
    text = page()
    given = parser.parse_args()
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
