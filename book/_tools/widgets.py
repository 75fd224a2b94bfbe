"""The directive `{widget}`: a part of the page that the reader can touch.

:::{widget} playground
:::

It stands for a place in the page and the scripts from book/_static that fill it. A browser that opens
the page from a file runs them too: no module, no request for data, no server.
"""

from docutils import nodes
from docutils.parsers.rst import Directive

# One widget each: what it is called in English and in Chinese, and its own scripts besides those that
# all of them share. The scripts have their words in both languages and go by the page's.
WIDGETS = {
    "playground": ("The tokenizer playground", "分词器游乐场", ["playground.js"]),
    "mask-painter": ("The mask painter", "掩码画板", ["mask_painter.js"]),
    "lite-chat": ("A chat with the model", "与模型对话", ["transformer.js", "chat.js"]),
}
NO_SCRIPT = ("{label} stands here; it needs JavaScript.", "这里是{label}，需要 JavaScript。")
SHARED = ["lite_data.js", "tokenizer.js", "widgets.js"]  # lite_data.js comes from widget_data.py


def widget_html(name: str, static: str, loaded: list[str], language: str = "en") -> str:
    """A widget's place and the scripts that fill it, less those that are `loaded`, to which they are added.

    static: where _static lies, seen from the page. language: the page's, which the text around the widget
    need not have.
    """
    chinese = language.startswith("zh")
    *labels, own = WIDGETS[name]
    label, language = labels[chinese], language.replace("_", "-")
    scripts = [script for script in SHARED + own if script not in loaded]
    loaded += scripts
    html = [f'<link rel="stylesheet" href="{static}widgets.css">',
            f'<div class="widget" id="{name}" role="group" aria-label="{label}" lang="{language}">'
            f"<noscript>{NO_SCRIPT[chinese].format(label=label)}</noscript></div>"]  # fmt: skip
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
        static = "../" * env.docname.count("/") + "_static/"
        html = widget_html(name, static, loaded, env.config.language or "en")
        return [nodes.raw("", html, format="html")]


def setup(app):
    app.add_directive("widget", Widget)
    # env_version: a page that was read with an older version of this file is read again
    return {"env_version": 2, "parallel_read_safe": True, "parallel_write_safe": True}
