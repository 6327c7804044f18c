"""The catalogue: each reading code's example has it, each mend has not, and every code raised is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lossdsl
import lossdsl.grammar
from lossdsl.catalogue import Entry, catalogue
from lossdsl.errors import LossSyntaxError
from lossdsl.formula import parse

READING = [entry for code, entry in catalogue().items() if code < "LD100"]


@pytest.mark.parametrize("entry", READING, ids=[entry.code for entry in READING])
def test_the_example_has_the_code_and_the_mend_has_none(entry: Entry) -> None:
    with pytest.raises(LossSyntaxError) as caught:
        parse(entry.example, entry.dialect)
    assert caught.value.code == entry.code
    assert str(parse(entry.mend, entry.dialect))


def test_every_code_that_the_sources_raise_is_explained() -> None:
    raised: set[str] = set()
    for package in (lossdsl, lossdsl.grammar):  # two folders in the clone, one inside the other when installed
        for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            if not path.name.startswith("catalogue"):
                raised.update(re.findall(r"\"(LD\d{3})\"", path.read_text(encoding="utf-8")))
    assert raised
    assert raised <= set(catalogue())


def test_rows_are_sentences() -> None:
    for entry in catalogue().values():
        assert re.fullmatch(r"LD\d{3}", entry.code)
        assert not entry.title[0].isupper() and not entry.title.endswith(".")
        assert entry.meaning.endswith(".") and entry.matters.endswith(".")
