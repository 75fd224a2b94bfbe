"""Run, tidy and render the chapters: execute, refresh, render, summary. `make` calls this."""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "_build"
TIMES = BUILD / "times.json"


def run(path: Path) -> nbformat.NotebookNode:
    """Execute a notebook in the folder chapters/; exits with the failing cell if it fails."""
    notebook = nbformat.read(path, as_version=4)
    print(f"{path.name} …", end=" ", flush=True)
    began = time.time()
    client = NotebookClient(
        notebook, timeout=1200, kernel_name="python3", record_timing=False,
        resources={"metadata": {"path": str(ROOT / "chapters")}},
    )  # fmt: skip
    try:
        client.execute()
    except CellExecutionError as error:
        print("failed")
        sys.exit(f"{path}: a cell failed.\n{error}")
    seconds = time.time() - began
    print(f"{seconds:.0f} s", flush=True)
    BUILD.mkdir(exist_ok=True)
    times = json.loads(TIMES.read_text()) if TIMES.is_file() else {}
    TIMES.write_text(json.dumps(times | {path.stem: round(seconds, 1)}, indent=1, sort_keys=True))
    return tidy(notebook)


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Leave only what belongs to the chapter: no progress bars, timings or versions."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "mystnb")}
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    return notebook


def write(notebook, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def render(chapters: Path) -> None:
    """Render the book with the notebooks of a folder; the result is _build/html/index.html."""
    source = BUILD / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "book", source / "book", ignore=shutil.ignore_patterns("_tools"))
    shutil.copytree(chapters, source / "chapters", ignore=shutil.ignore_patterns(".*"))
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, source)
    write_results(source / "book" / "times.md")
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(source), "--path-output", str(ROOT),
               "-W", "-n", "--keep-going", "-q"]  # fmt: skip
    began = time.time()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"Rendering failed:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}")
    print(f"rendered in {time.time() - began:.0f} s: {BUILD / 'html' / 'index.html'}")


def write_results(path: Path) -> None:
    """The table of run times that the results page includes."""
    if not TIMES.is_file():
        path.write_text("Not measured yet on this machine: `make book` fills in this table.\n")
        return
    rows = [f"| {stem} | {seconds:.0f} |" for stem, seconds in json.loads(TIMES.read_text()).items()]
    path.write_text("| chapter | seconds |\n|---|---:|\n" + "\n".join(rows) + "\n")


def summary(began: int) -> None:
    """What `make book` says at the end."""
    for stem, seconds in json.loads(TIMES.read_text()).items():
        print(f"{seconds:7.0f} s  {stem}")
    print(f"{time.time() - began:7.0f} s  all together")
    print(f"Open {BUILD / 'html' / 'index.html'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    sub = commands.add_parser("execute", help="run SOURCE and write it, with its outputs, to TARGET")
    sub.add_argument("source", type=Path)
    sub.add_argument("target", type=Path)
    sub = commands.add_parser("refresh", help="run notebooks in place and tidy them")
    sub.add_argument("notebooks", type=Path, nargs="+")
    sub = commands.add_parser("render", help="render the book with the notebooks of a folder")
    sub.add_argument("chapters", type=Path)
    sub = commands.add_parser("summary", help="print how long each chapter took")
    sub.add_argument("began", type=int)
    arguments = parser.parse_args()
    if arguments.command == "execute":
        write(run(arguments.source), arguments.target)
    elif arguments.command == "refresh":
        for path in arguments.notebooks:
            write(run(path), path)
    elif arguments.command == "render":
        render(arguments.chapters)
    else:
        summary(arguments.began)


if __name__ == "__main__":
    main()
