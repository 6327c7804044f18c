"""How a mistake is shown."""

from __future__ import annotations

import pickle

import pytest

from lossdsl.errors import LossError, LossSyntaxError, MissingExtra, Span


def shown(source: str, start: int, end: int, hint: str | None = "do better") -> list[str]:
    return str(LossSyntaxError("LD000", "wrong", source, Span(start, end), hint)).split("\n")


def test_the_caret_stands_under_the_mistake() -> None:
    assert shown("abc def", 4, 7) == ["1:5: LD000 wrong", "  abc def", "      ^^^", "  hint: do better"]


def test_the_caret_may_stand_behind_the_end() -> None:
    assert shown("abc", 3, 3) == ["1:4: LD000 wrong", "  abc", "     ^", "  hint: do better"]
    assert shown("", 0, 0, None) == ["1:1: LD000 wrong", "  ", "  ^"]


def test_only_the_line_of_the_mistake_is_shown() -> None:
    assert shown("one\ntwo\nthree", 5, 7)[:3] == ["2:2: LD000 wrong", "  two", "   ^^"]
    assert shown("one\ntwo\nthree", 5, 13)[2] == "   ^^"


def test_a_long_line_is_cut_round_the_mistake() -> None:
    lines = shown("a" * 500 + "bcd" + "a" * 500, 500, 503)
    assert lines[0] == "1:501: LD000 wrong"
    assert len(lines[1]) == 102
    column = lines[2].index("^")
    assert lines[1][column : column + 3] == "bcd"
    assert shown("a" * 10_000, 0, 10_000)[2] == "  " + "^" * 100


@pytest.mark.parametrize(
    "source, line", [("a\tb!", "  a b!"), ("a\0b!", "  a�b!"), ("a\u202eb!", "  a�b!"), ("éab!", "  éab!")]
)
def test_what_cannot_be_printed_is_replaced(source: str, line: str) -> None:
    assert shown(source, 3, 4)[1:3] == [line, "     ^"]


def test_wide_and_combining_characters_keep_the_caret_in_place() -> None:
    assert shown("損失!", 2, 3)[2] == "  " + "    ^"
    assert shown("e\u0301!", 2, 3)[2] == "  " + " ^"
    assert shown("損失", 0, 2)[2] == "  ^^^^"


def test_errors_are_value_errors_and_pickle() -> None:
    error = LossSyntaxError("LD000", "wrong", "abc", Span(0, 1), None)
    assert isinstance(error, LossError) and isinstance(error, ValueError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_missing_extra_names_the_command() -> None:
    error = MissingExtra("plot", "a plot")
    assert str(error) == "a plot needs the `plot` extra: pip install 'lossdsl[plot]'"
    assert isinstance(error, ImportError)
    assert isinstance(pickle.loads(pickle.dumps(error)), MissingExtra)
