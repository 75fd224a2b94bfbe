"""The printed book, from two small pages of the same make as the rendered ones."""

import shutil
import sys
from pathlib import Path

import pytest
from pypdf import PdfReader

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_tools"))

import pdf  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LONG_LINE = " + ".join(f"term_{i:02}" for i in range(40))  # 440 columns
FRONT = """<html lang="en"><head><link rel="next" href="chapters/01_first.html"></head><body>
<article class="bd-article"><section id="book"><h1>A small book<a class="headerlink" href="#book">#</a></h1>
<p>See <a href="chapters/01_first.html#two">the second part</a> and <a href="genindex.html">the index</a>.</p>
</section></article></body></html>"""
FIRST = f"""<html lang="en"><body><article class="bd-article"><section id="first">
<h1><span class="section-number">1. </span>The first chapter</h1>
<details class="hide above-input"><summary>Show code cell source</summary><pre>folded_away = 1</pre></details>
<div class="highlight"><pre>{LONG_LINE}</pre></div>
<section id="two"><h2><span class="section-number">1.1. </span>Words 词表</h2>
<p>Back to <a href="../book.html">the front</a>.
<a href="https://example.org/">Elsewhere</a></p>
<img src="../dot.svg" alt="a dot" width="9"></section></section></article></body></html>"""


@pytest.fixture
def html(tmp_path):
    folder = tmp_path / "html"
    (folder / "chapters").mkdir(parents=True)
    (folder / "index.html").write_text('<meta http-equiv="Refresh" content="0; url=book.html">', encoding="utf-8")
    (folder / "book.html").write_text(FRONT, encoding="utf-8")
    (folder / "chapters" / "01_first.html").write_text(FIRST, encoding="utf-8")
    (folder / "dot.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    return folder


def test_pages_become_one_document_with_links_of_its_own(html):
    pages = pdf.pages_in_order(html)
    assert [path.name for path in pages] == ["book.html", "01_first.html"]
    names = {path: pdf.name_of(html, path) for path in pages}
    front, first = (pdf.printable(path, page, names) for path, page in pages.items())
    assert front.find("a", string="the second part")["href"] == "#chapters-01_first--two"
    assert "href" not in front.find("a", string="the index").attrs  # not in the PDF
    assert first.find("a", string="the front")["href"] == "#book"
    assert first.find("a", string="Elsewhere")["href"] == "https://example.org/"
    assert first.find("img")["src"] == (html / "dot.svg").resolve().as_uri() and not first.find("details")
    assert pdf.headings(first, 2) == [(1, "1. The first chapter", "chapters-01_first"),
                                      (2, "1.1. Words 词表", "chapters-01_first--two")]  # fmt: skip


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium fonts-noto-cjk fonts-noto-color-emoji")
def test_the_pdf_has_numbers_contents_links_and_whole_lines(html, tmp_path, capsys):
    target = tmp_path / "book.pdf"
    pdf.make(html, target)
    reader = PdfReader(target)
    texts = [page.extract_text() for page in reader.pages]
    printed = capsys.readouterr()
    assert len(texts) == 3 and printed.out.startswith(f"{target}: 3 pages") and not printed.err
    assert "A small book" in texts[0] and "Contents" in texts[1]
    listed = " ".join(texts[1].split())
    assert "1. The first chapter 3" in listed and "1.1. Words 词表 3" in listed
    numbers = [[line for line in text.splitlines() if line.strip().isdigit()] for text in texts]
    assert numbers[0] == [] and "2" in numbers[1] and numbers[2] == ["3"]  # at the foot; none on the title page
    assert texts[2].count("1. The first chapter") == 2  # title, and head of the page
    code = "".join(texts[2].split())
    assert LONG_LINE.replace(" ", "") in code and "folded_away" not in code
    # what is wider than the paper is wrapped
    lines = [line for line in texts[2].splitlines() if "term_" in line]
    assert len(lines) > 3 and max(map(len, lines)) < 120
    assert pdf.places(target)["chapters-01_first--two"] == 3
    links = [a.get_object() for a in reader.pages[0]["/Annots"]]
    assert any("chapters-01_first--two" in str(a.get("/Dest") or a.get("/A")) for a in links)
    assert not list(tmp_path.glob("*.part"))


def test_what_is_missing_is_said_in_a_sentence(html, tmp_path, monkeypatch):
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="Chromium, which is not installed: on Debian, apt-get install chromium"):
        pdf.make(html, tmp_path / "book.pdf")
    monkeypatch.setattr(pdf.shutil, "which", lambda name: "/bin/false")
    with pytest.raises(SystemExit, match="holds no rendered book: make html"):
        pdf.make(tmp_path / "nowhere", tmp_path / "book.pdf")
    (tmp_path / "book.pdf").write_text("a good one")
    with pytest.raises(SystemExit, match="/bin/false made no PDF"):
        pdf.make(html, tmp_path / "book.pdf")
    assert (tmp_path / "book.pdf").read_text() == "a good one"


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium fonts-noto-cjk fonts-noto-color-emoji")
def test_a_character_that_no_font_has_is_said(html, tmp_path, capsys):
    page = html / "chapters" / "01_first.html"
    page.write_text(FIRST.replace("Words", "Words \uf8ff"), encoding="utf-8")  # of private use
    pdf.make(html, tmp_path / "book.pdf")
    assert "empty boxes, on page 2, 3: no font" in capsys.readouterr().err
