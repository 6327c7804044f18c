"""`lossdsl check --certificate` and `lossdsl verify`: exit codes and what is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lossdsl.cli.check import command as check
from lossdsl.cli.verify import command as verify
from lossdsl.errors import LossError
from lossdsl.verifier.verify import checksum


def run(command: object, *args: str) -> Result:
    result = CliRunner().invoke(command, list(args), standalone_mode=False)  # type: ignore[arg-type]
    if result.exception is not None:
        raise result.exception
    return result


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("certificates") / "certificate.json"
    run(check, "bce", "pred*(pred+label)", "log(", "log(pred-label)", "--certificate", str(path), "--exit-zero")
    return path


def test_one_entry_for_each_formula_that_can_be_read(certificate: Path) -> None:
    data = json.loads(certificate.read_text())
    assert [entry["formula"] for entry in data["entries"]] == [
        "-label*log(pred) - (1-label)*log(1-pred)",
        "pred*(pred+label)",
        "log(pred-label)",
    ]
    assert "monotone" in data["entries"][0]["proved"] and "monotone" not in data["entries"][1]["proved"]


def test_what_holds(certificate: Path) -> None:
    result = run(verify, str(certificate))
    assert result.return_value == 0
    assert "verified at labels 0 and 1: domain, uses_pred" in result.output
    assert "nothing is claimed" in result.output
    assert result.output.splitlines()[-1].startswith("all ")
    # bce is valid; of the other two one has claims that hold and is not.
    assert result.output.count("not shown to be valid") == 1
    assert "  not shown to be valid, for that takes monotone too\n" in result.output


def test_a_loss_of_pairs_need_not_use_the_label(tmp_path: Path) -> None:
    path = tmp_path / "pairs.json"
    run(check, "bpr", "--certificate", str(path))
    assert "not shown to be valid" not in run(verify, str(path)).output


def tampered(certificate: Path, path: Path, reseal: bool) -> Path:
    data = json.loads(certificate.read_text())
    data["entries"][0]["cells"][0]["facts"][0][1] = -1
    if reseal:
        data["sha256"] = checksum(data["entries"])
    path.write_text(json.dumps(data))
    return path


def test_what_does_not_hold(certificate: Path, tmp_path: Path) -> None:
    result = run(verify, str(tampered(certificate, tmp_path / "a.json", True)))
    assert result.return_value == 1
    assert "FAILS monotone: cell 0: fact 0: the evidence does not show the sign that is claimed" in result.output
    assert "claims do not hold" in result.output
    result = run(verify, str(tampered(certificate, tmp_path / "b.json", False)))
    assert result.return_value == 1
    assert "checksum" in result.output


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        run(verify, str(tmp_path / "none.json"))
    for content in (b"", b"\xff\xfe", b"hello", b"{}"):
        path = tmp_path / "bad.json"
        path.write_bytes(content)
        with pytest.raises(LossError):
            run(verify, str(path))


def test_a_terminal_is_not_written_to_by_the_file(certificate: Path, tmp_path: Path) -> None:
    data = json.loads(certificate.read_text())
    data["entries"][0]["not certified"] = {"\x1b[31mred": "\x07bell"}
    data["sha256"] = checksum(data["entries"])
    path = tmp_path / "c.json"
    path.write_text(json.dumps(data))
    assert not {"\x1b", "\x07"} & set(run(verify, str(path)).output)


def test_pairs_are_certified_at_label_one(tmp_path: Path) -> None:
    path = tmp_path / "pairs.json"
    run(check, "-logsigmoid(score)", "--pairwise", "--certificate", str(path))
    result = run(verify, str(path))
    assert result.return_value == 0
    assert "verified at label 1: domain, uses_pred, gradient, monotone" in result.output
