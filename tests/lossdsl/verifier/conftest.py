"""Weakened rules: a function of the verifier with one expression changed."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


def _weaken(patch: pytest.MonkeyPatch, owner: Any, function: str, old: str, new: str) -> None:
    """Puts a mutant in the place of a function of a class or module, wherever that is known by its name."""
    kept = inspect.getattr_static(owner, function)
    source = textwrap.dedent(inspect.getsource(kept.fget if isinstance(kept, property) else kept))
    if old not in source:
        old = textwrap.indent(old, "    ").lstrip()
    assert source.count(old) == 1, source
    module = owner if isinstance(owner, ModuleType) else sys.modules[owner.__module__]
    names = dict(vars(module))
    text = "from __future__ import annotations\n" + source.replace(old, new)
    exec(compile(text, "mutant", "exec"), names)  # noqa: S102 - the project's own source, one expression changed
    if not isinstance(owner, ModuleType):
        patch.setattr(owner, function, names[function])
        return
    for name, place in list(sys.modules.items()):
        if name.startswith("lossdsl.") and vars(place).get(function) is kept:
            patch.setattr(place, function, names[function])


@pytest.fixture
def weaken() -> Callable[..., None]:
    return _weaken
