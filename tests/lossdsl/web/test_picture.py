"""A panel is well-formed XML, stays inside its frame and repeats byte for byte."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from lossdsl.curves import Curve, Curves, trace
from lossdsl.web.picture import HEIGHT, WIDTH, _frame, panel

NAMESPACE = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    "losses", [("bce", "mse"), ("maxr", "bce"), ("bpr",), ("log(-pred)",), ("1/(pred-0.5)", "hinge")]
)
@pytest.mark.parametrize("quantity", ["value", "slope"])
def test_well_formed_and_the_same_again(losses: tuple[str, ...], quantity: str) -> None:
    text = panel(trace(*losses), quantity)
    root = ElementTree.fromstring(text)
    assert root.tag == f"{NAMESPACE}svg"
    assert "nan" not in text and "inf" not in text
    assert text == panel(trace(*losses), quantity)
    for node in root.iter(f"{NAMESPACE}text"):
        assert -1 <= float(node.attrib["x"]) <= WIDTH and 0 <= float(node.attrib["y"]) <= HEIGHT


def test_each_label_of_each_loss_has_a_line() -> None:
    root = ElementTree.fromstring(panel(trace("bce", "mse"), "value"))
    lines = [p.attrib["class"] for p in root.iter(f"{NAMESPACE}path") if "clip-path" in p.attrib]
    assert sorted(lines) == ["nil", "nil beside", "one", "one beside"]


def test_names_are_escaped() -> None:
    name = 'a"<script>alert(1)</script>&'
    text = panel(trace("bce", "mse", titles=["mine", name]), "value")
    assert "<script" not in text
    ElementTree.fromstring(text)


def test_the_line_passes_through_the_right_pixel() -> None:
    x = np.linspace(0, 1, 101)
    text = panel(Curves("pred", False, (Curve("a", 1, x, 2 * x, x),)), "value")
    points = [tuple(map(float, p)) for p in re.findall(r"[ML](-?\d+\.\d) (-?\d+\.\d)", text)]
    (_, first), (middle, halfway), (_, last) = points[0], points[50], points[100]
    assert middle == pytest.approx((52 + WIDTH - 12) / 2)
    assert first - halfway == pytest.approx(halfway - last, abs=0.2) and first > last


def test_a_gap_stays_a_gap() -> None:
    x = np.array([0.0, 0.3, 0.6, 1.0])
    curves = Curves("pred", False, (Curve("a", 1, x, np.array([0.0, np.nan, 1.0, 2.0]), x),))
    path = re.search(r'class="one" d="([^"]+)"', panel(curves, "value"))
    assert path is not None and path.group(1).count("M") == 2


def test_what_stands_beside_is_in_the_frame_and_leaves_room() -> None:
    small = Curve("a", 1, np.linspace(0, 1, 101), np.linspace(0, 1, 101), np.zeros(101))
    for times, share in ((2, 2), (50, 2), (0.5, 1)):
        other = Curve("b", 1, small.x, times * small.value, small.slope)
        alone = _frame(Curves("pred", False, (small,)), "value")
        low, high = _frame(Curves("pred", False, (small, other)), "value")
        assert low <= alone[0] and high >= alone[1]
        assert (high - low) / (alone[1] - alone[0]) == pytest.approx(share, rel=0.1)


def test_a_pair_beside_a_pair_has_another_colour() -> None:
    text = panel(trace("-log(0.1 + sigmoid(score))", "bpr", pairwise=True), "value")
    assert 'class="all" d=' in text and text.count('class="nil beside" d=') == 2
