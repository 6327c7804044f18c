"""The verifier stands alone: the parser is all that it shares with the engine."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lossdsl.verifier

FOLDER = Path(lossdsl.verifier.__file__).parent
ALLOWED = {
    "__future__", "collections", "contextlib", "contextvars", "dataclasses", "fractions", "functools", "hashlib",
    "itertools", "json", "math", "re", "typing",
}  # fmt: skip
OURS = ("lossdsl.verifier", "lossdsl.grammar", "lossdsl.errors")
ENGINE = ("flint", "sympy", "mpmath", "numpy", "torch", "lossdsl.prover", "lossdsl.certificate", "lossdsl.report")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda p: p.name)
def test_imports_of_each_file(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        for module in modules:
            assert module.split(".")[0] in ALLOWED or module.startswith(OURS), f"{path.name} imports {module}"


def test_verifying_loads_none_of_the_engine(tmp_path: Path) -> None:
    from lossdsl import check, parse
    from lossdsl.certificate import certify, document

    file = tmp_path / "certificate.json"
    file.write_text(document([certify(parse("bce"), check("bce"))]))
    code = f"""
import sys
from lossdsl.verifier import verify
outcome = verify(open({str(file)!r}).read())
assert outcome.ok, outcome
loaded = [m for m in sys.modules if m.startswith({ENGINE!r})]
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
