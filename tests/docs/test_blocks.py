"""The documentation cannot lie: each console and Python block is run and its output compared.

The Python blocks of a page are one program; so is what follows from the console blocks, in one folder. `...` stands for
any text. A block after `<!-- needs: PACKAGE -->` runs where that package is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.test_readme import matches, sessions

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(
    r"(?:^<!-- needs: (?P<needs>\w+) -->\n)?^```(?P<kind>\{?[a-z-]+\}?)[^\n]*\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
KINDS = {"console", "python", "text", "bibtex", "{toctree}", "{eval-rst}", "json", "toml"}
MARK = "--- block {} ---"


def blocks(page: Path) -> list[tuple[str, str, str | None]]:
    return [(m["kind"], m["body"], m["needs"]) for m in BLOCK.finditer(page.read_text(encoding="utf-8"))]


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "NO_COLOR": "1", "COLUMNS": "100", "PYTHONIOENCODING": "utf-8", "PATH": path}


def wanted(body: str) -> str:
    """The output that a block promises: comments behind a print, and the comments that end the block."""
    lines = body.rstrip().split("\n")
    last = max((n for n, line in enumerate(lines) if not line.startswith("#")), default=-1)
    behind = [m[1] for m in (re.match(r".*\bprint\(.*\)  # (.*)$", line) for line in lines[: last + 1]) if m]
    return "\n".join([*behind, *(line.removeprefix("# ") for line in lines[last + 1 :])])


def pages(kind: str) -> list[Path]:
    return [page for page in PAGES if any(k == kind for k, _, _ in blocks(page))]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT / "docs"))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_block_is_left_out(page: Path) -> None:
    found = blocks(page)
    assert {kind for kind, _, _ in found} <= KINDS
    assert len(re.findall(r"^```", page.read_text(encoding="utf-8"), re.MULTILINE)) == 2 * len(found)


@pytest.mark.parametrize("page", pages("python"), ids=name)
def test_python(page: Path, tmp_path: Path) -> None:
    program, promises = [], []
    for kind, body, needs in blocks(page):
        if kind == "python" and (needs is None or find_spec(needs) is not None):
            program.append(f"print({MARK.format(len(promises))!r})\n{body}")
            promises.append(wanted(body) if "print(" in body else "")
    file = tmp_path / "page.py"
    file.write_text("\n".join(program), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(file)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, f"{name(page)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    outputs = re.split(r"--- block \d+ ---\n", done.stdout)[1:]
    assert len(outputs) == len(promises)
    for promise, output in zip(promises, outputs):
        assert matches(promise, output), f"{name(page)}: promised\n{promise}\ngot\n{output}"


@pytest.mark.parametrize("page", pages("console"), ids=name)
def test_console(page: Path, tmp_path: Path) -> None:
    for kind, body, _ in blocks(page):
        if kind != "console":
            continue
        assert sessions(body), f"{name(page)}: a console block without a command"
        for command, promise in sessions(body):
            done = subprocess.run(
                command,
                shell=True,
                cwd=tmp_path,
                env=environment(),
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=300,
            )
            assert matches(promise, done.stdout), f"{name(page)}: $ {command}\n{done.stdout}\n{done.stderr}"


def test_the_promises_are_seen() -> None:
    assert wanted("# a heading\nx = 1  # no promise\nprint(x)  # 1\n# 2\n# ...\n") == "1\n2\n..."
