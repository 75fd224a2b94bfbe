"""The rendered book as a reader meets it: it finds what is searched for, its front page is there at once,
and a phone shows all of every line.

`make html`, then pytest on this file.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser import chromium, needs_chromium, watched
from screenshots import TOO_WIDE

HTML = Path(__file__).resolve().parents[1] / "_build" / "html"
FRONT = {"en": HTML / "book" / "intro.html", "zh-CN": HTML / "zh" / "book" / "intro.html"}
pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser():
    assert (HTML / "index.html").is_file(), "render the book with `make html`"
    with chromium() as running:
        yield running


def hits(browser, pages, words):
    """Type words into the search page below a folder; where each hit leads, relative to the folder, best first."""
    page, problems = watched(browser)
    page.goto((pages / "search.html").as_uri())
    page.get_by_role("main").get_by_role("searchbox").press_sequentially(words)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.locator(".search-summary:not(:empty)").wait_for()  # Sphinx writes it once it has shown all
    links = page.locator("#search-results li a").evaluate_all("all => all.map(a => a.href)")
    assert problems == []
    page.close()
    return [link.removeprefix(pages.as_uri() + "/") for link in links]


@pytest.mark.parametrize(
    ("folder", "words", "first", "among"),
    [
        ("", "add_prefix_space", "book/glossary.html#term-add_prefix_space", "chapters/03_"),
        ("", "NaN", "book/glossary.html#term-NaN", "chapters/06_"),
        ("", "补齐", "book/glossary.html#term-padding", None),
        ("zh", "add_prefix_space", "book/glossary.html#term-add_prefix_space", "chapters/03_"),
        ("zh", "NaN", "book/glossary.html#term-NaN", "chapters/06_"),
        ("zh", "补齐", "book/glossary.html#term-padding", "book/silent_bugs"),
        ("zh", "补齐的词元", "chapters/03_", "book/glossary"),  # no spaces between the words
    ],
)
def test_the_search_finds(browser, folder, words, first, among):
    found = hits(browser, HTML / folder, words)
    assert found and found[0].startswith(first), found
    assert among is None or any(link.startswith(among) for link in found[:5]), found


def test_the_search_finds_nothing_where_nothing_is(browser):
    assert hits(browser, HTML, "qzxqzx") == hits(browser, HTML / "zh", "鼋鼍") == []


@pytest.mark.parametrize("language", FRONT)
@pytest.mark.parametrize("width", [1280, 390])
def test_the_front_page_is_light_and_shown_at_once(browser, language, width):
    """Under a megabyte with all that it loads; text within a second, at the best of three times."""
    painted = []
    for _ in range(3):
        page, problems = watched(browser, width)
        loaded = set()
        page.on("request", lambda request, loaded=loaded: loaded.add(unquote(urlsplit(request.url).path)))
        page.goto(FRONT[language].as_uri(), wait_until="networkidle")
        page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
        painted.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        assert page.locator("html").get_attribute("lang") == language and problems == []
        page.close()
    size = sum(Path(path).stat().st_size for path in loaded)
    print(f"{language}, {width} px: {size:,} bytes in {len(loaded)} files, text after {min(painted):.0f} ms")
    assert len(loaded) > 5 and size < 1_000_000, {path: Path(path).stat().st_size for path in loaded}
    assert min(painted) < 1000


PAGES = [*sorted((HTML / "chapters").glob("*.html")), *sorted((HTML / "book").glob("*.html"))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_nothing_is_cut_off_on_a_phone(browser, path):
    page, _ = watched(browser, 390)
    page.goto(path.as_uri(), wait_until="domcontentloaded")
    assert page.evaluate(TOO_WIDE) == []
    page.close()
