"""Each rule of the ladder carries weight: made wrong, one at a time, an answer that is known comes out wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lossdsl.checking import check
from lossdsl.prover import analysis, cells, ends, extremes, flat, probability, rolle, roots, signs, verdict

Answer = tuple[str, str, str]
"""A formula, a property, its status."""


def right(answer: Answer) -> bool:
    """Whether the engine, as it stands, gives the known answer; an engine that breaks down does not."""
    text, name, status = answer
    try:
        return check(text, timeout=None).properties[name].status == status
    except Exception:
        return False


def swap(place: Any, name: str, new: Any) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(place, name, new)


def zero_test(answer: bool) -> Callable[[pytest.MonkeyPatch], None]:
    """Every question whether a number is exactly zero gets the same answer."""

    def weaken(patch: pytest.MonkeyPatch) -> None:
        for place in (signs, roots, rolle):
            patch.setattr(place, "vanishes_at", lambda *args: answer)

    return weaken


def all_positive(self: Any, i: int, low: Any, high: Any) -> int:
    return 1


def first_term(self: Any, terms: Any, x_sign: int, low: Any, high: Any) -> int:
    return 1 if terms[0][2] > 0 else -1


def one_term(patch: pytest.MonkeyPatch) -> None:
    """Structure goes by the first term, with kernels or without."""
    patch.setattr(signs.Signs, "_one_sign", first_term)
    patch.setattr(signs, "same_sign", lambda row: 1 if row[row.degree()] > 0 else -1)


def no_sweep(self: Any, *args: Any) -> None:
    self.boxes += 1


def only_parts(self: Any, a: Any, cell: Any, why: str, fine: Any) -> None:
    """`_require` that does not look at the places between parts."""
    for part in self._parts(a, cell):
        if part.low is not part.high and not fine(part.sign):
            raise cells.Undefined(why, cells._somewhere(part))


def no_places(self: Any, a: Any, cell: Any) -> list[Any]:
    """Pieces without the places between them."""
    return list(self.signs.of(a, cell.low, cell.high)) if cell.low is not cell.high else []


def ignore_rest(self: Any, g: Any) -> int | None:
    if not g:
        return 0
    lead = self.lead(g)
    c = g[lead]
    return (1 if c > 0 else -1) * (-1 if lead[1] % 2 else 1)


def always_short_of_nothing(name: str, analysis: Any, detail: str, strict: bool = False) -> Any:
    return verdict.Finding(name, verdict.PROVED, detail, strict, verdict.OPEN)


MUTATIONS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], Answer]] = {
    "every kernel counts as positive": (
        swap(signs.Signs, "kernel_sign", all_positive),
        ("(1-label)*pred*log(pred) + label*(1-pred)", "monotone", "refuted")),
    "structure looks at one term only": (
        one_term,
        ("(1-label)*(2*pred-1)^2 + label*(1-pred)", "monotone", "refuted")),
    "exact roots are dropped": (
        swap(signs, "algebraic_roots", lambda g: []),
        ("pred/(pred-0.3)*label + pred", "domain", "refuted")),
    "roots between kernels are dropped": (
        swap(roots.Search, "_sweep", no_sweep),
        ("label/(log(pred)*exp(pred)+pred) + pred", "domain", "refuted")),
    "zeros of the slope are dropped": (
        swap(rolle, "algebraic_roots", lambda g: []),
        ("label/(log(2*pred)-2*pred+1.1) + pred", "domain", "refuted")),
    "next to the ends all functions are positive": (
        swap(rolle, "_sign_at_end", lambda *args: 1),
        ("label/(log(pred)+pred) + pred", "domain", "refuted")),
    "a monotone box counts as free of zeros": (
        swap(roots.Search, "_bracket", lambda *args: None),
        ("label/(log(pred)+pred) + pred", "domain", "refuted")),
    "any rational counts as a zero": (
        zero_test(True),
        ("label/((2*pred-1-log(2*pred))*exp(pred)+1e-14) + pred", "domain", "proved")),
    "Taylor's formula always keeps off zero": (
        swap(roots.Search, "_far_from_zero", lambda *args: True),
        ("label/(exp(pred-1/2)-pred-1/2-1e-9) + pred", "domain", "refuted")),
    "no rational counts as a zero": (
        zero_test(False),
        ("label*if(log(2*pred) <= 0, 1-pred, 0.5) + (1-label)*pred", "gradient", "proved")),
    "the leading term decides alone": (
        swap(ends.Expansion, "sign", ignore_rest),
        ("(1-label)*pred^2*exp(pred)*(log(pred)+25) + label*(1-pred)", "monotone", "refuted")),
    "places between pieces are not looked at": (
        swap(cells._Cutter, "_parts", no_places),
        ("label*log(abs(pred-0.5)) + pred", "domain", "refuted")),
    "a divisor may be zero in one place": (
        swap(cells._Cutter, "_require", only_parts),
        ("label/(pred-0.5)^2 + pred", "domain", "refuted")),
    "nothing ever jumps": (
        swap(analysis.Side, "jump", lambda *args: 0),
        ("if(pred < 0.5, 1-label, label) + (label-pred)^2", "gradient", "refuted")),
    "a proof on a part counts as a proof": (
        swap(verdict, "proof", always_short_of_nothing),
        ("label/(3+log(1-log(pred))*log(pred)*pred) + pred", "domain", "undecided")),
    "intervals find everything positive": (
        swap(cells._Cutter, "_glance", lambda self, cell, args: 1),
        ("pred/(pred-0.3)*label + pred", "domain", "refuted")),
    "boxes around the terms are always free of zeros": (
        swap(roots.Search, "_excluded", lambda *args: True),
        ("label/(log(pred)*exp(pred)+pred) + pred", "domain", "refuted")),
    "the sum of slopes does not matter": (
        swap(probability, "_pulls_apart", lambda *args: True),
        ("maxr", "calibrated", "refuted")),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_weakened_rule_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    weaken, answer = MUTATIONS[name]
    assert right(answer), "the answer has to be right to begin with"
    weaken(monkeypatch)
    assert not right(answer)


def test_the_sup_of_slopes_needs_its_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "within 1.12" in check("focal", timeout=None).properties["bounded_gradient"].detail
    monkeypatch.setattr(extremes._Largest, "_upper", lambda *args: 0.0)
    assert "within 1.12" not in check("focal", timeout=None).properties["bounded_gradient"].detail


def test_dead_zones_need_their_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    flat_one = ("label*(1-pred)^9*1e-4 + (1-label)*pred", "no_dead_zone", "refuted")
    assert right(flat_one)
    monkeypatch.setattr(flat._Scan, "run", lambda self: None)
    assert not right(flat_one)
