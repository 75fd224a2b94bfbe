"""The book's own Sphinx extension for its search page: what Sphinx's search lacks for two languages and for files.

- A page that was opened from a file may not read the other pages, so their first lines are not shown there.
- A Chinese question has no spaces: it is cut into the longest words that the index knows.

And so that the English book finds Chinese words, its glossary gives each term's Chinese name.
"""

from html import escape

from docutils import nodes
from languages import LANGUAGE, LOCALE, glossary
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

NO_SUMMARY = """
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
"""
SPLIT = r"""
var splitQuery = (query) => {
  const known = (word) => Object.hasOwn(Search._index.terms, word) || Object.hasOwn(Search._index.titleterms, word);
  const words = (chinese) => {
    const found = [];
    for (let at = 0, end; at < chinese.length; at = end) {
      for (end = chinese.length; end > at + 1 && !known(chinese.slice(at, end)); end--);
      if (end > at + 1) found.push(chinese.slice(at, end));
    }
    return found.length ? found : [chinese];
  };
  const runs = query.match(/\p{Script=Han}+|(?:(?!\p{Script=Han})[\p{Letter}\p{Number}_\p{Emoji_Presentation}])+/gu) || [];
  return runs.flatMap((run) => (/\p{Script=Han}/u.test(run) ? words(run) : [run]));
};
"""


def named_terms(document, language: str | None):
    """The terms of an English page's glossary that have a Chinese name of their own, as (item, name)."""
    if (language or "en").startswith("zh"):
        return
    names = glossary()
    for item in document.findall(nodes.definition_list_item):
        terms = [term.astext() for term in item.findall(nodes.term)]
        chinese = "、".join(names[term] for term in terms if names.get(term, term) != term)
        if chinese and "glossary" in item.parent["classes"]:
            yield item, chinese


class FindChineseNames(SphinxTransform):
    """Put them into the index, in a chapter of their own, so that a search leads to the term itself."""

    default_priority = 600

    def apply(self, **kwargs):
        for item, chinese in named_terms(self.document, self.config.language):
            self.env.note_dependency(str(LOCALE / LANGUAGE / "LC_MESSAGES" / "book" / "glossary.po"))
            term = next(item.findall(nodes.term))
            entries = next(term.findall(addnodes.index))["entries"]
            entries.append(("single", chinese, term["ids"][0], "main", "中文"))


class ShowChineseNames(SphinxPostTransform):
    """Put them before what the terms mean."""

    default_priority = 5
    builders = ("html",)

    def run(self):
        for item, chinese in named_terms(self.document, self.config.language):
            language = LANGUAGE.replace("_", "-")
            name = f'<span class="in-chinese" lang="{language}">{escape(chinese)}</span> '
            next(item.findall(nodes.paragraph)).insert(0, nodes.raw("", name, format="html"))


def add_scripts(app, exception):
    if exception or app.builder.name != "html":
        return
    for name, text in (("documentation_options.js", NO_SUMMARY), ("language_data.js", SPLIT)):
        path = app.outdir / "_static" / name
        written = path.read_text(encoding="utf-8")
        if text not in written:
            path.write_text(written + text, encoding="utf-8")


def setup(app):
    app.add_transform(FindChineseNames)
    app.add_post_transform(ShowChineseNames)
    app.connect("build-finished", add_scripts)
    return {"env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
