"""The pages that are tables of the code can be written and lack nothing."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import lossdsl
from lossdsl.catalogue import catalogue
from lossdsl.cli.main import COMMANDS
from lossdsl.grammar.losses import loss_names
from lossdsl.grammar.operators import OPERATORS
from lossdsl.grammar.tree import Apply, walk
from lossdsl.report import CODES, PROPERTIES

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = generator()


@cache
def written(page: str) -> str:
    text = GENERATE.PAGES[page]()
    assert isinstance(text, str)
    return text


def test_nothing_is_missing() -> None:
    assert [c for c in catalogue() if f"## {c}\n" not in written("codes.md")] == []
    assert [c for c in CODES.values() if f"## {c}\n" not in written("codes.md")] == []
    assert [n for n in loss_names() if f"](#{n.replace('_', '-')})" not in written("losses.md")] == []
    assert [c for c in COMMANDS if f"## lossdsl {c}\n" not in written("commands.md")] == []
    assert all(f"| `{row}" in written("operators.md") for row in ("max(", "if(", "-pred", "plog("))
    assert [p for p in PROPERTIES if f"`{p}`" not in (DOCS / "proofs.md").read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_example_of_an_operator_is_one(operator: str) -> None:
    example = GENERATE.OPERATORS[operator][3]
    tree = lossdsl.parse(example, "lossdsl").tree
    assert operator in {node.op for node in walk(tree.root) if isinstance(node, Apply)}


def test_an_operator_without_words_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(GENERATE.OPERATORS, "tanh")
    with pytest.raises(KeyError, match="tanh"):
        GENERATE.operators_page()


@pytest.mark.parametrize("page", ["operators.md", "losses.md", "codes.md", "commands.md"])
def test_tables_are_tables(page: str) -> None:
    width = 0
    for line in written(page).split("\n"):
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert width in (0, cells) or cells == 0, line
        width = cells
