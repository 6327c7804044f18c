"""`lossdsl equiv`: same, different, undecided, unreadable."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from lossdsl.cli.equiv import command

CASES = [
    ("pred*label", "label*pred", 0),
    ("(label-pred)^2", "2*(pred-label)^2 + label", 0),
    ("log(1/pred)", "-log(pred)", 0),
    ("focal where gamma = 0", "bce", 0),
    ("bce", "mse", 1),
    ("pred*label", "-pred*label", 1),
    ("log(", "bce", 1),
]


@pytest.mark.parametrize("first, second, code", CASES)
def test_exit_code(first: str, second: str, code: int) -> None:
    result = CliRunner().invoke(command, [first, second], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    assert result.return_value == code


def test_pairs_are_compared_as_what_is_trained() -> None:
    for second, code, word in (("bce", 0, "same"), ("mse", 1, "different"), ("log(pred-0.5)", 3, "undecided")):
        result = CliRunner().invoke(command, ["--pairwise", "-logsigmoid(score)", second], standalone_mode=False)
        assert result.return_value == code and result.output.splitlines()[-1].startswith(word)
