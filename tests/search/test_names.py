"""What `lossdsl.search` itself has: the commands as functions, and nothing loaded before one is used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import lossdsl.search as package

HEAVY = {"torch", "numba", "pandas", "sklearn", "matplotlib", "numpy", "sympy", "lark"}


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_is_light() -> None:
    loaded = set(run("import lossdsl.search\nimport sys; print(*sys.modules)").split())
    assert not loaded & HEAVY and not {name for name in loaded if name.startswith("lossdsl.search.")}


def test_settings_are_light_too() -> None:
    code = "from lossdsl.search import Settings, for_model, preset\nimport sys; print(*sys.modules)"
    assert not set(run(code).split()) & {"torch", "numba", "pandas"}


def test_every_name_is_there_whatever_was_imported_before() -> None:
    modules = [path.stem for path in Path(package.__file__ or "").parent.glob("*.py") if path.stem != "__init__"]
    assert not set(modules) & set(package.__all__)  # a module of that name would take the place of what is exported
    code = "import lossdsl.search.contest, lossdsl.search.session, lossdsl.search as s\nprint(*map(callable, (%s)))"
    words = run(code % ", ".join(f"s.{name}" for name in package.__all__)).split()
    assert words == ["True"] * len(package.__all__)


def test_the_names_for_a_type_checker_are_those_at_run_time() -> None:
    tree = ast.parse(inspect.getsource(package))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    for line in block.body:
        assert isinstance(line, ast.ImportFrom)
        for alias in line.names:
            home = (f"lossdsl.search.{package._HOME[alias.asname or ''][0]}", package._HOME[alias.asname or ""][1])
            assert (line.module, alias.name) == home
    named = [alias.asname for line in block.body if isinstance(line, ast.ImportFrom) for alias in line.names]
    assert sorted(map(str, named)) == sorted(package.__all__) == sorted(package._HOME)


def test_another_name_is_none() -> None:
    with pytest.raises(AttributeError, match="module 'lossdsl.search' has no attribute 'serach'"):
        package.serach  # noqa: B018
