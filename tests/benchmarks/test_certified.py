"""The table of what is certified in the docs is the one that the script makes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("`bpr`", "`mse`", "`w*(label-pred)^2 where w in [0.5, 2]`", "`hinge where margin in [0.5, 2]`")


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("certified", ROOT / "benchmarks" / "certified.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_docs() -> str:
    text = (ROOT / "docs" / "certificates.md").read_text(encoding="utf-8")
    return text.partition("<!-- certified -->\n")[2].partition("<!-- end -->")[0].strip() + "\n"


def test_some_rows_of_the_table_are_what_they_say() -> None:
    made, given = script(), in_docs()
    rows = made.table([name.strip("`") for name in QUICK])
    for name, row in zip(QUICK, rows):
        assert row.startswith(f"| {name} |") and row in given.splitlines()


def test_what_is_not_certified_is_not_counted() -> None:
    certified, proved, missing = script().count("(1-2*label)*pred + 0*sign(pred-w) where w in [0.2, 0.4]", "{0,1}")
    assert certified == proved - len(missing) and "gradient" in missing


@pytest.mark.slow
def test_the_table_is_what_the_script_makes() -> None:
    assert in_docs() == script().page()
