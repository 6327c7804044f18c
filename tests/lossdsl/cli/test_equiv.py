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


def test_undecided_says_why() -> None:
    """A formula without label counts at label 1 alone, one with a label at both: nothing is compared then."""
    apart = CliRunner().invoke(command, ["--pairwise", "-logsigmoid(score)", "bce"], standalone_mode=False)
    assert apart.return_value == 3
    assert apart.output.splitlines()[-1] == (
        "undecided: one has a label and the other has none, so as pairs they are read at different labels"
    )
    same = CliRunner().invoke(command, ["--pairwise", "bce", "bce"], standalone_mode=False)
    assert same.return_value == 0 and same.output.splitlines()[-1].startswith("same")
