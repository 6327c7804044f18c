"""Settings as text: read, written, changed, and what is said about wrong ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossdsl.errors import LossError
from lossdsl.search.presets import for_model, preset
from lossdsl.search.settings import Settings
from lossdsl.search.toml import assign, read, write


@pytest.mark.parametrize("settings", [Settings(), preset("autolossgen"), for_model(Settings(), "ranknet")])
def test_what_is_written_reads_back(settings: Settings) -> None:
    assert read(write(settings), Settings(), "text") == settings


@given(st.text())
def test_any_text_is_read_back_or_refused(text: str) -> None:
    settings = Settings(data=text)
    if any("\ud800" <= character <= "\udfff" for character in text):
        with pytest.raises(LossError, match="cannot be written so"):
            write(settings)
    else:
        assert read(write(settings), Settings(), "text") == settings


@pytest.mark.parametrize("text", ["/data/📁/ratings.csv", "a\x7fb", 'quote " and \\', "\x00\t\r\n", "\u2028"])
def test_awkward_names_are_read_back(text: str) -> None:
    assert read(write(Settings(data=text)), Settings(), "text").data == text


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(LossError, match="settings are kept as UTF-8, and 'x.udcff' cannot be written so"):
        write(Settings(data="x\udcff"))


def test_one_value_is_set() -> None:
    assert assign(Settings(), "training.l2=[1e-4, 2e-4]").training.l2 == (1e-4, 2e-4)
    assert assign(Settings(), "training.lr=1").training.lr == 1.0
    assert assign(Settings(), "strategy=random").strategy == "random"
    assert assign(Settings(), "space.clamped=false").space.clamped is False


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("ladder.bach=3", "no setting is called `ladder.bach`; did you mean `ladder.batch`?"),
        ("ladder=3", "`ladder` is a table of settings"),
        ("ladder.batch=many", "`ladder.batch` is a int, such as 48, not 'many'"),
        ("ladder.batch", "--set wants key=value"),
        ("space.clamped=1", "`space.clamped` is a bool"),
    ],
)
def test_wrong_settings_are_named(assignment: str, message: str) -> None:
    with pytest.raises(LossError) as error:
        assign(Settings(), assignment)
    assert message in str(error.value)


def test_what_is_no_toml_is_said() -> None:
    with pytest.raises(LossError, match="here.toml: not TOML"):
        read("a = = 1", Settings(), "here.toml")


def test_a_run_of_before_there_was_a_table_of_reading() -> None:
    text = write(Settings(seed=3))
    begin = text.index("[reading]")
    old = text[:begin] + text[text.index("[space]") :]
    assert "reading" not in old and read(old, Settings(), "text") == Settings(seed=3)
