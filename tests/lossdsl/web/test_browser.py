"""The page in a real Chromium: typed into, broken, mended, with the keyboard alone, narrow and wide, light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
pytest.importorskip("uvicorn")
By = pytest.importorskip("selenium.webdriver.common.by").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
WebDriverWait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait

CHROMIUM = shutil.which("google-chrome") or shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="apt-get install chromium chromium-driver"),
]
SWITCHES = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
]  # fmt: skip
BCE = "-label*log(pred) - (1-label)*log(1-pred)"

if TYPE_CHECKING:
    from tests.lossdsl.web.conftest import Client
else:
    Client = Any

# Relative luminance and contrast as WCAG 2.2 defines them, for every element that shows text of its own.
CONTRAST = """
const channel = c => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
const luminance = c => .2126 * channel(c[0]) + .7152 * channel(c[1]) + .0722 * channel(c[2]);
const numbers = text => text.match(/[\\d.]+/g).map(Number);
const bad = [];
for (const node of document.body.querySelectorAll('*')) {
  const own = [...node.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || node.matches('textarea, select');
  if (!own || !node.getClientRects().length || node.closest('.quiet, .under, script, option')) continue;
  const style = getComputedStyle(node);
  let ground = node, back = numbers(getComputedStyle(node).backgroundColor);
  while (back.length === 4 && back[3] === 0 && ground.parentElement) {
    ground = ground.parentElement;
    back = numbers(getComputedStyle(ground).backgroundColor);
  }
  const a = luminance(numbers(style.color)), b = luminance(back);
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < 4.5) bad.push([node.tagName, node.textContent.slice(0, 30), style.color, String(back), ratio]);
}
return bad;
"""


class Page:
    """What a person does with the page."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, fragment: str = "", width: int = 1280, dark: bool = False) -> None:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        self.driver.get("about:blank")
        self.driver.get(self.url + fragment)

    def find(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def type(self, text: str) -> None:
        self.find("#formula").send_keys(Keys.CONTROL, "a")
        self.find("#formula").send_keys(text or Keys.DELETE)

    def verdict(self, wanted: str) -> None:
        word = "return document.querySelector('#verdict strong')?.textContent"
        WebDriverWait(self.driver, 30).until(lambda d: d.execute_script(word) == wanted)

    def active(self) -> Any:
        return self.driver.switch_to.active_element

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="module")
def page(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in (*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield Page(driver, client.url)
    driver.quit()


@pytest.mark.parametrize("width", [360, 1280])
def test_type_break_mend(page: Page, width: int) -> None:
    page.open(width=width)
    page.type("pred*(pred+label)")
    page.verdict("invalid")
    row = page.find("[data-property=monotone]")
    assert "refuted" in row.text and row.find_element(By.CSS_SELECTOR, ".witness").text.startswith("label = 1, pred = ")
    page.type("-label*log(pred) - (1-label)*lg(1-pred)")
    page.verdict("Cannot be read.")
    assert "unknown function lg" in page.find("#verdict").text.replace("Unknown", "unknown")
    assert page.find("#verdict p code").text == "lg"
    assert page.find("#formula").get_attribute("aria-invalid") == "true"
    # the caret stands under the two characters, on the screen as in the text
    lines = page.find("#verdict pre").get_attribute("textContent").split("\n")
    assert lines[1].strip() == "^^" and lines[0][lines[1].index("^") :].startswith("lg(")
    assert page.find("#under mark").get_attribute("textContent") == "lg"
    page.type(BCE)
    page.verdict("valid")
    assert page.find("#formula").get_attribute("aria-invalid") is None
    assert page.driver.execute_script("return document.documentElement.scrollWidth") == width
    assert page.complaints() == []


@pytest.mark.parametrize(
    "text, mended",
    [
        ("-log(sigmod(score))", "-log(sigmoid(score))"),
        ("−log(σ(score))", "-log(sigmoid(score))"),
        ("a*abs(pred-label)^b", "a*abs(pred-label)^b where a = 1, b = 1"),
    ],
)
def test_what_a_hint_says_is_written_by_a_button(page: Page, text: str, mended: str) -> None:
    page.open()
    page.type(text)
    page.verdict("Cannot be read.")
    page.find("#verdict .fix").click()
    page.verdict("invalid" if "label" not in text else "valid")
    assert page.find("#formula").get_attribute("value") == mended
    assert page.driver.switch_to.active_element.get_attribute("id") == "formula"


@pytest.mark.parametrize("width", [360, 1280])
def test_the_mark_lies_on_the_mistake(page: Page, width: int) -> None:
    page.open(width=width)
    page.type("label*log(pred) + " * 6 + "foo(1-pred)")
    page.verdict("Cannot be read.")
    same = """
    const under = document.getElementById('under'), field = document.getElementById('formula');
    const keys = ['fontSize', 'fontFamily', 'lineHeight', 'paddingLeft', 'paddingTop', 'width', 'overflowWrap'];
    const a = getComputedStyle(under), b = getComputedStyle(field);
    return keys.filter(key => a[key] !== b[key]).concat(field.scrollHeight === field.clientHeight ? [] : ['scrolls']);
    """
    assert page.driver.execute_script(same) == []


def test_the_pictures_are_drawn(page: Page) -> None:
    page.open()
    page.type("focal where gamma = 3")
    page.verdict("valid")
    sizes = page.driver.execute_script("return [...document.images].map(i => [i.complete, i.naturalWidth, i.alt])")
    assert [size[:2] for size in sizes] == [[True, 440], [True, 440]]
    assert "Label 1: value" in sizes[0][2]


def test_with_the_keyboard_alone(page: Page) -> None:
    page.open()
    page.verdict("valid")
    seen = []
    page.find("body").send_keys(Keys.TAB)
    page.active().send_keys(Keys.CONTROL, "a")
    page.active().send_keys("pred*(pred+label)")
    page.verdict("invalid")
    for _ in range(60):
        page.active().send_keys(Keys.TAB)
        here = page.active()
        if here.tag_name == "body":
            break
        outline = here.value_of_css_property("outline-style"), here.value_of_css_property("outline-width")
        assert outline == ("solid", "3px"), here.get_attribute("outerHTML")
        seen.append(here.get_attribute("id") or here.text)
    options = ["beside", "axis", "dialect", "label", "pairwise"]
    assert [s for s in seen if s in options] == options
    assert len([s for s in seen if s.startswith("Copy")]) == 4
    # an example by Enter, an option by the space bar
    page.driver.execute_script("document.querySelector('.examples button').focus()")
    page.active().send_keys(Keys.ENTER)
    page.verdict("valid")
    page.driver.execute_script("document.getElementById('pairwise').focus()")
    page.active().send_keys(Keys.SPACE)
    WebDriverWait(page.driver, 20).until(lambda _: "pairwise=true" in page.driver.current_url)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize(
    "formula", [BCE, "pred*(pred+label)", "lg(pred)", "-log(1e-10%2Bsigmoid(score))&pairwise=true"]
)
def test_contrast(page: Page, formula: str, width: int, dark: bool) -> None:
    page.open(f"#f={formula}", width, dark)
    WebDriverWait(page.driver, 30).until(lambda _: page.find("#said").get_attribute("textContent"))
    page.driver.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.driver.execute_script(CONTRAST) == []


def test_everything_has_a_name(page: Page) -> None:
    page.open()
    page.verdict("valid")
    tree = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"button", "textbox", "combobox", "checkbox", "image", "img", "region", "heading"}
    named = [n for n in tree if not n["ignored"] and n["role"]["value"] in roles]
    assert len(named) > 15
    assert [n for n in named if not n.get("name", {}).get("value", "").strip()] == []
    copies = [n["name"]["value"] for n in named if n["name"]["value"].startswith("Copy")]
    assert copies == ["Copy lossdsl", "Copy LaTeX", "Copy PyTorch", "Copy Link to this page"]


def test_a_link_carries_the_formula_and_its_options(page: Page) -> None:
    page.open("#f=-log(1e-10%2Bsigmoid(score))&pairwise=true&beside=bpr")
    page.verdict("valid")
    assert "gradient dies" in page.find("#verdict").text
    link = page.find("#written .source:last-child pre").text
    page.open("#f=mse")
    page.driver.get("about:blank")
    page.driver.get(link)
    page.verdict("valid")
    assert page.find("#formula").get_attribute("value") == "-log(1e-10+sigmoid(score))"
    assert page.find("#pairwise").is_selected() and page.find("#beside").get_attribute("value") == "bpr"


def test_markup_is_never_run(page: Page) -> None:
    page.open("#f=<img src=x onerror=document.title='bad'>")
    page.verdict("Cannot be read.")
    page.type("</script><script>document.title='bad'</script>")
    # the verdict before was the same word, and its element goes away: look at both in one breath
    shown = "return document.querySelector('#verdict pre')?.textContent ?? ''"
    WebDriverWait(page.driver, 30).until(lambda d: d.execute_script(shown).startswith("</script>"))
    assert page.driver.title == "lossdsl"
    assert len(page.driver.find_elements(By.CSS_SELECTOR, "main img[src=x], main script")) == 0
    # and if a script of ours ever tried, the browser itself would refuse
    refused = (
        "try { const s = document.createElement('script'); s.text = '1'; return 'ran' } catch (e) { return e.name }"
    )
    inner = "try { document.body.innerHTML = '<b>'; return 'ran' } catch (e) { return e.name }"
    assert [page.driver.execute_script(code) for code in (refused, inner)] == ["TypeError", "TypeError"]


def test_a_stale_answer_is_dropped(page: Page) -> None:
    page.open()
    page.verdict("valid")
    # the first request is held back in the page itself until the second has been answered
    page.driver.execute_script("""
        const real = window.fetch; let held = 0;
        window.fetch = async (url, options) => {
          const slow = JSON.parse(options.body).formula === 'pred';
          const reply = await real(url, {...options, signal: undefined});
          if (slow) { await new Promise(done => setTimeout(done, 1500)); window.released = true; }
          return reply;
        };
    """)
    page.type("pred")
    page.driver.execute_script("return new Promise(done => setTimeout(done, 400))")
    page.type(BCE)
    page.verdict("valid")
    WebDriverWait(page.driver, 10).until(lambda _: page.driver.execute_script("return window.released === true"))
    page.driver.execute_script("return new Promise(done => setTimeout(done, 200))")
    assert page.find("#verdict strong").text == "valid"


def test_an_empty_box_is_no_mistake(page: Page) -> None:
    page.open()
    page.type("")
    page.verdict("Nothing yet.")


def test_a_copy_button_copies(page: Page) -> None:
    origin = page.url.rstrip("/")
    grant = {"origin": origin, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    page.open("#f=mse")
    page.driver.execute_cdp_cmd("Browser.grantPermissions", grant)
    page.verdict("valid")
    button = page.find("#written button")
    button.click()
    WebDriverWait(page.driver, 10).until(lambda _: button.text.startswith("Copied"))
    assert page.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])") == "(label-pred)^2"
