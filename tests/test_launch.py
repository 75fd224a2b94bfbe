"""Colab, Binder and the repository's address: one setting, and nothing without it."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from nbformat import v4

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_tools"))

import languages  # noqa: E402
import launch  # noqa: E402
import pages  # noqa: E402

URL = "https://github.com/someone/minimind-lite"


def test_the_chapters_agree_with_the_setting():
    url, branch = launch.repository()
    for path in (ROOT / "chapters").glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        before = nbformat.writes(notebook)
        launch.place(notebook, url, branch)
        assert nbformat.writes(notebook) == before, f"{path.name}: call `make launch`"


def test_a_cell_is_placed_replaced_and_removed():
    result = v4.new_output("execute_result", {"text/plain": "2"}, execution_count=2)
    cells = [v4.new_markdown_cell("# A"), v4.new_code_cell("1", execution_count=1),
             v4.new_code_cell("2", execution_count=2, outputs=[result])]  # fmt: skip
    notebook = v4.new_notebook(cells=cells)
    before = nbformat.writes(notebook)
    launch.place(notebook, URL, "main")
    placed = nbformat.writes(notebook)
    assert [cell.get("execution_count") for cell in notebook.cells] == [1, None, 2, 3]
    assert notebook.cells[3].outputs[0].execution_count == 3 and "remove-cell" in notebook.cells[0].metadata.tags
    assert len(notebook.cells[0].source.splitlines()) <= 15 and f'"{URL}", "main"' in notebook.cells[0].source
    launch.place(notebook, URL, "main")
    assert nbformat.writes(notebook) == placed
    launch.place(notebook, "", "main")
    assert nbformat.writes(notebook) == before


def test_the_cell_fetches_the_book_on_colab_alone(tmp_path, monkeypatch):
    calls, moved = [], []
    monkeypatch.setattr(subprocess, "run", lambda command, **options: calls.append(command))
    monkeypatch.setattr("os.chdir", moved.append)
    monkeypatch.setattr(sys, "path", list(sys.path))
    source = launch.SOURCE.format(url=URL, branch="main").replace("/content/book", str(tmp_path / "book"))
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    exec(source, {})
    assert not calls and not moved
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    exec(source, {})
    assert calls[0] == ["git", "clone", "--quiet", "--depth", "1", "--branch", "main", URL, str(tmp_path / "book")]
    assert calls[1][1:4] == ["-m", "pip", "install"] and moved == [f"{tmp_path}/book/chapters"]
    assert sys.path[0] == str(tmp_path / "book")
    (tmp_path / "book").mkdir()
    exec(source, {})
    assert [command[0] for command in calls[2:]] == [sys.executable], "cloned once"


@pytest.mark.parametrize(("text", "found"), [
    ("{repository_url: ''}", ("", "main")),
    ("{show_navbar_depth: 1}", ("", "main")),
    ("{repository_url: 'https://github.com/a/b/', repository_branch: dev}", ("https://github.com/a/b", "dev")),
])  # fmt: skip
def test_the_setting_is_read(tmp_path, text, found):
    (tmp_path / "_config.yml").write_text(f"sphinx: {{config: {{html_theme_options: {text}}}}}")
    assert launch.repository(tmp_path / "_config.yml") == found


def test_an_address_that_is_none_is_refused(tmp_path):
    (tmp_path / "_config.yml").write_text("sphinx: {config: {html_theme_options: {repository_url: github.com/a}}}")
    with pytest.raises(SystemExit, match="github.com/a should be like https://github.com/OWNER/NAME, or empty"):
        launch.repository(tmp_path / "_config.yml")


def test_without_a_repository_there_are_no_buttons():
    for url, expected in (("", {}), (URL, {"colab_url": "https://colab"})):
        options = {"repository_url": url, "launch_buttons": {"colab_url": "https://colab"}}
        pages.no_buttons_without_repository(None, SimpleNamespace(html_theme_options=options))
        assert options["launch_buttons"] == expected


def test_with_a_repository_each_notebook_has_buttons_that_name_it(tmp_path):
    """A book of one page and one chapter, with the real configuration and an address."""
    source = tmp_path / "source"
    for folder in ("book", "chapters"):
        (source / folder).mkdir(parents=True)
    for name in ("_static", "_templates", "_tools", "references.bib"):
        (source / "book" / name).symlink_to(ROOT / "book" / name)
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["sphinx"]["config"]["html_theme_options"]["repository_url"] = URL
    (source / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    part = {"caption": "c", "chapters": [{"file": "chapters/01_x"}]}
    toc = {"format": "jb-book", "root": "book/intro", "parts": [part]}
    (source / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    (source / "book" / "intro.md").write_text("# Front\n", encoding="utf-8")
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# One"), v4.new_code_cell("1", execution_count=1)],
                               metadata={"language_info": {"name": "python"},
                                         "kernelspec": {"name": "python3", "display_name": "Python 3"}})  # fmt: skip
    launch.place(notebook, URL, "main")
    nbformat.write(notebook, source / "chapters" / "01_x.ipynb")
    languages.jupyter_book(source, tmp_path)
    html = tmp_path / "_build" / "html"
    page = BeautifulSoup((html / "chapters" / "01_x.html").read_text(encoding="utf-8"), "html.parser")
    links = {a.get_text(strip=True): a["href"] for a in page.select(".dropdown-launch-buttons a")}
    assert links == {
        "Binder": "https://mybinder.org/v2/gh/someone/minimind-lite/main?urlpath=lab/tree/chapters/01_x.ipynb",
        "Colab": "https://colab.research.google.com/github/someone/minimind-lite/blob/main/chapters/01_x.ipynb",
    }
    assert "google.colab" not in page.get_text()  # the cell is for Colab, not for readers
    switch = page.select_one("a.language-switch")
    assert switch["href"] == "../zh/chapters/01_x.html" and switch["hreflang"] == "zh-CN"
    assert not BeautifulSoup((html / "book" / "intro.html").read_text(encoding="utf-8"), "html.parser").select(
        ".dropdown-launch-buttons")  # fmt: skip
