"""The README cannot lie: each console and Python block is run, its output compared (`...` stands for anything)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?P<kind>[a-z]+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(m["kind"], m["body"], README.count("\n", 0, m.start()) + 1) for m in BLOCK.finditer(README)]
# What a block may be: run and compared, or plainly not a program.
KINDS = {"console", "python", "yaml"}


def matches(wanted: str, got: str) -> bool:
    """Whether `got` is `wanted`, where `...` stands for any text and trailing blanks do not count."""
    clean = "\n".join(line.rstrip() for line in wanted.strip().splitlines())
    pattern = ".*?".join(re.escape(part) for part in clean.split("..."))
    return re.fullmatch(pattern, "\n".join(line.rstrip() for line in got.strip().splitlines()), re.DOTALL) is not None


def sessions(body: str) -> list[tuple[str, str]]:
    """Commands of a console block, each with the output that follows it."""
    found: list[tuple[str, str]] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif found and found[-1][0].endswith("\\") and line.startswith("> "):
            command, output = found[-1]
            found[-1] = (command[:-1] + line[2:], output)
        elif found:
            command, output = found[-1]
            found[-1] = (command, output + line + "\n")
    return found


def test_no_block_is_left_out() -> None:
    assert {kind for kind, _, _ in BLOCKS} <= KINDS
    assert sum(kind == "console" for kind, _, _ in BLOCKS) >= 4
    assert README.count("\n```") == 2 * len(BLOCKS)


def test_the_comparison_can_fail() -> None:
    assert matches("a ... c\n", "a b c  \n")
    assert not matches("a ... c", "a b d")
    assert not matches("valid", "invalid")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all blocks: a later one may use the files of an earlier one."""
    return tmp_path_factory.mktemp("readme")


@pytest.mark.parametrize("kind, body, line", BLOCKS, ids=[f"line{line}-{kind}" for kind, _, line in BLOCKS])
def test_block(kind: str, body: str, line: int, folder: Path) -> None:
    environment = {
        **os.environ,
        "NO_COLOR": "1",
        "COLUMNS": "100",
        "PYTHONIOENCODING": "utf-8",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    if kind == "console":
        assert sessions(body), f"README.md:{line}: no command"
        for command, wanted in sessions(body):
            if command.startswith(("make ", "pip install", "git clone", "cd ")):
                continue  # the continuous integration is itself `make test` on a fresh clone
            done = subprocess.run(
                command, shell=True, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=300
            )
            assert matches(wanted, done.stdout), f"README.md:{line}: $ {command}\n{done.stdout}\n{done.stderr}"
    elif kind == "python":
        done = subprocess.run(
            [sys.executable, "-c", body], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"README.md:{line}\n{done.stderr}"
        wanted = "\n".join(re.findall(r"  # (.*)$", body, re.MULTILINE))
        if "print(" in body:
            assert matches(wanted, done.stdout), f"README.md:{line}\n{done.stdout}"
