"""The dialects' rows: each example has its code, each mend has none."""

from __future__ import annotations

import pytest

from lossdsl.catalogue import Entry
from lossdsl.catalogue_dialects import ENTRIES
from lossdsl.errors import LossSyntaxError
from lossdsl.formula import parse


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.code for entry in ENTRIES])
def test_the_example_has_the_code_and_the_mend_has_none(entry: Entry) -> None:
    with pytest.raises(LossSyntaxError) as caught:
        parse(entry.example, entry.dialect)
    assert caught.value.code == entry.code
    assert str(parse(entry.mend, entry.dialect))
