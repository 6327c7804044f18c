"""The properties that the verdict rests on: defined everywhere, uses both inputs, has a slope, points the right way."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from flint import arb, fmpq

from lossdsl.grammar.printer import show_node
from lossdsl.prover.analysis import Analysis, AtLabel, Joint, Side, refine
from lossdsl.prover.limits import Undecided, Undefined
from lossdsl.prover.places import decimal, exact, number, places, readable
from lossdsl.prover.points import Point, between, compare, rational_point
from lossdsl.prover.signs import Part
from lossdsl.report import OPEN, PROVED, REFUTED, SHORT, UNDECIDED, Exact, Finding, Witness

PARAMETERS = dict[str, Fraction]


def axis(analysis: Analysis) -> str:
    return "score" if analysis.score else "pred"


def where(label: Fraction, name: str, place: Exact, parameters: PARAMETERS) -> dict[str, Exact]:
    """The `at` of a witness."""
    return {"label": number(label), name: place, **{k: number(v) for k, v in parameters.items()}}


def at_label(analysis: Analysis, side: Side) -> str:
    """How a sentence begins that is about one label; empty for a formula without label."""
    return f"at label {number(side.label)} " if analysis.labelled else ""


def proof(name: str, analysis: Analysis, detail: str | Callable[[], str], strict: bool = False) -> Finding:
    """A property that holds: proved, unless a step reached only [1e-6, 1-1e-6]."""
    method = method_of(analysis)
    if analysis.signs.short:
        text = detail if isinstance(detail, str) else detail()
        reason = f"{text}; shown on {SHORT} only, closer to the ends it is not decided"
        return Finding(name, UNDECIDED, reason, strict, SHORT, method)
    return Finding(name, PROVED, detail, strict, OPEN, method)


def method_of(analysis: Analysis) -> str:
    """The costliest rule that was needed, in words."""
    used = analysis.signs.methods
    if "boxes" in used:
        return "exact algebra, expansions at the ends and ball arithmetic between them"
    if "ends" in used:
        return "exact algebra and expansions at the ends"
    return "exact algebra"


def undefined(failed: AtLabel, score: bool, parameters: PARAMETERS) -> Finding:
    """`domain`, refuted."""
    error = failed.error
    assert isinstance(error, Undefined)
    name = "score" if score else "pred"
    point = error.where
    blame = show_node(error.node) if error.node is not None else None
    place = f"at label {number(failed.label)} and" if failed.labelled else "at"
    text = f"{place} {name} = {readable(point)} the formula takes {error.why}"
    if blame:
        text += f", in {blame}"
    witness = Witness(where(failed.label, name, exact(point), parameters), "undefined", error.why)
    return Finding("domain", REFUTED, text, method="exact algebra", witness=witness, blame=blame, mend=_mend(error.why))


def _mend(why: str) -> str:
    if "log" in why:
        return "use plog(x), or clamp(x, 1e-6, 1) inside the log; for log(pred) of a score, logsigmoid(score)"
    if "division" in why:
        return "use pinv(x), or add a small number to the divisor"
    if "square root" in why or "power" in why:
        return "use psqrt(x), or abs or relu inside"
    return "clamp the argument"


def uses_pred(analysis: Analysis, parameters: PARAMETERS) -> Finding:
    """At no label is the slope identically zero."""
    for side in analysis.sides:
        if all(s.is_zero for s in side.slopes):
            q = between(side.pieces[0].low, side.pieces[0].high)
            witness = Witness(
                where(side.label, axis(analysis), str(q), parameters), "0", "the slope is zero everywhere"
            )
            detail = f"{at_label(analysis, side)}the loss does not change with {axis(analysis)}: nothing to learn"
            return Finding("uses_pred", REFUTED, detail, method="exact algebra", witness=witness,
                           mend=_other_label(analysis, side))  # fmt: skip
    for side in analysis.sides:
        if not any(_moves(side, i) for i in range(len(side.pieces))):
            return Finding("uses_pred", UNDECIDED, f"at label {number(side.label)} a slope cannot be told from zero")
    return proof("uses_pred", analysis, "the slope is not zero throughout at any label")


def _other_label(analysis: Analysis, side: Side) -> str | None:
    """What to do about a label whose rows teach nothing."""
    if not analysis.labelled or all(s.is_zero for other in analysis.sides for s in other.slopes):
        return "write a formula in which pred or score occurs with a slope"
    if side.label == 1:
        return "add a term for label 1, such as label*(1-pred)"
    return (
        "add a term for label 0, such as (1-label)*pred; labels are 0 and 1 here: where -1 and 1 are meant,"
        " write 2*label-1 for label"
    )


def _moves(side: Side, i: int) -> bool:
    """Whether the slope of a piece is certainly not zero throughout."""
    slope = side.slopes[i]
    if slope.is_zero:
        return False
    piece = side.pieces[i]
    for q in places(piece.low, piece.high, side.terms.score):
        try:
            if side.signs.at(slope, rational_point(q)):
                return True
        except (Undecided, ZeroDivisionError):
            continue
    return False


def uses_label(analysis: Analysis, parameters: PARAMETERS) -> Finding | None:
    """The slopes at label 0 and 1 differ; None where only one of them is judged."""
    zero, one = analysis.side(0), analysis.side(1)
    if zero is None or one is None:
        return None
    field = analysis.field
    unsure = False
    for low, high, (a, b) in refine(analysis, (zero, zero.slopes), (one, one.slopes)):
        if analysis.apart(a, b, between(low, high)):
            return proof("uses_label", analysis, "the slopes at label 0 and 1 differ")
        difference = field.sub(a, b)
        if difference.is_zero:
            continue
        unsure = True
        for q in places(low, high, analysis.score):
            try:
                if analysis.signs.at(difference, rational_point(q)):
                    return proof("uses_label", analysis, "the slopes at label 0 and 1 differ")
            except (Undecided, ZeroDivisionError):
                continue
    if unsure:
        return Finding("uses_label", UNDECIDED, "the slopes at label 0 and 1 cannot be told apart")
    q = between(zero.pieces[0].low, zero.pieces[0].high)
    witness = Witness({axis(analysis): str(q), **{k: number(v) for k, v in parameters.items()}}, "0",
                      "the slopes at label 0 and label 1 are equal")  # fmt: skip
    return Finding("uses_label", REFUTED, "the slope is the same whatever the label: the labels teach nothing",
                   method="exact algebra", witness=witness)  # fmt: skip


def gradient(analysis: Analysis, parameters: PARAMETERS) -> tuple[Finding, list[dict[str, Exact]]]:
    """Continuous, and with a slope but at finitely many kinks, which come back as the second thing."""
    kinks: list[dict[str, Exact]] = []
    unsure: str | None = None
    for side in analysis.sides:
        for i, joint in enumerate(side.joints):
            if side.can_jump:
                jumps = jumps_at(side, joint)
                if any(jumps):
                    return _torn(analysis, side, joint, parameters), []
                if None in jumps:
                    place = f"{axis(analysis)} = {readable(joint.point)}"
                    unsure = f"whether the loss jumps at label {number(side.label)} and {place}"
            if side.jump(joint, side.slopes[i], side.slopes[i + 1]) != 0:
                kinks.append({"label": number(side.label), axis(analysis): exact(joint.point)})
    if unsure is not None:
        return Finding("gradient", UNDECIDED, unsure), kinks
    many = len(kinks)
    detail = "smooth" if not many else f"continuous, with {many} kink{'s' if many > 1 else ''}"
    return proof("gradient", analysis, detail), kinks


def jumps_at(side: Side, joint: Joint) -> list[int | None]:
    """The directions of the jumps at a joint, from left to right."""
    if not side.may_jump(joint):
        return [0]
    if joint.value is None:
        return [side.jump(joint, joint.left.value, joint.right.value)]
    return [side.jump(joint, joint.left.value, joint.value), side.jump(joint, joint.value, joint.right.value)]


def _torn(analysis: Analysis, side: Side, joint: Joint, parameters: PARAMETERS) -> Finding:
    left = side.signs.value(joint.left.value, joint.point)
    right = side.signs.value(joint.right.value, joint.point)
    name, place = axis(analysis), readable(joint.point)
    value = f"{decimal(left)} to {decimal(right)}"
    if joint.value is not None and side.jump(joint, joint.left.value, joint.right.value) == 0:
        value = f"{decimal(left)}, on the place itself {decimal(side.signs.value(joint.value, joint.point))}"
    witness = Witness(where(side.label, name, exact(joint.point), parameters), value, "the loss jumps there")
    detail = (
        f"{at_label(analysis, side)}the loss jumps at {name} = {place}, from {value}; no slope tells the training of it"
    )
    return Finding("gradient", REFUTED, detail, method="exact algebra", witness=witness,
                   mend="use max, min, clamp or abs, that bend but do not tear, or let both branches meet")  # fmt: skip


def monotone(analysis: Analysis, parameters: PARAMETERS) -> Finding:
    """Never rises with pred at label 1, never falls at label 0."""
    judged = [(s, 1 if s.label == 0 else -1) for s in analysis.sides if s.label in (0, 1)]
    strict = True
    for side, way in judged:
        for i in range(len(side.pieces)):
            q = side.wrong_way(i, -way)
            if q is not None:
                return _wrong_way(analysis, side, i, way, q, parameters)
            strict = strict and all(part.sign != 0 for part in side.slope_parts(i))
        if side.can_jump:
            for joint in side.joints:
                for jump in jumps_at(side, joint):
                    if jump is None:
                        raise Undecided(f"whether the loss jumps at {axis(analysis)} = {readable(joint.point)}")
                    if jump == -way:
                        return _jumps_back(analysis, side, joint, way, parameters)
    words = {1: "falls as pred rises at label 1", 0: "rises at label 0"}
    detail = " and ".join(words[int(s.label)] for s, _ in sorted(judged, key=lambda j: -j[0].label))
    return proof("monotone", analysis, "the loss " + detail + ("" if strict else ", resting in places"), strict)


def _wrong_way(analysis: Analysis, side: Side, i: int, way: int, q: fmpq, parameters: PARAMETERS) -> Finding:
    slope = side.signs.value(side.slopes[i], rational_point(q))
    name = axis(analysis)
    verb = "rises" if way < 0 else "falls"
    part = _known_part(side, i, q)
    span = _span(part.low, part.high, name) if part is not None else f"at {name} = {readable(rational_point(q))}"
    why = f"slope {decimal(slope, 6)} {'>' if way < 0 else '<'} 0 {at_label(analysis, side)}".rstrip()
    witness = Witness(where(side.label, name, str(q), parameters), decimal(slope), why)
    detail = f"{at_label(analysis, side)}the loss {verb} with {name} {span}, away from the label"
    return Finding("monotone", REFUTED, detail, method=method_of(analysis), witness=witness)


def seen_wrong(
    label: Fraction, found: tuple[fmpq, arb], score: bool, labelled: bool, parameters: PARAMETERS
) -> Finding:
    """`monotone`, refuted by a slope at one place, without an analysis."""
    q, slope = found
    name, point = "score" if score else "pred", rational_point(q)
    shown = f" at label {number(label)}" if labelled else ""
    why = f"slope {decimal(slope, 6)} {'>' if label == 1 else '<'} 0{shown}"
    witness = Witness(where(label, name, str(q), parameters), decimal(slope), why)
    verb = "rises" if label == 1 else "falls"
    begin = f"at label {number(label)} " if labelled else ""
    detail = f"{begin}the loss {verb} with {name} at {name} = {readable(point)}, away from the label"
    return Finding("monotone", REFUTED, detail, method="a slope in ball arithmetic", witness=witness)


def _known_part(side: Side, i: int, q: fmpq) -> Part | None:
    """The part of one sign around a rational, where it has been worked out already or is cheap to."""
    if not side.signs_known(i):
        return None
    point = rational_point(q)
    return next((p for p in side.slope_parts(i) if compare(p.low, point) < 0 < compare(p.high, point)), None)


def _span(low: Point, high: Point, name: str) -> str:
    closed_low = low.side or low.rational == 0 and name == "pred"
    closed_high = high.side or high.rational == 1 and name == "pred"
    if closed_low and closed_high:
        return "everywhere"
    if closed_high:
        return f"from {name} = {readable(low)} on"
    if closed_low:
        return f"up to {name} = {readable(high)}"
    return f"from {name} = {readable(low)} to {readable(high)}"


def _jumps_back(analysis: Analysis, side: Side, joint: Joint, way: int, parameters: PARAMETERS) -> Finding:
    name = axis(analysis)
    verb = "up" if way < 0 else "down"
    why = f"the loss jumps {verb} there"
    left, right = side.signs.value(joint.left.value, joint.point), side.signs.value(joint.right.value, joint.point)
    witness = Witness(
        where(side.label, name, exact(joint.point), parameters), f"{decimal(left)} to {decimal(right)}", why
    )
    detail = f"{at_label(analysis, side)}the loss jumps {verb} at {name} = {readable(joint.point)}, away from the label"
    return Finding("monotone", REFUTED, detail, method="exact algebra", witness=witness)
