"""Every code that lossdsl reports: what it means, why it matters for training, an example and its mend."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from textwrap import fill

# LD0xx reading, LD1xx the verdict's properties, LD2xx the other properties, LD3xx dialects.
_PARTS = ("lossdsl.catalogue_reading", "lossdsl.catalogue_properties", "lossdsl.catalogue_dialects")


@dataclass(frozen=True)
class Entry:
    """One row of the catalogue.

    `example` is a formula that has the finding, `mend` the formula without it; both are tested. `dialect` is the
    dialect that they are read in, `options` what else the check has to be told (`--pairwise`).
    """

    code: str
    title: str
    meaning: str
    matters: str
    example: str
    mend: str
    dialect: str = "lossdsl"
    options: tuple[str, ...] = ()

    def render(self) -> str:
        """The entry as `lossdsl explain` prints it."""
        options = "".join(f" {option}" for option in self.options)
        options += f" --dialect {self.dialect}" if self.dialect != "lossdsl" else ""
        meaning, matters = fill(self.meaning, 96), fill(f"Why it matters: {self.matters}", 96)
        pair = f"Example:  {_shown(self.example)}{options}\nMended:   {_shown(self.mend)}"
        return "\n\n".join((f"{self.code}: {self.title}", meaning, matters, pair))


@cache
def catalogue() -> dict[str, Entry]:
    """All entries, by code, in the order of the codes.

    >>> from lossdsl.catalogue import catalogue
    >>> catalogue()["LD003"].title
    'a name has no value'
    """
    entries: list[Entry] = []
    for part in _PARTS:
        if find_spec(part) is not None:
            entries.extend(import_module(part).ENTRIES)
    return {entry.code: entry for entry in sorted(entries, key=lambda entry: entry.code)}


def _shown(formula: str) -> str:
    if len(formula) > 90:
        return f"{formula[:60]} … ({len(formula):,} characters)"
    return formula if formula.isprintable() and formula.strip() else repr(formula)
