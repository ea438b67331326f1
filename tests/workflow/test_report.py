"""The report in one page, opened in a real browser as a person would open it, without a network."""

from collections.abc import Iterator

import pytest
from browser import Page, browsing, find_browser
from smaller_demo import Demo

from createrec.exhibits import BY_NAME, of_kind

TABLES, FIGURES, COMPARISONS = ([exhibit.name for exhibit in of_kind(kind)] for kind in ("table", "figure", "page"))
# Clicks through the page as a person would, and returns what it saw, by the name of the file shown. A page within the
# page stands behind a data: address, which may not be looked into from here: it is shown again from its text.
WALK = r"""
(async () => {
  const until = async (found) => {
    for (let n = 0; n < 200 && !found(); n++) await new Promise((done) => setTimeout(done, 50));
    return found() ?? (() => { throw new Error(`never shown: ${found}`); })();
  };
  const text = (one) => one.textContent.trim();
  const link = (name) => [...document.querySelectorAll("#app nav a")].find((one) => text(one) === name);
  const rows = () => [...document.querySelectorAll("#app nav tbody tr")];
  const buttons = (name) => rows().find((row) => text(row.querySelector("td")) === name)?.querySelectorAll("a");
  const seen = {};
  for (const category of Object.keys(categories)) {
    (await until(() => link(category))).click();
    await until(() => buttons(text(rows()[0]?.querySelector("td") ?? document.body)));
    for (const name of rows().map((row) => text(row.querySelector("td")))) {
      const [show, explain] = await until(() => buttons(name)?.length === 2 ? buttons(name) : undefined);
      const before = document.querySelector("#app").lastElementChild.lastElementChild.innerHTML;
      show.click();
      const content = () => document.querySelector("#app").lastElementChild.lastElementChild;
      await until(() => content().innerHTML !== before || undefined);
      const view = await until(() => content().querySelector("div.p-3 > img, iframe") ?? undefined);
      const entry = {name};
      if (view.tagName === "IMG") {
        await until(() => view.complete || undefined);
        entry.size = [view.naturalWidth, view.naturalHeight];
      } else {
        const code = Uint8Array.from(atob(view.getAttribute("src").split("base64,")[1]), (one) => one.charCodeAt(0));
        const frame = document.createElement("iframe");
        frame.width = 1200;
        frame.srcdoc = new TextDecoder().decode(code);
        document.body.append(frame);
        await until(() => frame.contentDocument.querySelector("tr") ?? undefined);
        const lines = [...frame.contentDocument.querySelectorAll("tr")];
        entry.rows = lines.filter((line) => line.getBoundingClientRect().height > 0).length;
        entry.text = frame.contentDocument.body.innerText;
        frame.remove();
      }
      explain.click();
      const crumbs = () => [...document.querySelectorAll("#app nav li a")].map(text);
      const path = await until(() => crumbs().find((one) => results[one]));
      entry.caption = document.querySelector("#app nav").innerText;
      seen[path.replace(/.*\/|\.\w+$/g, "")] = entry;
      link(category).click();
    }
    link("Results").click();
  }
  return seen;
})()
"""


@pytest.fixture(scope="module")
def page(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    browser = find_browser()
    if browser is None:
        pytest.skip("no Chromium or Chrome on this machine")
    targets = [*TABLES, *FIGURES, "comparison"]
    for arguments in ((), ("--report", "report.html")):
        result = demo.run(*arguments, targets=targets)
        assert result.returncode == 0, result.stdout + result.stderr
    with browsing(browser, demo.folder / "report.html", tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture(scope="module")
def seen(page: Page) -> dict[str, dict]:
    return page.run(WALK)


def test_the_page_shows_everything_without_an_error(page: Page, seen) -> None:
    assert set(seen) == {*TABLES, *FIGURES, *COMPARISONS}
    assert page.errors == []


@pytest.mark.parametrize("name", [*TABLES, *COMPARISONS])
def test_a_reader_finds_each_table(seen, name: str) -> None:
    # The smaller demo plans no run of Table 3. Nothing beyond the paper and no settings beside the chosen ones are
    # planned either: those two tables have their heads alone.
    if name in ("beyond", "choices"):
        assert seen[name]["rows"] == 1
        return
    assert seen[name]["rows"] >= 2
    assert ("not run" if name == "table3" else "synthetic") in seen[name]["text"]


@pytest.mark.parametrize("name", FIGURES)
def test_a_reader_finds_each_figure(seen, name: str) -> None:
    assert min(seen[name]["size"]) >= 400


@pytest.mark.parametrize("name", [*TABLES, *FIGURES])
def test_the_menu_and_the_caption_name_it_as_the_paper_does(seen, name: str) -> None:
    title = BY_NAME[name].title
    assert title == seen[name]["name"]
    assert (f"{title} (Section" if BY_NAME[name].section else title) in seen[name]["caption"]
