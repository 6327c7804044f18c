"""The notebooks run from an empty kernel, and what is stored in them is their own output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent.parent / "docs" / "notebooks").glob("*.ipynb"))


def outputs(cells: list[Any]) -> list[Any]:
    return [output for cell in cells if cell["cell_type"] == "code" for output in cell["outputs"]]


def beginnings(found: list[Any] | None) -> list[list[str]]:
    """The first two words of each line of output."""
    lines = [line for o in found or [] for line in str(o.get("text") or o["data"].get("text/plain")).splitlines()]
    return [line.split()[:2] for line in lines]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_what_is_stored_was_run_in_order(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    cells = json.loads(text)["cells"]
    counts = [cell["execution_count"] for cell in cells if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1)) and len(counts) >= 4
    assert not [o for o in outputs(cells) if o["output_type"] == "error"]
    assert [o for o in outputs(cells) if "image/png" in o.get("data", {})]
    assert "/home/" not in text and "/root/" not in text and "/tmp/" not in text


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_runs(path: Path, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(path, as_version=4)
    stored = [cell.get("outputs") for cell in notebook.cells]
    client.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert outputs(notebook.cells) and not [o for o in outputs(notebook.cells) if o["output_type"] == "error"]
    if path.stem == "check-and-plot":  # nothing in it depends on time or machine; words may change, findings may not
        assert [beginnings(cell.get("outputs")) for cell in notebook.cells] == [beginnings(before) for before in stored]
