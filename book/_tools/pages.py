"""The book's own Sphinx extension: the picture of the path, links to chapters, lighter pages.

Loaded by `_config.yml`. It adds

- under each chapter's title, the picture of the path with that chapter's station lit;
- the directive `{path}`, the same picture with no station lit;
- the role `{chapter}`: {chapter}`words <05>` is a link to chapter 05, or just the words as long as
  that chapter is not in the table of contents;
- no buttons for Binder and Colab as long as `_config.yml` names no repository;
- a last step that makes the pages lighter and easier for screen readers.
"""

import re
from html import escape

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.addnodes import pending_xref

# One chapter each: its name in English and in Chinese, what it adds, and a drawing, 24 by 24.
STATIONS = [
    ("corpus", "语料", "M4 3h11l5 5v13H4zM15 3v5h5M8 12h8M8 16h8"),
    ("byte pairs", "字节对", "M3 4h6v6H3zM15 4h6v6h-6zM6 10v4h12v-4M12 14v2M5 16h14v5H5zM12 16v5"),
    ("tokenizer", "分词器", "M12 2l9 5v10l-9 5-9-5V7zM3 7l9 5 9-5M12 12v10"),
    ("transformer", "Transformer", "M4 16h16v5H4zM4 9.5h16v5H4zM4 3h16v5H4z"),
    ("pretraining", "预训练", "M3 3v18h18M6 6c2 9 5 10 14 11"),
    ("accumulation", "梯度累积", "M3 4h5l5 8M3 12h17M3 20h5l5-8M16 8l4 4-4 4"),
    ("generation", "生成", "M3 6h11M3 11h15M3 16h7M14 14v7M12 14h4M12 21h4"),
    ("fine-tuning", "微调", "M3 3h13v8H9l-3 3v-3H3zM8 15v2h8l3 3v-3h2V8h-2"),
    ("full size", "完整规模", "M6 6h12v12H6zM10 10h4v4h-4zM9 6V2M15 6V2M9 22v-4M15 22v-4M6 9H2M6 15H2M22 9h-4m0 6h4"),
]
CHAPTER = re.compile(r"chapters/(\d\d)_")
ALT = {
    "en": ("From bytes to a chat model in nine stations: {names}.", " You are at station {number}, {name}."),
    "zh": ("从字节到聊天模型的九站：{names}。", "现在是第 {number} 站：{name}。"),
}


def path_svg(lit: int | None, language: str, columns: int) -> str:
    """The path as a line of nine stations, `columns` to a row; station `lit` (1 to 9) is filled."""
    chinese = language.startswith("zh")
    names = [station[chinese] for station in STATIONS]
    text, here = ALT["zh" if chinese else "en"]
    label = text.format(names=("、" if chinese else ", ").join(names))
    if lit:
        label += here.format(number=lit, name=names[lit - 1])
    step_x, step_y, top = (78 if columns == 9 else 116), 84, 26
    places = [(step_x * (i % columns + 0.5), top + step_y * (i // columns)) for i in range(len(STATIONS))]
    line = []
    for i, (x, y) in enumerate(places, start=1):  # from each station to the next, or to the edge
        kind = "done" if lit and i < lit else "ahead"
        if i % columns:
            line.append(f'<path class="{kind}" d="M{x + 20:g} {y}H{x + step_x - 20:g}"/>')
        elif i < len(STATIONS):
            next_row = f"M0 {y + step_y}H{step_x / 2 - 20:g}"
            line.append(f'<path class="{kind}" d="M{x + 20:g} {y}H{step_x * columns}{next_row}"/>')
    stations = []
    for i, ((x, y), name) in enumerate(zip(places, names), start=1):
        kind = "here" if i == lit else "done" if lit and i < lit else "ahead"
        stations.append(
            f'<g class="station {kind}"><circle cx="{x:g}" cy="{y}" r="20"/>'
            f'<path class="icon" transform="translate({x - 10:g} {y - 10}) scale(.83)" d="{STATIONS[i - 1][2]}"/>'
            f'<text x="{x:g}" y="{y + 35}">{i} {escape(name)}</text></g>'
        )
    height = places[-1][1] + 44
    return (
        f'<svg class="path columns-{columns}" viewBox="0 0 {step_x * columns} {height}" role="img" '
        f'aria-label="{escape(label)}">{"".join(line)}{"".join(stations)}</svg>'
    )


def path_html(lit: int | None, language: str) -> str:
    """Two drawings of the path: nine in a row, and three by three for a phone; CSS shows one."""
    return f'<div class="path-picture">{path_svg(lit, language, 9)}{path_svg(lit, language, 3)}</div>'


class Path(Directive):
    """```{path}```: the picture of the path with no station lit."""

    def run(self):
        language = self.state.document.settings.env.config.language or "en"
        return [nodes.raw("", path_html(None, language), format="html")]


def chapter_role(name, rawtext, text, lineno, inliner, options=None, content=None):
    """{chapter}`05` or {chapter}`words <05>`: a link to a chapter by its number, plain text if it is missing."""
    words, number = re.fullmatch(r"(?:(.*?)\s*<)?(\d\d)>?", text).groups()
    env = inliner.document.settings.env
    found = [doc for doc in env.found_docs if doc.startswith(f"chapters/{number}_")]
    if not found:
        return [nodes.inline(rawtext, words or number, classes=["chapter-to-come"])], []
    reference = pending_xref(rawtext, refdomain="std", reftype="doc", reftarget="/" + found[0], refexplicit=True,
                             refwarn=True, refdoc=env.docname)  # fmt: skip
    reference += nodes.inline("", words or number)
    return [reference], []


def add_path(app, pagename, templatename, context, doctree):
    """Under a chapter's title: the path, with this chapter's station lit."""
    chapter = CHAPTER.match(pagename)
    if chapter and "body" in context:
        picture = path_html(int(chapter.group(1)), app.config.language or "en")
        context["body"] = context["body"].replace("</h1>", "</h1>\n" + picture, 1)


# What the theme writes and what the pages get: without a script of 1.5 MB that draws icons, which
# the theme's style sheet has as a font as well; and with names and focus as screen readers need them.
REPLACE = [
    (re.compile(r"[ \t]*<script[^>]*fontawesome\.js[^>]*></script>\n?"), ""),
    (re.compile(r'(<summary) aria-label="Toggle hidden content"'), r"\1"),
    (re.compile(r'(<button class="btn search-button-field[^>]*?) aria-label="[^"]*"'), r"\1"),
    (re.compile(r'role="doc-biblioentry"'), 'role="listitem"'),
    (re.compile(r'<div class="sidebar-primary-item">(\s*<a class="navbar-brand logo")'),
     r'<div class="sidebar-primary-item" role="navigation" aria-label="MiniMind Lite">\1'),
    (re.compile(r'<div class="(table-wrap|pst-scrollable-table-container)">'), r'<div class="\1" tabindex="0">'),
]
ATTRIBUTE = re.compile(r'(\b(?:aria-label|title|placeholder|alt)=")([^"]*)"')


def no_buttons_without_repository(app, config):
    """The theme fails on a page with launch buttons and no repository to launch."""
    if not config.html_theme_options.get("repository_url"):
        config.html_theme_options["launch_buttons"] = {}


def finish(app, exception):
    """Mend and lighten the written pages."""
    if exception or app.builder.name != "html":
        return
    words = {escape(word): escape(name) for word, name in app.config.theme_words.items()}
    for page in app.outdir.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for pattern, better in REPLACE:
            text = pattern.sub(better, text)
        text = ATTRIBUTE.sub(lambda found: found[1] + words.get(found[2], found[2]) + '"', text)
        page.write_text(text, encoding="utf-8")
    for file in {*app.outdir.glob("_static/scripts/fontawesome.js*"), *app.outdir.glob("_static/**/*.map")}:
        file.unlink()


def setup(app):
    app.add_directive("path", Path)
    app.add_role("chapter", chapter_role)
    app.add_config_value("theme_words", {}, "html")  # what the theme has not translated: {words: translation}
    app.connect("config-inited", no_buttons_without_repository)
    app.connect("html-page-context", add_path)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
