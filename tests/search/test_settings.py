"""The settings' defaults."""

from __future__ import annotations

from lossdsl.recsys.data import USUAL_READING
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign


def test_what_is_not_said_is_read_as_ever() -> None:
    assert Settings().reading.reading() == USUAL_READING
    assert assign(Settings(), "reading.user=who").reading.reading().user == "who"
