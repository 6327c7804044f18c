"""The house's walls: who may import whom, what a plain import costs, what must never be called."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"grammar": "lossdsl.grammar", "lossdsl": "lossdsl", "recsys": "lossdsl.recsys", "search": "lossdsl.search"}
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
HEAVY = ("torch", "numba", "pandas", "sklearn", "matplotlib")


def imports(path: Path) -> list[tuple[str, bool]]:
    """Modules that a file imports, each with whether it does so when it is itself imported."""
    tree = ast.parse(path.read_text())
    inner = {
        id(n) for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef)) for n in ast.walk(f)
    }
    for block in ast.walk(tree):
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test):
            inner.update(id(n) for n in ast.walk(block))
    found: list[tuple[str, bool]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) not in inner) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += [(f"{node.module}.{alias.name}", id(node) not in inner) for alias in node.names]
    return found


def package(path: Path) -> str:
    return FOLDERS[path.relative_to(ROOT).parts[0]]


def within(module: str, *packages: str) -> bool:
    return any(module == p or module.startswith(p + ".") for p in packages)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_stay_inside_the_table(path: Path) -> None:
    ours = [(m, now) for m, now in imports(path) if within(m, "lossdsl")]
    home = package(path)
    for module, now in ours:
        if home == "lossdsl.grammar":
            assert within(module, "lossdsl.grammar", "lossdsl.errors"), module
        elif home == "lossdsl.recsys":
            assert not within(module, "lossdsl.search", "lossdsl.cli"), module
        elif home == "lossdsl.search":
            assert not within(module, "lossdsl.cli"), module
        elif "cli" in path.parts:
            if within(module, "lossdsl.recsys", "lossdsl.search"):
                assert not now, f"{module} belongs inside the command's function"
        else:
            assert not within(module, "lossdsl.recsys", "lossdsl.search", "lossdsl.cli") or path.name in (
                "__main__.py",
                "__init__.py",
            ), module


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_executes_text(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {
                "eval",
                "exec",
                "sympify",
                "sympy.sympify",
                "parse_expr",
                "pickle.load",
                "pickle.loads",
            }
            if called in {"np.load", "numpy.load"}:
                assert any(k.arg == "allow_pickle" and ast.unparse(k.value) == "False" for k in node.keywords)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_names_of_files_say_something(path: Path) -> None:
    assert path.stem not in {"utils", "helpers", "common", "misc"}


def loaded(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_import_is_light() -> None:
    modules = loaded("import lossdsl")
    assert not modules & {*HEAVY, "sympy", "lark", "flint", "click"}


def test_check_is_light() -> None:
    modules = loaded("import lossdsl; lossdsl.check('bce'); lossdsl.check('max(pred, label)')")
    assert not modules & set(HEAVY)


def test_the_command_check_is_light() -> None:
    call = "main(['check', 'bce', '-log(pred)', '--exit-zero'])"
    code = f"from lossdsl.cli.main import main\ntry: {call}\nexcept SystemExit: pass"
    assert not loaded(code) & set(HEAVY)
