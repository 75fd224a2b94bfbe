"""Run, tidy and render the chapters: execute, refresh, render, summary. `make` calls this."""

import argparse
import json
import os
import platform
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from html import escape
from importlib.metadata import version
from pathlib import Path

import nbformat
from languages import FOLDER, jupyter_book, render_translation
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm

import speed

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "_build"
RUNS = BUILD / "runs"  # a file a chapter: how its last run on this machine went
PACKAGES = ("torch", "tokenizers", "transformers", "safetensors", "matplotlib", "jupyter-book")
WIDGET = "application/vnd.jupyter.widget-view+json"


def run(path: Path) -> nbformat.NotebookNode:
    """Execute a notebook in the folder chapters/; exits with the failing cell if one fails."""
    notebook = nbformat.read(path, as_version=4)
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    began = time.time()
    # The bar is for someone watching; a log gets one line a chapter.
    with tqdm(total=cells, desc=path.stem, unit="cell", leave=False, disable=None) as bar:
        client = NotebookClient(
            notebook, timeout=1200, kernel_name="python3", record_timing=False,
            resources={"metadata": {"path": str(ROOT / "chapters")}},
            on_cell_executed=lambda **_: bar.update(), extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )  # fmt: skip
        try:
            client.execute()
        except CellExecutionError as error:
            sys.exit(f"{path}: a cell failed.\n{error}")
    seconds = time.time() - began
    print(f"{seconds:7.0f} s  {path.stem}", flush=True)
    record(path.stem, seconds)
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
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr" and WIDGET not in o.get("data", {})]
    return notebook


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def record(stem: str, seconds: float) -> None:
    """Remember how long a chapter took, when, and on what, for the status page and the summary."""
    entry = {"seconds": round(seconds, 1), "date": f"{date.today():%d %b %Y}", "finished": time.time(), **machine()}
    RUNS.mkdir(parents=True, exist_ok=True)
    (RUNS / f"{stem}.json").write_text(json.dumps(entry, indent=1), encoding="utf-8")


def recorded() -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RUNS.glob("*.json"))}


def machine() -> dict:
    """What a run time depends on: preset, processor, device, versions."""
    import torch  # slow to import, and rendering does not need it

    from minimind_lite.train import pick_device

    device = pick_device().type
    return {
        "preset": os.environ.get("MINIMIND_LITE_PRESET", "lite"),
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "device": torch.cuda.get_device_name() if device == "cuda" else device.upper(),
        "versions": {"Python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name where the system tells, else its kind."""
    if cpuinfo.is_file():
        name = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
        if name:
            return re.sub(r"\s+", " ", name.group(1)).strip()
    return platform.processor() or platform.machine()


def stage(chapters: Path, source: Path) -> Path:
    """Copy what the pages are made of, with the notebooks of a folder, to the folder `source`."""
    shutil.rmtree(source, ignore_errors=True)
    book = source / "book"
    shutil.copytree(ROOT / "book", book, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(chapters, source / "chapters", ignore=shutil.ignore_patterns(".*"))
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, source)
    race = json.loads((book / "speedrun.json").read_text(encoding="utf-8"))
    texts = {"status": status(recorded()), "speedrun": race_table(race)}
    texts |= {"conversation": conversation(chapters), "conversation.zh_CN": conversation(chapters, chinese=True)}
    for name, text in texts.items():
        (book / f"{name}.txt").write_text(text, encoding="utf-8")
    speed.write_page(book)
    return source


def render(chapters: Path) -> None:
    """Render the book with the notebooks of a folder, in all its languages, to _build/html."""
    from widget_data import write as write_widget_data  # imports torch, which the other commands need not

    began = time.time()
    source = stage(chapters, BUILD / "source")
    try:
        write_widget_data(source / "book" / "_static")
    except (ValueError, OSError) as error:
        sys.exit(f"The data of the widgets could not be written: {error}")
    shutil.rmtree(BUILD / "html", ignore_errors=True)  # or pages of deleted chapters would stay
    with ThreadPoolExecutor() as both:
        translation = both.submit(render_translation, source)
        jupyter_book(source, ROOT)
    shutil.move(translation.result(), BUILD / "html" / FOLDER)
    print(f"rendered in {time.time() - began:.0f} s: {BUILD / 'html' / 'index.html'}")


def status(runs: dict[str, dict]) -> str:
    """The status page's tables, in Markdown."""
    if not runs:
        return "No chapter has been run on this machine yet: the pages show the outputs that come with the book.\n"
    lines = ["| chapter | seconds | preset | device | date |", "|---|---:|---|---|---|"]
    for stem, entry in sorted(runs.items()):
        number, _, title = stem.partition("_")
        lines.append(f"| {{chapter}}`{number} {title.replace('_', ' ')} <{number}>` | {entry['seconds']:.0f} "
                     f"| {entry['preset']} | {entry['device']} | {entry['date']} |")  # fmt: skip
    last = max(runs.values(), key=lambda entry: entry["finished"])
    lines += ["", f"The last run was on: {last['processor']}.", "", "| package | version |", "|---|---|"]
    lines += [f"| {name} | {number} |" for name, number in last["versions"].items()]
    return "\n".join(lines) + "\n"


def race_table(results: dict[str, dict]) -> str:
    """The results of the race, as `python -m exercises.speedrun --save` wrote them, in Markdown."""
    lines = ["| entry | bits per byte | above the floor | operations | parameters | layers × width | vocabulary |",
             "|---|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
    for name, row in results.items():
        lines.append(f"| {name} | {row['bits_per_byte']:.3f} | {row['bits_per_byte'] - row['floor']:.3f} "
                     f"| {row['flops'] / 1e12:.3f} trillion | {row['parameters']:,} | {row['shape']} "
                     f"| {row['vocab_size']:,} |")  # fmt: skip
    return "\n".join(lines) + "\n"


def turns(text: str) -> list[tuple[str, str]]:
    """Printed conversations as (question, reply): a question's line begins with "> "."""
    found = []
    for line in text.splitlines():
        if line.startswith("> "):
            found.append([line[2:], ""])
        elif found:
            found[-1][1] += ("\n" if found[-1][1] else "") + line
    return [(question, reply.strip()) for question, reply in found]


def conversation(chapters: Path, chinese: bool = False) -> str:
    """The conversations that chapter 08 printed when it was run, the page's language first, as HTML."""
    talks = []
    for path in sorted(chapters.glob("08_*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and re.search(r"^talk\((?!.*system=)", cell.source, re.MULTILINE):
                talks.append(turns("".join(output.get("text", "") for output in cell.outputs)))
    talks = talks[:2][::-1] if chinese else talks[:2]
    label, *names = ("与模型的一段对话", "你", "模型") if chinese else ("A conversation with the model", "you", "model")
    bubbles = [
        f'<p class="{who}"><span class="who">{name}</span>{escape(text)}</p>'
        for talk in talks for turn in talk for who, name, text in zip(("you", "model"), names, turn)
    ]  # fmt: skip
    return f'<div class="chat" role="group" tabindex="0" aria-label="{label}">{"".join(bubbles)}</div>\n'


def summary(began: float) -> None:
    """What `make book` says at the end; `began` is the time when it started."""
    for stem, entry in sorted(recorded().items()):
        print(f"{entry['seconds']:7.0f} s  {stem}{'' if entry['finished'] >= began else '  (from an earlier run)'}")
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
    sub = commands.add_parser("stage", help="copy what the pages are made of to _build/source")
    sub.add_argument("chapters", type=Path)
    sub = commands.add_parser("summary", help="print how long each chapter took")
    sub.add_argument("began", type=float)
    arguments = parser.parse_args()
    if arguments.command == "execute":
        write(run(arguments.source), arguments.target)
    elif arguments.command == "refresh":
        for path in arguments.notebooks:
            write(run(path), path)
    elif arguments.command == "render":
        render(arguments.chapters)
    elif arguments.command == "stage":
        stage(arguments.chapters, BUILD / "source")
    else:
        summary(arguments.began)


if __name__ == "__main__":
    main()
