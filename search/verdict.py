"""The exact prover's word on a candidate; no loss is called the best without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lossdsl.formula import parse
from lossdsl.search.gate import DECISIVE

if TYPE_CHECKING:
    from lossdsl.report import Report


class Judge:
    """Checks formulas and remembers what came out. Proofs are bounded by counted steps, never by the clock.

    >>> from lossdsl.search.verdict import Judge
    >>> Judge(pairwise=False).verdict("(label-pred)^2")
    'valid'
    """

    def __init__(self, *, pairwise: bool) -> None:
        self.pairwise = pairwise
        self._known: dict[str, str] = {}

    def verdict(self, text: str) -> str:
        """valid, invalid or unknown."""
        if text not in self._known:
            self._known[text] = self.report(text, DECISIVE).verdict
        return self._known[text]

    def report(self, text: str, properties: Any = None) -> Report:
        """The whole report."""
        from lossdsl.checking import check

        return check(
            parse(text, dialect="lossdsl"),
            pairwise=self.pairwise or None,
            timeout=None,
            properties=properties,
        )
