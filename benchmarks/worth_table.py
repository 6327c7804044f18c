"""The table of `worth.py`: the median search of each split beside its best known loss, and their difference."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

Row = dict[str, Any]


def difference(found: Sequence[Row], known: Row) -> tuple[float, Any]:
    """Median over search seeds less the known loss: as measured, and in each replicate.

    The replicates of all cells draw the same users; here the search seeds are drawn anew too.
    """
    ours = np.array([row["replicates"] for row in found])
    random = np.random.default_rng(7)
    picked = random.integers(0, len(ours), (ours.shape[1], len(ours)))
    drawn = np.median(ours[picked, np.arange(ours.shape[1])[:, None]], axis=1)
    measured = float(np.median([row["test"] for row in found])) - known["test"]
    return measured, drawn - np.array(known["replicates"])


def interval(replicates: Any) -> tuple[float, float]:
    """The middle 95 %."""
    low, high = np.nanquantile(replicates, (0.025, 0.975))
    return float(low), float(high)


def table(rows: Sequence[Row], budget: str) -> str:
    """Lines for people; the best known loss is the best *on test*, which favours it.

    Searches that started from the known losses have lines of their own and no part in the means.
    """
    lines = [
        "| split | metric | best known loss | test | searched, median (seeds) | test | difference | 95 % interval |",
        "|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[str, list[tuple[float, Any, float]]] = {}
    for split, seeded in product(dict.fromkeys(row["split"] for row in rows), (False, True)):
        own = [row for row in rows if row["split"] == split]
        known = [row for row in own if row["kind"] == "baseline"]
        found = [r for r in own if r["kind"] == "search" and (r["budget"], r["seeded"]) == (budget, seeded)]
        if not known or not found:
            continue
        best = max(known, key=lambda row: row["test"])
        gap, drawn = difference(found, best)
        low, high = interval(drawn)
        middle = sorted(found, key=lambda row: row["test"])[len(found) // 2]
        if not seeded:
            groups.setdefault(split.split("-")[0], []).append((gap, drawn, best["test"]))
        lines.append(
            f"| {split}{', seeded' * seeded} | {best['metric']} | {best['loss']} | {best['test']:.4f} "
            f"| `{middle['found']}` ({len(found)}) | "
            f"{best['test'] + gap:.4f} | {gap:+.4f} ({gap / best['test']:+.1%}) | {low:+.4f} to {high:+.4f} |"
        )
    for kind, cells in groups.items():
        if len(cells) > 1:
            gap = float(np.mean([cell[0] for cell in cells]))
            share = gap / float(np.mean([cell[2] for cell in cells]))
            low, high = interval(np.mean([cell[1] for cell in cells], axis=0))
            above = sum(cell[0] > 0 for cell in cells)
            lines.append(
                f"| {kind}, mean of {len(cells)} | | | | above on {above} of {len(cells)} | | "
                f"{gap:+.4f} ({share:+.1%}) | {low:+.4f} to {high:+.4f} |"
            )
    return "\n".join(lines)
