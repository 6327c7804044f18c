"""`check` as people call it: labels, pairs, properties, timeouts, the report and its JSON."""

from __future__ import annotations

import json
import pickle
import time

import pytest

from lossdsl.catalogue_properties import ENTRIES
from lossdsl.checking import check
from lossdsl.errors import LossSyntaxError
from lossdsl.formula import parse
from lossdsl.report import CODES, PROPERTIES, SEVERITY, VERDICT, error_report

FIELDS = {"status", "severity", "strict", "proved_on", "code", "method", "detail", "witness", "mend", "blame"}


def test_the_json_has_every_field_of_the_interface() -> None:
    data = check("max(0, 0.3-pred)*label + (1-label)*pred", timeout=None).to_dict()
    assert set(data) == {"schema", "source", "dialect", "formula", "verdict", "properties", "kinks", "hash",
                         "simplified", "latex", "ms", "error"}  # fmt: skip
    assert set(data["properties"]) == set(PROPERTIES)
    for name, finding in data["properties"].items():
        assert set(finding) == FIELDS
        assert finding["code"] == CODES[name] and finding["severity"] == SEVERITY[name]
        assert finding["status"] in ("proved", "refuted", "undecided")
        assert (finding["witness"] is not None) == (finding["status"] == "refuted")
        assert finding["status"] != "proved" or finding["proved_on"]
    assert json.loads(json.dumps(data)) == data


def test_only_what_is_asked_for_is_judged() -> None:
    report = check("bce", properties=("monotone", "domain"), timeout=None)
    assert list(report.properties) == ["domain", "monotone"]
    with pytest.raises(ValueError, match="no property 'monoton'"):
        check("bce", properties=("monoton",))
    with pytest.raises(ValueError, match="label is one of"):
        check("bce", label="{0}")


def test_the_verdict_rests_on_five_properties() -> None:
    report = check("maxr", timeout=None)
    assert report.verdict == "valid" and bool(report)
    assert any(f.status == "refuted" for n, f in report.properties.items() if n not in VERDICT)


def test_a_deadline_leaves_findings_undecided() -> None:
    report = check("logmin", timeout=1e-9)
    assert report.properties["calibrated"].status == "undecided"
    assert report.verdict != "invalid"


def test_answers_do_not_depend_on_the_clock() -> None:
    first, second = (check("logmin", timeout=None).to_dict(full=False) for _ in range(2))
    for data in (first, second):
        data.pop("ms")
    assert first == second


def test_a_report_pickles_with_its_hash() -> None:
    report = check("bce", timeout=None)
    again = pickle.loads(pickle.dumps(report))
    assert again.to_dict(full=False) == report.to_dict(full=False)
    assert again.hash is not None


def test_an_unreadable_formula_has_a_report_too() -> None:
    with pytest.raises(LossSyntaxError) as caught:
        parse("log(a")
    report = error_report(caught.value, "log(a", "auto")
    data = report.to_dict()
    assert (data["verdict"], data["properties"], data["formula"]) == ("error", {}, None)
    assert data["error"]["code"].startswith("LD0") and len(data["error"]["span"]) == 2


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_the_catalogue_tells_the_truth(entry: object) -> None:
    from lossdsl.catalogue import Entry

    assert isinstance(entry, Entry)
    (name,) = [n for n, code in CODES.items() if code == entry.code]
    assert check(entry.example, timeout=None).properties[name].status == "refuted"
    assert check(entry.mend, timeout=None).properties[name].status == "proved"


def test_every_property_has_a_row() -> None:
    assert {entry.code for entry in ENTRIES} == set(CODES.values())


def test_the_mend_fits_the_formula() -> None:
    finding = check("-log(1e-10 + sigmoid(score))", pairwise=True, timeout=None).properties["no_saturation"]
    assert finding.status == "refuted" and finding.mend is not None and "logsigmoid(score)" in finding.mend


def test_hostile_formulas_are_answered_in_time() -> None:
    begin = time.perf_counter()
    for text in (
        "^".join(["pred"] * 40),
        "+".join(f"log(pred+{k})^2" for k in range(1, 13)),
        "exp(exp(exp(exp(pred))))",
    ):
        check(text, timeout=0.2)
    assert time.perf_counter() - begin < 30
