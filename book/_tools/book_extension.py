"""The book's Sphinx extension: pages that need no network, and the table of run times."""

import importlib.util
import json
import shutil
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

MATHJAX = Path(importlib.util.find_spec("mathjax").origin).parent / "static" / "mathjax"


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """MathJax's one-file build beside the pages, with its licence."""
    if error is None and app.builder.format == "html":
        target = Path(app.outdir) / "_static" / "mathjax"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(MATHJAX / "es5" / "tex-svg.js", target)
        shutil.copy(MATHJAX / "LICENSE", target)


def without_thebe(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    """Thebe would run cells on a server that the book does not have."""
    files = context.get("script_files", [])
    context["script_files"] = [
        file for file in files
        if "thebe" not in str(file) and "thebe" not in getattr(file, "attributes", {}).get("body", "")
    ]  # fmt: skip


def table(header: list[str], rows: list[list[str]]) -> nodes.table:
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    head, body = nodes.thead(), nodes.tbody()
    for parent, lines in ((head, [header]), (body, rows)):
        for line in lines:
            row = nodes.row()
            row += [nodes.entry("", nodes.paragraph(text=text)) for text in line]
            parent += row
    group += [head, body]
    return nodes.table("", group)


class RunTimes(SphinxDirective):
    """``{run-times}``: what `make book` measured, or how to measure it."""

    def run(self) -> list[nodes.Node]:
        path = Path(self.env.srcdir) / "times.json"
        self.env.note_dependency(str(path))
        if not path.is_file():
            text = "These pages show the chapters as they are stored. Run make book to fill this table."
            return [nodes.paragraph(text=text)]
        noted = json.loads(path.read_text(encoding="utf-8"))
        names = {"models": "corpus, tokenizer and training (what was missing)"}
        seconds = sorted(noted["seconds"].items(), key=lambda item: (item[0] != "models", item[0]))
        rows = [[names.get(name, name), f"{value:.1f}"] for name, value in seconds]
        rows.append(["in all", f"{sum(noted['seconds'].values()):.1f}"])
        machine = [[key, value] for key, value in noted["machine"].items()]
        return [table(["step", "seconds"], rows), table(["measured on", ""], machine)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.config.mathjax_path = "mathjax/tex-svg.js"
    app.add_directive("run-times", RunTimes)
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
