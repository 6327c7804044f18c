"""Findings whose sentence is made when it is read."""

from __future__ import annotations

import pickle
import time
from dataclasses import replace

from lossdsl.checking import check
from lossdsl.report import PROVED, Finding


def test_a_sentence_is_made_once_and_only_when_it_is_read() -> None:
    made: list[int] = []

    def sentence() -> str:
        made.append(1)
        return "made late"

    finding = Finding("bounded_gradient", PROVED, sentence)
    assert not made
    assert finding.detail == finding.detail == finding.to_dict()["detail"] == "made late"
    assert made == [1]


def test_what_is_not_read_yet_compares_copies_and_pickles_as_text() -> None:
    late = Finding("bounded_gradient", PROVED, lambda: "made late")
    assert late == Finding("bounded_gradient", PROVED, "made late")
    assert replace(late, strict=True).detail == "made late"
    assert pickle.loads(pickle.dumps(Finding("bounded_gradient", PROVED, lambda: "made late"))) == late
    assert Finding("bounded_gradient", PROVED).detail == ""


def test_a_report_pickles_before_its_sentences_are_read() -> None:
    report = check("bce")
    copy = pickle.loads(pickle.dumps(report))
    assert copy.properties == report.properties
    assert copy.hash == report.hash is not None


def test_what_is_read_late_does_not_depend_on_the_clock() -> None:
    text = "log(1+exp(1-2*pred))*label + (1-label)*pred^2"
    report = check(text, timeout=0.3)
    steep = check(text, timeout=None).properties["bounded_gradient"].detail
    time.sleep(0.4)  # the deadline of check is long over
    assert report.properties["bounded_gradient"].detail == steep
    assert report.hash is not None
