"""Make one PDF of the rendered book, to print or hand out: `python book/_tools/pdf.py _build/html book.pdf`.

All pages become one, so that links between them work in the PDF as well, and Chromium prints it. It is
printed twice: where things stand is known only after the first time, and the contents need it.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pikepdf
from bs4 import BeautifulSoup, Tag
from pypdf import PdfReader

STYLE = Path(__file__).with_name("print.css")
CONTENTS = {"en": "Contents", "zh": "目录"}
# What a printed page has no use for: what is clicked or played, and code that is folded on the screen.
LEFT_OUT = ("script, iframe, .headerlink, .copybtn, .buttons, .no-print, details.above-input, "
            ".path-picture svg.columns-3")  # fmt: skip
WHOLE = 25  # lines: code that is shorter stays on one page


def pages_in_order(html: Path) -> dict[Path, BeautifulSoup]:
    """The pages from the first to the last, by the links to the next one."""
    redirect = BeautifulSoup((html / "index.html").read_text(encoding="utf-8"), "html.parser")
    refresh = redirect.find("meta", attrs={"http-equiv": re.compile("refresh", re.IGNORECASE)})
    first = html / (refresh["content"].partition("url=")[2] if refresh else "index.html")
    pages, path = {}, first.resolve()
    while path not in pages:
        pages[path] = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        following = pages[path].find("link", rel="next", href=True)
        if following:
            path = (path.parent / unquote(following["href"])).resolve()
    return pages


def name_of(html: Path, path: Path) -> str:
    return str(path.relative_to(html.resolve()).with_suffix("")).replace("/", "-")


def printable(path: Path, page: BeautifulSoup, names: dict[Path, str]) -> Tag:
    """A page's article with names of its own, links into the one document, and nothing to click."""
    article = page.select_one("article.bd-article") or page.find("article")
    for tag in article.select(LEFT_OUT):
        tag.decompose()
    for tag in article.find_all("details"):
        tag["open"] = ""
    for tag in article.find_all("noscript"):
        tag.name = "div"
    for tag in article.select("div.highlight"):
        if tag.get_text().count("\n") < WHOLE:
            tag["class"] = [*tag["class"], "whole"]
    for tag in article.find_all(id=True):
        tag["id"] = f"{names[path]}--{tag['id']}"
    for tag in article.find_all("a", href=True):
        link = urlsplit(tag["href"])
        target = (path.parent / unquote(link.path)).resolve() if link.path else path
        if link.scheme or link.netloc:
            continue
        if target in names:
            tag["href"] = f"#{names[target]}" + (f"--{unquote(link.fragment)}" if link.fragment else "")
        else:
            del tag["href"]  # a file that the PDF does not contain
    for tag in article.find_all(src=True):
        if not urlsplit(tag["src"]).scheme:
            tag["src"] = (path.parent / unquote(urlsplit(tag["src"]).path)).resolve().as_uri()
    article["id"] = names[path]
    return article


def headings(article: Tag, depth: int) -> list[tuple[int, str, str]]:
    """Level, text and name of an article's headings; the first is its title."""
    found = []
    for tag in article.find_all(["h1", "h2"][:depth]):
        section = tag.find_parent("section", id=True)
        name = article["id"] if not found or section is None else section["id"]
        found.append((int(tag.name[1]), " ".join(tag.get_text().split()), name))
    return found


def contents(title: str, rows: list[tuple[int, str, str]], places: dict[str, int]) -> str:
    lines = [
        f'<li class="level-{level}"><a href="#{escape(name)}"><span>{escape(text)}</span>'
        f"<span>{places.get(name, '')}</span></a></li>"
        for level, text, name in rows
    ]
    return f'<nav class="contents"><h1>{title}</h1><ol>{"".join(lines)}</ol></nav>'


def styles(html: Path, page: BeautifulSoup, path: Path, titles: dict[str, str]) -> str:
    """The book's style sheets, the one for print, and each page's title at the head of its sheets."""
    found = [urlsplit(tag["href"]) for tag in page.find_all("link", rel="stylesheet", href=True)]
    links = [(path.parent / link.path).resolve().as_uri() for link in found if not link.scheme]
    rules = [
        f'#{name} {{ page: {name}; }} @page {name} {{ @top-left {{ content: "{title}"; }} }}'
        for name, title in ((n, t.replace("\\", "").replace('"', "'")) for n, t in titles.items())
    ]
    sheets = "".join(f'<link rel="stylesheet" href="{link}">' for link in links)
    return f"{sheets}<style>{STYLE.read_text(encoding='utf-8')}\n{' '.join(rules)}</style>"


def print_page(program: str, document: str, target: Path) -> None:
    """Let Chromium print an HTML document; exits with what it said if there is no PDF afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "book.html"
        source.write_text(document, encoding="utf-8")
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
                   "--disable-background-networking", "--disable-component-update", "--allow-file-access-from-files",
                   f"--user-data-dir={folder}/profile", "--no-pdf-header-footer", "--generate-pdf-document-outline",
                   f"--print-to-pdf={target}", source.as_uri()]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or not target.is_file():
            sys.exit(f"{program} made no PDF:\n{done.stderr[-2000:]}")


def places(path: Path) -> dict[str, int]:
    """The number of the page on which each named place of a PDF stands."""
    reader = PdfReader(path)
    return {name.lstrip("/"): reader.get_destination_page_number(place) + 1
            for name, place in reader.named_destinations.items()}  # fmt: skip


def without_glyphs(reader: PdfReader) -> list[int]:
    """The numbers of the pages with a character that no font of this machine has: an empty box."""
    return [number for number, page in enumerate(reader.pages, 1) if "\0" in page.extract_text()]


def make(html: Path, target: Path) -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        sys.exit("The PDF is printed by Chromium, which is not installed: on Debian, apt-get install chromium "
                 "fonts-noto-cjk fonts-noto-color-emoji; elsewhere, Google Chrome will do.")  # fmt: skip
    if not (html / "index.html").is_file():
        sys.exit(f"{html} holds no rendered book: make html")
    pages = pages_in_order(html)
    names = {path: name_of(html, path) for path in pages}
    articles = [printable(path, page, names) for path, page in pages.items()]
    rows = [row for article in articles for row in headings(article, 2 if article.select_one(".section-number") else 1)]
    first_path, first = next(iter(pages.items()))
    language = first.html.get("lang", "en") if first.html else "en"
    titles = {name: text for level, text, name in rows[1:] if level == 1}  # the title page has no head
    head = styles(html, first, first_path, titles)
    title = articles[0].find("h1").get_text()
    body = [str(article) for article in articles]
    known: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.pdf"
        for _ in range(2):
            listed = contents(CONTENTS.get(language[:2], CONTENTS["en"]), rows[1:], known)
            document = (f'<!doctype html><html lang="{language}" data-theme="light" data-mode="light"><head>'
                        f'<meta charset="utf-8"><title>{escape(title)}</title>{head}</head>'
                        f'<body><main class="bd-content">'
                        f"{body[0]}{listed}{''.join(body[1:])}</main></body></html>")  # fmt: skip
            print_page(program, document, draft)
            known = places(draft)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")  # an unfinished file never takes the place of a good one
        with pikepdf.open(draft) as pdf:  # Chromium packs pictures, but not the tags for screen readers
            pdf.save(part, object_stream_mode=pikepdf.ObjectStreamMode.generate)
        part.replace(target)
    reader = PdfReader(target)
    print(f"{target}: {len(reader.pages)} pages, {target.stat().st_size / 1e6:.1f} MB")
    if boxes := without_glyphs(reader):
        print(f"Some characters are empty boxes, on page {', '.join(map(str, boxes))}: no font here has them. On "
              "Debian: apt-get install fonts-noto-cjk fonts-noto-color-emoji", file=sys.stderr)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("html", type=Path, help="the rendered book, _build/html, or _build/html/zh")
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    make(arguments.html, arguments.target)


if __name__ == "__main__":
    main()
