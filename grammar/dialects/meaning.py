"""What a batch's formula means for one prediction.

Reductions around the whole fall away, a pair's difference is a score, an equation of labels is a comparison.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from lossdsl.errors import Span
from lossdsl.grammar.dialects.scan import Mark, Token, apply
from lossdsl.grammar.naming import AMBIGUOUS, WHICH
from lossdsl.grammar.tree import Apply, Name, Node, Number, walk

REDUCING = ("mean", "sum")  # made by the readers, taken away here; no operators of the language
CONSTANT, POINT = "constant", "point"
COMPARISONS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_FLIPPED = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}


def compare(sign: str, left: Node, right: Node, place: Token | Node, mark: Mark, notes: list[str]) -> Node:
    """A condition. `label == 1` is one too, as labels never leave [0, 1]; any other equation is refused."""
    if sign in COMPARISONS:
        return apply(COMPARISONS[sign], left, right)
    if isinstance(left, Number):
        left, right = right, left
    if left == Name("label") and isinstance(right, Number) and right.value in (0, 1):
        op = "ge" if right.value == 1 else "le"
        op = op if sign in ("=", "==") else _FLIPPED[op]
        spelled = next(text for text, name in COMPARISONS.items() if name == op)
        notes.append(f"label {sign} {right.value} is read by label {spelled} {right.value}")
        return apply(op, left, right)
    hint = "only the label is compared so, with 0 or 1; for all else use < <= > >="
    if left == Name("label"):
        hint = "labels here are 0 and 1: where -1 is meant, write 0"
    raise mark.at("LD304", f"`{sign}` cannot be a condition here", place, hint)


def complement(one: Node, other: Node) -> bool:
    """Whether exactly one of two conditions holds, for labels 0 and 1."""
    if not (isinstance(one, Apply) and isinstance(other, Apply)):
        return False
    if one.args == other.args:
        return _FLIPPED.get(one.op) == other.op
    label = Name("label")
    at_one, at_zero = (apply("ge", label, Number(Fraction(1))), apply("le", label, Number(Fraction(0))))
    return (one, other) in ((at_one, at_zero), (at_zero, at_one))


def strip_reductions(root: Node, mark: Mark, constants: Iterable[str]) -> tuple[Node, str | None]:
    """The formula inside `-torch.mean(…)` and the like, and which reduction stood around it.

    A mean may be negated, scaled by a constant and added to other means: that is the mean of the whole. A reduction
    under anything else makes a loss of the batch that no formula of one prediction can stand for.
    """
    if not any(isinstance(n, Apply) and n.op in REDUCING for n in walk(root)):
        return root, None
    fixed = frozenset(constants)
    done: dict[Node, tuple[Node, str]] = {}
    for node in walk(root):
        if isinstance(node, Name):
            done[node] = (node, CONSTANT if node.name in fixed else POINT)
        elif isinstance(node, Apply):
            # A name keeps its own place: `done` has that of the first equal one.
            parts = [(a, done[a][1]) if isinstance(a, Name) else done[a] for a in node.args]
            done[node] = _strip(node, parts, mark)
        else:
            done[node] = (node, CONSTANT)
    inside, kind = done[root]
    return inside, kind if kind in REDUCING else None


def _strip(node: Apply, parts: list[tuple[Node, str]], mark: Mark) -> tuple[Node, str]:
    args = tuple(p[0] for p in parts)
    kinds = [p[1] for p in parts]
    if node.op in REDUCING:
        return args[0], node.op
    new = node if all(a is b for a, b in zip(args, node.args)) else Apply(node.op, args, span=node.span)
    reduced = [k for k in kinds if k in REDUCING]
    if not reduced:
        return new, POINT if POINT in kinds else CONSTANT
    others = [k for k in kinds if k not in REDUCING]
    linear = (
        node.op == "neg"
        or (node.op == "mul" and others == [CONSTANT])
        or (node.op == "div" and kinds[1] == CONSTANT)
        or (node.op in ("add", "sub") and len(set(kinds)) == 1)
        or (node.op in ("add", "sub") and others == [CONSTANT] and reduced == ["mean"])
    )
    if linear:
        return new, reduced[0]
    culprit = next(a for a, k in zip(node.args, kinds) if k in REDUCING)
    raise mark.at(
        "LD302", f"a {reduced[0]} over the batch stands inside the formula", culprit,
        "a formula is the loss of one prediction: only a mean or a sum around the whole can be dropped",
    )  # fmt: skip


def refuse_ambiguous(root: Node, mark: Mark, constants: Iterable[str]) -> None:
    """Ask which it is where a name can be pred as well as score."""
    fixed = frozenset(constants)
    for node in walk(root):
        if isinstance(node, Name) and node.name in AMBIGUOUS and node.name not in fixed:
            raise mark.at("LD003", f"the name `{node.name}` has no value", node, WHICH)


def refuse_p_as_power(root: Node, mark: Mark) -> None:
    """Ask what `p` is in an exponent: the order of a norm, as a rule, and hardly the prediction."""
    for node in walk(root):
        if isinstance(node, Apply) and node.op == "pow" and isinstance(node.args[1], Name):
            exponent = node.args[1]
            if exponent.name == "pred" and mark.shown(exponent) == "p":
                hint = "where p is a number, add `where p = 2`; where it is the prediction, write pred"
                raise mark.at("LD003", "whether the power `p` is the prediction is not clear", exponent, hint)


def squashed(root: Node) -> bool:
    """Whether the prediction is taken for a logit somewhere, which many a project and paper calls by its name.

    >>> from lossdsl.grammar.parser import read
    >>> squashed(read("softplus(-pred)").tree.root), squashed(read("softplus(-score) + pred").tree.root)
    (True, False)
    """
    pred = Name("pred")
    signed = (pred, Apply("neg", (pred,)))
    denominators = [Apply("add", (Number(Fraction(1)), Apply("exp", (one,)))) for one in signed]
    return any(
        node in denominators
        or (isinstance(node, Apply) and node.op in ("sigmoid", "logsigmoid", "softplus") and node.args[0] in signed)
        for node in walk(root)
    )


def is_pair_name(name: str) -> tuple[str, int] | None:
    """The family of a pair's member, and +1 for the one to be ranked higher, -1 for the other.

    >>> is_pair_name("pos_score"), is_pair_name("neg_score"), is_pair_name("x2"), is_pair_name("pos_weight")
    (('score', 1), ('score', -1), ('x', -1), None)
    """
    match = _PAIR.fullmatch(name)
    if match is None:
        return None
    family = next((match[k] for k in ("what", "before", "letter", "base") if match[k]), "")
    return family.rstrip("s"), 1 if any(match[k] for k in ("pos", "pos_after", "one", "i")) else -1


_WHAT = "rewards?|scores?|item_scores?|logits?|preds?|predictions?|outputs?|out|items?|ratings?|y|x|s"
_PAIR = re.compile(
    rf"(?:(?P<pos>pos|positive|chosen)|(?P<neg>neg|negative|rejected))(?:_(?P<what>{_WHAT}))?"
    rf"|(?P<before>{_WHAT})_(?:(?P<pos_after>pos|positive|p|chosen)|(?P<neg_after>neg|negative|n|rejected))"
    r"|(?P<letter>x|input|s|score)_?(?:(?P<one>1)|(?P<two>2))"
    r"|(?P<base>s|x|score|y_hat|y_pred)_(?:(?P<i>u?i)|(?P<j>u?j))"
)


@dataclass(frozen=True, slots=True)
class _Member:
    """A pair's member in a sum: `side` +1 is to be ranked higher, `factor` is its sign there."""

    family: str
    side: int
    factor: int
    name: Name


@dataclass(frozen=True, slots=True)
class _Sum:
    """`rest` (None: nothing) plus members that still look for their partner."""

    rest: Node | None
    members: tuple[_Member, ...] = ()


def pair_differences(
    root: Node, mark: Mark, constants: Iterable[str], members: Mapping[str, tuple[str, int]] | None = None
) -> tuple[Node, str | None]:
    """The tree with `pos_score - neg_score` and its kin read as `score`; and the difference as it was written.

    `margin - pos + neg` is `margin - score`: the two may stand apart in a sum. One alone has no meaning. `members` says
    which names are a pair's, as `is_pair_name` does for Python's.
    """
    fixed = frozenset(constants)
    example = "pos_score - neg_score" if members is None else "s_i - s_j"
    written: list[str] = []
    done: dict[Node, _Sum] = {}

    def whole(node: Node) -> Node:
        part = done[node]
        if part.members:
            alone = part.members[0].name.name
            # Equal names are one node: the one that stands here is found by looking from here.
            name = next(n for n in walk(node) if isinstance(n, Name) and n.name == alone)
            raise mark.at(
                "LD303", f"`{mark.shown(name)}` stands without its partner", name,
                f"a pair is seen by the difference of its scores, as in {example}; a single item by score and label",
            )  # fmt: skip
        assert part.rest is not None
        return part.rest

    for node in walk(root):
        if isinstance(node, Name):
            pair = members.get(node.name) if members is not None else is_pair_name(node.name)
            if node.name in fixed:
                pair = None
            done[node] = _Sum(None, (_Member(*pair, 1, node),)) if pair else _Sum(node)
        elif not isinstance(node, Apply):
            done[node] = _Sum(node)
        elif node.op in ("add", "sub", "neg") and any(done[a].members for a in node.args):
            done[node] = _meet(node, [done[a] for a in node.args], mark, written)
        else:
            args = tuple(whole(a) for a in node.args)
            same = all(a is b for a, b in zip(args, node.args))
            done[node] = _Sum(node if same else Apply(node.op, args, span=node.span))
    return whole(root), written[0] if written else None


def _meet(node: Apply, parts: list[_Sum], mark: Mark, written: list[str]) -> _Sum:
    """A sum, difference or negation with members in it: partners of opposite sign become `score`."""
    signs = (-1,) if node.op == "neg" else (1, 1 if node.op == "add" else -1)
    rest: Node | None = None
    open_members: list[_Member] = []
    for part, sign in zip(parts, signs):
        if part.rest is not None:
            rest = _plus(rest, part.rest, sign, node.span)
        for member in part.members:
            new = _Member(member.family, member.side, member.factor * sign, member.name)
            partner = next((m for m in open_members if _partners(m, new)), None)
            if partner is None:
                open_members.append(new)
                continue
            open_members.remove(partner)
            high, low = (new, partner) if new.side > 0 else (partner, new)
            written.append(f"{mark.shown(high.name)} - {mark.shown(low.name)}")
            rest = _plus(rest, Name("score", span=node.span), high.factor, node.span)
    return _Sum(rest, tuple(open_members))


def _partners(one: _Member, other: _Member) -> bool:
    return one.family == other.family and one.side == -other.side and one.factor == -other.factor


def _plus(left: Node | None, right: Node, sign: int, span: Span | None) -> Node:
    if left is None:
        return right if sign > 0 else apply("neg", right, span=span)
    return apply("add" if sign > 0 else "sub", left, right, span=span)
