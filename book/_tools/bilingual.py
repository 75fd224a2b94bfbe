"""The book's own Sphinx extension for its two languages.

Loaded by `_config.yml`. It makes tables, buttons and the titles of exercises translatable, which their
own packages forget, puts a link to the same page in the other language on every page, and says on a page
without translation that what follows is English.
"""

from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx_exercise.nodes import exercise_subtitle

CATALOGS = Path("book", "locale")


class Translatable(SphinxTransform):
    """Say where table cells, titles of exercises and buttons come from: Sphinx skips nodes that do not know."""

    default_priority = 5  # before messages are extracted or replaced (10 and 20)

    def apply(self, **kwargs):
        cells = [p for entry in self.document.findall(nodes.entry) for p in entry.findall(nodes.paragraph)]
        for node in [*cells, *self.document.findall(exercise_subtitle), *button_words(self.document)]:
            if not node.source:
                node.source, node.line = self.document["source"], node.line or 0
            node.rawsource = node.rawsource or node.astext()
            node["translatable"] = True


def button_words(document) -> list[nodes.inline]:
    buttons = [x for x in document.findall(pending_xref) if "sd-btn" in x["classes"]]
    return [button[0] for button in buttons if isinstance(button[0], nodes.inline)]


class Keep(SphinxPostTransform):
    """Move titles of exercises and words of buttons to where gettext sees them, before they are melted down."""

    default_priority = 5  # before links are resolved (10) and exercises get their titles (20)
    builders = ("gettext",)

    def run(self):
        for title in list(self.document.findall(exercise_subtitle)):
            exercise = title.parent.parent
            title.parent.remove(title)
            exercise.insert(1, title)
        for words in button_words(self.document):
            words.parent.replace_self(words)


def is_translated(app, page: str) -> bool:
    catalog = Path(app.srcdir) / CATALOGS / app.config.language / "LC_MESSAGES" / f"{page}.po"
    return catalog.is_file()


def add_switch(app, pagename, templatename, context, doctree):
    """Where the same page is in the other language; a note where there is no translation."""
    other = app.config.other_language
    if other:
        up = "../" * pagename.count("/")
        context["other_language"] = other | {"url": f"{up}{other['folder']}/{pagename}.html"}
    note = app.config.untranslated_note
    if note and doctree is not None and not is_translated(app, pagename) and "body" in context:
        context["body"] = f'<p class="untranslated">{note}</p>\n<div lang="en">{context["body"]}</div>'


def setup(app):
    app.add_config_value("other_language", {}, "html")  # hreflang, name, folder
    app.add_config_value("untranslated_note", "", "html")
    app.add_transform(Translatable)
    app.add_post_transform(Keep)
    app.connect("html-page-context", add_switch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
