"""`lossdsl explain`."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from lossdsl.catalogue import catalogue
from lossdsl.cli.explain import command


def run(*args: str) -> Result:
    result = CliRunner().invoke(command, list(args), standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result


@pytest.mark.parametrize("code", catalogue())
def test_each_code_is_explained(code: str) -> None:
    result = run(code.lower())
    assert result.return_value == 0
    assert result.stdout.startswith(f"{code}: ")
    for part in ("Why it matters: ", "Example:  ", "Mended:   "):
        assert part in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 130


def test_without_a_code_all_are_listed() -> None:
    lines = run().stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(catalogue())


def test_all() -> None:
    output = run("--all").stdout
    assert all(entry.meaning.split()[0] in output for entry in catalogue().values())
    assert output.count("Why it matters") == len(catalogue())


def test_an_unknown_code_is_wrong_usage() -> None:
    result = run("LD00")
    assert result.return_value == 2
    assert "did you mean `LD0" in result.stderr
    assert "lists the codes" in run("nonsense").stderr
