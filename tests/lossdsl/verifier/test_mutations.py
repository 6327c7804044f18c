"""Each rule of spans, jets and boxes carries weight: weakened, one at a time, it lets a claim through that is wrong.

For each mutant there is a property that a loss does not have. The mutant accepts a claim of it, mostly one that is
sought with its own arithmetic; the verifier as it stands refuses that claim.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import lossdsl
from lossdsl.certificate.boxing import claim_of
from lossdsl.grammar.parser import read
from lossdsl.verifier import boxes, jets, spans
from lossdsl.verifier.jets import Jets
from lossdsl.verifier.limits import Rejected
from lossdsl.verifier.spans import Span, Spans
from lossdsl.verifier.terms import spell
from lossdsl.verifier.wide import CHECKS, Wide


@dataclass(frozen=True)
class Mutant:
    """A text in the source of a function, what stands there instead, and what is then wrongly accepted."""

    owner: Any
    function: str
    old: str
    new: str
    formula: str
    name: str
    sides: str = "01"
    claim: Any = None


HALF_FLAT = "(1-2*label)*w*(min(pred, 0.5) + max(pred, 0.501)) where w in [1, 2]"
CUTS = ["0", "12/25", "1247/2500", "1259/2500", "13/25", "1"]
THIN = [{"pred": [a, b], "w": ["1", "2"]} for a, b in zip(CUTS, CUTS[1:])]


def at_both(rows: Any) -> dict[str, Any]:
    return {"boxes": {"0": rows, "1": rows}}


def aside(**ends: list[str]) -> dict[str, Any]:
    """The whole on either side of the label."""
    more = {"label": ["0", "1"], **ends}
    below, above = {"distance": ["0", "1"], "sign": -1}, {"distance": ["-1", "0"], "sign": 1}
    return {"below": [{**more, **below}], "above": [{**more, **above}]}


SPANS = {
    "zero counts as above": Mutant(
        Span, "above", "self.low.sign > 0", "self.low.sign >= 0",
        "log(abs(pred-0.5) + w) where w in [0, 1]", "domain",
    ),
    "zero counts as below": Mutant(
        Span, "below", "self.high.sign < 0", "self.high.sign <= 0",
        "1/(-abs(pred-0.5) - w) where w in [0, 1]", "domain",
    ),
    "of equal low ends the open one": Mutant(
        spans, "lower", "not a.open", "a.open", "log(if(pred < 0.5, pred, w)) where w in [0, 1]", "domain",
    ),
    "of equal high ends the open one": Mutant(
        spans, "higher", "not a.open", "a.open", "log(-if(pred < 0.5, -pred, -w)) where w in [0, 1]", "domain",
    ),
    "sums reach no end": Mutant(
        Spans, "_total", "a.open or b.open", "True", "log(w + v)*pred where w in [0, 1], v in [0, 1]", "domain",
    ),
    "products do not reach zero": Mutant(
        Spans, "_corner", "all(end.open for end in zeros)", "True", "log(w*pred) where w in [0, 1]", "domain",
    ),
    "a corner of a product is left out": Mutant(
        Spans, "times", "corners[1:]", "corners[2:]", "w*pred^2 where w in [-1, 1]", "monotone", "0",
    ),
    "a product is the larger of its corners": Mutant(
        Spans, "times", "lower(low, self._corner(u, v, False))", "low", "w*pred^2 where w in [-1, 1]", "monotone", "0",
    ),
    "anything may be divided by": Mutant(
        Spans, "inverse_of", "not (a.above or a.below)", "False", "w/(pred-w) where w in [0.2, 0.4]", "domain",
    ),
    "an inverse has ends": Mutant(
        Spans, "_inverse_end", "far if a.sign == 0", "ONE.high if a.sign == 0",
        "w/pred where w in [1, 2]", "bounded_gradient",
    ),
    "what is too large to compute is small": Mutant(
        Spans, "exp_of", "high = TOP\n    elif", "high = ONE.high\n    elif",
        "w*abs(exp(1e6*pred) - 2) where w in [1, 2]", "monotone", "1",
    ),
    "log has a low end": Mutant(
        Spans, "log_of", "BOTTOM if", "End(NOTHING) if", "log(w + log(pred)) where w in [1, 2]", "domain",
    ),
    "even powers of the ends alone": Mutant(
        Spans, "whole_power", "n % 2 == 0", "False", "log(0.5 - (pred-w)^2) where w in [0.8, 0.9]", "domain",
    ),
    "broken powers of anything": Mutant(
        Spans, "broken_power", "not a.never_negative", "False", "(pred-w)^0.5 where w in [0.2, 0.4]", "domain",
    ),
    "sizes of positive numbers alone": Mutant(
        Spans, "size", "higher(opposite(a).high, a.high)", "a.high",
        "log(0.5 - abs(pred-w)) where w in [0.85, 0.9]", "domain",
    ),
    "the larger of two goes by the first": Mutant(
        Spans, "largest", "higher(a.high, b.high)", "a.high", "log(1 - max(pred/4, w)) where w in [0, 2]", "domain",
    ),
}  # fmt: skip
JETS = {
    "a product's slope is that of the first factor": Mutant(
        Jets, "_term", "s.plus(s.times(da, b), s.times(a, db)), bend", "s.times(da, b), bend",
        "w*pred*(1.5-pred) where w in [1, 2]", "monotone", "0",
    ),
    "factors do not bend a product together": Mutant(
        Jets, "_term", "a, ddb)), mixed)", "a, ddb)), ZERO)", "-w*(pred*pred) where w in [1, 2]", "convex_pred",
    ),
    "what is inside does not bend": Mutant(
        Jets, "_chain", ", s.times(first, ddu))", ", ZERO)", "exp(-w*pred^2) where w in [4, 5]", "convex_pred",
    ),
    "log bends up": Mutant(
        Jets, "_log", "first, opposite(s.whole_power(first, 2))", "first, s.whole_power(first, 2)",
        "w*log(1+pred) where w in [1, 2]", "convex_pred",
    ),
    "log pred bends up in score": Mutant(
        Jets, "_log", "bend = opposite(s.times(region.pred, rest))", "bend = s.times(region.pred, rest)",
        "w*log(pred) where w in [1, 2]", "convex_score",
    ),
    "the size of what changes sign bends as that does": Mutant(
        Jets, "_branching", "Span(lower(ddu.low, opposite(ddu).low), TOP)", "Span(ddu.low, TOP)",
        "w*abs(pred^2-0.5) where w in [1, 2]", "convex_pred",
    ),
    "the size of what changes sign has one slope": Mutant(
        Jets, "_branching", "hull(du, opposite(du)), Span", "du, Span",
        "w*abs(pred-0.5) where w in [1, 2]", "monotone", "0",
    ),
    "the larger of two has the slope of the first": Mutant(
        Jets, "_extreme", "hull(a[1], b[1])", "a[1]", "w*max(pred, 1-pred) where w in [1, 2]", "monotone", "0",
    ),
    "the larger of two bends as the first": Mutant(
        Jets, "_extreme", "lower(a[2].low, b[2].low)", "a[2].low",
        "w*max(pred^2, 0.5+pred-pred^2) where w in [1, 2]", "convex_pred",
    ),
    "the smaller of two bends up where they cross": Mutant(
        Jets, "_extreme", "return made if op == \"max\" else _opposite(made)", "return made",
        "w*min(pred, 1-pred) where w in [1, 2]", "convex_pred",
    ),
    "a branch is the first one": Mutant(
        Jets, "_branching", "hull(args[1][0], args[2][0])", "args[1][0]",
        "log(if(pred < 0.5, w, -w)) where w in [1, 2]", "domain",
    ),
    "what is never negative is positive": Mutant(
        jets, "_signs", "(0, 1)", "(1,)", "log(if(abs(pred-0.5) + w <= 0, -1, 1)) where w in [0, 1]", "domain",
    ),
    "if does not jump": Mutant(
        jets, "unbroken", '("sign", "if")', '("sign",)', "if(pred < 0.5, w, 2*w) where w in [1, 2]", "gradient",
    ),
    "sign does not jump": Mutant(
        jets, "unbroken", '("sign", "if")', '("if",)', "w*sign(pred-0.5) where w in [1, 2]", "gradient",
    ),
    "kinks are smooth": Mutant(
        jets, "smooth", "term.op in KINKED", "False", HALF_FLAT, "no_dead_zone", "01", at_both(THIN),
    ),
    "label - pred rises with pred": Mutant(
        Jets, "_add", "return region.distance, opposite(speed), opposite(bend)", "return region.distance, speed, bend",
        "-w*(label-pred)^2 where w in [1, 2]", "minimum", "any", aside(w=["1", "2"]),
    ),
    "beside the label the other part is larger": Mutant(
        jets, "_beside", "drift.never_positive == below", "drift.never_positive != below",
        "w*min((label+1)/(pred+1), (pred+1)/(label+1)) where w in [1, 2]", "minimum", "any",
    ),
    "above the label is below it": Mutant(
        jets, "_beside", "below = distance.low.sign == 0 and distance.never_negative", "below = True",
        "w*(min((label+1)/(pred+1), (pred+1)/(label+1)) + 3*max(label-pred, 0)) where w in [1, 2]", "minimum", "any",
    ),
}  # fmt: skip
BOXES = {
    "boxes need not fill anything": Mutant(
        boxes, "read_boxes", "fill([box for box, _ in out], whole)", "pass",
        "log(w*pred - 0.5) where w in [1, 2]", "domain", "01", at_both([{"pred": ["3/4", "1"], "w": ["1", "2"]}]),
    ),
    "a lone box fills what it is in": Mutant(
        boxes, "fill", "some[0] != room", "False",
        "log(w*pred - 0.5) where w in [1, 2]", "domain", "01", at_both([{"pred": ["3/4", "1"], "w": ["1", "2"]}]),
    ),
    "parameters need not be filled": Mutant(
        boxes, "fill", "some[0] != room", 'some[0]["pred"] != room["pred"]',
        "log(1.5 - w)*pred where w in [1, 2]", "domain", "01", at_both([{"pred": ["0", "1"], "w": ["1", "5/4"]}]),
    ),
    "only the far side of a cut is looked at": Mutant(
        boxes, "_halves", "[(before, {**room, name: (low, cut)}), (after", "[(after",
        "log(w*pred - 0.25) where w in [1, 2]", "domain", "01",
        at_both([{"pred": ["3/8", "1/2"], "w": ["1", "2"]}, {"pred": ["1/2", "1"], "w": ["1", "2"]}]),
    ),
    "only the near side of a cut is looked at": Mutant(
        boxes, "_halves", ", (after, {**room, name: (cut, high)})]", "]",
        "log(0.75 - pred/w) where w in [1, 2]", "domain", "01",
        at_both([{"pred": ["0", "1/2"], "w": ["1", "2"]}, {"pred": ["1/2", "5/8"], "w": ["1", "2"]}]),
    ),
    "no box reaches its ends": Mutant(
        boxes, "region", "low == 0, high == 1), free", "True, True), free",
        "w*log(abs(pred-0.5)) where w in [1, 2]", "domain",
    ),
    "boxes next to 0 have no prediction": Mutant(
        boxes, "region", "low > high or high == 0", "low == 0 or high == 0",
        "w*log(pred-0.375) where w in [1, 2]", "domain", "01",
        at_both([{"pred": ["0", "1/2"], "w": ["1", "2"]}, {"pred": ["1/2", "1"], "w": ["1", "2"]}]),
    ),
    "predictions of the nearest labels alone": Mutant(
        boxes, "region",
        'box["label"][0] - far, box["label"][1] - near', 'box["label"][0] - near, box["label"][1] - far',
        "-w*(label-pred)^2 where w in [1, 2]", "minimum", "any", aside(w=["1", "2"]),
    ),
    "the nearest distance alone": Mutant(
        boxes, "region", "spans.between(near, far)", "spans.between(near - near, far - far)",
        "-w*(label-pred)^2 where w in [1, 2]", "minimum", "any", aside(w=["1", "2"]),
    ),
    "the least value of a parameter alone": Mutant(
        boxes, "region", "spans.between(*ends)", "spans.between(ends[0], ends[0])",
        "log(1.5 - w)*pred where w in [1, 2]", "domain",
    ),
    "no prediction above 1 is none": Mutant(
        boxes, "region", "min(high, Fraction(1))", "min(high, Fraction(1, 2))",
        "log(0.75 - pred/w) where w in [1, 2]", "domain",
    ),
}  # fmt: skip
MUTANTS = {**SPANS, **JETS, **BOXES}


def wide_of(mutant: Mutant) -> Wide:
    tree = read(str(lossdsl.parse(mutant.formula))).tree
    ranges = {b.name: (b.low, b.high) for b in tree.where if b.value is None}
    labels = {"any": None} if mutant.sides == "any" else {side: int(side) for side in mutant.sides}
    made = Wide(tree, {side: spell(tree, y, True) for side, y in labels.items()}, ranges)
    order = list(CHECKS)
    made.proved = dict.fromkeys(order[: order.index(mutant.name)])
    return made


@pytest.mark.parametrize("what", MUTANTS)
def test_a_mutant_accepts_what_the_verifier_refuses(
    what: str, monkeypatch: pytest.MonkeyPatch, weaken: Callable[..., None]
) -> None:
    mutant = MUTANTS[what]
    label = "[0,1]" if mutant.sides == "any" else "{0,1}"
    found = lossdsl.check(mutant.formula, label=label, timeout=None).properties
    # Where the loss is not defined everywhere, nothing else is judged.
    assert found[mutant.name].status == "refuted"
    with monkeypatch.context() as patch:
        weaken(patch, mutant.owner, mutant.function, mutant.old, mutant.new)
        weak = wide_of(mutant)
        claim = claim_of(weak, mutant.name) if mutant.claim is None else mutant.claim
        CHECKS[mutant.name](weak, claim)
    with pytest.raises(Rejected):
        CHECKS[mutant.name](wide_of(mutant), claim)


@pytest.mark.parametrize("group", [SPANS, JETS, BOXES], ids=["spans", "jets", "boxes"])
def test_there_are_mutants_of_each_file(group: dict[str, Mutant]) -> None:
    assert len(group) >= 8
