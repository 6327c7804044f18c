"""`lossdsl check`: verdicts, exit codes, files, formats. Whole processes only where the process matters."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from lossdsl.cli.check import command


def run(*args: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(command, list(args), input=stdin, standalone_mode=False)


def code(result: Result) -> int:
    if result.exception is not None:
        raise result.exception
    value = result.return_value
    assert isinstance(value, int)
    return value


VERDICTS = {
    "bce": ("valid", 0),
    "mse": ("valid", 0),
    "-log(pred)": ("invalid", 1),
    "pred*label": ("invalid", 1),
    "label^2": ("invalid", 1),
    "(pred-0.5)^2": ("invalid", 1),
    "label*(1-pred)": ("invalid", 1),
    "9^9^9^9": ("error", 1),
    "log(a": ("error", 1),
    "": ("error", 1),
}


@pytest.mark.parametrize("formula", VERDICTS)
def test_verdict_and_exit_code(formula: str) -> None:
    result = run(formula, "--format", "json")
    verdict, exit_code = VERDICTS[formula]
    (report,) = json.loads(result.output)
    assert (report["verdict"], code(result)) == (verdict, exit_code)


@pytest.mark.parametrize("formula", ["-log(pred)", "-(label*log(pred))", "-focal", "-if(pred > 0.5, 1, 0)"])
def test_formulas_may_begin_with_a_minus(formula: str) -> None:
    result = run(formula, "--format", "json")
    (report,) = json.loads(result.output)
    assert report["source"] == formula
    assert code(result) == 1


def test_blame_has_a_witness_that_is_a_point() -> None:
    (report,) = json.loads(run("label*(1-pred)", "--format", "json").output)
    assert report["properties"]["uses_pred"]["status"] == "refuted"
    assert report["properties"]["monotone"]["status"] == "proved"
    (report,) = json.loads(run("-mse_is_not_a_name", "--format", "json").output)
    assert report["error"]["span"] == [1, 18]


def test_pairwise_reading() -> None:
    assert code(run("-logsigmoid(score)")) == 1
    assert code(run("-logsigmoid(score)", "--pairwise")) == 0
    assert "add --pairwise" in run("-logsigmoid(score)").output


def test_file_with_one_bad_line_still_checks_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "losses.txt"
    file.write_bytes(b"\xef\xbb\xbf# mine\r\nbce  # a comment\r\n\r\n-log(prd)\r\nmse\r\n")
    result = run("-f", str(file))
    assert code(result) == 1
    assert f"{file}:4:6: LD" in result.output
    assert result.output.count("\n  valid") == 2
    assert "did you mean `pred`?" in result.output


def test_standard_input_and_many_files(tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("bce\n")
    two.write_text("mse\n")
    result = run("-f", str(one), "-f", str(two), "-", "--format", "jsonl", stdin="focal\n")
    assert [json.loads(line)["verdict"] for line in result.output.splitlines()] == ["valid"] * 3
    assert code(run("--as-files", str(one), str(two))) == 0


def test_unreadable_files_are_usage(tmp_path: Path) -> None:
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"bce\n\xff\xfe\n")
    lossdsl = [sys.executable, "-m", "lossdsl", "check"]
    for arguments in (
        ["-f", str(binary)],
        ["-f", str(tmp_path / "absent.txt")],
        [],
        ["--nonsense", "bce"],
        ["bce", "--label", "{2}"],
    ):
        done = subprocess.run([*lossdsl, *arguments], capture_output=True, text=True)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr
    assert (
        f"{binary}:2: this file is not UTF-8 text (byte 4)"
        in subprocess.run([*lossdsl, "-f", str(binary)], capture_output=True, text=True).stderr
    )


def test_fail_on_and_exit_zero() -> None:
    assert code(run("hinge")) == 0
    assert code(run("hinge", "--fail-on", "warning")) == 1  # its dead zone is right, and a warning
    assert code(run("pred*label", "--exit-zero")) == 0


def test_concise_counts_the_lines_of_what_was_pasted() -> None:
    lines = run("-label*log(pred)\n - (1-label)*\n log(1-prde)", "--format", "concise").output.splitlines()
    assert len(lines) == 1 and lines[0].startswith("<argument>:3:8: error LD003")


def test_concise_and_github_name_the_place(tmp_path: Path) -> None:
    file = tmp_path / "a,b.txt"
    file.write_text("bce\npred*label\nlog(\n")
    lines = run("-f", str(file), "--format", "concise").output.splitlines()
    assert any(line.startswith(f"{file}:2:1: error LD1") for line in lines)
    assert any(line.startswith(f"{file}:3:5: error LD0") for line in lines)
    lines = run("-f", str(file), "--format", "github").output.splitlines()
    assert any(
        line.startswith(f"::error file={str(file).replace(',', '%2C')},line=2,col=1,title=lossdsl LD1")
        for line in lines
    )


def sarif_objections(log: object) -> list[str]:
    """What the published schema says against a log."""
    jsonschema = pytest.importorskip("jsonschema", reason="the `dev` extra brings it")
    schema = json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return [f"{error.json_path}: {error.message}" for error in kind(schema).iter_errors(log)]


def test_sarif_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "the losses.txt"
    file.write_text("bce\npred*label\nlog(\n")
    log = json.loads(run("-f", str(file), "label^2", "--format", "sarif").output)
    assert sarif_objections(log) == []
    places = [place for r in log["runs"][0]["results"] for place in r["locations"]]
    uris = {p["physicalLocation"]["artifactLocation"]["uri"] for p in places if "physicalLocation" in p}
    assert len(uris) == 1 and uris.pop().endswith("/the%20losses.txt")  # the schema wants a URI reference
    assert {r["level"] for r in log["runs"][0]["results"]} >= {"error"}
    assert {r["ruleId"] for r in log["runs"][0]["results"]} == {
        r["id"] for r in log["runs"][0]["tool"]["driver"]["rules"]
    }


def test_the_schema_of_sarif_is_not_pleased_by_everything() -> None:
    log = json.loads(run("label^2", "--format", "sarif").output)
    log["runs"][0]["results"][0]["level"] = "bad"
    del log["runs"][0]["tool"]["driver"]["name"]
    assert len(sarif_objections(log)) == 2


def test_json_fields_are_the_documented_ones() -> None:
    (report,) = json.loads(run("pred*label", "--format", "json").output)
    assert list(report) == [
        "schema", "source", "dialect", "formula", "verdict", "properties",
        "kinks", "hash", "simplified", "latex", "ms", "error",
    ]  # fmt: skip
    monotone = report["properties"]["monotone"]
    assert {"status", "strict", "proved_on", "code", "method", "detail", "witness"} <= set(monotone)
    assert set(monotone["witness"]) == {"at", "value", "why"}


def test_one_reason_for_many_takes_one_line() -> None:
    output = run("sqrt(label-pred)").output
    assert output.count("not defined everywhere") == 1
    assert "? the others" in output


def test_a_certificate_needs_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(click.UsageError, match="needs a file"):
        code(run("bce", "--certificate", "-"))
    assert list(tmp_path.iterdir()) == []


def test_no_formula_at_all_is_usage(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing yet\n\n")
    assert code(run("-", stdin="")) == 2
    assert code(run("-f", str(empty))) == 2
