"""lossdsl: loss functions as formulas, read, proved, compiled, trained with and searched for.

`import lossdsl` loads nothing heavy; each name below is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Inside a clone the folder `lossdsl/` shadows an installed copy, and its siblings grammar/, recsys/ and search/ are
# not below it. Importing them by their package name has to work all the same.
_ROOT = Path(__file__).resolve().parent.parent
if (_ROOT / "pyproject.toml").is_file() and str(_ROOT) not in __path__:
    __path__.append(str(_ROOT))

if TYPE_CHECKING:
    from lossdsl.boosting import boosting_objective as boosting_objective
    from lossdsl.checking import check as check
    from lossdsl.equivalence import equivalent as equivalent
    from lossdsl.errors import LossError as LossError
    from lossdsl.errors import LossSyntaxError as LossSyntaxError
    from lossdsl.errors import Span as Span
    from lossdsl.formula import Formula as Formula
    from lossdsl.formula import parse as parse
    from lossdsl.loss import Loss as Loss
    from lossdsl.loss import compile as compile
    from lossdsl.report import Report as Report

__version__ = "0.1.0"

_HOME = {
    "LossError": "lossdsl.errors",
    "LossSyntaxError": "lossdsl.errors",
    "Span": "lossdsl.errors",
    "Formula": "lossdsl.formula",
    "parse": "lossdsl.formula",
    "check": "lossdsl.checking",
    "Report": "lossdsl.report",
    "compile": "lossdsl.loss",
    "Loss": "lossdsl.loss",
    "equivalent": "lossdsl.equivalence",
    "boosting_objective": "lossdsl.boosting",
}
_MODULES = frozenset({"recsys", "search", "testing", "grammar"})

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return import_module(f"lossdsl.{name}")
    raise AttributeError(f"module 'lossdsl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
