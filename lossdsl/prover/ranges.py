"""Names that range over an interval: parameters `in [a, b]`, and the label where labels are soft.

Single values refute, with the value in the witness. A proof takes the name for a number that is only known to lie in
its range, so that it holds for all of them at once; where the whole range is too coarse, it is taken in parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product

from lossdsl.grammar.tree import Apply, Name, Node, Tree, walk
from lossdsl.prover.cells import Ranges
from lossdsl.prover.terms import exact
from lossdsl.report import PROVED, REFUTED, UNDECIDED, Finding

PARTS = 4
MAX_BOXES = 8
SAMPLES = (Fraction(0), Fraction(1), Fraction(1, 2), Fraction(1, 4), Fraction(3, 4))
"""Where to look in a range, as shares of its length."""
SOFT = (Fraction(1, 2), Fraction(1, 4), Fraction(3, 4), Fraction(1, 3), Fraction(1, 32), Fraction(31, 32))
SOFT_PROPERTIES = (
    *("domain", "uses_pred", "gradient", "no_dead_zone", "bounded_gradient", "convex_pred", "convex_score", "minimum"),
)
"""What has to be judged at labels between 0 and 1 too."""
CARRIED = frozenset({"domain", "gradient", "bounded_gradient", "convex_pred", "convex_score"})
"""Of these, what holds between the labels if it holds at both and the loss is affine in the label."""
Bounds = dict[str, tuple[Fraction, Fraction]]
Findings = dict[str, Finding]


def bounds_of(tree: Tree) -> Bounds:
    """The ranges that `where` gives."""
    return {b.name: (b.low, b.high) for b in tree.where if b.value is None}


def samples(bounds: Bounds) -> Iterator[dict[str, Fraction]]:
    """Values to try: the ends of all ranges first."""
    shares = list(product(SAMPLES[:2], repeat=len(bounds)))[:8] + [(s,) * len(bounds) for s in SAMPLES[2:]]
    for row in shares:
        yield {name: low + s * (high - low) for (name, (low, high)), s in zip(bounds.items(), row)}


def boxes(bounds: Bounds, parts: int) -> list[Ranges]:
    """The ranges cut into parts, as boxes; empty if these would be too many."""
    rows = []
    for low, high in bounds.values():
        cuts = [low + (high - low) * k / parts for k in range(parts + 1)]
        rows.append([(exact(a), exact(b)) for a, b in zip(cuts, cuts[1:])])
    if parts ** len(bounds) > MAX_BOXES:
        return []
    return [dict(zip(bounds, row)) for row in product(*rows)]


def for_all(
    bounds: Bounds,
    wanted: tuple[str, ...],
    at: Callable[[dict[str, Fraction], tuple[str, ...]], Findings],
    over: Callable[[Ranges, tuple[str, ...]], Findings],
) -> Findings:
    """Decides properties for every value in the ranges, from findings at single values and over boxes of values."""
    out: Findings = {}
    judged: set[str] = set()
    for values in samples(bounds):
        for name, finding in at(values, tuple(n for n in wanted if n not in out)).items():
            judged.add(name)
            if finding.status == REFUTED:
                out[name] = finding
    left = tuple(n for n in wanted if n in judged and n not in out)
    last: Findings = {}
    for parts in (1, PARTS):
        cells = boxes(bounds, parts)
        if not left or not cells:
            break
        found = [over(box, left) for box in cells]
        for name in left:
            if all(name in f and f[name].status == PROVED for f in found):
                strict = all(f[name].strict for f in found)
                out[name] = replace(found[0][name], strict=strict, detail=_for_all(found[0][name].detail, bounds))
            else:
                last[name] = next(
                    (f[name] for f in found if name in f and f[name].status != PROVED), found[0].get(name)
                )  # type: ignore[assignment]
        left = tuple(n for n in left if n not in out)
    for name in left:
        reason = last[name].detail if last.get(name) is not None else "too many ranges"
        out[name] = Finding(name, UNDECIDED, f"not decided for all of {_shown(bounds)}: {reason}")
    return {name: out[name] for name in wanted if name in out}


def _shown(bounds: Bounds) -> str:
    return ", ".join(f"{name} in [{low}, {high}]" for name, (low, high) in bounds.items())


def _for_all(detail: str, bounds: Bounds) -> str:
    # Numbers in a sentence belong to one part of the range only.
    text = detail if not any(c.isdigit() for c in detail.replace("label 1", "").replace("label 0", "")) else "holds"
    return f"{text}, for all {_shown(bounds)}"


def affine(root: Node, name: str) -> bool:
    """Whether a tree is a + b*name with a and b free of the name, as it is written.

    >>> from lossdsl.grammar.parser import read
    >>> affine(read("bce").tree.root, "label"), affine(read("mse").tree.root, "label")
    (True, False)
    """
    degree: dict[Node, int] = {}
    for node in walk(root):
        degree[node] = _degree(node, name, [degree[a] for a in node.args] if isinstance(node, Apply) else [])
    return degree[root] <= 1


def _degree(node: Node, name: str, inner: Iterable[int]) -> int:
    """0 without the name, 1 affine in it, 2 anything else."""
    if isinstance(node, Name):
        return int(node.name == name)
    degrees = list(inner)
    if not any(degrees):
        return 0
    assert isinstance(node, Apply)
    if node.op in ("add", "sub", "neg"):
        return max(degrees)
    if node.op == "mul":
        return min(2, sum(degrees))
    if node.op == "div":
        return 2 if degrees[1] else degrees[0]
    return 2
