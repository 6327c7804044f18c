"""Every example in a docstring is run, so none of them can be wrong for long."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
from pathlib import Path

import pytest

# Four folders in the clone, one in the wheel: asked of the packages themselves.
PACKAGES = ("lossdsl", "lossdsl.grammar", "lossdsl.recsys", "lossdsl.search")


def modules() -> list[str]:
    found: dict[str, None] = {}
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec is not None and spec.origin is not None
        folder = Path(spec.origin).parent
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if path.name != "__main__.py" and ">>>" in path.read_text(encoding="utf-8"):
                found[".".join((package, *(p for p in parts if p != "__init__")))] = None
    return list(found)


@pytest.mark.parametrize("name", modules())
def test_examples_hold(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # an example that writes a file must not leave it in the clone
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0
