"""Put what Colab needs into the chapters: `python book/_tools/launch.py chapters/*.ipynb` (make launch).

The repository named in `_config.yml` decides. With an address, each chapter begins with a cell that
fetches the book on Colab and does nothing elsewhere; with none, there is no such cell.
"""

import argparse
import re
import sys
from pathlib import Path

import nbformat
import yaml

CONFIG = Path(__file__).resolve().parents[2] / "_config.yml"
CELL = "colab"  # the id of the cell
SOURCE = '''\
# Colab starts with an empty machine: fetch the book and what it needs. Elsewhere nothing happens.
import os
import subprocess
import sys

if "google.colab" in sys.modules:
    url, branch, book = "{url}", "{branch}", "/content/book"
    if not os.path.isdir(book):
        clone = ["git", "clone", "--quiet", "--depth", "1", "--branch", branch, url, book]
        subprocess.run(clone, check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "-r", "requirements.txt"]
    subprocess.run(install, cwd=book, check=True)
    os.chdir(f"{{book}}/chapters")
    sys.path.insert(0, book)'''


def repository(config: Path = CONFIG) -> tuple[str, str]:
    """Address and branch from _config.yml; the address is empty where none is set."""
    theme = yaml.safe_load(config.read_text(encoding="utf-8"))["sphinx"]["config"]["html_theme_options"]
    url, branch = (theme.get("repository_url") or "").rstrip("/"), theme.get("repository_branch") or "main"
    if url and not re.fullmatch(r"https://[\w.-]+/[\w.-]+/[\w.-]+", url):
        sys.exit(f"{config}: repository_url: {url} should be like https://github.com/OWNER/NAME, or empty")
    return url, branch


def place(notebook: nbformat.NotebookNode, url: str, branch: str) -> None:
    """Add, replace or remove the cell. It counts as run: outside Colab it has no output."""
    notebook.cells = [cell for cell in notebook.cells if cell.id != CELL]
    if url:
        cell = nbformat.v4.new_code_cell(SOURCE.format(url=url, branch=branch), metadata={"tags": ["remove-cell"]})
        cell.id, cell.execution_count = CELL, 1
        notebook.cells.insert(0, cell)
    count = 0
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.execution_count:
            count += 1
            cell.execution_count = count
            for output in cell.outputs:
                if "execution_count" in output:
                    output["execution_count"] = count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", type=Path, nargs="+")
    url, branch = repository()
    for path in parser.parse_args().notebooks:
        notebook = nbformat.read(path, as_version=4)
        before = nbformat.writes(notebook)
        place(notebook, url, branch)
        if nbformat.writes(notebook) != before:
            nbformat.write(notebook, path)
            print(f"{path}: {'fetches the book from ' + url if url else 'fetches nothing'} on Colab")


if __name__ == "__main__":
    main()
