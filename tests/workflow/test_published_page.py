"""The page of the published results in a real browser: on a phone and a desk, in light and dark, by keyboard alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Page, browsing, find_browser

FILE = Path(__file__).parents[2] / "results" / "published" / "report.html"
WIDTHS = (400, 1100, 1300)
# Every element with text of its own whose colours differ too little to be read (WCAG: 4.5 to 1).
FAINT = r"""
(() => {
  const parts = (text) => text.match(/[\d.]+/g).map(Number);
  const light = (colour) => {
    const linear = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.map((one) => linear(one / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const found = parts(getComputedStyle(element).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("main *, header *, nav *, footer *")) {
    const own = [...element.childNodes].some((one) => one.nodeType === 3 && one.textContent.trim());
    if (!own || !element.getClientRects().length) continue;
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(ground(element))];
    if ((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5) faint.push(element.outerHTML.slice(0, 200));
  }
  return faint;
})()
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    browser = find_browser()
    if browser is None:
        pytest.skip("no Chromium or Chrome on this machine")
    with browsing(browser, FILE, tmp_path_factory.mktemp("browser")) as page:
        yield page


def sized(page: Page, width: int) -> None:
    page.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)


def press(page: Page, key: str, text: str = "") -> None:
    code = {"Tab": 9, " ": 32, "ArrowDown": 40}[key]
    for kind in ("keyDown", "keyUp"):
        extra = {"text": text} if text and kind == "keyDown" else {}
        page.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **extra)


def shown(page: Page) -> int:
    return page.run("document.querySelectorAll('.claims li:not([hidden])').length")


def test_the_page_is_one_file_below_5_mb_without_an_error(page: Page) -> None:
    assert FILE.stat().st_size < 5_000_000
    assert (
        page.run("performance.getEntriesByType('resource').filter((one) => !one.name.startsWith('data:')).length") == 0
    )
    broken = "[...document.images].filter((one) => !one.complete || !one.naturalWidth).length"
    page.run("Promise.all([...document.images].map((one) => one.decode()))")
    assert page.run(broken) == 0
    assert page.errors == []


@pytest.mark.parametrize("width", WIDTHS)
def test_only_tables_are_wider_than_the_window(page: Page, width: int) -> None:
    sized(page, width)
    assert page.run("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_the_first_column_stays_in_sight(page: Page, width: int) -> None:
    sized(page, width)
    moved = """[...document.querySelectorAll('#tables .scroll')].map((box) => {
      box.scrollLeft = box.scrollWidth;
      const gap = box.querySelector('tbody th').getBoundingClientRect().left - box.getBoundingClientRect().left;
      box.scrollLeft = 0;
      return Math.round(gap);
    })"""
    gaps = page.run(moved)
    assert len(gaps) > 3
    assert all(0 <= gap <= 2 for gap in gaps), gaps


def test_at_1100_pixels_table2_needs_no_scrolling(page: Page) -> None:
    sized(page, 1100)
    boxes = """(() => {
      const found = [];
      for (let next = document.querySelector('#table2').nextElementSibling; next?.tagName !== 'H3';
           next = next.nextElementSibling) if (next.matches('.scroll')) found.push(next);
      return found.map((box) => box.scrollWidth - box.clientWidth);
    })()"""
    assert page.run(boxes) == [0, 0, 0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(page: Page, scheme: str) -> None:
    sized(page, 1300)
    page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.run(FAINT) == []
    ground = page.run("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 25, 29)"}[scheme]


def test_the_filters_work_by_keyboard(page: Page) -> None:
    every = page.run("document.querySelectorAll('.claims li').length")
    unrun = page.run("document.querySelectorAll('.claims li[data-verdict=\"not run\"]').length")
    assert shown(page) == every - unrun
    page.run("document.querySelector('#filters input[value=\"not run\"]').focus()")
    press(page, " ", " ")
    assert shown(page) == every
    press(page, "Tab")
    assert page.run("document.activeElement.name") == "dataset"
    name = page.run("document.querySelector('select[name=dataset]').options[1].text")
    press(page, "ArrowDown")
    assert shown(page) == page.run(f"document.querySelectorAll('.claims li[data-dataset=\"{name}\"]').length") > 0
    assert page.run("document.getElementById('shown').textContent") == f"{shown(page)} of {every} claims shown"
    press(page, "Tab")
    assert page.run("document.activeElement.name") == "section"
    press(page, "Tab")
    press(page, " ", " ")  # the button: everything as it was
    page.run("new Promise((done) => setTimeout(done, 50))")
    assert shown(page) == every - unrun


def test_a_number_leads_to_its_records(page: Page) -> None:
    if not page.run("document.querySelectorAll('#tables td a').length"):
        pytest.skip("no record of Table 2 is published")
    page.run("document.querySelectorAll('details').forEach((one) => { one.open = false; })")
    place = page.run(
        "(() => { const a = document.querySelector('#tables td a'); a.click(); return a.hash.slice(1); })()"
    )
    page.run("new Promise((done) => setTimeout(done, 100))")
    assert page.run(f"document.getElementById('{place}').open") is True
