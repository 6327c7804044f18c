"""The page as text: nothing from elsewhere, nothing that runs text, a label for every control."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

pytest.importorskip("starlette")

from lossdsl.grammar.dialects import DIALECTS
from lossdsl.report import PROPERTIES, VERDICT
from lossdsl.web.answer import AXES, LABELS
from lossdsl.web.app import page


class Outline(HTMLParser):
    """Tags with their attributes, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def outline() -> Outline:
    return Outline()


def script() -> str:
    (text,) = re.findall(r"<script>(.*?)</script>", page(), re.DOTALL)
    return text


def test_nothing_comes_from_elsewhere(outline: Outline) -> None:
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page())
    assert not [tag for tag, _ in outline.tags if tag in ("link", "iframe", "object", "embed", "base")]
    assert not [
        a for _, attributes in outline.tags for a in attributes if a in ("src", "href", "style") or a.startswith("on")
    ]


def test_the_script_makes_no_markup_and_runs_no_text() -> None:
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(|srcdoc|DOMParser|setTimeout\(['\"]"
    )
    assert not re.search(forbidden, script())


def test_every_control_has_a_label(outline: Outline) -> None:
    labels = {attributes.get("for") for tag, attributes in outline.tags if tag == "label"}
    controls = [attributes.get("id") for tag, attributes in outline.tags if tag in ("select", "input", "textarea")]
    assert len(controls) == 6 and set(controls) == labels


def test_every_reference_has_its_target(outline: Outline) -> None:
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r'\$\("(\w+)"\)', script()))
    for _, attributes in outline.tags:
        for key in ("aria-labelledby", "aria-describedby", "for"):
            wanted.update((attributes.get(key) or "").split())
    assert wanted <= set(ids) and "formula" in wanted


def test_the_page_offers_what_the_server_takes(outline: Outline) -> None:
    values = {attributes["value"] for tag, attributes in outline.tags if tag == "option" and "value" in attributes}
    assert values >= {*LABELS, "auto"} and set(AXES) <= values | {"pred", "score"}
    assert set(DIALECTS) <= values | {"lossdsl"}


def test_every_property_has_words() -> None:
    words = script()[script().index("const WORDS") : script().index("const DENIED")]
    assert set(re.findall(r"(\w+): \"", words)) == set(PROPERTIES)
    verdict = re.search(r"const VERDICT = \[(.*?)\]", script())
    assert verdict is not None and re.findall(r'"(\w+)"', verdict.group(1)) == list(VERDICT)
