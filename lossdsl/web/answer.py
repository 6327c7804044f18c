"""What the page is told about a formula: plain data in, plain data out, no web in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lossdsl.errors import LossError, LossSyntaxError

if TYPE_CHECKING:
    from lossdsl.formula import Formula

TIMEOUT = 1.0  # seconds for the proofs of one formula, as on the command line
LABELS = ("{0,1}", "{1}", "[0,1]")
AXES = ("auto", "pred", "score")


class BadRequest(LossError):
    """A request that the page never sends."""


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Report, curves, LaTeX and PyTorch source of `request["formula"]`.

    Keys that may be left out: `dialect` (auto), `label` ("{0,1}"), `pairwise` (false), `beside` (a named loss, or
    none), `axis` (auto, pred, score). Raises BadRequest for anything else; a mistake in the formula is an answer.

    >>> found = answer({"formula": "-log(pred", "beside": "bce"})
    >>> found["report"]["verdict"], found["report"]["error"]["code"]
    ('error', 'LD006')
    """
    from lossdsl.checking import check
    from lossdsl.formula import parse
    from lossdsl.grammar.dialects import write
    from lossdsl.report import error_report
    from lossdsl.web.pytorch import source

    asked = _validated(request)
    try:
        formula = parse(asked["formula"], dialect=asked["dialect"])
    except LossSyntaxError as error:
        report = error_report(error, asked["formula"], asked["dialect"]).to_dict(full=False)
        return {"report": report, "notes": [], "pictures": [], "latex": None, "pytorch": None}
    pairwise = True if asked["pairwise"] else None
    report_ = check(formula, pairwise=pairwise, label=asked["label"], timeout=TIMEOUT)
    report = report_.to_dict(full=False)
    for finding in report["properties"].values():
        finding["explanation"] = _explanation(finding["code"])
    notes = list(dict.fromkeys([*formula.notes, *report_.notes]))
    return {
        "report": report,
        "notes": notes,
        "pictures": _pictures(formula, asked),
        "latex": _attempt(lambda f: write(f.tree, "latex"), formula),
        "pytorch": _attempt(source, formula),
    }


def _explanation(code: str) -> str | None:
    from lossdsl.catalogue import catalogue

    entry = catalogue().get(code)
    return f"{code}. {entry.meaning}\n{entry.matters}" if entry else None


def _validated(request: dict[str, Any]) -> dict[str, Any]:
    from lossdsl.grammar.dialects import DIALECTS
    from lossdsl.grammar.losses import loss_names

    allowed: dict[str, tuple[Any, ...]] = {
        "dialect": ("auto", *DIALECTS),
        "label": LABELS,
        "pairwise": (False, True),
        "beside": ("", *loss_names()),
        "axis": AXES,
    }
    if not isinstance(request, dict) or not isinstance(request.get("formula"), str):
        raise BadRequest('send {"formula": "…"}')
    asked = {"formula": request["formula"]}
    for key in request:
        if key != "formula" and key not in allowed:
            raise BadRequest(f"unknown key {key[:40]!r}")
    for key, choices in allowed.items():
        value = request.get(key, choices[0])
        if type(value) is not type(choices[0]) or value not in choices:
            raise BadRequest(f"`{key}` is one of {', '.join(map(repr, choices))}")
        asked[key] = value
    return asked


def _pictures(formula: Formula, asked: dict[str, Any]) -> list[dict[str, str]]:
    from lossdsl.curves import trace
    from lossdsl.formula import parse
    from lossdsl.web.picture import panel

    losses = [formula]
    titles = [formula.name or "this loss"]
    if asked["beside"] and asked["beside"] != formula.name:
        losses.append(parse(asked["beside"], dialect="lossdsl"))
        titles.append(asked["beside"])
    axis = None if asked["axis"] == "auto" else asked["axis"]
    pairs = asked["pairwise"] or formula.pairwise
    try:
        curves = trace(*losses, axis=axis, pairwise=pairs, titles=titles)
    except LossError:  # nothing to draw; the report says what is wrong with the formula
        return []
    alt = curves.describe()
    return [{"quantity": quantity, "alt": alt, "svg": panel(curves, quantity)} for quantity in ("value", "slope")]


def _attempt(write: Callable[[Formula], str], formula: Formula) -> str | None:
    try:
        return write(formula)
    except LossError:  # this language cannot say it
        return None
