"""The named losses: one text file each, `NAME.loss` beside this module.

A file holds comment lines that begin with `#` (title, paper, equation), an optional line `pairwise`, and one formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class LossFile:
    """One named loss as it stands in its file."""

    name: str
    formula: str
    pairwise: bool
    source: str


@cache
def loss_names() -> tuple[str, ...]:
    """The names, sorted.

    >>> from lossdsl.grammar.losses import loss_names
    >>> "bce" in loss_names()
    True
    """
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.loss")))


@cache
def loss_file(name: str) -> LossFile:
    """What the file of a named loss says; KeyError where there is none."""
    if name not in loss_names():
        raise KeyError(name)
    comments: list[str] = []
    formula: list[str] = []
    pairwise = False
    for line in (_FOLDER / f"{name}.loss").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            comments.append(line[1:].strip())
        elif line.strip() == "pairwise":
            pairwise = True
        elif line.strip():
            formula.append(line.strip())
    return LossFile(name, " ".join(formula), pairwise, "\n".join(comments))
