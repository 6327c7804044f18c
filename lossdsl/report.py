"""What is known of a loss: one finding for each property, and the verdict that follows. Plain data, no algebra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lossdsl.errors import LossSyntaxError

if TYPE_CHECKING:
    from lossdsl.formula import Formula

SCHEMA = 1

SEVERITY = {
    "domain": "error",
    "uses_pred": "error",
    "uses_label": "error",
    "gradient": "error",
    "monotone": "error",
    "minimum": "note",
    "no_dead_zone": "warning",
    "bounded_gradient": "note",
    "no_saturation": "warning",
    "convex_pred": "note",
    "convex_score": "note",
    "calibrated": "note",
    "proper": "note",
    "proper_composite": "note",
    "float_safe": "warning",
}
"""How bad it is when a property is refuted."""

PROPERTIES = tuple(SEVERITY)
"""All properties, in the order in which they are reported."""

VERDICT = ("domain", "uses_pred", "uses_label", "gradient", "monotone")
"""The properties that the verdict rests on."""

CODES = {
    "domain": "LD101",
    "uses_pred": "LD102",
    "uses_label": "LD103",
    "gradient": "LD104",
    "monotone": "LD105",
    "minimum": "LD201",
    "no_dead_zone": "LD202",
    "bounded_gradient": "LD203",
    "no_saturation": "LD204",
    "convex_pred": "LD205",
    "convex_score": "LD206",
    "calibrated": "LD207",
    "proper": "LD208",
    "proper_composite": "LD209",
    "float_safe": "LD210",
}
"""The code of each property, for `lossdsl explain`."""

PROVED, REFUTED, UNDECIDED = "proved", "refuted", "undecided"
OPEN, SHORT = "(0, 1)", "[1e-6, 1-1e-6]"
"""How far a proof reaches, in pred."""

Exact = str | list[str]
"""An exact number as text, or an interval `["a", "b"]` that holds it alone."""


@dataclass(frozen=True)
class Witness:
    """A place that refutes a property, exact; `value` is what was found there, `why` says what is wrong with it."""

    at: dict[str, Exact]
    value: str
    why: str

    def to_dict(self) -> dict[str, Any]:
        return {"at": dict(self.at), "value": self.value, "why": self.why}


class _Sentence:
    """A text, or what makes it when it is first read: a good sentence may take longer to find than the answer."""

    def __get__(self, finding: Finding | None, owner: type) -> str:
        if finding is None:
            return ""  # the default
        text = finding.__dict__["detail"]
        if callable(text):
            text = finding.__dict__["detail"] = text()
        return str(text)

    def __set__(self, finding: Finding, text: str | Callable[[], str]) -> None:
        finding.__dict__["detail"] = text


@dataclass(frozen=True)
class Finding:
    """What is known of one property: `proved`, `refuted` (with a witness) or `undecided` (with the reason in `detail`).

    `detail` may be given as a function that makes the text when it is first read. `mend` is a way out, `blame` the
    smallest sub-expression at fault, where they are known.

    >>> Finding("monotone", PROVED, lambda: "made " + "late").detail
    'made late'
    """

    name: str
    status: str
    detail: _Sentence = _Sentence()
    strict: bool = False
    proved_on: str | None = None
    method: str = ""
    witness: Witness | None = None
    mend: str | None = None
    blame: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        # What makes a text does not pickle: the text does.
        return {**self.__dict__, "detail": self.detail}

    @property
    def code(self) -> str:
        """The code that `lossdsl explain` explains."""
        return CODES[self.name]

    @property
    def severity(self) -> str:
        """How bad it is when refuted: `error`, `warning` or `note`."""
        return SEVERITY[self.name]

    def to_dict(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "severity": self.severity,
            "strict": self.strict,
            "proved_on": self.proved_on,
            "code": self.code,
            "method": self.method,
            "detail": self.detail,
            "witness": self.witness.to_dict() if self.witness else None,
            "mend": self.mend,
            "blame": self.blame,
        }


@dataclass
class Report:
    """What `check` found; `to_dict()` is the JSON of `lossdsl check --format json`.

    >>> import lossdsl
    >>> report = lossdsl.check("bce")
    >>> report.verdict, report.properties["monotone"].strict
    ('valid', True)
    """

    source: str
    dialect: str
    formula: Formula | None
    properties: dict[str, Finding] = field(default_factory=dict)
    kinks: tuple[dict[str, Exact], ...] = ()
    ms: float = 0.0
    error: LossSyntaxError | None = None
    notes: tuple[str, ...] = ()
    make_hash: Callable[[], str | None] | None = field(default=None, repr=False)

    @property
    def verdict(self) -> str:
        """`valid`, `invalid`, `unknown` or `error`."""
        if self.error is not None:
            return "error"
        status = [f.status for name, f in self.properties.items() if name in VERDICT]
        if REFUTED in status:
            return "invalid"
        return "valid" if status and all(s == PROVED for s in status) else "unknown"

    @cached_property
    def hash(self) -> str | None:
        """The key of the slopes up to one positive factor; None where it is undecided."""
        return self.make_hash() if self.make_hash is not None else None

    def __getstate__(self) -> dict[str, Any]:
        # The maker of the hash holds the whole analysis, which does not pickle: what it makes does.
        state = dict(self.__dict__)
        state["hash"] = self.hash
        state["make_hash"] = None
        return state

    def __bool__(self) -> bool:
        """Whether the loss is proved valid."""
        return self.verdict == "valid"

    def to_dict(self, full: bool = True) -> dict[str, Any]:
        """The report as JSON; with `full=False` without `simplified` and `latex`, which need SymPy."""
        error = None
        if self.error is not None:
            span = self.error.span
            error = {
                "code": self.error.code,
                "message": self.error.message,
                "span": [span.start, span.end],
                "hint": self.error.hint,
            }
        text = str(self.formula) if self.formula is not None else None
        written = full and self.formula is not None
        return {
            "schema": SCHEMA,
            "source": self.source,
            "dialect": self.dialect,
            "formula": text,
            "verdict": self.verdict,
            "properties": {name: finding.to_dict() for name, finding in self.properties.items()},
            "kinks": [dict(kink) for kink in self.kinks],
            "hash": self.hash,
            "simplified": _simplest(self.formula) if written else None,
            "latex": _attempt(self.formula, "latex") if written else None,
            "ms": round(self.ms, 3),
            "error": error,
        }


def _simplest(formula: Formula | None) -> str | None:
    """The shortest text known of the same value and domain."""
    return None if formula is None else str(formula.simplest)


def _attempt(formula: Formula | None, name: str) -> str | None:
    value = getattr(formula, name, None)
    return None if value is None else str(value)


def error_report(error: LossSyntaxError, source: str, dialect: str) -> Report:
    """The report on a formula that cannot be read.

    >>> from lossdsl.errors import LossSyntaxError
    >>> import lossdsl
    >>> try:
    ...     lossdsl.parse("log(")
    ... except LossSyntaxError as error:
    ...     print(error_report(error, "log(", "lossdsl").verdict)
    error
    """
    return Report(source, dialect, None, error=error)
