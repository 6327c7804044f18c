"""A second opinion on every finding of `check`, by the values of `oracle`.

`objections(formula, report, random)` lists what contradicts a report: a proof broken at a sampled place, or a witness
that does not show what it claims. Places run down to 1e-30 from both ends.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from functools import partial
from typing import Any

import mpmath
from mpmath import mpf
from oracle import DIGITS, NotFinite, Oracle, OutOfSight, exponential, number

from lossdsl.formula import Formula
from lossdsl.grammar.tree import Apply
from lossdsl.report import Finding, Report

MANY_DIGITS = 50_000
"""For what 220 digits do not show, such as the kink of a sigmoid at 1e5."""
EDGES = (90, 2000, 20_000)
"""How many nines or noughts a pred next to the label has, for the limit there: more if the first are not enough."""
FAR_SCORES = (207, 10**9, 5 * 10**15)
"""The same in scores. What grows like a power, or like a log, of these grows as much with the second step as before."""
AT_A_POINT = frozenset({"sign", "plog", "pinv", "psqrt", "if"})
"""Operators that may have a value of their own at a single place, which digits meet only where it is rational."""


def sample(dice: random.Random, count: int = 9) -> list[Any]:
    """Places in (0,1): spread, crowded at both ends, and two at the very ends."""
    out = [mpf(dice.random()) for _ in range(count)]
    out += [mpf(10) ** -dice.uniform(1, 30) for _ in range(count // 2)]
    out += [1 - mpf(10) ** -dice.uniform(1, 30) for _ in range(count // 2)]
    return sorted({p for p in (*out, mpf(10) ** -30, 1 - mpf(10) ** -30) if 0 < p < 1})


def objections(formula: Formula, report: Report, dice: random.Random, labels: tuple[int, ...] = (0, 1)) -> list[str]:
    """What contradicts a report; an empty list is what one hopes for."""
    oracle = Oracle(formula, labels)
    found: list[str] = []
    table: dict[int, list[tuple[Any, Any, Any, Any]]] = {y: [] for y in labels}
    for p in sample(dice):
        x = oracle.place(p)
        for y in labels:
            try:
                value, slope = oracle(x, y)
            except NotFinite:
                if proved(report, "domain"):
                    found.append(f"domain: not finite at label {y}, pred {mpmath.nstr(p, 20)}")
                continue
            except OutOfSight:
                continue
            weight = p * (1 - p)
            d_pred, d_score = (slope / weight, slope) if oracle.score else (slope, slope * weight)
            table[y].append((p, value, d_pred, d_score))
    looks: list[Callable[[], list[str]]] = [partial(_witnesses, oracle, report)]
    if not found and not refuted(report, "domain"):
        looks = [
            partial(_monotone, report, table),
            partial(_uses, report, table),
            partial(_shape, report, table, oracle),
            partial(_continuous, report, oracle, dice),
            partial(_probability, report, table, oracle, dice),
            *looks,
        ]
    for look in looks:
        with suppress(OutOfSight):
            found += look()
    return found


def proved(report: Report, name: str) -> bool:
    return name in report.properties and report.properties[name].status == "proved"


def refuted(report: Report, name: str) -> Finding | None:
    finding = report.properties.get(name)
    return finding if finding is not None and finding.status == "refuted" else None


def tiny(scale: Any) -> Any:
    return mpf(10) ** -70 * (1 + abs(scale))


def _monotone(report: Report, table: dict[int, list[Any]]) -> list[str]:
    out = []
    if proved(report, "monotone"):
        for y, rows in table.items():
            way = 1 if y == 0 else -1
            out += [f"monotone: slope {mpmath.nstr(d, 8)} at label {y}, pred {mpmath.nstr(p, 12)}"
                    for p, _, d, _ in rows if way * d < -tiny(d)]  # fmt: skip
            out += [f"monotone: value turns at label {y}, pred {mpmath.nstr(b[0], 12)}"
                    for a, b in zip(rows, rows[1:]) if way * (b[1] - a[1]) < -tiny(a[1])]  # fmt: skip
    return out


def _continuous(report: Report, oracle: Oracle, dice: random.Random) -> list[str]:
    """Where `gradient` is proved: no jump at plain numbers, nor at the listed kinks."""
    if not proved(report, "gradient"):
        return []
    places = [Fraction(1, 2), Fraction(1, 3), Fraction(1, 5), Fraction(4, 5), Fraction(dice.randint(1, 9), 10)]
    if oracle.score:
        places = [Fraction(0), Fraction(1), Fraction(-1), Fraction(2), Fraction(-2), Fraction(1, 2), Fraction(-1, 2)]
    axis = "score" if oracle.score else "pred"
    places += [Fraction(str(k[axis])) for k in report.kinks if not isinstance(k[axis], list)]
    out = []
    for place in places:
        x = number(place)
        step = mpf(10) ** -100 * (min(x, 1 - x) if not oracle.score else 1)
        for y in oracle.labels:
            before, at, after = (oracle(x + k * step, y)[0] for k in (-1, 0, 1))
            if max(abs(before - at), abs(after - at)) > mpf(10) ** -20 * (1 + abs(at)):
                out.append(f"gradient: jump at label {y}, {axis} {place}")
    return out


def _uses(report: Report, table: dict[int, list[Any]]) -> list[str]:
    out = []
    finding = refuted(report, "uses_pred")
    if finding is not None and finding.witness is not None:
        y = int(Fraction(str(finding.witness.at["label"])))
        out += [f"uses_pred: slope {mpmath.nstr(d, 8)} at label {y}" for _, _, d, _ in table[y] if abs(d) > tiny(0)]
    if refuted(report, "uses_label") and len(table) == 2:
        out += [f"uses_label: slopes differ at pred {mpmath.nstr(a[0], 12)}"
                for a, b in zip(table[0], table[1]) if abs(a[2] - b[2]) > tiny(a[2])]  # fmt: skip
    return out


def _shape(report: Report, table: dict[int, list[Any]], oracle: Oracle) -> list[str]:
    out = []
    for y, rows in table.items():
        for name, column in (("convex_pred", 2), ("convex_score", 3)):
            if proved(report, name):
                out += [f"{name}: slope falls at label {y}, pred {mpmath.nstr(b[0], 12)}"
                        for a, b in zip(rows, rows[1:]) if b[column] < a[column] - tiny(a[column])]  # fmt: skip
        if proved(report, "minimum") and rows:
            out += [f"minimum: {mpmath.nstr(v, 12)} at label {y}, pred {mpmath.nstr(p, 12)}"
                    for p, v, _, _ in rows if _below_limit(oracle, y, v)]  # fmt: skip
        if proved(report, "bounded_gradient"):
            words = report.properties["bounded_gradient"].detail.split("stays within ")
            if len(words) > 1:
                bound = mpf(words[1].split()[0]) * (1 + mpf(10) ** -4) + mpf(10) ** -6
                out += [f"bounded_gradient: {mpmath.nstr(s, 8)} over {mpmath.nstr(bound, 8)} at label {y}"
                        for _, _, _, s in rows if abs(s) > bound]  # fmt: skip
    return out


def _below_limit(oracle: Oracle, label: int, value: Any) -> bool:
    """Whether a value is less than what the loss tends to next to the label."""
    losses, gaps = [], []
    for loss in _towards(oracle, label):
        losses.append(loss)
        gaps.append(loss - value - (abs(loss) + 1) * mpf(10) ** -20)
        if gaps[-1] <= 0:
            return False
        # Some losses take a long way, such as 1/log(p)^2: where the gap still closes, it may close altogether.
        if len(gaps) == 2 and gaps[1] <= gaps[0] / 2:
            return False
    # Others, such as log(p), fall below all bounds, but not in time: as much from far to farther as before.
    before, after = losses[0] - losses[1], losses[1] - losses[2]
    return not (before > 0 and after > before / 2)


def _towards(oracle: Oracle, label: int, steps: int = len(EDGES)) -> Iterator[Any]:
    """The loss closer and closer to the label."""
    for digits, score in zip(EDGES[:steps], FAR_SCORES):
        with mpmath.workdps(DIGITS + digits):
            near = mpf(10) ** -digits
            place = mpf(score if label else -score) if oracle.score else 1 - near if label else near
            loss = oracle(place, label)[0]
        # Whoever asks goes on with the digits of before: 1e-6 in more of them would be another place.
        yield loss


def _probability(report: Report, table: dict[int, list[Any]], oracle: Oracle, dice: random.Random) -> list[str]:
    out: list[str] = []
    if len(table) < 2 or len(table[0]) != len(table[1]):
        return out
    pairs = list(zip(table[0], table[1]))
    if proved(report, "proper"):
        out += [f"proper: not balanced at pred {mpmath.nstr(a[0], 12)}" for a, b in pairs
                if abs(a[0] * b[2] + (1 - a[0]) * a[2]) > mpf(10) ** -60 * (1 + abs(a[2]) + abs(b[2]))]  # fmt: skip
    if proved(report, "proper_composite"):
        h = [a[2] / (a[2] - b[2]) for a, b in pairs if a[2] != b[2]]
        out += ["proper_composite: the order turns" for u, v in zip(h, h[1:]) if v < u - tiny(0)]
    if proved(report, "calibrated"):
        eta = mpf(dice.choice((0.2, 0.4, 0.6, 0.8)))
        loss = [(eta * b[1] + (1 - eta) * a[1], a[0]) for a, b in pairs]
        grid = [mpf(k) / 64 for k in range(1, 64)]
        for p in grid:
            x = oracle.place(p)
            loss.append((eta * oracle(x, 1)[0] + (1 - eta) * oracle(x, 0)[0], p))
        wrong = min(v for v, p in loss if (p < 0.5) == (eta > 0.5))
        right = min(v for v, p in loss if (p > 0.5) == (eta > 0.5))
        if wrong < right - tiny(right):
            out.append(f"calibrated: least on the wrong side for eta {mpmath.nstr(eta, 3)}")
    return out


# -- witnesses -----------------------------------------------------------------------------------------------------


def _witnesses(oracle: Oracle, report: Report) -> list[str]:
    out = []
    for name, finding in report.properties.items():
        # What floats do is no matter of 220 digits; the tests of float_safe compute in float32.
        if finding.status == "refuted" and name != "float_safe":
            if finding.witness is None:
                out.append(f"{name}: refuted without a witness")
            else:
                out += [f"{name}: {text}" for text in _recheck(oracle, name, finding)]
    return out


def _recheck(oracle: Oracle, name: str, finding: Finding) -> Iterator[str]:
    assert finding.witness is not None
    at = finding.witness.at
    place = at["score" if oracle.score else "pred"]
    label = int(Fraction(str(at["label"]))) if "label" in at else None
    if isinstance(place, list):
        yield from _recheck_between(
            oracle, name, finding, number(Fraction(place[0])), number(Fraction(place[1])), label
        )
        return
    if not oracle.score and not 0 < Fraction(place) < 1:
        yield f"witness outside (0,1): {place}"
        return
    # A place such as 1 - 1e-230 takes more digits than others.
    with mpmath.workdps(DIGITS + 2 * len(str(Fraction(place).denominator))):
        yield from _recheck_at(oracle, name, finding, place, label)


def _recheck_at(oracle: Oracle, name: str, finding: Finding, place: str, label: int | None) -> Iterator[str]:
    assert finding.witness is not None
    at = finding.witness.at
    x = number(Fraction(place))
    if name == "domain":
        # A pole that a label of 0 multiplies away shows at a label beside it.
        for y in (label or 0, (label or 0) + mpf(10) ** -50):
            try:
                slope = oracle(x, y)[1]
            except NotFinite:
                return
            if abs(slope) > mpf(10) ** (100 if y == (label or 0) else 30):
                return  # a pole at a place such as 1e-18, which 220 binary digits do not hold exactly
        yield f"the witness {place} is fine at label {label}"
        return
    step = mpf(10) ** -50 * min(abs(x) + 1, 1 if oracle.score else min(x, 1 - x))
    if name == "monotone":
        way = 1 if label == 0 else -1
        value, slope = oracle(x, label)
        before, after = oracle(x - step, label)[0], oracle(x + step, label)[0]
        if (
            not way * slope < 0
            and not way * (after - before) < -abs(step)
            and not min(way * (value - before), way * (after - value)) < -abs(step)
        ):
            yield f"slope {mpmath.nstr(slope, 8)} at the witness {place}"
    elif name == "gradient" or finding.witness.value == "jump":
        before, at_place, after = (oracle(x + k * step, label)[0] for k in (-1, 0, 1))
        if max(abs(before - at_place), abs(after - at_place)) < mpf(10) ** -30:
            yield f"no jump at the witness {place}"
    elif name in ("uses_pred", "no_dead_zone"):
        slope = oracle(x, label)[1]
        weight = mpmath.sech(x / 2) ** 2 / 4 if oracle.score else 1
        if abs(slope / weight) > mpf(10) ** -6:
            yield f"slope {mpmath.nstr(slope, 8)} at the witness"
    elif name == "minimum":
        # Equal in all digits is no contradiction: sigmoid(-1e5) and 0 are.
        if all(oracle(x, label)[0] > limit for limit in _towards(oracle, label or 0, 2)):
            yield f"not lower at the witness {place}"
    elif name in ("convex_pred", "convex_score"):
        if not _falls(oracle, Fraction(place), step, label, name == "convex_score"):
            yield f"the slope does not fall at the witness {place}"
    elif name == "proper" and finding.witness.value != "a maximum":
        p = 1 / (1 + exponential(-x)) if oracle.score else x
        pull, push = p * oracle(x, 1)[1], (1 - p) * oracle(x, 0)[1]
        if abs(pull) + abs(push) > mpf(10) ** 100:
            raise OutOfSight  # what is left of two such numbers shows in no digits
        if abs(pull + push) <= mpf(10) ** -90 * (abs(pull) + abs(push)):
            if oracle.lost(x, 1) or oracle.lost(x, 0):
                raise OutOfSight  # sigmoid(1e6) is less than 1 all the same
            yield f"balanced at the witness {place}"
    elif name == "calibrated" and finding.witness.value == "the same for every eta":
        if abs(oracle(x + step, 1)[1] - oracle(x + step, 0)[1]) > mpf(10) ** -60:
            yield "the slopes differ"
    elif name == "calibrated":
        yield from _recheck_calibrated(oracle, x, number(Fraction(str(at["eta"]))))


def _falls(oracle: Oracle, place: Fraction, step: Any, label: int | None, in_score: bool) -> bool:
    def slope(t: Any) -> Any:
        d = oracle(t, label)[1]
        if oracle.score:
            return d if in_score else d / (mpmath.sech(t / 2) ** 2 / 4)
        return d * t * (1 - t) if in_score else d

    x = number(place)
    if slope(x + step) < slope(x - step):
        return True
    with mpmath.workdps(MANY_DIGITS):
        x, step = number(place), mpf(10) ** (1000 - MANY_DIGITS)
        after, before = slope(x + step), slope(x - step)
        if after == before:
            raise OutOfSight  # a bend of exp(-3e5) shows in no digits
        return bool(after < before)


def _recheck_between(
    oracle: Oracle, name: str, finding: Finding, low: Any, high: Any, label: int | None
) -> Iterator[str]:
    """A place known as an interval: the finding must show between its ends."""
    if name == "domain":
        # A divisor or an argument of log reaches zero inside: its size at the ends is small against the interval.
        return
    if name in ("gradient", "monotone") or (finding.witness is not None and finding.witness.value == "jump"):
        for _ in range(330):
            m, half = (low + high) / 2, (high - low) / 2
            a, b, c = (oracle(t, label)[0] for t in (low, m, high))
            # What the slope explains is no jump: a small one is lost beside a steep loss otherwise.
            left = abs(b - a - half * oracle(low + half / 2, label)[1])
            right = abs(c - b - half * oracle(m + half / 2, label)[1])
            low, high = (low, m) if left > right else (m, high)
        if abs(oracle(high, label)[0] - oracle(low, label)[0]) < mpf(10) ** -30:
            if {node.op for node in oracle.order if isinstance(node, Apply)} & AT_A_POINT:
                raise OutOfSight
            yield "no jump inside the interval"
    elif name in ("convex_pred", "convex_score"):
        if not _falls_between(oracle, low, high, label):
            yield "the slope does not fall over the interval"


def _falls_between(oracle: Oracle, low: Any, high: Any, label: int | None) -> bool:
    """Whether the slope falls over an interval, or, where it rises beside the kink, at the kink."""
    for digits in (mpmath.mp.dps, MANY_DIGITS):
        with mpmath.workdps(digits):
            if oracle(high, label)[1] < oracle(low, label)[1]:
                return True

    # By the slope, and by the value where the slope is the same beside all that happens.
    return any(_falls_at_roughest(oracle, low, high, label, part) for part in (1, 0))


def _falls_at_roughest(oracle: Oracle, low: Any, high: Any, label: int | None, part: int) -> bool:
    """Whether the slope falls where the value (part 0) or the slope (1) is least smooth in an interval."""

    def five(a: Any, b: Any, part: int) -> list[Any]:
        return [oracle(a + k * (b - a) / 4, label)[part] for k in range(5)]

    def roughness(a: Any, b: Any) -> Any:
        # The fourth difference: next to nothing where it is smooth, of the kink's size where it is not.
        return abs(sum(weight * value for weight, value in zip((1, -4, 6, -4, 1), five(a, b, part))))

    for _ in range(330):
        m = (low + high) / 2
        low, high = (low, m) if roughness(low, m) > roughness(m, high) else (m, high)
        slopes = five(low, high, 1)
        # Any two of them: a kink where the slope rises may stand right beside the one where it falls.
        if any(after < before for before, after in zip(slopes, slopes[1:])):
            return True
    return False


def _recheck_calibrated(oracle: Oracle, x: Any, eta: Any) -> Iterator[str]:
    def loss(t: Any) -> Any:
        return eta * oracle(t, 1)[0] + (1 - eta) * oracle(t, 0)[0]

    half = mpf(0) if oracle.score else mpf(1) / 2
    if x != half and (x > half) == (eta > 0.5):
        yield "the witness is on the right side"
        return
    value = loss(x)
    for k in range(1, 60):
        p = mpf(k) / 120 if eta < 0.5 else 1 - mpf(k) / 120
        if loss(oracle.place(p)) < value - tiny(value):
            yield f"less at pred {mpmath.nstr(p, 6)} than at the witness"
            return
