"""What became of one entry of a certificate, and the parts that all kinds of entries share."""

from __future__ import annotations

from dataclasses import dataclass, field

from lossdsl.errors import LossError
from lossdsl.verifier.intervals import Unbounded
from lossdsl.verifier.limits import Malformed, Rejected


@dataclass(frozen=True)
class Checked:
    """One formula: the properties that were confirmed, those that were not and why, those never claimed."""

    formula: str
    labels: tuple[int, ...]
    verified: tuple[str, ...] = ()
    failed: dict[str, str] = field(default_factory=dict)
    uncertified: dict[str, str] = field(default_factory=dict)
    scope: str = ""
    """What the claims are about, in words."""


def why(error: Exception) -> str:
    """Why a claim fails. Whatever goes wrong while a claim is looked at, the claim has not been confirmed."""
    if isinstance(error, (Malformed, Rejected, Unbounded, LossError)):
        return str(error)
    return f"looking at it ended in {type(error).__name__}: {str(error)[:200]}"


def text(value: object) -> str:
    if not isinstance(value, str):
        raise Malformed("the formula is a text")
    return value


def reasons(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()) or len(value) > 100:
        raise Malformed("what is not certified is an object of reasons")
    return value
