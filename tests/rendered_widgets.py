"""The widgets where the reader meets them, in the rendered pages: `make html`, then pytest on this file.

What they compute is tested in test_widgets.py; here it matters that the book's theme, its style sheet and
its other scripts leave them alone, on a wide page and on a phone, light and dark.
"""

from pathlib import Path

import pytest
from browser import PALE, chromium, needs_chromium, watched

CHAPTERS = Path(__file__).resolve().parents[1] / "_build" / "html" / "chapters"
PAGES = {path: path.read_text(encoding="utf-8") for path in sorted(CHAPTERS.glob("*.html"))}
WIDGETS = ("playground", "mask-painter", "lite-chat")
pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


def page_of(widget):
    """The one rendered page that has this widget."""
    found = [path for path, text in PAGES.items() if f'id="{widget}"' in text]
    assert len(found) == 1, f"{widget} stands on {len(found)} pages of {CHAPTERS}: render the book with `make html`"
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
