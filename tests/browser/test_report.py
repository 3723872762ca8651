"""The report's page as people see it: on a phone and on a desk, by day and by night.

`--screenshots DIR` keeps what was seen.
"""

import base64
import json
import shutil
from dataclasses import dataclass

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from ci.report import html
from tests.harness import reports

WIDTHS = {"phone": 390, "desk": 1280}
HEIGHT = 844


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@dataclass
class Page:
    """A report, open in the browser.

    Attributes:
        browser: Where it is open.
        url: Its own address.
        messages: What the console said while it loaded.
        requests: Addresses that were asked for.
    """

    browser: webdriver.Chrome
    url: str
    messages: list
    requests: list

    def ask(self, script):
        return self.browser.execute_script(f"return {script}")


@pytest.fixture
def opened(browser, tmp_path):
    def load(report, width, scheme):
        file = tmp_path / "report.html"
        html.write(file, report)
        size = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        for kind in ("browser", "performance"):
            browser.get_log(kind)  # of the page before
        browser.get(file.as_uri())
        events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        asked = [
            event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
        ]
        return Page(browser, file.as_uri(), browser.get_log("browser"), asked)

    return load


def pytest_generate_tests(metafunc):
    if "view" in metafunc.fixturenames:
        views = [(width, scheme) for width in WIDTHS for scheme in ("light", "dark")]
        metafunc.parametrize("view", views, ids=["-".join(view) for view in views])


@pytest.mark.parametrize("name", reports.ALL)
def test_a_report_is_whole_quiet_and_within_its_width(opened, view, name, screenshots):
    width, scheme = WIDTHS[view[0]], view[1]
    page = opened(reports.ALL[name](), width, scheme)
    screenshots(page.browser, f"{name.replace(' ', '-')}-{'-'.join(view)}")

    assert page.messages == []
    assert [url for url in page.requests if not url.startswith("data:")] == [page.url]
    for id_, title in html.SECTIONS.items():
        assert page.browser.find_element(By.ID, id_).is_displayed(), title
    for state in ("closed", "open"):
        assert page.ask("window.innerWidth") == width
        assert page.ask("document.scrollingElement.scrollWidth") <= width, state
        page.browser.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")


def test_how_it_ended_and_why_is_seen_without_scrolling_on_a_phone(opened):
    page = opened(reports.failed(), WIDTHS["phone"], "light")
    for selector in ("h1", ".why", ".fix"):
        element = page.browser.find_element(By.CSS_SELECTOR, f"#outcome {selector}")
        assert element.is_displayed()
        assert element.rect["y"] + element.rect["height"] <= HEIGHT, selector


def test_the_schemes_differ_and_both_can_be_read(opened):
    backgrounds = []
    for scheme in ("light", "dark"):
        page = opened(reports.failed(), WIDTHS["desk"], scheme)
        style = "getComputedStyle(document.querySelector('{}')).{}"
        backgrounds.append(page.ask(style.format("body", "backgroundColor")))
        for selector in ("#stages td", "#outcome .why", "#outcome .muted", ".stages .message td", ".findings .tag"):
            text = page.ask(style.format(selector, "color"))
            behind = page.ask(BACKGROUND.replace("SELECTOR", selector))
            assert contrast(text, behind) >= 4.5, f"{selector}, {scheme}: {text} on {behind}"
    assert len(set(backgrounds)) == 2


BACKGROUND = """(() => {
  for (let element = document.querySelector('SELECTOR'); element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor;
    if (colour !== 'rgba(0, 0, 0, 0)') return colour;
  }
})()"""


def contrast(first, second):
    """By WCAG 2.2's definition; 4.5 is its level AA for text."""
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour):
    channels = [int(value) / 255 for value in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_pointing_at_a_chart_says_its_figures(opened):
    page = opened(reports.passed(), WIDTHS["desk"], "light")
    titles = page.ask("[...document.querySelectorAll('.column > title')].map(each => each.textContent)")
    assert any("stable p50" in title for title in titles)
    lines = page.ask(
        "[...document.querySelectorAll('.chart polyline')].map(each => each.getBoundingClientRect().width)"
    )
    assert max(lines) > 200


@pytest.fixture
def screenshots(request):
    folder = request.config.option.screenshots

    def keep(browser, name):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
            (folder / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

    return keep
