"""The widgets where the reader meets them, in the rendered pages: `make html`, then pytest on this file.

What they compute is tested in test_widgets.py; here it matters that the book's theme, its style sheet and
its other scripts leave them alone, on a wide page and on a phone, light and dark.
"""

from pathlib import Path

import pytest
from browser import LATIN, PALE, chromium, needs_chromium, watched

HTML = Path(__file__).resolve().parents[1] / "_build" / "html"
WIDGETS = ("playground", "mask-painter", "lite-chat")
pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


def page_of(widget, html=HTML):
    """The one rendered page that has this widget."""
    pages = sorted((html / "chapters").glob("*.html"))
    found = [path for path in pages if f'id="{widget}"' in path.read_text(encoding="utf-8")]
    assert len(found) == 1, f"{widget} stands on {len(found)} pages of {html}: render the book with `make html`"
    return found[0]


@pytest.mark.parametrize("width, theme", [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize("widget", WIDGETS)
def test_a_widget_on_its_page(browser, widget, width, theme):
    page, problems = watched(browser, width, theme)
    page.goto(page_of(widget).as_uri())
    place = page.locator(f"#{widget}")
    if "make book" not in place.inner_text():  # else the model is not trained, and the widget says so
        use(page, place, widget)
    assert page.evaluate(PALE, f"#{widget}") == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert problems == []
    page.close()


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_widget_of_a_chinese_page_speaks_chinese(browser, widget):
    """Also where the text around it is not translated; and no English page's widget does."""
    for html, language in ((HTML, "en"), (HTML / "zh", "zh-CN")):
        page, problems = watched(browser, 390)
        page.goto(page_of(widget, html).as_uri())
        place = page.locator(f"#{widget}")
        assert place.get_attribute("lang") == page.locator("html").get_attribute("lang") == language
        if "make book" not in place.inner_text():
            if widget == "lite-chat":
                place.get_by_role("button").press("Enter")
                place.locator("form").wait_for()
            assert (page.evaluate(LATIN, f"#{widget}") == []) is (language == "zh-CN")
        assert page.evaluate(PALE, f"#{widget}") == [] and problems == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.close()


def use(page, place, widget):
    """Do with the keyboard what a reader would do first."""
    if widget == "playground":
        place.get_by_role("textbox").fill("")
        page.keyboard.type("s/k fox")  # keys that a theme might take for a command
        assert "7 characters" in place.get_by_role("status").inner_text()
        place.get_by_role("switch").press("Space")
        assert "a space stands in front" in place.get_by_role("status").inner_text()
    elif widget == "mask-painter":
        place.get_by_role("radio", name="a chat").press("ArrowRight")
        assert "你" in place.locator(".painted").inner_text()
    else:
        place.get_by_role("button", name="Load the model").press("Enter")
        place.get_by_label("Say something").fill("Hello!")
        page.keyboard.press("Enter")
        place.get_by_role("button", name="Send").wait_for()
        here = page.url
        place.locator(".log .token").first.press("ArrowRight")  # Sphinx can turn pages with the arrows
        assert page.url == here and place.locator(".odds tr").count() >= 8
