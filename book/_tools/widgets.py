"""The directive `{widget}`: a part of the page that the reader can touch.

:::{widget} playground
:::

It stands for a place in the page and the scripts from book/_static that fill it. A browser that opens
the page from a file runs them too: no module, no request for data, no server.
"""

from docutils import nodes
from docutils.parsers.rst import Directive

# One widget each: what it is called, and its own scripts besides those that all of them share.
WIDGETS = {
    "playground": ("The tokenizer playground", ["playground.js"]),
    "mask-painter": ("The mask painter", ["mask_painter.js"]),
    "lite-chat": ("A chat with the model", ["transformer.js", "chat.js"]),
}
SHARED = ["lite_data.js", "tokenizer.js", "widgets.js"]  # lite_data.js comes from widget_data.py


def widget_html(name: str, static: str, loaded: list[str]) -> str:
    """A widget's place and the scripts that fill it, less those that are `loaded`, to which they are added.

    static: where _static lies, seen from the page.
    """
    label, own = WIDGETS[name]
    scripts = [script for script in SHARED + own if script not in loaded]
    loaded += scripts
    html = [f'<link rel="stylesheet" href="{static}widgets.css">',
            f'<div class="widget" id="{name}" role="group" aria-label="{label}">'
            f"<noscript>{label} stands here; it needs JavaScript.</noscript></div>"]  # fmt: skip
    html += [f'<script defer src="{static}{script}"></script>' for script in scripts]
    return "\n".join(html)


class Widget(Directive):
    """Raises an error, and so a warning of the build, for a name that is not in WIDGETS."""

    required_arguments = 1

    def run(self):
        name = self.arguments[0]
        if name not in WIDGETS:
            raise self.error(f"there is no widget {name!r}: choose one of {', '.join(WIDGETS)}.")
        env = self.state.document.settings.env
        loaded = env.temp_data.setdefault("widget_scripts", [])  # of this page
        html = widget_html(name, "../" * env.docname.count("/") + "_static/", loaded)
        return [nodes.raw("", html, format="html")]


def setup(app):
    app.add_directive("widget", Widget)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
