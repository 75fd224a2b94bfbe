"""A real browser for the tests of what moves in the pages: Debian's Chromium, driven by Playwright.

    apt-get install chromium fonts-noto-cjk fonts-noto-color-emoji

Playwright's Python package comes with requirements.txt; it needs no browser of its own and no driver.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install -r requirements.txt")
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="there is no chromium: apt-get install chromium")

# Text whose contrast with what lies behind it is below 4.5, as "element: ratio", within a selector.
PALE = """selector => {
  const numbers = color => color.match(/[\\d.]+/g).map(Number);
  const light = color => numbers(color).slice(0, 3).map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const seeThrough = color => numbers(color)[3] === 0;
  const behind = e => seeThrough(getComputedStyle(e).backgroundColor) && e.parentElement
    ? behind(e.parentElement) : getComputedStyle(e).backgroundColor;
  const found = [], walker = document.createTreeWalker(document.querySelector(selector), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !e.checkVisibility()) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${e.tagName}.${e.className}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""

# Latin words that a widget itself says, not those of tokens, code and examples, nor what someone typed.
LATIN = """selector => {
  const place = document.querySelector(selector), said = [];
  const foreign = e => e.closest("code, bdi, textarea, .token, .example, .odds th");
  const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) if (!foreign(walker.currentNode.parentElement)) said.push(walker.currentNode.data);
  for (const e of [place, ...place.querySelectorAll("*")])
    for (const name of ["aria-label", "title", "placeholder", "alt"]) if (e.hasAttribute(name)) said.push(e.getAttribute(name));
  const names = ["top-k", "top-p", "MB", "Tab"];
  return said.flatMap(text => (text.match(/[A-Za-z][A-Za-z-]*/g) || [])).filter(word => !names.includes(word));
}"""


@contextmanager
def chromium() -> Iterator:
    """A running browser; `new_page` of it is a page as new as a stranger's."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM)
        try:
            yield browser
        finally:
            browser.close()


def watched(browser, width: int = 1280, theme: str = "light"):
    """A new page, and a list that fills with its script errors, console errors and requests to a network."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme, has_touch=width < 600)
    page.set_default_timeout(120_000)  # ms; a busy machine is slow, not wrong
    problems = []
    page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    page.on("console", lambda m: problems.append(f"console: {m.text}") if m.type in ("error", "warning") else None)
    page.on("request", lambda r: None if r.url.startswith("file:") else problems.append(f"leaves the page: {r.url}"))
    return page, problems
